//! Users, as operators see them: taking logins away and giving them back, ending sessions, the super-admin mark. `links` makes logins and
//! resets passwords, `listing` finds users.

mod links;
mod listing;

use super::admission::{Operator, as_policy_sees};
use super::api_tokens::record_ended;
use super::logins::tell;
use super::{App, UserRef};
use crate::domain::edition::Edition;
use crate::domain::error::Error;
use crate::domain::event::{Change, ErasedState, LoginState};
use crate::domain::id::{AccountId, AddressId, UserId};
use crate::domain::invitation::Stored;
use crate::domain::name::Slug;
use crate::domain::policy::{self, Effect};
use crate::store::login_links;
use crate::store::mails::{self, Kind};
use crate::store::members::{self, Membership};
use crate::store::requests::{Terms, once};
use crate::store::users::{self, User};
use crate::store::{Tx, addresses, api_tokens, erasure, invitations, sessions};
pub use links::Linked;

/// What taking a login away did.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Taken {
    /// Whose.
    pub user: UserId,
    /// What they lost, in each account that they were a member of.
    pub effects: Vec<(AccountId, Effect)>,
    /// Accounts that have no active member left who may manage their users.
    pub left_without_admin: Vec<String>,
}

impl App {
    /// Deactivates a login: its sessions, personal tokens and links end, memberships stay without effect. Doing it again changes nothing.
    pub async fn deactivate_user(
        &self,
        operator: Operator,
        user: UserRef,
        leave_without_admin: bool,
        terms: Terms,
    ) -> Result<(User, Taken), Error> {
        let edition = self.edition;
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let mut user = find(tx, &user).await?;
                    let mut taken = Taken { user: user.id, effects: Vec::new(), left_without_admin: Vec::new() };
                    if !user.active {
                        return Ok(taken);
                    }
                    let memberships = members::of_user(tx.sql(), user.id).await?;
                    for member in memberships {
                        taken.effects.push(loss(tx, edition, &member.membership).await?);
                    }
                    user.active = false;
                    user.version = tx.next_version();
                    users::update(tx, &user).await?;
                    sessions::end_all(tx, user.id, None).await?;
                    login_links::end_all(tx, user.id).await?;
                    mails::drop_requested_resets(tx, user.id).await?;
                    let ended = api_tokens::end_all(tx, user.id).await?;
                    let state = user.state(tx)?;
                    tx.record(Change::UserDeactivated(state)).await?;
                    record_ended(tx, &ended).await?;
                    taken.left_without_admin = judged(tx, leave_without_admin).await?;
                    Ok(taken)
                })
                .await?;
                Ok((load(tx, done.outcome.user).await?, done.outcome))
            })
            .await
    }

    /// Lets a deactivated login in again, by its password; no session, token or link comes back. Doing it again changes nothing.
    pub async fn reactivate_user(&self, operator: Operator, user: UserRef, terms: Terms) -> Result<User, Error> {
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let mut user = find(tx, &user).await?;
                    if !user.active {
                        user.active = true;
                        user.version = tx.next_version();
                        users::update(tx, &user).await?;
                        let state = user.state(tx)?;
                        tx.record(Change::UserReactivated(state)).await?;
                    }
                    Ok(user.id)
                })
                .await?;
                load(tx, done.outcome).await
            })
            .await
    }

    /// Deletes a person: memberships, sessions, personal tokens and links end, and address and name are erased from everything that the
    /// service keeps.
    pub async fn delete_user(
        &self,
        operator: Operator,
        user: UserRef,
        leave_without_admin: bool,
        terms: Terms,
    ) -> Result<Taken, Error> {
        let edition = self.edition;
        let taken = self
            .store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let mut user = find(tx, &user).await?;
                    let mut taken = Taken { user: user.id, effects: Vec::new(), left_without_admin: Vec::new() };
                    let memberships: Vec<Membership> =
                        members::of_user(tx.sql(), user.id).await?.into_iter().map(|member| member.membership).collect();
                    for membership in &memberships {
                        taken.effects.push(loss(tx, edition, membership).await?);
                    }
                    members::delete_of(tx, user.id).await?;
                    let removed = memberships.iter().map(|membership| Change::MemberRemoved(membership.state())).collect();
                    tx.record_all(removed).await?;
                    let ended = api_tokens::end_all(tx, user.id).await?;
                    record_ended(tx, &ended).await?;
                    let addresses = erasure::addresses_of(tx, &user).await?;
                    for address in &addresses {
                        withdraw_all(tx, *address).await?;
                    }
                    user.version = tx.next_version();
                    tx.record(Change::UserDeleted(ErasedState { user: user.id, address: user.address })).await?;
                    erasure::erase(tx, &user, &addresses).await?;
                    taken.left_without_admin = judged(tx, leave_without_admin).await?;
                    Ok(taken)
                })
                .await?;
                Ok(done.outcome)
            })
            .await?;
        self.erase_mail_files().await;
        Ok(taken)
    }

    /// Ends every session of a user; personal tokens stay.
    pub async fn revoke_sessions(&self, operator: Operator, user: UserRef, terms: Terms) -> Result<User, Error> {
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let user = find(tx, &user).await?;
                    sessions::end_all(tx, user.id, None).await?;
                    tx.record(Change::SessionsRevoked(LoginState { user: user.id, kept: None })).await?;
                    Ok(user.id)
                })
                .await?;
                load(tx, done.outcome).await
            })
            .await
    }

    /// Sets or clears a user's super-admin mark; clearing it ends their sessions. Setting what is set changes nothing.
    pub async fn set_super_admin(
        &self,
        operator: Operator,
        user: UserRef,
        super_admin: bool,
        terms: Terms,
    ) -> Result<User, Error> {
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let mut found = find(tx, &user).await?;
                    if found.super_admin == super_admin {
                        return Ok(found.id);
                    }
                    found.super_admin = super_admin;
                    found.version = tx.next_version();
                    users::update(tx, &found).await?;
                    let state = found.state(tx)?;
                    let (change, kind) = if super_admin {
                        (Change::SuperAdminGranted(state), Kind::SuperAdminGranted)
                    } else {
                        sessions::end_all(tx, found.id, None).await?;
                        (Change::SuperAdminRevoked(state), Kind::SuperAdminRevoked)
                    };
                    tx.record(change).await?;
                    tell(tx, kind, found.id, found.address, &found.email).await?;
                    Ok(found.id)
                })
                .await?;
                load(tx, done.outcome).await
            })
            .await
    }
}

/// What a person loses in an account with their login.
async fn loss(tx: &mut Tx, edition: Edition, membership: &Membership) -> Result<(AccountId, Effect), Error> {
    let authority = members::authority(tx.sql(), membership.account, membership.user).await?;
    let authority = authority.ok_or_else(|| Error::internal("a member's account or user isn't in the store"))?;
    let (person, place) = as_policy_sees(authority);
    let lost = policy::all_permissions(edition, person, place).unwrap_or_default();
    Ok((membership.account, Effect { lost, ..Effect::default() }))
}

/// Has the last-admin rule judged now, and answers the accounts that an operator knowingly left without an admin.
async fn judged(tx: &mut Tx, leave_without_admin: bool) -> Result<Vec<String>, Error> {
    if leave_without_admin {
        tx.leave_without_admin();
    }
    tx.judge().await?;
    Ok(tx.left_without_admin().iter().map(Slug::to_string).collect())
}

/// Withdraws the unanswered invitations of an address whose person is deleted.
async fn withdraw_all(tx: &mut Tx, address: AddressId) -> Result<(), Error> {
    for mut invitation in invitations::of_address(tx.sql(), address, i64::MAX).await? {
        invitation.state = Stored::Withdrawn;
        super::invitations::end(tx, &mut invitation, Change::InvitationWithdrawn).await?;
    }
    Ok(())
}

async fn load(tx: &mut Tx, user: UserId) -> Result<User, Error> {
    users::by_id(tx.sql(), user).await?.ok_or_else(|| Error::UserNotFound(user.to_string()))
}

async fn find(tx: &mut Tx, user: &UserRef) -> Result<User, Error> {
    let found = match user {
        UserRef::Id(id) => users::by_id(tx.sql(), *id).await?,
        UserRef::Email(email) => match addresses::find(tx.sql(), email).await? {
            Some(address) => users::by_address(tx.sql(), address).await?,
            None => None,
        },
    };
    found.ok_or_else(|| Error::UserNotFound(user.to_string()))
}
