//! Invitations, as the invited person sees them: previewing, accepting, ignoring; and leaving an account again.
//!
//! An invitation is bound to its address: only a signed-in user whose confirmed address is the invited one answers it. The link's token is
//! no proof of an address; it shows the invitation and says which one is meant.

use std::sync::Arc;

use secrecy::SecretString;

use super::App;
use super::admission::{InPerson, Oneself};
use super::invitations::{Shown, end, unanswered};
use super::members::{self, Changed, Outcome};
use crate::domain::error::{Error, Takes};
use crate::domain::event::Change;
use crate::domain::id::{AccountId, InvitationId};
use crate::domain::invitation::{State, Stored};
use crate::domain::name::Slug;
use crate::domain::policy::Effect;
use crate::domain::token::{LinkKind, LinkToken};
use crate::store::accounts::{self, Account};
use crate::store::invitations::{self, Invitation};
use crate::store::members::{self as rows, Membership};
use crate::store::requests::{Terms, once};
use crate::store::{Tx, services, users};

/// Invitations that `ListMyInvitations` answers at most.
const MOST: i64 = 1000;

/// Which invitation a person means.
pub enum Meant {
    /// By the token of its mail.
    Token(SecretString),
    /// By its id.
    Id(InvitationId),
}

/// An invitation with what its grantor is called.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The invitation.
    pub shown: Shown,
    /// The person's or service's name; none for the operator.
    pub granted_by_name: Option<String>,
}

/// What a person who accepted is now part of.
pub struct Accepted {
    /// The account.
    pub account: Account,
    /// The membership, with what it gave.
    pub changed: Changed,
}

impl App {
    /// Shows what a link offers, and notes the first time; the link stays as good as it was.
    pub async fn preview(&self, token: SecretString) -> Result<Preview, Error> {
        let token = link(&token)?;
        let found = invitations::by_id(&mut *self.store.read().await?, InvitationId::from_bytes(token.object())).await?;
        let invitation = found.filter(|invitation| self.is_link(&token, &invitation.nonce)).ok_or(Error::LinkInvalid)?;
        if invitation.first_opened.is_none() && invitation.state == Stored::Pending {
            let opened = invitation.clone();
            let noted = self.store.write(super::server_origin(), async move |tx| invitations::opened(tx, &opened).await).await;
            if let Err(error) = noted {
                // a reader isn't refused because the note couldn't be taken
                tracing::warn!(%error, invitation.id = %invitation.id, "the first preview couldn't be noted");
            }
        }
        self.with_grantor(invitation).await
    }

    /// Lists the unanswered invitations of a person's address, newest first.
    pub async fn my_invitations(&self, oneself: Oneself) -> Result<Vec<Preview>, Error> {
        let mut connection = self.store.read().await?;
        let user = users::by_id(&mut connection, oneself.user).await?.ok_or(Error::AccessDenied(Takes::Oneself))?;
        let found = invitations::of_address(&mut connection, user.address, MOST).await?;
        drop(connection);
        let mut previews = Vec::with_capacity(found.len());
        for invitation in
            found.into_iter().filter(|invitation| oneself.within.is_none_or(|account| account == invitation.account))
        {
            previews.push(self.with_grantor(invitation).await?);
        }
        Ok(previews)
    }

    /// Accepts an invitation. Repeating it answers the same membership.
    pub async fn accept(self: &Arc<Self>, person: InPerson, meant: Meant, etag: String, terms: Terms) -> Result<Accepted, Error> {
        let app = Arc::clone(self);
        self.store
            .write(person.origin(), async move |tx| {
                let done = once(tx, &terms, async |tx| app.accept_in(tx, &person, &meant, &etag).await).await?;
                // the rule about admins keeps what the account's answer tells of them
                tx.judge().await?;
                let account = accounts::by_id(tx.sql(), done.outcome.membership.account).await?;
                let account = account.ok_or_else(|| Error::internal("an invitation's account isn't in the store"))?;
                Ok(Accepted { account, changed: members::changed(tx, done.outcome).await? })
            })
            .await
    }

    async fn accept_in(&self, tx: &mut Tx, person: &InPerson, meant: &Meant, etag: &str) -> Result<Outcome, Error> {
        let (user, mut invitation) = self.own_invitation(tx, person, meant).await?;
        if invitation.state == Stored::Accepted && invitation.answered_by == Some(user.id) {
            let membership = rows::find(tx.sql(), invitation.account, user.id).await?;
            // accepted before, and removed or left since: the answer is final
            let membership = membership.ok_or(Error::InvitationAnswered(invitation.id, State::Accepted))?;
            return Ok(Outcome { membership, effect: Effect::default() });
        }
        unanswered(&invitation)?;
        if invitation.state_at(tx.now()) == State::Expired {
            return Err(Error::InvitationExpired(invitation.id));
        }
        self.check_etag(etag, invitation.version)?;
        if let Some(reason) = self.held_in(tx, &invitation).await? {
            return Err(Error::InvitationHeld(invitation.id, reason));
        }
        (invitation.state, invitation.answered_by) = (Stored::Accepted, Some(user.id));
        end(tx, &mut invitation, Change::InvitationAccepted).await?;
        let membership = Membership {
            account: invitation.account,
            user: user.id,
            privilege: invitation.privilege,
            roles: invitation.roles,
            joined: tx.now(),
            invitation: Some(invitation.id),
            version: tx.next_version(),
        };
        self.join(tx, membership).await
    }

    /// Declines an invitation, which frees the address. Repeating it changes nothing.
    pub async fn ignore(self: &Arc<Self>, person: InPerson, meant: Meant, terms: Terms) -> Result<Preview, Error> {
        let app = Arc::clone(self);
        let invitation = self
            .store
            .write(person.origin(), async move |tx| {
                let done = once(tx, &terms, async |tx| {
                    let (user, mut invitation) = app.own_invitation(tx, &person, &meant).await?;
                    if invitation.state == Stored::Ignored && invitation.answered_by == Some(user.id) {
                        return Ok(invitation.id);
                    }
                    unanswered(&invitation)?;
                    (invitation.state, invitation.answered_by) = (Stored::Ignored, Some(user.id));
                    end(tx, &mut invitation, Change::InvitationIgnored).await?;
                    Ok(invitation.id)
                })
                .await?;
                let invitation = invitations::by_id(tx.sql(), done.outcome).await?;
                invitation.ok_or_else(|| Error::internal("an invitation that was ignored isn't in the store"))
            })
            .await?;
        self.with_grantor(invitation).await
    }

    /// Whether a person has a membership to leave. An account that isn't there, or isn't theirs, is the same to everybody.
    pub fn may_leave(&self, person: &InPerson, account: &str) -> Result<(), Error> {
        let view = self.directory.view();
        let found = view.account_named(account).and_then(|account| view.standing(account, person.signed_in.user));
        found.map(|_| ()).ok_or(Error::AccessDenied(Takes::Oneself))
    }

    /// Ends a person's own membership. An account that isn't there is looked for too, so that it takes as long as one that isn't theirs.
    pub async fn leave_account(self: &Arc<Self>, person: InPerson, account: &str, terms: Terms) -> Result<Changed, Error> {
        let denied = || Error::AccessDenied(Takes::Oneself);
        let name = Slug::parse(account).map_err(|_| denied())?;
        let id = self.directory.view().account_named(name.as_str()).unwrap_or(AccountId::from_bytes([0; 16]));
        let app = Arc::clone(self);
        self.store
            .write(person.origin(), async move |tx| {
                person.confirm(tx).await?;
                let done =
                    once(tx, &terms, async |tx| app.leave(tx, id, person.signed_in.user).await?.ok_or_else(denied)).await?;
                members::changed(tx, done.outcome).await
            })
            .await
    }

    /// The invitation that a person means, if it is theirs to answer.
    async fn own_invitation(&self, tx: &mut Tx, person: &InPerson, meant: &Meant) -> Result<(users::User, Invitation), Error> {
        person.confirm(tx).await?;
        let user = users::by_id(tx.sql(), person.signed_in.user).await?.filter(|user| user.active);
        let user = user.ok_or(Error::CredentialsInvalid)?;
        match meant {
            Meant::Token(token) => {
                let token = link(token)?;
                let found = invitations::by_id(tx.sql(), InvitationId::from_bytes(token.object())).await?;
                let invitation = found.filter(|invitation| self.is_link(&token, &invitation.nonce)).ok_or(Error::LinkInvalid)?;
                if invitation.address == user.address { Ok((user, invitation)) } else { Err(Error::InvitationForAnotherAddress) }
            }
            Meant::Id(id) => {
                let found = invitations::by_id(tx.sql(), *id).await?;
                let invitation = found.filter(|invitation| invitation.address == user.address);
                Ok((user, invitation.ok_or(Error::AccessDenied(Takes::Oneself))?))
            }
        }
    }

    async fn with_grantor(&self, invitation: Invitation) -> Result<Preview, Error> {
        let mut connection = self.store.read().await?;
        let granted_by_name = match (invitation.grantor.user, invitation.grantor.service) {
            (Some(user), _) => users::by_id(&mut connection, user).await?.map(|user| user.display_name),
            (None, Some(service)) => services::by_id(&mut connection, service).await?.map(|service| service.name),
            (None, None) => None,
        };
        drop(connection);
        Ok(Preview { shown: self.show(invitation), granted_by_name })
    }
}

fn link(token: &SecretString) -> Result<LinkToken, Error> {
    LinkToken::parse(token).filter(|token| token.kind() == LinkKind::Invitation).ok_or(Error::LinkInvalid)
}
