//! Invitations, as the invited person sees them: previewing, accepting, ignoring; and leaving an account again.
//!
//! An invitation is bound to its address: only a signed-in user whose confirmed address is the invited one answers it. The link's token is
//! no proof of an address; it shows the invitation and says which one is meant.

use std::sync::Arc;

use secrecy::SecretString;

use super::App;
use super::admission::{InPerson, Oneself};
use super::invitations::{Shown, unanswered};
use crate::domain::error::{Error, Takes};
use crate::domain::event::Change;
use crate::domain::id::InvitationId;
use crate::domain::invitation::{State, Stored};
use crate::domain::name::Slug;
use crate::domain::token::{LinkKind, LinkToken};
use crate::store::accounts::{self, Account};
use crate::store::invitations::{self, Invitation};
use crate::store::members::{self, Member, Membership};
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
    /// The membership.
    pub member: Member,
}

impl App {
    /// Shows what a link offers, and notes the first time; the link stays as good as it was.
    pub async fn preview(&self, token: SecretString) -> Result<Preview, Error> {
        let token = link(&token)?;
        let found = invitations::by_id(&mut *self.store.read().await?, InvitationId::from_bytes(token.object())).await?;
        let invitation = found.filter(|invitation| token.is_of(&self.link_key, &invitation.nonce)).ok_or(Error::LinkInvalid)?;
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
    pub async fn accept(self: &Arc<Self>, person: InPerson, meant: Meant, etag: String) -> Result<Accepted, Error> {
        let app = Arc::clone(self);
        self.store
            .write(person.origin(), async move |tx| {
                let (user, mut invitation) = app.own_invitation(tx, &person, &meant).await?;
                if invitation.state == Stored::Accepted && invitation.answered_by == Some(user.id) {
                    return accepted(tx, &invitation, user.id).await;
                }
                unanswered(&invitation)?;
                if invitation.state_at(tx.now()) == State::Expired {
                    return Err(Error::InvitationExpired(invitation.id));
                }
                app.check_etag(&etag, invitation.version)?;
                if let Some(reason) = app.held_in(tx, &invitation).await? {
                    return Err(Error::InvitationHeld(invitation.id, reason));
                }
                (invitation.state, invitation.answered_by) = (Stored::Accepted, Some(user.id));
                invitation.version = tx.next_version();
                if !invitations::end(tx, &invitation).await? {
                    return Err(Error::internal("an invitation changed inside its own transaction"));
                }
                let state = invitation.event_state(tx)?;
                tx.record(Change::InvitationAccepted(state)).await?;
                let membership = Membership {
                    account: invitation.account,
                    user: user.id,
                    privilege: invitation.privilege,
                    roles: invitation.roles,
                    joined: tx.now(),
                    invitation: Some(invitation.id),
                    version: tx.next_version(),
                };
                if !members::insert(tx, &membership).await? {
                    return Err(Error::MemberExists(user.id));
                }
                tx.record(Change::MemberJoined(membership.state())).await?;
                tx.judge().await?;
                accepted(tx, &invitation, user.id).await
            })
            .await
    }

    /// Declines an invitation, which frees the address. Repeating it changes nothing.
    pub async fn ignore(self: &Arc<Self>, person: InPerson, meant: Meant) -> Result<Preview, Error> {
        let app = Arc::clone(self);
        let invitation = self
            .store
            .write(person.origin(), async move |tx| {
                let (user, mut invitation) = app.own_invitation(tx, &person, &meant).await?;
                if invitation.state == Stored::Ignored && invitation.answered_by == Some(user.id) {
                    return Ok(invitation);
                }
                unanswered(&invitation)?;
                (invitation.state, invitation.answered_by) = (Stored::Ignored, Some(user.id));
                invitation.version = tx.next_version();
                if !invitations::end(tx, &invitation).await? {
                    return Err(Error::internal("an invitation changed inside its own transaction"));
                }
                let state = invitation.event_state(tx)?;
                tx.record(Change::InvitationIgnored(state)).await?;
                Ok(invitation)
            })
            .await?;
        self.with_grantor(invitation).await
    }

    /// Ends a person's own membership.
    pub async fn leave_account(self: &Arc<Self>, person: InPerson, account: &str) -> Result<(), Error> {
        // an account that isn't there, or isn't theirs, is the same to everybody
        let denied = || Error::AccessDenied(Takes::Oneself);
        let name = Slug::parse(account).map_err(|_| denied())?;
        let id = self.directory.view().account_named(name.as_str()).ok_or_else(denied)?;
        let app = Arc::clone(self);
        self.store
            .write(
                person.origin(),
                async move |tx| {
                    if app.leave(tx, id, person.signed_in.user).await? { Ok(()) } else { Err(denied()) }
                },
            )
            .await
    }

    /// The invitation that a person means, if it is theirs to answer.
    async fn own_invitation(&self, tx: &mut Tx, person: &InPerson, meant: &Meant) -> Result<(users::User, Invitation), Error> {
        let user = users::by_id(tx.sql(), person.signed_in.user).await?.filter(|user| user.active);
        let user = user.ok_or(Error::CredentialsInvalid)?;
        match meant {
            Meant::Token(token) => {
                let token = link(token)?;
                let found = invitations::by_id(tx.sql(), InvitationId::from_bytes(token.object())).await?;
                let invitation =
                    found.filter(|invitation| token.is_of(&self.link_key, &invitation.nonce)).ok_or(Error::LinkInvalid)?;
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

async fn accepted(tx: &mut Tx, invitation: &Invitation, user: crate::domain::id::UserId) -> Result<Accepted, Error> {
    let account = accounts::by_id(tx.sql(), invitation.account).await?;
    let account = account.ok_or_else(|| Error::internal("an invitation's account isn't in the store"))?;
    let membership = members::find(tx.sql(), invitation.account, user).await?;
    // accepted before, and removed or left since: the answer is final
    let membership = membership.ok_or(Error::InvitationAnswered(invitation.id, State::Accepted))?;
    let member = members::with_person(tx.sql(), membership).await?;
    Ok(Accepted { account, member: member.ok_or_else(|| Error::internal("a member's user isn't in the store"))? })
}
