//! What the delivery worker does with the outbox: taking mails for an attempt, and writing down how it ended.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;

use super::{Mail, Row, State};
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::id::{AddressId, ApiTokenId, InvitationId, LoginLinkId, MailId, SignUpId, UserId};
use crate::store::Tx;

/// Which mails may be taken.
#[derive(Clone, Copy, Debug)]
pub struct Eligible<'a> {
    /// Addresses that a mail is on its way to already.
    pub busy: &'a BTreeSet<AddressId>,
    /// How many attempts a mail may have had at most.
    pub most_attempts: i64,
}

/// Takes the eligible mail that is due first for one attempt, in flight until `lease` is over; none if none is due.
pub async fn take_due(tx: &mut Tx, lease: Duration, eligible: Eligible<'_>) -> Result<Option<Mail>, Error> {
    let (now, until) = (tx.now(), tx.now().plus(lease));
    let busy = crate::store::json_of(eligible.busy.iter().map(AddressId::as_bytes));
    let row = sqlx::query_as!(
        Row,
        r#"update mails set state = 2, attempts = attempts + 1, due = ?1
            where id = (select id from mails indexed by mails_open
                         where state in (1, 2) and due <= ?2 and attempts <= ?3
                           and address not in (select unhex(value) from json_each(?4))
                         order by due, id limit 1)
           returning id as "id: MailId", kind, invitation as "invitation: InvitationId", sign_up as "sign_up: SignUpId", link as "link: LoginLinkId",
                     api_token as "api_token: ApiTokenId", address as "address: AddressId", recipient, state, attempts, last_reply,
                     created as "created: Timestamp", planned as "planned: Timestamp", due as "due: Timestamp",
                     sent as "sent: Timestamp""#,
        until,
        now,
        eligible.most_attempts,
        busy
    )
    .fetch_optional(tx.sql())
    .await?;
    Ok(row.map(Into::into))
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub struct Attempted<'a> {
    /// How far the mail has come by it.
    pub state: State,
    /// What the relay said.
    pub reply: &'a str,
    /// When the next attempt is due, while it stays queued.
    pub due: Timestamp,
    /// Whose name the letter told, other than its person's: whoever stood behind an invitation when it was written.
    pub named: Option<UserId>,
}

/// Writes down how an attempt ended, unless the mail is in flight no longer, because its person was erased.
pub async fn settle(tx: &mut Tx, id: MailId, attempted: Attempted<'_>) -> Result<(), Error> {
    let Attempted { state, reply, due, named } = attempted;
    let (code, sent) = (state as i64, (state == State::Sent).then(|| tx.now()));
    sqlx::query!(
        "update mails set state = ?, last_reply = ?, due = ?, sent = ?, user = coalesce(?, user) where id = ? and state = 2",
        code,
        reply,
        due,
        sent,
        named,
        id
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Whether a mail is in flight still: it may have been dropped meanwhile.
pub async fn is_in_flight(tx: &mut Tx, id: MailId) -> Result<bool, Error> {
    let row = sqlx::query!("select 1 as found from mails where id = ? and state = 2", id).fetch_optional(tx.sql()).await?;
    Ok(row.is_some())
}

/// Makes a queued or failed mail due now; false if it was sent or dropped.
pub async fn retry(tx: &mut Tx, id: MailId) -> Result<bool, Error> {
    let now = tx.now();
    let done =
        sqlx::query!("update mails set state = 1, due = ? where id = ? and state in (1, 4)", now, id).execute(tx.sql()).await?;
    tx.owe_mail();
    Ok(done.rows_affected() == 1)
}

/// Makes mails due that are in flight although nobody sends them: those of a server that stopped, and those whose taking was answered with
/// a fault. `sending` says which are being sent.
pub async fn resume(tx: &mut Tx, sending: &BTreeSet<MailId>) -> Result<u64, Error> {
    let (now, sending) = (tx.now(), crate::store::json_of(sending.iter().map(MailId::as_bytes)));
    let done = sqlx::query!(
        "update mails set due = ? where state = 2 and id not in (select unhex(value) from json_each(?))",
        now,
        sending
    )
    .execute(tx.sql())
    .await?;
    Ok(done.rows_affected())
}

/// When the next mail is due after a moment; none if none is.
pub async fn next_due(connection: &mut SqliteConnection, after: Timestamp) -> Result<Option<Timestamp>, Error> {
    let row = sqlx::query!(
        r#"select due as "due: Timestamp" from mails indexed by mails_open where state in (1, 2) and due > ?
            order by due, id limit 1"#,
        after
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.due))
}
