//! Users, as operators see them.

use super::admission::Operator;
use super::{App, UserRef};
use crate::domain::error::Error;
use crate::domain::event::Change;
use crate::store::requests::{Terms, once};
use crate::store::users::{self, User};
use crate::store::{Tx, addresses};

impl App {
    /// Sets or clears a user's super-admin mark; setting what is set changes nothing.
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
                    if found.super_admin != super_admin {
                        found.super_admin = super_admin;
                        found.version = tx.next_version();
                        users::set_super_admin(tx, &found).await?;
                        let state = found.state(tx)?;
                        let change = if super_admin { Change::SuperAdminGranted } else { Change::SuperAdminRevoked };
                        tx.record(change(state)).await?;
                    }
                    Ok(found.id)
                })
                .await?;
                find(tx, &UserRef::Id(done.outcome)).await
            })
            .await
    }
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
