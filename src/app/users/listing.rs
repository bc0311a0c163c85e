//! Finding users: operators and unbound services see all of them, each person sees themself.

use crate::app::admission::Seeing;
use crate::app::page::{Page, PageRequest, Query};
use crate::app::{App, UserRef};
use crate::domain::email::EmailPrefix;
use crate::domain::error::Error;
use crate::domain::id::UserId;
use crate::store::users::{self, User, Which};

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
