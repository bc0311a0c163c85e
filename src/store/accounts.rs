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

/// Which accounts to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Which {
    /// Whether they are closed.
    pub closed: Option<bool>,
    /// Whether nobody active may manage their users.
    pub admin_missing: Option<bool>,
}

impl Which {
    /// Whether an account is among them.
    #[must_use]
    pub fn holds(self, account: &Account) -> bool {
        self.holds_of(account.closed, account.has_manager)
    }

    fn holds_of(self, closed: bool, has_manager: bool) -> bool {
        self.closed.is_none_or(|asked| asked == closed) && self.admin_missing.is_none_or(|asked| asked != has_manager)
    }

    /// The classes, as `accounts.class` computes them.
    fn classes(self) -> String {
        let all = [(false, false), (false, true), (true, false), (true, true)].into_iter();
        let asked = all.filter(|(closed, has_manager)| self.holds_of(*closed, *has_manager));
        super::json_codes(asked.map(|(closed, has_manager)| i64::from(closed) * 2 + i64::from(has_manager)))
    }
}

/// Accounts whose names are in a range, by name.
pub async fn page(
    connection: &mut SqliteConnection,
    which: Which,
    (from, end): (&str, &str),
    limit: i64,
) -> Result<Vec<Account>, Error> {
    let classes = which.classes();
    Ok(sqlx::query_as!(
        Account,
        r#"with recursive walk(class, name) as (
                select value, (select n.name from accounts n indexed by accounts_by_class where n.class = value and n.name >= ?2 and n.name < ?3
                                order by n.name limit 1)
                  from json_each(?1)
                union all
                select class, (select n.name from accounts n indexed by accounts_by_class where n.class = walk.class and n.name > walk.name and n.name < ?3
                                order by n.name limit 1)
                  from walk where name is not null
                 order by 2 nulls last limit ?4)
           select a.id as "id: AccountId", a.name, a.display_name, a.timezone, a.closed as "closed: bool",
                  a.has_manager as "has_manager: bool", a.created as "created: Timestamp", a.version
             from walk cross join accounts a on a.name = walk.name"#,
        classes,
        from,
        end,
        limit
    )
    .fetch_all(connection)
    .await?)
}

/// The accounts that a user is a member of and whose names are in a range, by name. A person is in few accounts, so reading and sorting
/// them costs little.
pub async fn page_of(
    connection: &mut SqliteConnection,
    user: UserId,
    which: Which,
    (from, end): (&str, &str),
    limit: i64,
) -> Result<Vec<Account>, Error> {
    let has_manager = which.admin_missing.map(|missing| !missing);
    Ok(sqlx::query_as!(
        Account,
        r#"select a.id as "id: AccountId", a.name, a.display_name, a.timezone, a.closed as "closed: bool",
                  a.has_manager as "has_manager: bool", a.created as "created: Timestamp", a.version
             from members m cross join accounts a on a.id = m.account
            where m.user = ?1 and a.name >= ?2 and a.name < ?3 and (?4 is null or a.closed = ?4)
              and (?5 is null or a.has_manager = ?5) order by a.name limit ?6"#,
        user,
        from,
        end,
        which.closed,
        has_manager,
        limit
    )
    .fetch_all(connection)
    .await?)
}

/// How many open accounts have no active member who may manage their users.
pub async fn without_admin(connection: &mut SqliteConnection) -> Result<i64, Error> {
    let row = sqlx::query!(r#"select count(*) as "count!: i64" from accounts where class = 0"#).fetch_one(connection).await?;
    Ok(row.count)
}
