//! What another edition would change, before anybody switches to it.
//!
//! Members and personal tokens are judged from memory, by one consistent view, off the runtimes: all of them are looked at for a page, most by a
//! comparison of two sets. Invitations come behind them, from the database, by the index of the unanswered ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::App;
use super::admission::Reader;
use super::page::{Page, PageRequest, Query, Search};
use crate::directory::View;
use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::error::Error;
use crate::domain::id::{AccountId, ApiTokenId, InvitationId, UserId};
use crate::domain::invitation::Held;
use crate::domain::name::Slug;
use crate::domain::permission::PermissionSet;
use crate::domain::policy::{self, Effect, Standing};
use crate::domain::role::RoleSet;
use crate::store::invitations::{self, Invitation};

/// What would change for one of the site.
pub enum EditionChange {
    /// For a member.
    Member(MemberChange),
    /// For an invitation: held, or not any more.
    Invitation {
        /// Which.
        invitation: Box<Invitation>,
        /// Why it can't be accepted now.
        now: Option<Held>,
        /// Why it couldn't be accepted then.
        then: Option<Held>,
    },
}

/// What would change for a member.
pub struct MemberChange {
    /// The account.
    pub account: AccountId,
    /// That account's name.
    pub account_name: String,
    /// Whose membership.
    pub user: UserId,
    /// What they would gain and lose.
    pub effect: Effect,
    /// Roles that would have no effect any more.
    pub falling_asleep: RoleSet,
    /// Roles that would have effect.
    pub waking_up: RoleSet,
    /// What their personal tokens for the account would open more or less.
    pub api_tokens: Vec<(ApiTokenId, Effect)>,
}

/// How much would change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Members who would gain something, by themselves or by a token.
    pub members_gaining: i64,
    /// Members who would lose something.
    pub members_losing: i64,
    /// Personal tokens that would open more.
    pub api_tokens_gaining: i64,
    /// Personal tokens that would open less.
    pub api_tokens_losing: i64,
    /// Accounts that those members are members of.
    pub accounts: i64,
}

/// One page of what would change.
pub struct EditionPreview {
    /// The edition that was looked at.
    pub edition: Edition,
    /// The changes.
    pub page: Page<EditionChange>,
    /// How much there is in all; on the first page.
    pub totals: Option<Totals>,
}

/// A place in the list: members first, then invitations, each by account and id.
struct Place {
    of_invitations: bool,
    account: AccountId,
    id: [u8; 16],
}

impl Place {
    fn of(change: &EditionChange) -> Self {
        match change {
            EditionChange::Member(member) => Self { of_invitations: false, account: member.account, id: *member.user.as_bytes() },
            EditionChange::Invitation { invitation, .. } => {
                Self { of_invitations: true, account: invitation.account, id: *invitation.id.as_bytes() }
            }
        }
    }

    fn key(&self) -> Vec<u8> {
        [&[u8::from(self.of_invitations)][..], self.account.as_bytes(), &self.id].concat()
    }

    fn parse(key: [u8; 33]) -> Option<Self> {
        let (kind, rest) = key.split_first()?;
        let (account, id) = rest.split_first_chunk::<16>()?;
        Some(Self { of_invitations: *kind == 1, account: AccountId::from_bytes(*account), id: id.try_into().ok()? })
    }
}

/// Two editions, held against each other.
struct Comparison {
    view: Arc<View>,
    to: Edition,
    within: (AccountId, AccountId),
    now: Timestamp,
}

impl App {
    /// Says what would change if the data were served as another edition: one page of it.
    pub async fn preview_edition(
        &self,
        _reader: &Reader,
        edition: Option<Edition>,
        account: Option<Slug>,
        request: &PageRequest,
    ) -> Result<EditionPreview, Error> {
        let view = self.directory.snapshot();
        let other = if view.edition() == Edition::Inside { Edition::Saas } else { Edition::Inside };
        let edition = edition.unwrap_or(other);
        let within = match account {
            None => (AccountId::from_bytes([0; 16]), AccountId::from_bytes([0xff; 16])),
            Some(name) => {
                let found = view.account_named(name.as_str()).ok_or_else(|| Error::AccountNotFound(name.to_string()))?;
                (found, found)
            }
        };
        let query = Query::of("edition").with(&[edition.code()]).with(within.0.as_bytes()).with(within.1.as_bytes());
        let after = match query.after::<33>(request)? {
            None => None,
            Some(key) => Some(Place::parse(key).ok_or(Error::PageTokenInvalid)?),
        };
        let comparison = Comparison { view, to: edition, within, now: self.now() };
        let after = match after {
            Some(Place { of_invitations: true, account, id }) => {
                let after = (account, InvitationId::from_bytes(id));
                let page = self.changed_invitations(&query, &comparison, after, request).await?;
                return Ok(EditionPreview { edition, page, totals: None });
            }
            Some(Place { account, id, .. }) => Some((account, UserId::from_bytes(id))),
            None => None,
        };
        let limit = usize::try_from(Query::limit(request)).unwrap_or(usize::MAX);
        let walk = move || {
            let totals = after.is_none().then(|| comparison.totals());
            (comparison.members(after).take(limit).collect::<Vec<_>>(), totals)
        };
        let (found, totals) = tokio::task::spawn_blocking(walk).await.map_err(Error::internal)?;
        let page = query.page(request, found, |change| Place::of(change).key());
        if !page.next.is_empty() {
            return Ok(EditionPreview { edition, page, totals });
        }
        // behind the last member come the invitations, on a page of their own
        let begin = Place { of_invitations: true, account: within.0, id: [0; 16] };
        Ok(EditionPreview { edition, page: Page { next: query.token(&begin.key()), ..page }, totals })
    }

    async fn changed_invitations(
        &self,
        query: &Query,
        comparison: &Comparison,
        mut after: (AccountId, InvitationId),
        request: &PageRequest,
    ) -> Result<Page<EditionChange>, Error> {
        let mut search = Search::new(query, request);
        let mut connection = self.store.read().await?;
        while let Some(limit) = search.wants() {
            let found = invitations::unanswered_after(&mut connection, after, comparison.within.1, limit).await?;
            after = found.last().map_or(after, |last| (last.account, last.id));
            let changes = found.into_iter().map(|invitation| {
                let then = self.show_in(comparison.to, invitation.clone()).held;
                let now = self.show(invitation.clone()).held;
                EditionChange::Invitation { invitation: Box::new(invitation), now, then }
            });
            search.take(changes.map(|change| (Place::of(&change).key(), change)), differs);
        }
        Ok(search.page())
    }
}

fn differs(change: &EditionChange) -> bool {
    match change {
        EditionChange::Member(_) => true,
        EditionChange::Invitation { now, then, .. } => now != then,
    }
}

impl Comparison {
    /// The members for whom something would change, by account and user.
    fn members(&self, after: Option<(AccountId, UserId)>) -> impl Iterator<Item = EditionChange> {
        let mut tokens = BTreeMap::<_, Vec<_>>::new();
        for token in self.view.api_tokens(self.now) {
            tokens.entry((token.account, token.user)).or_default().push((token.id, token.cap));
        }
        let members = self.view.members_between(self.within, after);
        members.filter_map(move |(account, user, standing)| {
            let tokens = tokens.get(&(account, user)).map_or(&[][..], Vec::as_slice);
            self.member(account, user, standing, tokens).map(EditionChange::Member)
        })
    }

    fn member(
        &self,
        account: AccountId,
        user: UserId,
        standing: Standing,
        tokens: &[(ApiTokenId, Option<Standing>)],
    ) -> Option<MemberChange> {
        if standing.roles.is_empty() && tokens.iter().all(|(_, cap)| cap.is_none_or(|cap| cap.roles.is_empty())) {
            return None;
        }
        let from = self.view.edition();
        let (person, place) = (self.view.person(Some(account), Some(user)), self.view.place(Some(account)));
        let of = |edition| policy::all_permissions(edition, person, place).unwrap_or_default();
        let (before, after) = (of(from), of(self.to));
        let of_token = |cap| {
            let left = |edition, permissions: PermissionSet| policy::within(edition, cap, permissions);
            Effect::between(left(from, before), left(self.to, after))
        };
        let roles = |edition: Edition| standing.roles.intersection(edition.roles());
        let effects = tokens.iter().map(|(id, cap)| (*id, of_token(*cap)));
        let change = MemberChange {
            account,
            account_name: self.view.account(account).map(|account| account.name.to_string()).unwrap_or_default(),
            user,
            effect: Effect::between(before, after),
            falling_asleep: roles(from).minus(roles(self.to)),
            waking_up: roles(self.to).minus(roles(from)),
            api_tokens: effects.filter(|(_, effect)| *effect != Effect::default()).collect(),
        };
        let nothing = change.effect == Effect::default()
            && change.falling_asleep.is_empty()
            && change.waking_up.is_empty()
            && change.api_tokens.is_empty();
        (!nothing).then_some(change)
    }

    fn totals(&self) -> Totals {
        let (mut totals, mut last) = (Totals::default(), None);
        for change in self.members(None) {
            let EditionChange::Member(member) = change else { continue };
            let tokens = member.api_tokens.iter().map(|(_, effect)| effect);
            let all = || std::iter::once(&member.effect).chain(tokens.clone());
            let (gains, loses) = (all().any(|effect| !effect.gained.is_empty()), all().any(|effect| !effect.lost.is_empty()));
            totals.members_gaining += i64::from(gains);
            totals.members_losing += i64::from(loses);
            if gains || loses {
                // they come by account
                totals.accounts += i64::from(last.replace(member.account) != Some(member.account));
            }
            for effect in tokens.clone() {
                totals.api_tokens_gaining += i64::from(!effect.gained.is_empty());
                totals.api_tokens_losing += i64::from(!effect.lost.is_empty());
            }
        }
        totals
    }
}
