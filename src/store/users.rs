//! Users.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{Personal, UserState};
use crate::domain::id::{AddressId, UserId};

use super::Tx;

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
        "insert into users (id, address, email, display_name, password, created, version) values (?, ?, ?, ?, ?, ?, ?)
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
    Ok(done.rows_affected() == 1)
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

/// The user of an address with the hash of their password.
pub struct Login {
    /// Who.
    pub user: UserId,
    /// A PHC string; none for a login that can't be entered by password.
    pub password: Option<String>,
}

/// The login of an address, active or not.
pub async fn login(connection: &mut SqliteConnection, folded: &str) -> Result<Option<Login>, Error> {
    Ok(sqlx::query_as!(
        Login,
        r#"select u.id as "user: UserId", u.password
             from addresses a cross join users u on u.address = a.id where a.folded = ? and u.deleted = 0"#,
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
    let done = sqlx::query!(
        "update users set password = ?1 where id = ?2 and deleted = 0 and (?3 is null or password = ?3)",
        password,
        user,
        compared
    )
    .execute(tx.sql())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes down what changed of a user. The address is changed by [`move_to`].
pub async fn update(tx: &mut Tx, user: &User) -> Result<(), Error> {
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
