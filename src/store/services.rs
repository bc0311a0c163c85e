//! Services: internal tools that call.

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::ServiceState;
use crate::domain::id::{AccountId, ServiceId};
use crate::domain::scope::ScopeSet;
use crate::domain::token::TokenDigest;

use super::Tx;

/// A row of `services`, with the account's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its identity.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// What it may call.
    pub scopes: ScopeSet,
    /// The account that it is bound to.
    pub account: Option<AccountId>,
    /// That account's name.
    pub account_name: Option<String>,
    /// What its token is known by, unless it has a certificate.
    pub token: Option<TokenDigest>,
    /// The name in its client certificate, unless it has a token.
    pub certificate: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it stops counting.
    pub expires: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The event that last changed it.
    pub version: i64,
}

impl Service {
    /// What an event says of it.
    #[must_use]
    pub fn state(&self) -> ServiceState {
        ServiceState {
            service: self.id,
            name: self.name.clone(),
            scopes: self.scopes,
            account: self.account,
            token: self.token,
            certificate: self.certificate.clone(),
            expires: self.expires,
            revoked: self.revoked,
        }
    }

    /// Whether it counts at a moment.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires.is_none_or(|expires| now < expires)
    }
}

/// Adds a service.
pub async fn insert(tx: &mut Tx, service: &Service) -> Result<(), Error> {
    sqlx::query!(
        "insert into services (id, name, scopes, account, token, certificate, created, expires, version)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        service.id,
        service.name,
        service.scopes,
        service.account,
        service.token,
        service.certificate,
        service.created,
        service.expires,
        service.version
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// The service that isn't revoked and has this name or this certificate.
pub async fn namesake(
    connection: &mut SqliteConnection,
    name: &str,
    certificate: Option<&str>,
) -> Result<Option<ServiceId>, Error> {
    let row = sqlx::query!(
        r#"select id as "id: ServiceId" from services where revoked = 0 and name = ?
           union all select id from services where revoked = 0 and certificate = ? limit 1"#,
        name,
        certificate
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.id))
}

/// The service of a token, revoked or not.
pub async fn of_token(connection: &mut SqliteConnection, token: TokenDigest) -> Result<Option<ServiceId>, Error> {
    let row = sqlx::query!(r#"select id as "id: ServiceId" from services where token = ?"#, token);
    Ok(row.fetch_optional(connection).await?.map(|row| row.id))
}

/// Ends a service.
pub async fn revoke(tx: &mut Tx, service: &Service) -> Result<(), Error> {
    let done = sqlx::query!("update services set revoked = 1, version = ? where id = ?", service.version, service.id)
        .execute(tx.sql())
        .await?;
    super::changed_one(done.rows_affected())
}

/// The service of an id.
pub async fn by_id(connection: &mut SqliteConnection, id: ServiceId) -> Result<Option<Service>, Error> {
    Ok(sqlx::query_as!(
        Service,
        r#"select s.id as "id: ServiceId", s.name, s.scopes as "scopes: ScopeSet", s.account as "account: AccountId",
                  a.name as "account_name?", s.token as "token: TokenDigest", s.certificate, s.created as "created: Timestamp",
                  s.expires as "expires: Timestamp", s.revoked as "revoked: bool", s.version
             from services s left join accounts a on a.id = s.account where s.id = ?"#,
        id
    )
    .fetch_optional(connection)
    .await?)
}

/// Services after an id, in the order in which they were created.
pub async fn page(connection: &mut SqliteConnection, after: ServiceId, limit: i64) -> Result<Vec<Service>, Error> {
    Ok(sqlx::query_as!(
        Service,
        r#"select s.id as "id: ServiceId", s.name, s.scopes as "scopes: ScopeSet", s.account as "account: AccountId",
                  a.name as "account_name?", s.token as "token: TokenDigest", s.certificate, s.created as "created: Timestamp",
                  s.expires as "expires: Timestamp", s.revoked as "revoked: bool", s.version
             from services s left join accounts a on a.id = s.account where s.id > ? order by s.id limit ?"#,
        after,
        limit
    )
    .fetch_all(connection)
    .await?)
}

/// Takes services that stop counting between two moments and weren't told of, so that they are told of once.
pub async fn tell_expiring(tx: &mut Tx, from: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<Service>, Error> {
    let services = sqlx::query_as!(
        Service,
        r#"update services set expiry_told = 1
            where id in (select id from services indexed by services_untold
                          where revoked = 0 and expiry_told = 0 and expires is not null and expires > ? and expires <= ?
                          order by expires limit ?)
           returning id as "id: ServiceId", name, scopes as "scopes: ScopeSet", account as "account: AccountId",
                     null as "account_name: String", token as "token: TokenDigest", certificate, created as "created: Timestamp",
                     expires as "expires: Timestamp", revoked as "revoked: bool", version"#,
        from,
        until,
        limit
    )
    .fetch_all(tx.sql())
    .await?;
    Ok(services)
}
