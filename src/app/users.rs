//! Users, as operators and services see them, and each person themself.

use super::admission::{Operator, Seeing};
use super::page::{Page, PageRequest, Query};
use super::{App, UserRef};
use crate::domain::email::EmailPrefix;
use crate::domain::error::Error;
use crate::domain::event::Change;
use crate::domain::id::UserId;
use crate::store::requests::{Terms, once};
use crate::store::users::{self, User, Which};
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

impl App {
    /// Answers one user.
    pub async fn user(&self, seeing: Seeing, user: &UserRef) -> Result<User, Error> {
        let resolved = self.resolve(user);
        if !matches!((seeing, resolved), (Seeing::Oneself(oneself), Some(id)) if id == oneself) {
            seeing.everybody()?;
        }
        let not_found = || Error::UserNotFound(user.to_string());
        let id = resolved.ok_or_else(not_found)?;
        users::by_id(&mut *self.store.read().await?, id).await?.ok_or_else(not_found)
    }

    /// Lists users in the order in which they came, or, where a prefix is given, in the order of their addresses.
    pub async fn users(
        &self,
        seeing: Seeing,
        which: Which,
        prefix: Option<EmailPrefix>,
        page: &PageRequest,
    ) -> Result<Page<User>, Error> {
        let query = match seeing {
            Seeing::All => Query::of("users"),
            Seeing::Oneself(user) => Query::of("users oneself").with(user.as_bytes()),
        };
        let query = query.with_choice(which.active).with_choice(which.super_admin);
        let mut connection = self.store.read().await?;
        if let Seeing::Oneself(oneself) = seeing {
            query.after::<0>(page)?;
            let found = users::by_id(&mut connection, oneself)
                .await?
                .filter(|user| which.holds(user) && prefix.is_none_or(|prefix| prefix.begins(&user.email)));
            return Ok(Page { entries: found.into_iter().collect(), next: String::new() });
        }
        if let Some(prefix) = prefix {
            let query = query.with_text(prefix.first());
            let from = query.from_text(page, prefix.first())?;
            let users = users::page_by_address(&mut connection, which, (&from, &prefix.end()), Query::limit(page)).await?;
            return Ok(query.page(page, users, |(folded, _)| folded.clone().into_bytes()).map(|(_, user)| user));
        }
        let after = UserId::from_bytes(query.after(page)?.unwrap_or([0; 16]));
        let users = users::page(&mut connection, which, after, Query::limit(page)).await?;
        Ok(query.page(page, users, |user| user.id.as_bytes().to_vec()))
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
