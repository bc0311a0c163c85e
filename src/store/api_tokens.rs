//! Personal tokens.

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{ApiTokenState, Personal};
use crate::domain::id::{AccountId, ApiTokenId, UserId};
use crate::domain::policy::Standing;
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;
use crate::domain::token::TokenDigest;

use super::Tx;

/// A row of `api_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its identity.
    pub id: ApiTokenId,
    /// Whose it is.
    pub user: UserId,
    /// The one account that it opens.
    pub account: AccountId,
    /// What its owner calls it.
    pub name: String,
    /// What it is known by.
    pub token: TokenDigest,
    /// The standing whose permissions it has at most; none for all that its owner has.
    pub cap: Option<Standing>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used, as written down.
    pub last_used: Option<Timestamp>,
    /// When it stops counting.
    pub expires: Timestamp,
    /// When it was ended before that.
    pub ended: Option<Timestamp>,
}

impl ApiToken {
    /// What an event says of it.
    pub fn state(&self, tx: &Tx) -> Result<ApiTokenState, Error> {
        Ok(ApiTokenState {
            api_token: self.id,
            user: self.user,
            account: self.account,
            name: Personal::new(&self.name, tx.random()?),
            token: self.token,
            cap: self.cap,
            expires: self.expires,
            ended: self.ended.is_some(),
        })
    }
}

struct Row {
    id: ApiTokenId,
    user: UserId,
    account: AccountId,
    name: String,
    token: TokenDigest,
    privilege: Option<Privilege>,
    roles: Option<RoleSet>,
    created: Timestamp,
    last_used: Option<Timestamp>,
    expires: Timestamp,
    ended: Option<Timestamp>,
}

impl From<Row> for ApiToken {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            user: row.user,
            account: row.account,
            name: row.name,
            token: row.token,
            cap: row.privilege.zip(row.roles).map(|(privilege, roles)| Standing { privilege, roles }),
            created: row.created,
            last_used: row.last_used,
            expires: row.expires,
            ended: row.ended,
        }
    }
}

/// Rows that are read.
macro_rules! read {
    ($from:literal, $($argument:expr),*) => {
        sqlx::query_as!(
            Row,
            r#"select id as "id: ApiTokenId", user as "user: UserId", account as "account: AccountId", name, token as "token: TokenDigest",
                      privilege as "privilege: Privilege", roles as "roles: RoleSet", created as "created: Timestamp",
                      last_used as "last_used: Timestamp", expires as "expires: Timestamp", ended as "ended: Timestamp" from api_tokens "#
                + $from,
            $($argument),*
        )
    };
}

/// Rows that are changed, as they are then: in the order of their ids.
macro_rules! change {
    ($tx:ident, $update:literal, $($argument:expr),*) => {{
        let rows = sqlx::query_as!(
            Row,
            $update
                + r#" returning id as "id: ApiTokenId", user as "user: UserId", account as "account: AccountId", name, token as "token: TokenDigest",
                      privilege as "privilege: Privilege", roles as "roles: RoleSet", created as "created: Timestamp",
                      last_used as "last_used: Timestamp", expires as "expires: Timestamp", ended as "ended: Timestamp""#,
            $($argument),*
        )
        .fetch_all($tx.sql())
        .await?;
        let mut changed: Vec<ApiToken> = rows.into_iter().map(Into::into).collect();
        changed.sort_by_key(|token| token.id);
        changed
    }};
}

/// Adds a token.
pub async fn insert(tx: &mut Tx, token: &ApiToken) -> Result<(), Error> {
    let (privilege, roles) = (token.cap.map(|cap| cap.privilege), token.cap.map(|cap| cap.roles));
    sqlx::query!(
        "insert into api_tokens (id, user, account, name, token, privilege, roles, created, expires) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        token.id,
        token.user,
        token.account,
        token.name,
        token.token,
        privilege,
        roles,
        token.created,
        token.expires
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// The token of an id, ended or not.
pub async fn by_id(connection: &mut SqliteConnection, id: ApiTokenId) -> Result<Option<ApiToken>, Error> {
    Ok(read!("where id = ?", id).fetch_optional(connection).await?.map(Into::into))
}

/// Which token has this text, ended or not.
pub async fn of_token(connection: &mut SqliteConnection, token: TokenDigest) -> Result<Option<ApiTokenId>, Error> {
    let row = sqlx::query!(r#"select id as "id: ApiTokenId" from api_tokens where token = ?"#, token);
    Ok(row.fetch_optional(connection).await?.map(|row| row.id))
}

/// A user's tokens after an id that weren't ended, in the order in which they were made; expired ones too, until they are forgotten.
pub async fn page(
    connection: &mut SqliteConnection,
    user: UserId,
    after: ApiTokenId,
    limit: i64,
) -> Result<Vec<ApiToken>, Error> {
    let rows = read!("where user = ? and ended is null and id > ? order by id limit ?", user, after, limit);
    Ok(rows.fetch_all(connection).await?.into_iter().map(Into::into).collect())
}

/// Whether a token counts.
pub async fn is_live(tx: &mut Tx, id: ApiTokenId) -> Result<bool, Error> {
    let now = tx.now();
    let row = sqlx::query!("select 1 as found from api_tokens where id = ? and ended is null and expires > ?", id, now)
        .fetch_optional(tx.sql())
        .await?;
    Ok(row.is_some())
}

/// Ends a token and answers it; none if it had ended.
pub async fn end(tx: &mut Tx, id: ApiTokenId) -> Result<Option<ApiToken>, Error> {
    let now = tx.now();
    let ended = change!(tx, "update api_tokens set ended = ? where id = ? and ended is null", now, id);
    Ok(ended.into_iter().next())
}

/// Ends a user's tokens and answers those that hadn't.
pub async fn end_all(tx: &mut Tx, user: UserId) -> Result<Vec<ApiToken>, Error> {
    let now = tx.now();
    Ok(change!(tx, "update api_tokens set ended = ? where user = ? and ended is null", now, user))
}

/// Ends the tokens that users have for an account, and answers those that hadn't.
pub async fn end_in(tx: &mut Tx, account: AccountId, users: &[UserId]) -> Result<Vec<ApiToken>, Error> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let (now, users) = (tx.now(), super::json_of(users.iter().map(UserId::as_bytes)));
    Ok(change!(
        tx,
        "update api_tokens set ended = ? where account = ? and user in (select unhex(value) from json_each(?)) and ended is null",
        now,
        account,
        users
    ))
}

/// Takes tokens that expire between two moments and weren't told of, so that they are told of once.
pub async fn tell_expiring(tx: &mut Tx, from: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<ApiToken>, Error> {
    Ok(change!(
        tx,
        "update api_tokens set expiry_told = 1
          where id in (select id from api_tokens indexed by api_tokens_untold
                        where ended is null and expiry_told = 0 and expires > ? and expires <= ? order by expires limit ?)",
        from,
        until,
        limit
    ))
}

/// Writes down when tokens were last used.
pub async fn touch(tx: &mut Tx, used: &[(ApiTokenId, Timestamp)]) -> Result<(), Error> {
    let used: Vec<_> = used.iter().map(|(token, at)| (super::hex(token.as_bytes()), at.as_micros())).collect();
    let used = serde_json::to_string(&used).map_err(Error::internal)?;
    sqlx::query!(
        "update api_tokens set last_used = used.at
           from (select unhex(value ->> 0) as id, value ->> 1 as at from json_each(?)) as used
          where api_tokens.id = used.id and coalesce(api_tokens.last_used < used.at, true)",
        used
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Deletes tokens that nobody can use since before a moment.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    let done = sqlx::query!("delete from api_tokens where expires < ?", before).execute(tx.sql()).await?;
    Ok(done.rows_affected())
}
