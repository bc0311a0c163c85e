//! Sign-ups that wait for their confirmation.

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::id::{AddressId, SignUpId, UserId};
use crate::domain::token::Nonce;

use super::Tx;

/// Where a sign-up stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting, until it expires.
    Open = 1,
    /// A user came of it.
    Confirmed = 2,
    /// Another attempt was confirmed, too many passwords were wrong, or it never had a place among the open ones.
    Ended = 3,
}

impl State {
    fn of(code: i64) -> Self {
        match code {
            1 => Self::Open,
            2 => Self::Confirmed,
            _ => Self::Ended,
        }
    }
}

/// A row of `sign_ups`.
pub struct SignUp {
    /// Its identity.
    pub id: SignUpId,
    /// The address to confirm.
    pub address: AddressId,
    /// The address as it was typed.
    pub email: String,
    /// What the person wants to be called.
    pub display_name: String,
    /// The password typed at this sign-up, as a PHC string.
    pub password: String,
    /// What makes its link.
    pub nonce: Nonce,
    /// Whether the address had an open invitation then.
    pub invited: bool,
    /// Where it stands, apart from the clock.
    pub state: State,
    /// How many passwords were tried at its link.
    pub tries: i64,
    /// The user who came of it.
    pub user: Option<UserId>,
    /// When it was begun.
    pub created: Timestamp,
    /// When its link ends.
    pub expires: Timestamp,
}

/// Who waits for the confirmation of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The sign-up.
    pub sign_up: SignUpId,
    /// The peer that signed up; empty where nothing limits it.
    pub peer: Vec<u8>,
}

macro_rules! sign_up {
    ($row:expr) => {{
        let row = $row;
        SignUp {
            id: row.id,
            address: row.address,
            email: row.email,
            display_name: row.display_name,
            password: row.password,
            nonce: row.nonce.try_into().map_err(|_| Error::internal("a nonce has another length"))?,
            invited: row.invited,
            state: State::of(row.state),
            tries: row.tries,
            user: row.user,
            created: row.created,
            expires: row.expires,
        }
    }};
}

/// Adds a sign-up by a peer, if limits count it.
pub async fn insert(tx: &mut Tx, sign_up: &SignUp, peer: Option<&[u8]>) -> Result<(), Error> {
    let (nonce, state) = (&sign_up.nonce[..], sign_up.state as i64);
    sqlx::query!(
        "insert into sign_ups (id, address, email, display_name, password, nonce, invited, state, created, expires, peer)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        sign_up.id,
        sign_up.address,
        sign_up.email,
        sign_up.display_name,
        sign_up.password,
        nonce,
        sign_up.invited,
        state,
        sign_up.created,
        sign_up.expires,
        peer
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// The sign-up of an id.
pub async fn by_id(connection: &mut SqliteConnection, id: SignUpId) -> Result<Option<SignUp>, Error> {
    let row = sqlx::query!(
        r#"select id as "id: SignUpId", address as "address: AddressId", email, display_name, password, nonce, invited as "invited: bool", state, tries,
                  user as "user: UserId", created as "created: Timestamp", expires as "expires: Timestamp"
             from sign_ups where id = ?"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok(sign_up!(row))).transpose()
}

/// The newest open sign-ups of an address that haven't expired, oldest first.
pub async fn open_of(
    connection: &mut SqliteConnection,
    address: AddressId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<SignUp>, Error> {
    let rows = sqlx::query!(
        r#"select id as "id: SignUpId", address as "address: AddressId", email, display_name, password, nonce, invited as "invited: bool", state, tries,
                  user as "user: UserId", created as "created: Timestamp", expires as "expires: Timestamp"
             from sign_ups where address = ? and state = 1 and expires > ? order by id desc limit ?"#,
        address,
        now,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().rev().map(|row| Ok(sign_up!(row))).collect()
}

/// Who waits at an address, oldest first.
pub async fn waiting(connection: &mut SqliteConnection, address: AddressId, now: Timestamp) -> Result<Vec<Waiting>, Error> {
    let rows = sqlx::query!(
        r#"select id as "id: SignUpId", peer from sign_ups where address = ? and state = 1 and expires > ? order by id"#,
        address,
        now
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| Waiting { sign_up: row.id, peer: row.peer.unwrap_or_default() }).collect())
}

/// When the so many-th last of all sign-ups that haven't expired does; none if there are fewer. `nth` counts from 1.
pub async fn nth_end(connection: &mut SqliteConnection, now: Timestamp, nth: u32) -> Result<Option<Timestamp>, Error> {
    let before = i64::from(nth) - 1;
    let row = sqlx::query!(
        r#"select expires as "expires: Timestamp" from sign_ups where expires > ? order by expires desc limit 1 offset ?"#,
        now,
        before
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.expires))
}

/// The same of those of a peer, whatever became of them: if what ended made room, a peer could tell that an address was confirmed by another.
pub async fn nth_end_of(
    connection: &mut SqliteConnection,
    peer: &[u8],
    now: Timestamp,
    nth: u32,
) -> Result<Option<Timestamp>, Error> {
    let before = i64::from(nth) - 1;
    let row = sqlx::query!(
        r#"select expires as "expires: Timestamp" from sign_ups
            where peer = ? and peer is not null and expires > ? order by expires desc limit 1 offset ?"#,
        peer,
        now,
        before
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.expires))
}

/// Turns an open sign-up into the confirmed one of its address, and ends the others; false if it isn't open any more.
pub async fn confirm(tx: &mut Tx, sign_up: &SignUp, user: UserId) -> Result<bool, Error> {
    let done = sqlx::query!("update sign_ups set state = 2, user = ? where id = ? and state = 1", user, sign_up.id)
        .execute(tx.sql())
        .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query!("update sign_ups set state = 3 where address = ? and state = 1", sign_up.address).execute(tx.sql()).await?;
    Ok(true)
}

/// Counts a try at a link before its password is checked, so that tries at once can't be more than are allowed; answers how many there were
/// with this one, or none if the link has ended.
pub async fn take_try(tx: &mut Tx, sign_up: SignUpId, allowed: i64) -> Result<Option<i64>, Error> {
    let row = sqlx::query!(
        "update sign_ups set tries = tries + 1 where id = ? and state in (1, 2) and tries < ? returning tries",
        sign_up,
        allowed
    )
    .fetch_optional(tx.sql())
    .await?;
    Ok(row.map(|row| row.tries))
}

/// Gives a try back that turned out to be no wrong password.
pub async fn give_back_try(tx: &mut Tx, sign_up: SignUpId) -> Result<(), Error> {
    sqlx::query!("update sign_ups set tries = tries - 1 where id = ? and tries > 0", sign_up).execute(tx.sql()).await?;
    Ok(())
}

/// Ends an open link.
pub async fn end(tx: &mut Tx, sign_up: SignUpId) -> Result<(), Error> {
    sqlx::query!("update sign_ups set state = 3 where id = ? and state = 1", sign_up).execute(tx.sql()).await?;
    Ok(())
}

/// Deletes sign-ups whose links ended before a moment, and their addresses if nothing else mentions them: what a stranger typed isn't kept.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    let gone = sqlx::query!(r#"delete from sign_ups where expires < ? returning address as "address: AddressId""#, before)
        .fetch_all(tx.sql())
        .await?;
    let addresses: std::collections::BTreeSet<AddressId> = gone.iter().map(|row| row.address).collect();
    super::addresses::forget(tx, &addresses).await?;
    Ok(gone.len().try_into().unwrap_or(u64::MAX))
}
