//! Invitations, as those who may manage an account's users see them: making, sending again, withdrawing, listing.

use std::sync::Arc;

use super::App;
use super::admission::{Admitted, allows};
use super::page::{Page, PageRequest, Query, Search};
use crate::domain::email::{Email, EmailPrefix};
use crate::domain::error::Error;
use crate::domain::event::{Change, InvitationState};
use crate::domain::id::{AccountId, InvitationId, MailId, UserId};
use crate::domain::invitation::{Held, State, Stored, held};
use crate::domain::name::Slug;
use crate::domain::permission::Permission;
use crate::domain::policy::Standing;
use crate::domain::scope::{Scope, ScopeSet};
use crate::store::invitations::{self, Invitation, Which};
use crate::store::mails::{self, Kind, Owed};
use crate::store::requests::{Terms, once};
use crate::store::{Tx, accounts, addresses, members, services, users};

/// An invitation as it stands at a moment.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The invitation.
    pub invitation: Invitation,
    /// What a reader sees of its state.
    pub state: State,
    /// Why it can't be accepted now, if it is unanswered.
    pub held: Option<Held>,
}

/// Which invitations to list: a bit for each code.
#[derive(Clone, Debug)]
pub struct Filter {
    /// In one of these states; none for "Invited Users", the pending and expired.
    pub states: u8,
    /// Whose newest mail has come this far; none for all.
    pub deliveries: u8,
    /// Whether something holds them.
    pub held: Option<bool>,
    /// The beginning of the address.
    pub prefix: Option<EmailPrefix>,
}

/// The bits of the two states that are unanswered.
const UNANSWERED: u8 = 1 << State::Pending as u8 | 1 << State::Expired as u8;

impl Filter {
    /// What of it is stored. Whether one has expired and what holds it is known once it was read.
    const fn stored(&self) -> Which {
        let pending = if self.states & UNANSWERED == 0 { 0 } else { 1 << Stored::Pending as u8 };
        Which { states: self.states & !UNANSWERED | pending, deliveries: self.deliveries }
    }

    fn holds(&self, shown: &Shown) -> bool {
        self.states & (1 << shown.state as u8) != 0 && self.held.is_none_or(|held| held == shown.held.is_some())
    }
}

impl App {
    /// Invites an address, or renews its expired invitation, and owes the mail.
    pub async fn invite(
        self: &Arc<Self>,
        manager: Admitted,
        email: Email,
        grant: Standing,
        terms: Terms,
    ) -> Result<Shown, Error> {
        let id = manager.account()?;
        let app = Arc::clone(self);
        let invitation = self
            .store
            .write(manager.origin(), async move |tx| {
                manager.confirm(tx).await?;
                let made = once(tx, &terms, async |tx| app.invite_in(tx, &manager, id, &email, grant).await).await?;
                load(tx, made.outcome).await
            })
            .await?;
        Ok(self.show(invitation))
    }

    async fn invite_in(
        &self,
        tx: &mut Tx,
        manager: &Admitted,
        account: AccountId,
        email: &Email,
        grant: Standing,
    ) -> Result<InvitationId, Error> {
        self.check_roles(grant.roles)?;
        let account = open_account(tx, account).await?;
        let address = addresses::mention(tx, email).await?;
        if let Some(user) = users::by_address(tx.sql(), address).await? {
            if members::find(tx.sql(), account.id, user.id).await?.is_some() {
                return Err(Error::MemberExists(user.id));
            }
            self.check_grantee(manager, user.id, grant)?;
        }
        let unanswered = invitations::unanswered(tx.sql(), account.id, address).await?;
        let now = tx.now();
        if let Some(pending) = unanswered.as_ref().filter(|invitation| invitation.state_at(now) == State::Pending) {
            return Err(Error::InvitationExists(pending.id));
        }
        let mail = MailId::new(now, tx.random()?);
        let fresh = unanswered.is_none();
        let mut invitation = match unanswered {
            Some(expired) => expired,
            None => Invitation {
                id: InvitationId::new(now, tx.random()?),
                account: account.id,
                account_name: account.name,
                account_display_name: account.display_name,
                account_timezone: account.timezone,
                account_closed: false,
                address,
                email: String::new(),
                privilege: grant.privilege,
                roles: grant.roles,
                state: Stored::Pending,
                grantor: manager.grantor(),
                nonce: [0; 16],
                created: now,
                expires: None,
                send_count: 0,
                first_opened: None,
                answered_by: None,
                mail: None,
                delivery: None,
                version: 0,
            },
        };
        email.as_typed().clone_into(&mut invitation.email);
        (invitation.privilege, invitation.roles) = (grant.privilege, grant.roles);
        self.grant_anew(tx, &mut invitation, manager, mail)?;
        let written =
            if fresh { invitations::insert(tx, &invitation).await? } else { invitations::renew(tx, &invitation).await? };
        if !written {
            return Err(Error::internal("an invitation changed inside its own transaction"));
        }
        owe(tx, &invitation, mail).await?;
        let state = invitation.event_state(tx)?;
        tx.record(if fresh { Change::InvitationCreated(state) } else { Change::InvitationRenewed(state) }).await?;
        Ok(invitation.id)
    }

    /// Gives an invitation a new link, lifetime, grantor and mail.
    fn grant_anew(&self, tx: &Tx, invitation: &mut Invitation, manager: &Admitted, mail: MailId) -> Result<(), Error> {
        invitation.grantor = manager.grantor();
        invitation.nonce = tx.random()?;
        invitation.expires = self.invitation_lifetime.map(|lifetime| tx.now().plus(lifetime));
        invitation.send_count += 1;
        invitation.mail = Some(mail);
        invitation.version = tx.next_version();
        Ok(())
    }

    /// Sends an unanswered invitation again: a new link and lifetime under the same id.
    pub async fn resend_invitation(
        self: &Arc<Self>,
        manager: Admitted,
        id: InvitationId,
        etag: String,
        terms: Terms,
    ) -> Result<Shown, Error> {
        self.change_invitation(manager, id, terms, async move |app, tx, manager, mut invitation| {
            app.check_etag(&etag, invitation.version)?;
            unanswered(&invitation)?;
            open_account(tx, invitation.account).await?;
            // whoever resends stands behind the grant, so it must be one that can be made now
            app.check_roles(invitation.roles)?;
            if let Some(user) = users::by_address(tx.sql(), invitation.address).await? {
                app.check_grantee(manager, user.id, invitation.standing())?;
            }
            let mail = MailId::new(tx.now(), tx.random()?);
            app.grant_anew(tx, &mut invitation, manager, mail)?;
            if !invitations::renew(tx, &invitation).await? {
                return Err(Error::internal("an invitation changed inside its own transaction"));
            }
            owe(tx, &invitation, mail).await?;
            let state = invitation.event_state(tx)?;
            tx.record(Change::InvitationResent(state)).await.map(|_| ())
        })
        .await
    }

    /// Takes back an unanswered invitation; doing it again changes nothing.
    pub async fn withdraw_invitation(
        self: &Arc<Self>,
        manager: Admitted,
        id: InvitationId,
        etag: String,
        terms: Terms,
    ) -> Result<Shown, Error> {
        self.change_invitation(manager, id, terms, async move |app, tx, _, mut invitation| {
            if invitation.state == Stored::Withdrawn {
                return Ok(());
            }
            app.check_etag(&etag, invitation.version)?;
            unanswered(&invitation)?;
            invitation.state = Stored::Withdrawn;
            end(tx, &mut invitation, Change::InvitationWithdrawn).await
        })
        .await
    }

    /// Changes an invitation of the manager's account and answers it as it is then.
    async fn change_invitation<F>(
        self: &Arc<Self>,
        manager: Admitted,
        id: InvitationId,
        terms: Terms,
        change: F,
    ) -> Result<Shown, Error>
    where
        F: AsyncFnOnce(&Self, &mut Tx, &Admitted, Invitation) -> Result<(), Error> + Send + 'static,
    {
        let account = manager.account()?;
        let app = Arc::clone(self);
        let invitation = self
            .store
            .write(manager.origin(), async move |tx| {
                manager.confirm(tx).await?;
                once(tx, &terms, async |tx| {
                    let invitation = load_in(tx, account, id).await?;
                    change(&app, tx, &manager, invitation).await
                })
                .await?;
                load(tx, id).await
            })
            .await?;
        Ok(self.show(invitation))
    }

    /// Refuses a grant to oneself: a super-admin would make a membership of the mark, which outlives it.
    fn check_grantee(&self, manager: &Admitted, user: UserId, grant: Standing) -> Result<(), Error> {
        if manager.is_oneself(user) { Err(Error::SelfGrant(grant.permissions(self.edition))) } else { Ok(()) }
    }

    /// Answers one invitation in any state.
    pub async fn invitation(&self, reader: &Admitted, id: InvitationId) -> Result<Shown, Error> {
        let account = reader.account()?;
        let found = invitations::by_id(&mut *self.store.read().await?, id).await?;
        let found = found.filter(|invitation| invitation.account == account);
        found.map(|invitation| self.show(invitation)).ok_or_else(|| Error::InvitationNotFound(id.to_string()))
    }

    /// Lists an account's invitations, newest first, or, where a prefix is given, in the order of their addresses.
    pub async fn invitations(&self, reader: &Admitted, filter: Filter, page: &PageRequest) -> Result<Page<Shown>, Error> {
        const LAST: [u8; 16] = [0xff; 16];
        let account = reader.account()?;
        let filter = if filter.states == 0 { Filter { states: UNANSWERED, ..filter } } else { filter };
        let query = Query::of("invitations").with(account.as_bytes()).with(&[filter.states, filter.deliveries]);
        let query = query.with_choice(filter.held);
        if let Some(prefix) = &filter.prefix {
            let query = query.with_text(prefix.first());
            return self.invitations_by_address(account, &filter, prefix, query, page).await;
        }
        let mut before = InvitationId::from_bytes(query.after(page)?.unwrap_or(LAST));
        let mut connection = self.store.read().await?;
        let mut search = Search::new(&query, page);
        while let Some(limit) = search.wants() {
            let found = if filter.states == UNANSWERED && filter.deliveries == 0 {
                invitations::page_unanswered(&mut connection, account, before, limit).await?
            } else {
                invitations::page(&mut connection, account, filter.stored(), before, limit).await?
            };
            before = found.last().map_or(before, |last| last.id);
            let shown = found.into_iter().map(|invitation| (invitation.id.as_bytes().to_vec(), self.show(invitation)));
            search.take(shown, |shown| filter.holds(shown));
        }
        Ok(search.page())
    }

    async fn invitations_by_address(
        &self,
        account: AccountId,
        filter: &Filter,
        prefix: &EmailPrefix,
        query: Query,
        page: &PageRequest,
    ) -> Result<Page<Shown>, Error> {
        // an id of no bytes is before every other, so that the first text with the prefix is taken too
        let mut after = match query.after_text(page)? {
            None => (prefix.first().to_owned(), Vec::new()),
            Some(mut key) => {
                let id = key.split_off(key.len().checked_sub(16).ok_or(Error::PageTokenInvalid)?);
                (String::from_utf8(key).map_err(|_| Error::PageTokenInvalid)?, id)
            }
        };
        let (which, end) = (filter.stored(), prefix.end());
        let mut connection = self.store.read().await?;
        let mut search = Search::new(&query, page);
        while let Some(limit) = search.wants() {
            let found = invitations::page_by_address(&mut connection, account, which, (&after.0, &after.1), &end, limit).await?;
            if let Some((folded, last)) = found.last() {
                after = (folded.clone(), last.id.as_bytes().to_vec());
            }
            let shown = found.into_iter().map(|(folded, invitation)| {
                let key = [folded.as_bytes(), &invitation.id.as_bytes()[..]].concat();
                (key, self.show(invitation))
            });
            search.take(shown, |shown| filter.holds(shown));
        }
        Ok(search.page())
    }

    /// An invitation as it stands now: expiry by the clock, and whether it is held by what the directory says.
    pub(super) fn show(&self, invitation: Invitation) -> Shown {
        let state = invitation.state_at(self.now());
        let view = self.directory.view();
        let manages = |user| view.allows(invitation.account, user, Permission::ManageUsers);
        let entitled = |id| {
            view.service(id)
                .is_some_and(|service| service.counts(self.now()) && entitles(service.scopes, service.account, &invitation))
        };
        let reason = held(
            self.edition,
            invitation.account_closed,
            invitation.roles,
            invitation.grantor.user.map(manages),
            invitation.grantor.service.map(entitled),
        );
        let held = reason.filter(|_| invitation.state == Stored::Pending);
        Shown { invitation, state, held }
    }

    /// Why an invitation is held, judged inside the write that would give it effect.
    pub(super) async fn held_in(&self, tx: &mut Tx, invitation: &Invitation) -> Result<Option<Held>, Error> {
        let manages = match invitation.grantor.user {
            None => None,
            Some(user) => {
                let authority = members::authority(tx.sql(), invitation.account, user).await?;
                Some(authority.is_some_and(|authority| allows(self.edition, authority, Permission::ManageUsers)))
            }
        };
        let entitled = match invitation.grantor.service {
            None => None,
            Some(id) => Some(
                services::by_id(tx.sql(), id)
                    .await?
                    .is_some_and(|service| service.counts(tx.now()) && entitles(service.scopes, service.account, invitation)),
            ),
        };
        Ok(held(self.edition, invitation.account_closed, invitation.roles, manages, entitled))
    }

    /// Refuses roles that the edition has off.
    pub(super) fn check_roles(&self, roles: crate::domain::role::RoleSet) -> Result<(), Error> {
        let off = roles.minus(self.edition.roles());
        if off.is_empty() { Ok(()) } else { Err(Error::RoleOffInEdition { roles: off, edition: self.edition }) }
    }
}

/// Whether a service's scopes and account still reach the grant that it made.
fn entitles(scopes: ScopeSet, bound: Option<AccountId>, invitation: &Invitation) -> bool {
    scopes.contains(Scope::UsersWrite)
        && bound.is_none_or(|account| account == invitation.account)
        && (invitation.grantor.user.is_none() || scopes.contains(Scope::UsersActAs))
}

/// Ends an unanswered invitation and records how.
pub(super) async fn end(tx: &mut Tx, invitation: &mut Invitation, kind: fn(InvitationState) -> Change) -> Result<(), Error> {
    invitation.version = tx.next_version();
    if !invitations::end(tx, invitation).await? {
        return Err(Error::internal("an invitation changed inside its own transaction"));
    }
    let state = invitation.event_state(tx)?;
    tx.record(kind(state)).await.map(|_| ())
}

/// Refuses an invitation that was answered or withdrawn; an expired one is unanswered.
pub(super) fn unanswered(invitation: &Invitation) -> Result<(), Error> {
    match invitation.state {
        Stored::Pending => Ok(()),
        Stored::Accepted => Err(Error::InvitationAnswered(invitation.id, State::Accepted)),
        Stored::Ignored => Err(Error::InvitationAnswered(invitation.id, State::Ignored)),
        Stored::Withdrawn => Err(Error::InvitationWithdrawn(invitation.id)),
    }
}

async fn owe(tx: &mut Tx, invitation: &Invitation, mail: MailId) -> Result<(), Error> {
    let owed = Owed {
        kind: Kind::Invitation,
        invitation: Some(invitation.id),
        sign_up: None,
        address: invitation.address,
        recipient: &invitation.email,
    };
    mails::owe(tx, mail, owed).await
}

async fn load(tx: &mut Tx, id: InvitationId) -> Result<Invitation, Error> {
    invitations::by_id(tx.sql(), id).await?.ok_or_else(|| Error::InvitationNotFound(id.to_string()))
}

async fn load_in(tx: &mut Tx, account: AccountId, id: InvitationId) -> Result<Invitation, Error> {
    let found = invitations::by_id(tx.sql(), id).await?.filter(|invitation| invitation.account == account);
    found.ok_or_else(|| Error::InvitationNotFound(id.to_string()))
}

async fn open_account(tx: &mut Tx, id: AccountId) -> Result<accounts::Account, Error> {
    let account =
        accounts::by_id(tx.sql(), id).await?.ok_or_else(|| Error::internal("an account of the directory isn't in the store"))?;
    if account.closed {
        let name = Slug::parse(&account.name).map_err(Error::internal)?;
        return Err(Error::AccountClosed(name));
    }
    Ok(account)
}
