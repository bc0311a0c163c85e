//! Users.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{Personal, UserState};
use crate::domain::id::{AddressId, UserId};
use crate::domain::password::cost;

use super::{CostChange, Tx};

/// A row of `users`, without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Their identity.
    pub id: UserId,
    /// Their confirmed address.
    pub address: AddressId,
    /// The address as they typed it.
    pub email: String,
    /// What they are called.
    pub display_name: String,
    /// Whether they may sign in and have permissions.
    pub active: bool,
    /// Whether they are judged as an Admin everywhere.
    pub super_admin: bool,
    /// When the address was confirmed.
    pub created: Timestamp,
    /// The event that last changed them.
    pub version: i64,
}

impl User {
    /// What an event says of them.
    pub fn state(&self, tx: &Tx) -> Result<UserState, Error> {
        Ok(UserState {
            user: self.id,
            address: self.address,
            email: Personal::new(&self.email, tx.random()?),
            display_name: Personal::new(&self.display_name, tx.random()?),
            active: self.active,
            super_admin: self.super_admin,
        })
    }
}

/// Adds a user, with the hash of a password if there is one yet; false if the address has a login.
pub async fn insert(tx: &mut Tx, user: &User, password: Option<&str>) -> Result<bool, Error> {
    let done = sqlx::query!(
        "insert into users (id, address, email, display_name, password, created, version, folded)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, (select folded from addresses where addresses.id = ?2))
         on conflict (address) do nothing",
        user.id,
        user.address,
        user.email,
        user.display_name,
        password,
        user.created,
        user.version
    )
    .execute(tx.sql())
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    tx.note_cost(CostChange { from: None, to: password.and_then(cost).map(str::to_owned) });
    Ok(true)
}

/// The user of an id.
pub async fn by_id(connection: &mut SqliteConnection, id: UserId) -> Result<Option<User>, Error> {
    Ok(sqlx::query_as!(
        User,
        r#"select id as "id: UserId", address as "address: AddressId", email, display_name, active as "active: bool",
                  super_admin as "super_admin: bool", created as "created: Timestamp", version
             from users where id = ? and deleted = 0"#,
        id
    )
    .fetch_optional(connection)
    .await?)
}

/// The user who holds an address now.
pub async fn by_address(connection: &mut SqliteConnection, address: AddressId) -> Result<Option<User>, Error> {
    Ok(sqlx::query_as!(
        User,
        r#"select id as "id: UserId", address as "address: AddressId", email, display_name, active as "active: bool",
                  super_admin as "super_admin: bool", created as "created: Timestamp", version
             from users where address = ? and deleted = 0"#,
        address
    )
    .fetch_optional(connection)
    .await?)
}

/// Which users to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Which {
    /// Whether their login is active.
    pub active: Option<bool>,
    /// Whether they are super-admins.
    pub super_admin: Option<bool>,
}

impl Which {
    /// Whether a user is among them.
    #[must_use]
    pub fn holds(self, user: &User) -> bool {
        self.active.is_none_or(|asked| asked == user.active) && self.super_admin.is_none_or(|asked| asked == user.super_admin)
    }

    /// The classes, as `users.class` computes them.
    fn classes(self) -> String {
        let both = [false, true].into_iter();
        let all = both.clone().flat_map(|active| both.clone().map(move |super_admin| (active, super_admin)));
        let asked = |(active, super_admin): &(bool, bool)| {
            self.active.is_none_or(|asked| asked == *active) && self.super_admin.is_none_or(|asked| asked == *super_admin)
        };
        super::json_codes(all.filter(asked).map(|(active, super_admin)| i64::from(active) * 2 + i64::from(super_admin)))
    }
}

/// Users after an id, in the order in which they came.
pub async fn page(connection: &mut SqliteConnection, which: Which, after: UserId, limit: i64) -> Result<Vec<User>, Error> {
    let classes = which.classes();
    Ok(sqlx::query_as!(
        User,
        r#"with recursive walk(class, id) as (
                select value, (select n.id from users n indexed by users_by_class where n.class = value and n.id > ?2 order by n.id limit 1) from json_each(?1)
                union all
                select class, (select n.id from users n indexed by users_by_class where n.class = walk.class and n.id > walk.id order by n.id limit 1)
                  from walk where id is not null
                 order by 2 nulls last limit ?3)
           select u.id as "id: UserId", u.address as "address: AddressId", u.email, u.display_name, u.active as "active: bool",
                  u.super_admin as "super_admin: bool", u.created as "created: Timestamp", u.version
             from walk cross join users u on u.id = walk.id"#,
        classes,
        after,
        limit
    )
    .fetch_all(connection)
    .await?)
}

/// Users whose addresses are in a range of folded ones, in their order, each with the address that it is ordered by.
pub async fn page_by_address(
    connection: &mut SqliteConnection,
    which: Which,
    (from, end): (&str, &str),
    limit: i64,
) -> Result<Vec<(String, User)>, Error> {
    let classes = which.classes();
    let rows = sqlx::query!(
        r#"with recursive walk(class, folded) as (
                select value, (select n.folded from users n indexed by users_by_class_and_address where n.class = value and n.folded >= ?2 and n.folded < ?3
                                order by n.folded limit 1)
                  from json_each(?1)
                union all
                select class, (select n.folded from users n indexed by users_by_class_and_address where n.class = walk.class and n.folded > walk.folded and n.folded < ?3
                                order by n.folded limit 1)
                  from walk where folded is not null
                 order by 2 nulls last limit ?4)
           select u.id as "id: UserId", u.address as "address: AddressId", u.email, u.display_name, u.active as "active: bool",
                  u.super_admin as "super_admin: bool", u.created as "created: Timestamp", u.version, u.folded as "folded!"
             from walk cross join users u indexed by users_by_class_and_address on u.class = walk.class and u.folded = walk.folded"#,
        classes,
        from,
        end,
        limit
    )
    .fetch_all(connection)
    .await?;
    let keyed = rows.into_iter().map(|row| {
        let user = User {
            id: row.id,
            address: row.address,
            email: row.email,
            display_name: row.display_name,
            active: row.active,
            super_admin: row.super_admin,
            created: row.created,
            version: row.version,
        };
        (row.folded, user)
    });
    Ok(keyed.collect())
}

/// The user of an address with the hash of their password.
pub struct Login {
    /// Who.
    pub user: UserId,
    /// A PHC string; none for a login that can't be entered by password.
    pub password: Option<String>,
}

/// The active login of an address: a deactivated one is as if it weren't there.
pub async fn login(connection: &mut SqliteConnection, folded: &str) -> Result<Option<Login>, Error> {
    Ok(sqlx::query_as!(
        Login,
        r#"select u.id as "user: UserId", u.password
             from addresses a cross join users u on u.address = a.id where a.folded = ? and u.deleted = 0 and u.active = 1"#,
        folded
    )
    .fetch_optional(connection)
    .await?)
}

/// The users who hold addresses now, by the addresses' folded form.
pub async fn holders(connection: &mut SqliteConnection, folded: &[&str]) -> Result<BTreeMap<String, UserId>, Error> {
    let folded = serde_json::to_string(folded).map_err(Error::internal)?;
    let rows = sqlx::query!(
        r#"select a.folded, u.id as "id: UserId"
             from json_each(?) cross join addresses a on a.folded = json_each.value cross join users u on u.address = a.id
            where u.deleted = 0"#,
        folded
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.folded, row.id)).collect())
}

/// The password hash of a user.
pub async fn password(connection: &mut SqliteConnection, user: UserId) -> Result<Option<String>, Error> {
    let row = sqlx::query!("select password from users where id = ? and deleted = 0", user).fetch_optional(connection).await?;
    Ok(row.and_then(|row| row.password))
}

/// Sets another password hash. `compared` is the one that somebody proved to know the password of, if it took that: false if it isn't the
/// present one any more.
pub async fn set_password(tx: &mut Tx, user: UserId, password: &str, compared: Option<&str>) -> Result<bool, Error> {
    counting_costs(tx, user, async |tx| {
        let done = sqlx::query!(
            "update users set password = ?1 where id = ?2 and deleted = 0 and (?3 is null or password = ?3)",
            password,
            user,
            compared
        )
        .execute(tx.sql())
        .await?;
        Ok(done.rows_affected() == 1)
    })
    .await
}

/// Writes down what changed of a user. The address is changed by [`move_to`].
pub async fn update(tx: &mut Tx, user: &User) -> Result<(), Error> {
    counting_costs(tx, user.id, async |tx| {
        let done = sqlx::query!(
            "update users set display_name = ?, active = ?, super_admin = ?, version = ? where id = ?",
            user.display_name,
            user.active,
            user.super_admin,
            user.version,
            user.id
        )
        .execute(tx.sql())
        .await?;
        super::changed_one(done.rows_affected())
    })
    .await
}

/// Gives a user another address and keeps in mind which one they held; false if the new one has a login.
pub async fn move_to(tx: &mut Tx, user: &User, former: AddressId) -> Result<bool, Error> {
    let done = sqlx::query!(
        "update or ignore users set address = ?, email = ?, version = ? where id = ?",
        user.address,
        user.email,
        user.version,
        user.id
    )
    .execute(tx.sql())
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query!("insert into former_addresses (user, address) values (?, ?) on conflict do nothing", user.id, former)
        .execute(tx.sql())
        .await?;
    Ok(true)
}

/// How many active logins have a hash of each cost.
pub async fn costs(connection: &mut SqliteConnection) -> Result<BTreeMap<String, u64>, Error> {
    // up to the fourth $, behind which salt and output stand; version 19 is the only one that was ever written
    let rows = sqlx::query!(
        r#"select substr(password, 1, instr(substr(password, 16), '$') + 14) as "cost!: String", count(*) as "logins!: i64"
             from users where deleted = 0 and active = 1 and password is not null group by 1 /* reads all: start-up */"#
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.cost, row.logins.try_into().unwrap_or(0))).collect())
}

/// Changes a user, and notes of what cost the hash was and is that somebody signs in by, if anybody may.
pub(super) async fn counting_costs<T>(
    tx: &mut Tx,
    user: UserId,
    change: impl AsyncFnOnce(&mut Tx) -> Result<T, Error>,
) -> Result<T, Error> {
    let from = cost_of(tx.sql(), user).await?;
    let changed = change(tx).await?;
    let to = cost_of(tx.sql(), user).await?;
    tx.note_cost(CostChange { from, to });
    Ok(changed)
}

async fn cost_of(connection: &mut SqliteConnection, user: UserId) -> Result<Option<String>, Error> {
    let row = sqlx::query!("select password from users where id = ? and deleted = 0 and active = 1", user)
        .fetch_optional(connection)
        .await?;
    Ok(row.and_then(|row| row.password).as_deref().and_then(cost).map(str::to_owned))
}
