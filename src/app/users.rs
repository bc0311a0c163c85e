//! Users, as operators see them: taking logins away and giving them back, ending sessions, the super-admin mark. `links` makes logins and
//! resets passwords, `listing` finds users, `effects` says what people gain and lose by it.

mod effects;
mod links;
mod listing;

use std::sync::Arc;

use super::admission::Operator;
use super::api_tokens::record_ended;
use super::logins::tell;
use super::{App, UserRef};
use crate::domain::error::Error;
use crate::domain::event::{Change, ErasedState, LoginState};
use crate::domain::id::{AddressId, UserId};
use crate::domain::invitation::Stored;
use crate::domain::name::Slug;
use crate::store::login_links;
use crate::store::mails::{self, Kind};
use crate::store::members;
use crate::store::requests::{Terms, once};
use crate::store::users::{self, User};
use crate::store::{Tx, addresses, api_tokens, erasure, invitations, sessions};
pub use effects::LoginChange;
pub use links::Linked;

impl App {
    /// Deactivates a login: its sessions, personal tokens and links end, memberships stay without effect. Doing it again changes nothing.
    pub async fn deactivate_user(
        self: &Arc<Self>,
        operator: Operator,
        user: UserRef,
        leave_without_admin: bool,
        terms: Terms,
    ) -> Result<(User, LoginChange), Error> {
        let app = Arc::clone(self);
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let before = find(tx, &user).await?;
                    if !before.active {
                        return Ok(LoginChange::nothing(before.id));
                    }
                    let user = User { active: false, version: tx.next_version(), ..before.clone() };
                    users::update(tx, &user).await?;
                    sessions::end_all(tx, user.id, None).await?;
                    login_links::end_all(tx, user.id).await?;
                    mails::drop_requested_resets(tx, user.id).await?;
                    let ended = api_tokens::end_all(tx, user.id).await?;
                    let state = user.state(tx)?;
                    tx.record(Change::UserDeactivated(state)).await?;
                    record_ended(tx, &ended).await?;
                    let memberships = members::of_user(tx.sql(), user.id).await?;
                    let left_without_admin = judged(tx, leave_without_admin).await?;
                    Ok(LoginChange { left_without_admin, ..app.login_change(&before, Some(&user), &memberships) })
                })
                .await?;
                Ok((load(tx, done.outcome.user).await?, done.outcome))
            })
            .await
    }

    /// Lets a deactivated login in again, by its password; no session, token or link comes back. Doing it again changes nothing.
    pub async fn reactivate_user(
        self: &Arc<Self>,
        operator: Operator,
        user: UserRef,
        terms: Terms,
    ) -> Result<(User, LoginChange), Error> {
        let app = Arc::clone(self);
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let before = find(tx, &user).await?;
                    if before.active {
                        return Ok(LoginChange::nothing(before.id));
                    }
                    let user = User { active: true, version: tx.next_version(), ..before.clone() };
                    users::update(tx, &user).await?;
                    let state = user.state(tx)?;
                    tx.record(Change::UserReactivated(state)).await?;
                    let memberships = members::of_user(tx.sql(), user.id).await?;
                    Ok(app.login_change(&before, Some(&user), &memberships))
                })
                .await?;
                Ok((load(tx, done.outcome.user).await?, done.outcome))
            })
            .await
    }

    /// Deletes a person: memberships, sessions, personal tokens and links end, and address and name are erased from everything that the
    /// service keeps.
    pub async fn delete_user(
        self: &Arc<Self>,
        operator: Operator,
        user: UserRef,
        leave_without_admin: bool,
        terms: Terms,
    ) -> Result<LoginChange, Error> {
        let app = Arc::clone(self);
        let change = self
            .store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let mut user = find(tx, &user).await?;
                    let memberships = members::of_user(tx.sql(), user.id).await?;
                    let change = app.login_change(&user, None, &memberships);
                    members::delete_of(tx, user.id).await?;
                    let removed = memberships.iter().map(|member| Change::MemberRemoved(member.membership.state())).collect();
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
                    Ok(LoginChange { left_without_admin: judged(tx, leave_without_admin).await?, ..change })
                })
                .await?;
                Ok(done.outcome)
            })
            .await?;
        self.erase_mail_files().await;
        Ok(change)
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
        self: &Arc<Self>,
        operator: Operator,
        user: UserRef,
        super_admin: bool,
        terms: Terms,
    ) -> Result<(User, LoginChange), Error> {
        let app = Arc::clone(self);
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let before = find(tx, &user).await?;
                    if before.super_admin == super_admin {
                        return Ok(LoginChange::nothing(before.id));
                    }
                    let user = User { super_admin, version: tx.next_version(), ..before.clone() };
                    users::update(tx, &user).await?;
                    let state = user.state(tx)?;
                    let (change, kind) = if super_admin {
                        (Change::SuperAdminGranted(state), Kind::SuperAdminGranted)
                    } else {
                        sessions::end_all(tx, user.id, None).await?;
                        (Change::SuperAdminRevoked(state), Kind::SuperAdminRevoked)
                    };
                    tx.record(change).await?;
                    tell(tx, kind, user.id, user.address, &user.email).await?;
                    let memberships = members::of_user(tx.sql(), user.id).await?;
                    Ok(app.login_change(&before, Some(&user), &memberships))
                })
                .await?;
                Ok((load(tx, done.outcome.user).await?, done.outcome))
            })
            .await
    }
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
