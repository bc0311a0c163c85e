//! Invitations, as those who may manage an account's users see them: making, sending again,
//! editing, withdrawing. `batch` makes many at once, `listing` finds them; `answers` has what the invited person does.

mod batch;
mod listing;

use std::sync::Arc;

use super::App;
use super::admission::{Admitted, allows};
use super::limits::spend_all;
use super::returned::{HandOver, Returned};
use crate::domain::edition::Edition;
use crate::domain::email::Email;
use crate::domain::error::Error;
use crate::domain::event::{Change, Grantor, InvitationState};
use crate::domain::id::{AccountId, AddressId, InvitationId, MailId, UserId};
use crate::domain::invitation::{Held, State, Stored, held};
use crate::domain::look_alike::Suspicion;
use crate::domain::name::Slug;
use crate::domain::permission::Permission;
use crate::domain::policy::Standing;
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::token::LinkKind;
use crate::store::invitations::{self, Invitation};
use crate::store::mails::{self, About, Kind, Owed, Pace};
use crate::store::requests::{Terms, once};
use crate::store::{Tx, accounts, addresses, members, services, users};
pub use batch::Invitee;
pub use listing::Filter;

/// Why the mail of an invitation that was withdrawn doesn't go.
pub(super) const WITHDRAWN_FIRST: &str = "the invitation was withdrawn first";

/// Why the mail of one that was answered doesn't.
pub(super) const ANSWERED_FIRST: &str = "the invitation was answered first";

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

/// An invitation whose link is new.
pub struct Invited {
    /// The invitation.
    pub shown: Shown,
    /// The link, if it was to be answered.
    pub returned: Option<Returned>,
}

impl App {
    /// Invites an address, or renews its expired invitation; the link is mailed, or answered once.
    pub async fn invite(
        self: &Arc<Self>,
        manager: Admitted,
        email: Email,
        grant: Standing,
        hand_over: HandOver,
        terms: Terms,
    ) -> Result<Invited, Error> {
        let id = manager.account()?;
        let answers = hand_over.answers(&terms);
        let app = Arc::clone(self);
        let (invitation, replayed) = self
            .store
            .write(manager.origin(), async move |tx| {
                manager.confirm(tx).await?;
                let made = once(tx, &terms, async |tx| app.invite_in(tx, &manager, id, &email, grant, hand_over).await).await?;
                Ok((load(tx, made.outcome).await?, made.replayed))
            })
            .await?;
        Ok(self.invited(invitation, answers, replayed))
    }

    async fn invite_in(
        &self,
        tx: &mut Tx,
        manager: &Admitted,
        account: AccountId,
        email: &Email,
        grant: Standing,
        hand_over: HandOver,
    ) -> Result<InvitationId, Error> {
        self.check_roles(grant.roles)?;
        let account = open_account(tx, account).await?;
        let address = addresses::mention(tx, email).await?;
        let holder = users::by_address(tx.sql(), address).await?.map(|user| user.id);
        // nobody is looked for too, so that an address with a login takes as long as one without
        let looked_for = holder.unwrap_or(UserId::from_bytes([0; 16]));
        let is_member = members::find(tx.sql(), account.id, looked_for).await?.is_some();
        if let Some(user) = holder {
            if is_member {
                return Err(Error::MemberExists(user));
            }
            self.check_grantee(manager, user, grant)?;
        }
        let unanswered = invitations::unanswered(tx.sql(), account.id, address).await?;
        let now = tx.now();
        if let Some(pending) = unanswered.as_ref().filter(|invitation| invitation.state_at(now) == State::Pending) {
            return Err(Error::InvitationExists(pending.id));
        }
        spend_all(tx, &self.invitations_of(manager.caller(), &account), 1).await?;
        let fresh = unanswered.is_none();
        let mut invitation = match unanswered {
            Some(expired) => expired,
            None => draft(tx, &account, address)?,
        };
        email.as_typed().clone_into(&mut invitation.email);
        (invitation.privilege, invitation.roles) = (grant.privilege, grant.roles);
        let version = tx.next_version();
        self.grant_anew(tx, &mut invitation, manager, hand_over, version)?;
        let written =
            if fresh { invitations::insert(tx, &invitation).await? } else { invitations::renew(tx, &invitation).await? };
        if !written {
            return Err(Error::internal("an invitation changed inside its own transaction"));
        }
        let kind = if fresh { Change::InvitationCreated } else { Change::InvitationRenewed };
        record_link(tx, &invitation, kind, self.pace_of(manager.caller())).await?;
        Ok(invitation.id)
    }

    /// Gives an invitation a new link, lifetime and grantor, and a mail unless its link is answered.
    fn grant_anew(
        &self,
        tx: &Tx,
        invitation: &mut Invitation,
        manager: &Admitted,
        hand_over: HandOver,
        version: i64,
    ) -> Result<(), Error> {
        invitation.grantor = manager.grantor();
        invitation.nonce = tx.random()?;
        invitation.expires = self.invitation_lifetime.map(|lifetime| tx.now().plus(lifetime));
        invitation.mail = match hand_over {
            HandOver::Mail => Some(MailId::new(tx.now(), tx.random()?)),
            HandOver::Answer => None,
        };
        invitation.send_count += i64::from(invitation.mail.is_some());
        invitation.version = version;
        Ok(())
    }

    /// What is answered of an invitation whose link is new; the link itself where that `answers` it and wasn't `replayed`.
    fn invited(&self, invitation: Invitation, answers: bool, replayed: bool) -> Invited {
        let returned = answers.then(|| {
            let link = (!replayed).then(|| {
                let token = self.link_token(LinkKind::Invitation, *invitation.id.as_bytes(), &invitation.nonce);
                (LinkKind::Invitation, token, invitation.expires)
            });
            Returned::of(link)
        });
        Invited { shown: self.show(invitation), returned }
    }

    /// Sends an unanswered invitation again, or answers its link once: a new link and lifetime under the same id.
    pub async fn resend_invitation(
        self: &Arc<Self>,
        manager: Admitted,
        id: InvitationId,
        etag: String,
        hand_over: HandOver,
        terms: Terms,
    ) -> Result<Invited, Error> {
        let answers = hand_over.answers(&terms);
        let change = async move |app: &Self, tx: &mut Tx, manager: &Admitted, mut invitation: Invitation| {
            app.check_etag(&etag, invitation.version)?;
            let grant = invitation.standing();
            let account = app.check_regrant(tx, manager, &invitation, grant).await?;
            spend_all(tx, &app.invitations_of(manager.caller(), &account), 1).await?;
            let version = tx.next_version();
            app.grant_anew(tx, &mut invitation, manager, hand_over, version)?;
            if !invitations::renew(tx, &invitation).await? {
                return Err(Error::internal("an invitation changed inside its own transaction"));
            }
            record_link(tx, &invitation, Change::InvitationResent, app.pace_of(manager.caller())).await
        };
        let (invitation, replayed) = self.change_invitation(manager, id, terms, change).await?;
        Ok(self.invited(invitation, answers, replayed))
    }

    /// Changes what an unanswered invitation offers; link and lifetime stay.
    pub async fn update_invitation(
        self: &Arc<Self>,
        manager: Admitted,
        id: InvitationId,
        grant: Standing,
        etag: String,
        terms: Terms,
    ) -> Result<Shown, Error> {
        let change = async move |app: &Self, tx: &mut Tx, manager: &Admitted, mut invitation: Invitation| {
            app.check_etag(&etag, invitation.version)?;
            app.check_regrant(tx, manager, &invitation, grant).await?;
            if invitation.standing() == grant && invitation.grantor == manager.grantor() {
                return Ok(());
            }
            (invitation.privilege, invitation.roles) = (grant.privilege, grant.roles);
            invitation.grantor = manager.grantor();
            invitation.version = tx.next_version();
            if !invitations::update(tx, &invitation).await? {
                return Err(Error::internal("an invitation changed inside its own transaction"));
            }
            let state = invitation.event_state(tx)?;
            tx.record(Change::InvitationUpdated(state)).await
        };
        let (invitation, _) = self.change_invitation(manager, id, terms, change).await?;
        Ok(self.show(invitation))
    }

    /// Whoever resends or edits an invitation stands behind the grant from then on, so it must be one that they can make now.
    async fn check_regrant(
        &self,
        tx: &mut Tx,
        manager: &Admitted,
        invitation: &Invitation,
        grant: Standing,
    ) -> Result<accounts::Account, Error> {
        unanswered(invitation)?;
        let account = open_account(tx, invitation.account).await?;
        self.check_roles(grant.roles)?;
        if let Some(user) = users::by_address(tx.sql(), invitation.address).await? {
            self.check_grantee(manager, user.id, grant)?;
        }
        Ok(account)
    }

    /// Takes back an unanswered invitation; doing it again changes nothing.
    pub async fn withdraw_invitation(
        self: &Arc<Self>,
        manager: Admitted,
        id: InvitationId,
        etag: String,
        terms: Terms,
    ) -> Result<Shown, Error> {
        let change = async move |app: &Self, tx: &mut Tx, _: &Admitted, mut invitation: Invitation| {
            if invitation.state == Stored::Withdrawn {
                return Ok(());
            }
            app.check_etag(&etag, invitation.version)?;
            unanswered(&invitation)?;
            invitation.state = Stored::Withdrawn;
            end(tx, &mut invitation, Change::InvitationWithdrawn).await
        };
        let (invitation, _) = self.change_invitation(manager, id, terms, change).await?;
        Ok(self.show(invitation))
    }

    /// Changes an invitation of the manager's account and answers it as it is then, and whether an earlier call had done it.
    async fn change_invitation<F>(
        self: &Arc<Self>,
        manager: Admitted,
        id: InvitationId,
        terms: Terms,
        change: F,
    ) -> Result<(Invitation, bool), Error>
    where
        F: AsyncFnOnce(&Self, &mut Tx, &Admitted, Invitation) -> Result<(), Error> + Send + 'static,
    {
        let account = manager.account()?;
        let app = Arc::clone(self);
        self.store
            .write(manager.origin(), async move |tx| {
                manager.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let invitation = load_in(tx, account, id).await?;
                    change(&app, tx, &manager, invitation).await
                })
                .await?;
                Ok((load(tx, id).await?, done.replayed))
            })
            .await
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

    /// An invitation as it stands now: expiry by the clock, and by what the directory says whether it is held.
    pub(super) fn show(&self, invitation: Invitation) -> Shown {
        self.show_in(self.edition, invitation)
    }

    /// The same, as if the data were served as an edition.
    pub(super) fn show_in(&self, edition: Edition, invitation: Invitation) -> Shown {
        let state = invitation.state_at(self.now());
        let view = self.directory.view();
        let manages = |user| view.allows(invitation.account, user, Permission::ManageUsers);
        let entitled = |id| {
            view.service(id)
                .is_some_and(|service| service.counts(self.now()) && entitles(service.scopes, service.account, &invitation))
        };
        let reason = held(
            edition,
            invitation.account_closed,
            invitation.roles,
            invitation.grantor.user.map(manages),
            invitation.grantor.service.map(entitled),
        );
        let unanswered = invitation.state == Stored::Pending;
        Shown { held: reason.filter(|_| unanswered), invitation, state }
    }

    /// What to look at before an invitation's address is trusted, while it is unanswered.
    #[must_use]
    pub fn suspicion(&self, invitation: &Invitation) -> Suspicion {
        let email = Email::parse(&invitation.email).ok().filter(|_| invitation.state == Stored::Pending);
        email.map(|email| self.directory.view().suspicion(invitation.account, &email)).unwrap_or_default()
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
    pub(super) fn check_roles(&self, roles: RoleSet) -> Result<(), Error> {
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

/// Ends an unanswered invitation with its mail if that waits, and records how.
pub(super) async fn end(tx: &mut Tx, invitation: &mut Invitation, kind: fn(InvitationState) -> Change) -> Result<(), Error> {
    invitation.version = tx.next_version();
    if !invitations::end(tx, invitation).await? {
        return Err(Error::internal("an invitation changed inside its own transaction"));
    }
    let why = if invitation.state == Stored::Withdrawn { WITHDRAWN_FIRST } else { ANSWERED_FIRST };
    mails::drop_of_invitation(tx, invitation.id, why).await?;
    let state = invitation.event_state(tx)?;
    tx.record(kind(state)).await
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

/// An invitation of an address that has none yet, before anybody granted it.
fn draft(tx: &Tx, account: &accounts::Account, address: AddressId) -> Result<Invitation, Error> {
    Ok(Invitation {
        id: InvitationId::new(tx.now(), tx.random()?),
        account: account.id,
        account_name: account.name.clone(),
        account_display_name: account.display_name.clone(),
        account_timezone: account.timezone.clone(),
        account_closed: false,
        address,
        email: String::new(),
        privilege: Privilege::ReadOnly,
        roles: RoleSet::EMPTY,
        state: Stored::Pending,
        grantor: Grantor { user: None, service: None },
        nonce: [0; 16],
        created: tx.now(),
        expires: None,
        send_count: 0,
        first_opened: None,
        answered_by: None,
        mail: None,
        delivery: None,
        version: 0,
    })
}

/// Owes the mail of a new link, or records that the link is answered instead.
async fn record_link(
    tx: &mut Tx,
    invitation: &Invitation,
    kind: fn(InvitationState) -> Change,
    pace: Option<Pace>,
) -> Result<(), Error> {
    let state = invitation.event_state(tx)?;
    if let Some(mail) = invitation.mail {
        mails::owe_paced(tx, mail, owed(invitation), pace).await?;
        return tx.record(kind(state)).await;
    }
    tx.record_all(vec![kind(state.clone()), Change::InvitationLinkReturned(state)]).await
}

fn owed(invitation: &Invitation) -> Owed<'_> {
    Owed {
        kind: Kind::Invitation,
        about: About::Invitation(invitation.id, invitation.grantor.user),
        address: invitation.address,
        recipient: &invitation.email,
    }
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
