//! Which domains the people of each account have, to tell those that only look like one of them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

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

/// Where a domain stands: in an account, beside those that look the same, behind those of them that more have.
type Rank = (AccountId, Arc<str>, Reverse<Uses>, Arc<str>);

/// The domains of members and of unanswered invitations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Domains {
    uses: OrdMap<(AccountId, Arc<str>), Uses>,
    /// The same in an order that has an answer after two looks, however many spellings of one look are invited.
    ranks: OrdSet<Rank>,
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
        let uses: OrdMap<_, _> = uses.into_iter().map(|((account, domain), uses)| ((account, domain.into()), uses)).collect();
        let ranks = uses.iter().map(|((account, domain), uses)| rank(*account, Arc::clone(domain), *uses)).collect();
        Self { uses, ranks, invited }
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
        let domain: Arc<str> = domain.into();
        let key = (account, Arc::clone(&domain));
        let mut uses = self.uses.remove(&key).unwrap_or_default();
        let mut rank = rank(account, domain, uses);
        self.ranks.remove(&rank);
        change(&mut uses);
        if uses != Uses::default() {
            rank.2 = Reverse(uses);
            self.ranks.insert(rank);
            self.uses.insert(key, uses);
        }
    }

    /// The other domain in an account that one looks like: the one that most members have, and at least as many as have the one itself.
    /// Members vouch for their own domain, so what fewer have, or a stranger to the account was invited by, doesn't count against it.
    fn look_alike(&self, account: AccountId, domain: &str) -> Option<Arc<str>> {
        let own = self.uses.get(&(account, Arc::from(domain))).copied().unwrap_or_default();
        let looks: Arc<str> = skeleton(domain).into();
        let first = (account, Arc::clone(&looks), Reverse(Uses { members: u32::MAX, invitations: u32::MAX }), Arc::from(""));
        let ranks = self.ranks.range(first..);
        #[cfg(test)]
        let ranks = ranks.inspect(|_| tests::LOOKS.set(tests::LOOKS.get() + 1));
        let mut same = ranks.take_while(|(place, skeleton, ..)| *place == account && *skeleton == looks);
        let (_, _, Reverse(uses), other) = same.find(|(.., other)| **other != *domain)?;
        (uses.members >= own.members).then(|| Arc::clone(other))
    }
}

fn rank(account: AccountId, domain: Arc<str>, uses: Uses) -> Rank {
    (account, skeleton(&domain).into(), Reverse(uses), domain)
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

    /// Moves a user's memberships to the domain of another address. That asks every account of the site for the user, while writes wait: it
    /// is seldom that somebody's domain changes, and a list of everybody's accounts would cost each of the others.
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::domain::event::{Grantor, Personal};
    use crate::domain::id::AddressId;
    use crate::domain::invitation::Stored;
    use crate::domain::policy::Standing;
    use crate::domain::privilege::Privilege;
    use crate::domain::role::RoleSet;

    thread_local! {
        /// How many domains were looked at.
        pub(super) static LOOKS: Cell<u32> = const { Cell::new(0) };
    }

    const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);

    /// An invitation to a domain that looks like `aaaaaaaaaa.test`: each bit of the number is a letter, Latin or Cyrillic.
    fn invitation(number: u16) -> InvitationState {
        let letters: String = (0..10).map(|bit| if number >> bit & 1 == 0 { 'a' } else { '\u{430}' }).collect();
        InvitationState {
            invitation: InvitationId::from_bytes([number.to_be_bytes(); 8].concat().try_into().unwrap()),
            account: ACCOUNT,
            address: AddressId::from_bytes([2; 16]),
            email: Personal::new(&format!("bob@{letters}.test"), [0; 16]),
            standing: Standing { privilege: Privilege::Normal, roles: RoleSet::EMPTY },
            state: Stored::Pending,
            grantor: Grantor { user: None, service: None },
            expires: None,
            send_count: 1,
            answered_by: None,
        }
    }

    #[test]
    fn two_domains_are_looked_at_however_many_look_the_same() {
        let mut domains = Domains::default();
        (0..1024).for_each(|number| domains.invited(&invitation(number)));
        assert_eq!(domains.ranks.len(), 1024);
        for domain in ["aaaaaaaaaa.test", "aaaaaaaaaa.example"] {
            LOOKS.set(0);
            domains.look_alike(ACCOUNT, domain);
            assert!(LOOKS.get() <= 2, "{}", LOOKS.get());
        }
        LOOKS.set(0);
        domains.joined(ACCOUNT, "ann@aaaaaaaaaa.test");
        domains.joined(ACCOUNT, "bea@aaaaaaaaaa.test");
        let alike = Email::parse(invitation(7).email.value()).unwrap();
        assert_eq!(domains.look_alike(ACCOUNT, domain_of(alike.folded()).unwrap()).as_deref(), Some("aaaaaaaaaa.test"));
        assert_eq!(LOOKS.get(), 1, "the one that most have stands first");
    }

    #[test]
    fn nothing_is_kept_of_domains_that_nobody_has_any_more() {
        let mut domains = Domains::default();
        for number in 0..100 {
            domains.invited(&invitation(number));
            domains.invited(&invitation(number));
        }
        domains.joined(ACCOUNT, "ann@acme.test");
        domains.joined(ACCOUNT, "bea@acme.test");
        (0..100).for_each(|number| domains.answered(invitation(number).invitation));
        domains.left(ACCOUNT, "ann@acme.test");
        domains.left(ACCOUNT, "bea@acme.test");
        assert_eq!(domains, Domains::default());
    }
}
