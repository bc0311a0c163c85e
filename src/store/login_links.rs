//! Links that set a login's password or change its address.

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{LoginLinkState, Personal};
use crate::domain::id::{AddressId, LoginLinkId, MailId, SessionId, UserId};
use crate::domain::login::LinkPurpose;
use crate::domain::token::Nonce;

use super::Tx;

/// Where a link stands, apart from the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting, until it expires.
    Open = 1,
    /// It did what it is for.
    Used = 2,
    /// Another act made it void, or too many passwords were wrong.
    Ended = 3,
}

impl State {
    const fn of(code: i64) -> Self {
        match code {
            1 => Self::Open,
            2 => Self::Used,
            _ => Self::Ended,
        }
    }
}

/// A new address that a link changes to.
#[derive(Clone, Debug)]
pub struct NewAddress {
    /// The address.
    pub address: AddressId,
    /// As it was typed.
    pub email: String,
    /// The session that asked for it.
    pub session: SessionId,
}

/// A row of `login_links`.
#[derive(Clone, Debug)]
pub struct LoginLink {
    /// Its identity.
    pub id: LoginLinkId,
    /// Whose login.
    pub user: UserId,
    /// What it does.
    pub purpose: LinkPurpose,
    /// The new address, where it changes the address.
    pub to: Option<NewAddress>,
    /// What makes its token.
    pub nonce: Nonce,
    /// Where it stands.
    pub state: State,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl LoginLink {
    /// What an event says of it.
    pub fn event_state(&self, tx: &Tx, returned: bool) -> Result<LoginLinkState, Error> {
        let email = match &self.to {
            Some(to) => Some(Personal::new(&to.email, tx.random()?)),
            None => None,
        };
        Ok(LoginLinkState { link: self.id, user: self.user, purpose: self.purpose, email, expires: self.expires, returned })
    }

    /// Whether it can still be used at a moment.
    #[must_use]
    pub fn is_open_at(&self, now: Timestamp) -> bool {
        self.state == State::Open && now < self.expires
    }
}

struct Row {
    id: LoginLinkId,
    user: UserId,
    purpose: LinkPurpose,
    address: Option<AddressId>,
    email: Option<String>,
    session: Option<SessionId>,
    nonce: Vec<u8>,
    state: i64,
    created: Timestamp,
    expires: Timestamp,
}

impl TryFrom<Row> for LoginLink {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let to = match (row.address, row.email, row.session) {
            (Some(address), Some(email), Some(session)) => Some(NewAddress { address, email, session }),
            _ => None,
        };
        Ok(Self {
            id: row.id,
            user: row.user,
            purpose: row.purpose,
            to,
            nonce: row.nonce.try_into().map_err(|_| Error::internal("a nonce has another length"))?,
            state: State::of(row.state),
            created: row.created,
            expires: row.expires,
        })
    }
}

/// Adds a link.
pub async fn insert(tx: &mut Tx, link: &LoginLink) -> Result<(), Error> {
    let nonce = &link.nonce[..];
    let (address, email, session) =
        link.to.as_ref().map_or((None, None, None), |to| (Some(to.address), Some(&to.email), Some(to.session)));
    sqlx::query!(
        "insert into login_links (id, user, purpose, address, email, session, nonce, created, expires)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        link.id,
        link.user,
        link.purpose,
        address,
        email,
        session,
        nonce,
        link.created,
        link.expires
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Has a link's lifetime begin when its mail goes at the earliest; answers when it ends. One that is put off would bring a link that ended.
pub async fn begin_with(tx: &mut Tx, link: LoginLinkId, mail: MailId) -> Result<Timestamp, Error> {
    let row = sqlx::query!(
        r#"update login_links set expires = expires + coalesce((select due - created from mails where mails.id = ?), 0)
            where id = ? returning expires as "expires: Timestamp""#,
        mail,
        link
    )
    .fetch_one(tx.sql())
    .await?;
    Ok(row.expires)
}

/// The link of an id.
pub async fn by_id(connection: &mut SqliteConnection, id: LoginLinkId) -> Result<Option<LoginLink>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select id as "id: LoginLinkId", user as "user: UserId", purpose as "purpose: LinkPurpose", address as "address: AddressId",
                  email, session as "session: SessionId", nonce, state, created as "created: Timestamp", expires as "expires: Timestamp"
             from login_links where id = ?"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// The newest open link of a user that sets a password.
pub async fn open_for_password(
    connection: &mut SqliteConnection,
    user: UserId,
    now: Timestamp,
) -> Result<Option<LoginLink>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select id as "id: LoginLinkId", user as "user: UserId", purpose as "purpose: LinkPurpose", address as "address: AddressId",
                  email, session as "session: SessionId", nonce, state, created as "created: Timestamp", expires as "expires: Timestamp"
             from login_links where user = ? and purpose in (1, 2) and state = 1 and expires > ? order by id desc limit 1"#,
        user,
        now
    )
    .fetch_optional(connection)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// Uses an open link up; false if it isn't open any more. The one conditional update that two uses at once race for.
pub async fn take(tx: &mut Tx, link: LoginLinkId) -> Result<bool, Error> {
    let now = tx.now();
    let done = sqlx::query!("update login_links set state = 2 where id = ? and state = 1 and expires > ?", link, now)
        .execute(tx.sql())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a user's open links that set a password.
pub async fn end_for_password(tx: &mut Tx, user: UserId) -> Result<(), Error> {
    sqlx::query!("update login_links set state = 3 where user = ? and state = 1 and purpose in (1, 2)", user)
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// Ends a user's open links that change the address: the newest counts.
pub async fn end_for_address(tx: &mut Tx, user: UserId) -> Result<(), Error> {
    sqlx::query!("update login_links set state = 3 where user = ? and state = 1 and purpose = 3", user).execute(tx.sql()).await?;
    Ok(())
}

/// Ends all open links of a user.
pub async fn end_all(tx: &mut Tx, user: UserId) -> Result<(), Error> {
    sqlx::query!("update login_links set state = 3 where user = ? and state = 1", user).execute(tx.sql()).await?;
    Ok(())
}

/// Counts a try at an open link before its password is checked; answers how many there were with this one, or none if the link has ended.
pub async fn take_try(tx: &mut Tx, link: LoginLinkId, allowed: i64) -> Result<Option<i64>, Error> {
    let row = sqlx::query!(
        "update login_links set tries = tries + 1 where id = ? and state = 1 and tries < ? returning tries",
        link,
        allowed
    )
    .fetch_optional(tx.sql())
    .await?;
    Ok(row.map(|row| row.tries))
}

/// Gives a try back that turned out to be no wrong password.
pub async fn give_back_try(tx: &mut Tx, link: LoginLinkId) -> Result<(), Error> {
    sqlx::query!("update login_links set tries = tries - 1 where id = ? and tries > 0", link).execute(tx.sql()).await?;
    Ok(())
}

/// Ends an open link.
pub async fn end(tx: &mut Tx, link: LoginLinkId) -> Result<(), Error> {
    sqlx::query!("update login_links set state = 3 where id = ? and state = 1", link).execute(tx.sql()).await?;
    Ok(())
}

/// Deletes links that ended by time before a moment, and their addresses if nothing else mentions them.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    let gone = sqlx::query!(r#"delete from login_links where expires < ? returning address as "address: AddressId""#, before)
        .fetch_all(tx.sql())
        .await?;
    let addresses: std::collections::BTreeSet<AddressId> = gone.iter().filter_map(|row| row.address).collect();
    super::addresses::forget(tx, &addresses).await?;
    Ok(gone.len().try_into().unwrap_or(u64::MAX))
}
