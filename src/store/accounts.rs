//! Accounts.

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::AccountState;
use crate::domain::id::{AccountId, UserId};

use super::Tx;

/// A row of `accounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its identity.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// What people read.
    pub display_name: String,
    /// Its time zone.
    pub timezone: String,
    /// Whether it grants anything.
    pub closed: bool,
    /// Whether an active member may manage its users.
    pub has_manager: bool,
    /// When it was created.
    pub created: Timestamp,
    /// The event that last changed it.
    pub version: i64,
}

impl Account {
    /// What an event says of it.
    #[must_use]
    pub fn state(&self) -> AccountState {
        AccountState {
            account: self.id,
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            timezone: self.timezone.clone(),
            closed: self.closed,
        }
    }
}

/// Adds an account; false if its name is taken.
pub async fn insert(tx: &mut Tx, account: &Account) -> Result<bool, Error> {
    let done = sqlx::query!(
        "insert into accounts (id, name, display_name, timezone, created, version) values (?, ?, ?, ?, ?, ?)
         on conflict (name) do nothing",
        account.id,
        account.name,
        account.display_name,
        account.timezone,
        account.created,
        account.version
    )
    .execute(tx.sql())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes down what changed of an account.
pub async fn update(tx: &mut Tx, account: &Account) -> Result<(), Error> {
    let done = sqlx::query!(
        "update accounts set display_name = ?, timezone = ?, closed = ?, version = ? where id = ?",
        account.display_name,
        account.timezone,
        account.closed,
        account.version,
        account.id
    )
    .execute(tx.sql())
    .await?;
    super::changed_one(done.rows_affected())
}

/// The account of an id.
pub async fn by_id(connection: &mut SqliteConnection, id: AccountId) -> Result<Option<Account>, Error> {
    Ok(sqlx::query_as!(
        Account,
        r#"select id as "id: AccountId", name, display_name, timezone, closed as "closed: bool", has_manager as "has_manager: bool",
                  created as "created: Timestamp", version
             from accounts where id = ?"#,
        id
    )
    .fetch_optional(connection)
    .await?)
}

/// Accounts after a name, by name.
pub async fn page(connection: &mut SqliteConnection, after: &str, limit: i64) -> Result<Vec<Account>, Error> {
    Ok(sqlx::query_as!(
        Account,
        r#"select id as "id: AccountId", name, display_name, timezone, closed as "closed: bool", has_manager as "has_manager: bool",
                  created as "created: Timestamp", version
             from accounts where name > ? order by name limit ?"#,
        after,
        limit
    )
    .fetch_all(connection)
    .await?)
}

/// The accounts that a user is a member of, after a name, by name. A person is in few accounts, so sorting them costs little.
pub async fn page_of(connection: &mut SqliteConnection, user: UserId, after: &str, limit: i64) -> Result<Vec<Account>, Error> {
    Ok(sqlx::query_as!(
        Account,
        r#"select a.id as "id: AccountId", a.name, a.display_name, a.timezone, a.closed as "closed: bool",
                  a.has_manager as "has_manager: bool", a.created as "created: Timestamp", a.version
             from members m cross join accounts a on a.id = m.account
            where m.user = ? and a.name > ? order by a.name limit ?"#,
        user,
        after,
        limit
    )
    .fetch_all(connection)
    .await?)
}
