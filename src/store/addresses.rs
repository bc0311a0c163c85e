//! Addresses: an identity for each from its first mention.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::sqlite::SqliteConnection;

use crate::domain::email::Email;
use crate::domain::error::Error;
use crate::domain::id::AddressId;

use super::Tx;

/// The address's id, given now if it wasn't mentioned before.
pub async fn mention(tx: &mut Tx, email: &Email) -> Result<AddressId, Error> {
    let (id, folded) = (AddressId::new(tx.now(), tx.random()?), email.folded());
    // the update changes nothing; it makes `returning` answer the row that is there
    let row = sqlx::query!(
        r#"insert into addresses (id, folded) values (?, ?)
           on conflict (folded) do update set folded = folded returning id as "id: AddressId""#,
        id,
        folded
    )
    .fetch_one(tx.sql())
    .await?;
    Ok(row.id)
}

/// The ids of addresses by their folded form, given now to those that weren't mentioned before.
pub async fn mention_all(tx: &mut Tx, emails: &[&Email]) -> Result<BTreeMap<String, AddressId>, Error> {
    let mut rows = Vec::with_capacity(emails.len());
    for email in emails {
        let id = AddressId::new(tx.now(), tx.random()?);
        rows.push((super::hex(id.as_bytes()), email.folded()));
    }
    let rows = serde_json::to_string(&rows).map_err(Error::internal)?;
    let rows = sqlx::query!(
        r#"insert into addresses (id, folded) select unhex(value ->> 0), value ->> 1 from json_each(?) where true
           on conflict (folded) do update set folded = excluded.folded returning id as "id: AddressId", folded"#,
        rows
    )
    .fetch_all(tx.sql())
    .await?;
    Ok(rows.into_iter().map(|row| (row.folded, row.id)).collect())
}

/// The address's id, if it was ever mentioned.
pub async fn find(connection: &mut SqliteConnection, email: &Email) -> Result<Option<AddressId>, Error> {
    let folded = email.folded();
    let row = sqlx::query!(r#"select id as "id: AddressId" from addresses where folded = ?"#, folded)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.id))
}

/// Deletes those of the addresses that nothing mentions any more.
pub(super) async fn forget(tx: &mut Tx, addresses: &BTreeSet<AddressId>) -> Result<(), Error> {
    let addresses = super::json_of(addresses.iter().map(AddressId::as_bytes));
    sqlx::query!(
        "delete from addresses
          where id in (select unhex(value) from json_each(?))
            and not exists (select 1 from users where users.address = addresses.id)
            and not exists (select 1 from invitations where invitations.address = addresses.id)
            and not exists (select 1 from sign_ups where sign_ups.address = addresses.id)
            and not exists (select 1 from mails where mails.address = addresses.id)
            and not exists (select 1 from login_links where login_links.address = addresses.id)
            and not exists (select 1 from former_addresses where former_addresses.address = addresses.id)",
        addresses
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}
