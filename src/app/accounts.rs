//! Accounts: the tenants.

use std::sync::Arc;

use super::App;
use super::admission::{Admitted, Listing, Operator};
use super::page::{Page, PageRequest, Query};
use crate::domain::error::Error;
use crate::domain::event::Change;
use crate::domain::id::AccountId;
use crate::domain::name::{DisplayName, Slug, Timezone};
use crate::store::Tx;
use crate::store::accounts::{self, Account, Which};
use crate::store::requests::{Terms, once};

/// A new account.
pub struct NewAccount {
    /// Its name.
    pub name: Slug,
    /// What people read.
    pub display_name: DisplayName,
    /// Its time zone.
    pub timezone: Timezone,
}

/// What is to change of an account.
pub struct AccountUpdate {
    /// What people read.
    pub display_name: Option<DisplayName>,
    /// Its time zone.
    pub timezone: Option<Timezone>,
    /// The etag that was read, or empty.
    pub etag: String,
}

impl App {
    /// Creates an account; its name must never have been used.
    pub async fn create_account(&self, operator: Operator, new: NewAccount, terms: Terms) -> Result<Account, Error> {
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let made = once(tx, &terms, async |tx| {
                    let account = Account {
                        id: AccountId::new(tx.now(), tx.random()?),
                        name: new.name.to_string(),
                        display_name: new.display_name.as_str().to_owned(),
                        timezone: new.timezone.as_str().to_owned(),
                        closed: false,
                        has_manager: false,
                        created: tx.now(),
                        version: tx.next_version(),
                    };
                    if !accounts::insert(tx, &account).await? {
                        return Err(Error::AccountExists(new.name));
                    }
                    tx.record(Change::AccountCreated(account.state())).await?;
                    Ok(account.id)
                })
                .await?;
                load(tx, made.outcome).await
            })
            .await
    }

    /// Changes what people read of an account.
    pub async fn update_account(
        self: &Arc<Self>,
        manager: Admitted,
        update: AccountUpdate,
        terms: Terms,
    ) -> Result<Account, Error> {
        let app = Arc::clone(self);
        let id = manager.account()?;
        self.store
            .write(manager.origin(), async move |tx| {
                manager.confirm(tx).await?;
                once(tx, &terms, async |tx| {
                    let mut account = load(tx, id).await?;
                    app.check_etag(&update.etag, account.version)?;
                    let before = account.state();
                    if let Some(name) = update.display_name {
                        name.as_str().clone_into(&mut account.display_name);
                    }
                    if let Some(timezone) = update.timezone {
                        timezone.as_str().clone_into(&mut account.timezone);
                    }
                    if account.state() != before {
                        account.version = tx.next_version();
                        accounts::update(tx, &account).await?;
                        tx.record(Change::AccountUpdated(account.state())).await?;
                    }
                    Ok(())
                })
                .await?;
                load(tx, id).await
            })
            .await
    }

    /// Closes an account, or opens it again; doing it again changes nothing.
    pub async fn set_closed(
        self: &Arc<Self>,
        operator: Operator,
        name: Slug,
        closed: bool,
        etag: String,
        terms: Terms,
    ) -> Result<Account, Error> {
        let app = Arc::clone(self);
        let found = self.directory.view().account_named(name.as_str());
        let id = found.ok_or_else(|| Error::AccountNotFound(name.to_string()))?;
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                once(tx, &terms, async |tx| {
                    let mut account = load(tx, id).await?;
                    app.check_etag(&etag, account.version)?;
                    if account.closed != closed {
                        (account.closed, account.version) = (closed, tx.next_version());
                        accounts::update(tx, &account).await?;
                        let change = if closed { Change::AccountClosed } else { Change::AccountReopened };
                        tx.record(change(account.state())).await?;
                    }
                    Ok(())
                })
                .await?;
                load(tx, id).await
            })
            .await
    }

    /// Answers one account.
    pub async fn account(&self, reader: &Admitted) -> Result<Account, Error> {
        let id = reader.account()?;
        let account = accounts::by_id(&mut *self.store.read().await?, id).await?;
        account.ok_or_else(|| Error::internal("an account of the directory isn't in the store"))
    }

    /// Lists accounts by name, those whose names begin with a prefix.
    pub async fn accounts(
        &self,
        listing: Listing,
        which: Which,
        prefix: &str,
        page: &PageRequest,
    ) -> Result<Page<Account>, Error> {
        let query = match listing {
            Listing::All => Query::of("accounts"),
            Listing::Of(user) => Query::of("accounts of").with(user.as_bytes()),
            Listing::One(account) => Query::of("accounts one").with(account.as_bytes()),
        };
        let query = query.with_choice(which.closed).with_choice(which.admin_missing).with_text(prefix);
        // names are ASCII, so this is behind every one that has the prefix
        let (from, end) = (query.from_text(page, prefix)?, format!("{prefix}{}", char::MAX));
        let (range, limit) = ((from.as_str(), end.as_str()), Query::limit(page));
        let mut connection = self.store.read().await?;
        let entries = match listing {
            Listing::All => accounts::page(&mut connection, which, range, limit).await?,
            Listing::Of(user) => accounts::page_of(&mut connection, user, which, range, limit).await?,
            Listing::One(account) => {
                let found = accounts::by_id(&mut connection, account).await?;
                found.filter(|found| which.holds(found) && found.name.starts_with(prefix)).into_iter().collect()
            }
        };
        Ok(query.page(page, entries, |account| account.name.clone().into_bytes()))
    }
}

async fn load(tx: &mut Tx, id: AccountId) -> Result<Account, Error> {
    accounts::by_id(tx.sql(), id).await?.ok_or_else(|| Error::internal("an account of the directory isn't in the store"))
}
