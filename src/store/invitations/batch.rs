//! Many invitations into one account at once, in one statement each.

use sqlx::sqlite::SqliteConnection;

use super::{Invitation, Row};
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::id::{AccountId, AddressId, InvitationId, MailId, ServiceId, UserId};
use crate::domain::invitation::Stored;
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;
use crate::store::{Tx, hex};

/// The unanswered invitations of addresses, pending or expired.
pub async fn unanswered_of(
    connection: &mut SqliteConnection,
    account: AccountId,
    addresses: &[AddressId],
) -> Result<Vec<Invitation>, Error> {
    let set = crate::store::json_of(addresses.iter().map(AddressId::as_bytes));
    let rows = super::read!(
        "where i.account = ? and i.address in (select unhex(value) from json_each(?)) and i.state = 1",
        account,
        set
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The invitations of ids, in no order.
pub async fn by_ids(connection: &mut SqliteConnection, ids: &[InvitationId]) -> Result<Vec<Invitation>, Error> {
    let set = crate::store::json_of(ids.iter().map(InvitationId::as_bytes));
    let rows = super::read!("where i.id in (select unhex(value) from json_each(?))", set).fetch_all(connection).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Adds invitations of addresses that have no unanswered one.
pub async fn insert_all(tx: &mut Tx, invitations: &[&Invitation]) -> Result<(), Error> {
    if invitations.is_empty() {
        return Ok(());
    }
    let rows = rows(invitations)?;
    let done = sqlx::query!(
        "insert into invitations (id, account, address, email, privilege, roles, state, grantor_user, grantor_service, nonce, created,
                                  expires, send_count, mail, version, folded)
         select unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, 1, unhex(value ->> 6),
                unhex(value ->> 7), unhex(value ->> 8), value ->> 9, value ->> 10, value ->> 11, unhex(value ->> 12), value ->> 13,
                (select addresses.folded from addresses where addresses.id = unhex(value ->> 2))
           from json_each(?)",
        rows
    )
    .execute(tx.sql())
    .await?;
    crate::store::changed_all(done.rows_affected(), invitations.len())
}

/// Gives unanswered invitations another grant, link, lifetime and mail.
pub async fn renew_all(tx: &mut Tx, invitations: &[&Invitation]) -> Result<(), Error> {
    if invitations.is_empty() {
        return Ok(());
    }
    let rows = rows(invitations)?;
    let done = sqlx::query!(
        "update invitations
            set email = given.email, privilege = given.privilege, roles = given.roles, grantor_user = given.grantor_user,
                grantor_service = given.grantor_service, nonce = given.nonce, expires = given.expires,
                send_count = given.send_count, first_opened = null, mail = given.mail, version = given.version
           from (select unhex(value ->> 0) as id, value ->> 3 as email, value ->> 4 as privilege, value ->> 5 as roles,
                        unhex(value ->> 6) as grantor_user, unhex(value ->> 7) as grantor_service, unhex(value ->> 8) as nonce,
                        value ->> 10 as expires, value ->> 11 as send_count, unhex(value ->> 12) as mail, value ->> 13 as version
                   from json_each(?)) as given
          where invitations.id = given.id and invitations.state = 1",
        rows
    )
    .execute(tx.sql())
    .await?;
    crate::store::changed_all(done.rows_affected(), invitations.len())
}

/// The rows as JSON, in the order in which both statements read them.
fn rows(invitations: &[&Invitation]) -> Result<String, Error> {
    let row = |it: &&Invitation| {
        serde_json::json!([
            hex(it.id.as_bytes()),
            hex(it.account.as_bytes()),
            hex(it.address.as_bytes()),
            it.email,
            it.privilege.code(),
            it.roles.bits(),
            it.grantor.user.map(|user| hex(user.as_bytes())),
            it.grantor.service.map(|service| hex(service.as_bytes())),
            hex(&it.nonce),
            it.created.as_micros(),
            it.expires.map(Timestamp::as_micros),
            it.send_count,
            it.mail.map(|mail| hex(mail.as_bytes())),
            it.version
        ])
    };
    serde_json::to_string(&invitations.iter().map(row).collect::<Vec<_>>()).map_err(Error::internal)
}
