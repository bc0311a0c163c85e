//! Forgetting a person: their address and name leave every row, and history keeps ids alone.
//!
//! Rows are emptied in the transaction of the deletion. What the file still holds in its free space and in the write-ahead log is overwritten
//! right after the commit ([`Tx::scrub_after_commit`]); files of mails are deleted by `app`, which knows where they are. Both are noted
//! in the database until they are done, so that a crash in between forgets neither. Copies that were made before, such as backups, are out
//! of reach.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;

use crate::domain::error::Error;
use crate::domain::id::{AddressId, MailId, UserId};

use super::Tx;
use super::users::{User, counting_costs};

/// The addresses that are a person's: the one they hold, and those that they held before and nobody else holds now.
pub async fn addresses_of(tx: &mut Tx, user: &User) -> Result<BTreeSet<AddressId>, Error> {
    let former = sqlx::query!(
        r#"select f.address as "address: AddressId" from former_addresses f
            where f.user = ?1 and not exists (select 1 from users u where u.address = f.address and u.id <> ?1)"#,
        user.id
    )
    .fetch_all(tx.sql())
    .await?;
    Ok(former.into_iter().map(|row| row.address).chain([user.address]).collect())
}

/// Empties every row of what it says of a person. Memberships and unanswered invitations were ended before.
pub async fn erase(tx: &mut Tx, user: &User, addresses: &BTreeSet<AddressId>) -> Result<(), Error> {
    let set = super::json_of(addresses.iter().map(AddressId::as_bytes));
    let typed = sqlx::query!(
        r#"select address as "address: AddressId" from login_links where user = ? and address is not null"#,
        user.id
    )
    .fetch_all(tx.sql())
    .await?;
    let typed: BTreeSet<AddressId> = typed.into_iter().filter_map(|row| row.address).collect();
    erase_mails(tx, user.id, &set).await?;
    sqlx::query!("delete from sign_ups where address in (select unhex(value) from json_each(?))", set).execute(tx.sql()).await?;
    sqlx::query!("update invitations set email = '' where address in (select unhex(value) from json_each(?))", set)
        .execute(tx.sql())
        .await?;
    sqlx::query!("delete from sessions where user = ?", user.id).execute(tx.sql()).await?;
    sqlx::query!("delete from api_tokens where user = ?", user.id).execute(tx.sql()).await?;
    sqlx::query!("delete from devices where user = ?", user.id).execute(tx.sql()).await?;
    sqlx::query!("delete from login_links where user = ?", user.id).execute(tx.sql()).await?;
    sqlx::query!("delete from former_addresses where user = ?", user.id).execute(tx.sql()).await?;
    let subjects = super::json_of(addresses.iter().map(AddressId::as_bytes).chain([user.id.as_bytes()]));
    sqlx::query!("delete from personal_values where subject in (select unhex(value) from json_each(?))", subjects)
        .execute(tx.sql())
        .await?;
    counting_costs(tx, user.id, async |tx| {
        let done = sqlx::query!(
            "update users set email = '', display_name = '', password = null, active = 0, super_admin = 0, deleted = 1, version = ? where id = ?",
            user.version,
            user.id
        )
        .execute(tx.sql())
        .await?;
        super::changed_one(done.rows_affected())
    })
    .await?;
    // without a dot in its domain it is nobody's address, and the real one gets another id when it is mentioned again
    sqlx::query!(
        "update addresses set folded = lower(hex(id)) || '@erased' where id in (select unhex(value) from json_each(?))",
        set
    )
    .execute(tx.sql())
    .await?;
    super::addresses::forget(tx, &typed).await?;
    sqlx::query!("update server set erasing = 1 where one = 1").execute(tx.sql()).await?;
    tx.scrub_after_commit();
    Ok(())
}

/// Deletes what was mailed to a person, but for the rows that invitations refer to, which are emptied; notes the files, and those of
/// invitations that told the person's name to others. Those others' rows stay as they are: a mail that was not sent yet is still owed.
async fn erase_mails(tx: &mut Tx, user: UserId, addresses: &str) -> Result<(), Error> {
    sqlx::query!(
        "insert into erased_mails (id)
         select id from mails where address in (select unhex(value) from json_each(?1))
         union select id from mails where user = ?2 and (kind <> 1 or state <> 1)
             on conflict do nothing",
        addresses,
        user
    )
    .execute(tx.sql())
    .await?;
    sqlx::query!(
        "delete from mails where kind <> 1 and (address in (select unhex(value) from json_each(?1)) or user = ?2)",
        addresses,
        user
    )
    .execute(tx.sql())
    .await?;
    sqlx::query!(
        "update mails set recipient = '', last_reply = '', state = iif(state in (1, 2), 5, state)
          where kind = 1 and address in (select unhex(value) from json_each(?))",
        addresses
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Notes a mail that was attempted while its person, or the one whom its letter names, was erased, so that its file is looked for again;
/// false if neither was.
pub async fn note_mail(tx: &mut Tx, mail: MailId, named: Option<UserId>) -> Result<bool, Error> {
    let done = sqlx::query!(
        "insert into erased_mails (id)
         select ?1 where not exists (select 1 from mails where id = ?1 and recipient <> '')
                      or exists (select 1 from users where id = ?2 and deleted = 1)
             on conflict do update set id = id",
        mail,
        named
    )
    .execute(tx.sql())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The mails whose files are still to be deleted.
pub async fn mails(connection: &mut SqliteConnection) -> Result<Vec<MailId>, Error> {
    let rows = sqlx::query!(r#"select id as "id: MailId" from erased_mails /* holds what one erasure left */"#)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Notes that the files of mails are gone.
pub async fn mails_erased(tx: &mut Tx, mails: &[MailId]) -> Result<(), Error> {
    let set = super::json_of(mails.iter().map(MailId::as_bytes));
    sqlx::query!("delete from erased_mails where id in (select unhex(value) from json_each(?))", set).execute(tx.sql()).await?;
    Ok(())
}

/// Whether the file still has to be scrubbed.
pub async fn is_pending(connection: &mut SqliteConnection) -> Result<bool, Error> {
    let row = sqlx::query!("select 1 as found from server where one = 1 and erasing = 1").fetch_optional(connection).await?;
    Ok(row.is_some())
}
