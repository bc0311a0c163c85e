//! Which domains the people of each account have, to tell those that only look like one of them.

use std::collections::HashMap;
use std::sync::Arc;

use imbl::OrdMap;

use super::View;
use crate::domain::email::Email;
use crate::domain::event::InvitationState;
use crate::domain::id::{AccountId, InvitationId, UserId};
use crate::domain::look_alike::{Suspicion, domain_of, mixes_scripts, skeleton};

/// How many people of an account have a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Uses {
    members: u32,
    /// Unanswered ones, expired too.
    invitations: u32,
}

/// Where a domain stands: in an account, beside those that look the same.
type Key = (AccountId, Arc<str>, Arc<str>);

/// The domains of members and of unanswered invitations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Domains {
    uses: OrdMap<Key, Uses>,
    /// The domain of each unanswered invitation: how it ends is told of one whose address may be erased by then.
    invited: OrdMap<InvitationId, (AccountId, Arc<str>)>,
}

impl Domains {
    /// What all members and unanswered invitations have, given by their addresses.
    pub(super) fn of<'a>(
        members: impl Iterator<Item = (AccountId, &'a str)>,
        invitations: impl Iterator<Item = (InvitationId, AccountId, &'a str)>,
    ) -> Self {
        let mut uses: HashMap<(AccountId, &str), Uses> = HashMap::new();
        for (account, folded) in members {
            if let Some(domain) = domain_of(folded) {
                uses.entry((account, domain)).or_default().members += 1;
            }
        }
        let mut invited = OrdMap::new();
        for (invitation, account, folded) in invitations {
            if let Some(domain) = domain_of(folded) {
                uses.entry((account, domain)).or_default().invitations += 1;
                invited.insert(invitation, (account, domain.into()));
            }
        }
        let uses = uses.into_iter().map(|((account, domain), uses)| (key(account, domain), uses)).collect();
        Self { uses, invited }
    }

    pub(super) fn joined(&mut self, account: AccountId, folded: &str) {
        self.change(account, domain_of(folded), |uses| uses.members += 1);
    }

    pub(super) fn left(&mut self, account: AccountId, folded: &str) {
        self.change(account, domain_of(folded), |uses| uses.members = uses.members.saturating_sub(1));
    }

    fn invited(&mut self, state: &InvitationState) {
        let Ok(email) = Email::parse(state.email.value()) else { return };
        let Some(domain) = domain_of(email.folded()) else { return };
        if self.invited.insert(state.invitation, (state.account, domain.into())).is_none() {
            self.change(state.account, Some(domain), |uses| uses.invitations += 1);
        }
    }

    fn answered(&mut self, invitation: InvitationId) {
        if let Some((account, domain)) = self.invited.remove(&invitation) {
            self.change(account, Some(&domain), |uses| uses.invitations = uses.invitations.saturating_sub(1));
        }
    }

    fn change(&mut self, account: AccountId, domain: Option<&str>, change: impl FnOnce(&mut Uses)) {
        let Some(domain) = domain else { return };
        let key = key(account, domain);
        let mut uses = self.uses.get(&key).copied().unwrap_or_default();
        change(&mut uses);
        if uses == Uses::default() {
            self.uses.remove(&key);
        } else {
            self.uses.insert(key, uses);
        }
    }

    /// The other domain in an account that one looks like: the one that most members have. Members vouch for their own domain, so what a
    /// stranger to the account was invited by doesn't count against it.
    fn look_alike(&self, account: AccountId, domain: &str) -> Option<Arc<str>> {
        let (_, looks, own) = key(account, domain);
        let first = (account, Arc::clone(&looks), Arc::from(""));
        let same = self.uses.range(first..).take_while(|((place, skeleton, _), _)| *place == account && *skeleton == looks);
        let same: Vec<(&Arc<str>, Uses)> = same.map(|((_, _, domain), uses)| (domain, *uses)).collect();
        let is_members = same.iter().any(|(domain, uses)| **domain == own && uses.members > 0);
        let others = same.into_iter().filter(|(domain, uses)| **domain != own && (uses.members > 0 || !is_members));
        others.max_by_key(|(_, uses)| *uses).map(|(domain, _)| Arc::clone(domain))
    }
}

fn key(account: AccountId, domain: &str) -> Key {
    (account, skeleton(domain).into(), domain.into())
}

impl View {
    /// What to look at before an address is trusted that was invited into an account. Says nothing of other accounts.
    #[must_use]
    pub fn suspicion(&self, account: AccountId, email: &Email) -> Suspicion {
        let Some(domain) = domain_of(email.folded()) else { return Suspicion::default() };
        Suspicion { mixes_scripts: mixes_scripts(domain), looks_like: self.domains.look_alike(account, domain) }
    }

    pub(super) fn apply_invited(&mut self, state: &InvitationState) {
        self.domains.invited(state);
    }

    pub(super) fn apply_answered(&mut self, state: &InvitationState) {
        self.domains.answered(state.invitation);
    }

    /// Moves a user's memberships to the domain of another address. Only who changes their address pays for looking through the accounts.
    pub(super) fn move_domain(&mut self, user: UserId, from: &str, to: &str) {
        if domain_of(from) == domain_of(to) {
            return;
        }
        let theirs: Vec<AccountId> =
            self.accounts.keys().copied().filter(|account| self.members.contains_key(&(*account, user))).collect();
        for account in theirs {
            self.domains.left(account, from);
            self.domains.joined(account, to);
        }
    }
}
