//! The outbox: a mail is owed from the commit that asked for it until a relay took it or it is no longer wanted.

mod attempts;
mod owing;

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::id::{AddressId, ApiTokenId, InvitationId, LoginLinkId, MailId, SignUpId, UserId};

use super::Tx;
pub use attempts::{Attempted, Eligible, is_in_flight, next_due, resume, retry, settle, take_due};
pub use owing::{About, Owed, Pace, owe, owe_all, owe_paced};

/// How far a mail has come; the codes are those of the contract's `DeliveryState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting for its first or next attempt.
    Queued = 1,
    /// Handed to the relay; the answer isn't known yet.
    Sending = 2,
    /// Taken by the relay.
    Sent = 3,
    /// Refused for good.
    Failed = 4,
    /// No longer wanted.
    Dropped = 5,
}

impl State {
    /// The state of a stored code.
    #[must_use]
    pub const fn of(code: i64) -> Self {
        match code {
            1 => Self::Queued,
            2 => Self::Sending,
            3 => Self::Sent,
            4 => Self::Failed,
            _ => Self::Dropped,
        }
    }

    /// Whether an attempt is due at some time.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Sending)
    }

    /// As errors spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Sending => "SENDING",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
            Self::Dropped => "DROPPED",
        }
    }
}

/// What a mail is for; the codes are those of the contract's `MailKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Carries an invitation's link.
    Invitation = 1,
    /// Follows a sign-up.
    SignUp = 2,
    /// Carries the links of an address's open sign-ups again.
    ConfirmationAgain = 3,
    /// Carries a link that sets another password.
    PasswordReset = 4,
    /// Carries the link that sets the first password of a login that an operator made.
    SetPassword = 5,
    /// Carries a link that changes a login's address, to the new one.
    AddressChange = 6,
    /// Tells that the password was changed.
    PasswordChanged = 7,
    /// Tells the former address that it is the login's no longer.
    AddressChanged = 8,
    /// Tells that the super-admin mark was set.
    SuperAdminGranted = 9,
    /// Tells that the super-admin mark was taken.
    SuperAdminRevoked = 10,
    /// Tells of a new personal token.
    ApiTokenCreated = 11,
}

impl Kind {
    const fn of(code: i64) -> Self {
        match code {
            1 => Self::Invitation,
            2 => Self::SignUp,
            3 => Self::ConfirmationAgain,
            4 => Self::PasswordReset,
            5 => Self::SetPassword,
            6 => Self::AddressChange,
            7 => Self::PasswordChanged,
            8 => Self::AddressChanged,
            9 => Self::SuperAdminGranted,
            10 => Self::SuperAdminRevoked,
            _ => Self::ApiTokenCreated,
        }
    }
}

/// How a mail has fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How far it has come.
    pub state: State,
    /// How often it was tried.
    pub attempts: i64,
    /// The relay's last reply, or the last fault.
    pub last_reply: String,
    /// When the next attempt is due, while it is open.
    pub due: Option<Timestamp>,
    /// When the relay took it.
    pub sent: Option<Timestamp>,
}

/// A row of `mails`.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Its identity, from which its Message-ID is made.
    pub id: MailId,
    /// What it is for.
    pub kind: Kind,
    /// The invitation whose link it carries.
    pub invitation: Option<InvitationId>,
    /// The sign-up that it follows.
    pub sign_up: Option<SignUpId>,
    /// The link that it carries.
    pub link: Option<LoginLinkId>,
    /// The personal token that it tells of.
    pub api_token: Option<ApiTokenId>,
    /// Where it goes.
    pub address: AddressId,
    /// The address as it was typed.
    pub recipient: String,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it is to go at the earliest, if its recipient may not want it.
    pub planned: Option<Timestamp>,
    /// How it has fared.
    pub delivery: Delivery,
}

impl Mail {
    /// Since when it is wanted: it may have been put off.
    #[must_use]
    pub fn wanted_since(&self) -> Timestamp {
        self.planned.map_or(self.created, |planned| planned.max(self.created))
    }
}

struct Row {
    id: MailId,
    kind: i64,
    invitation: Option<InvitationId>,
    sign_up: Option<SignUpId>,
    link: Option<LoginLinkId>,
    api_token: Option<ApiTokenId>,
    address: AddressId,
    recipient: String,
    state: i64,
    attempts: i64,
    last_reply: String,
    created: Timestamp,
    planned: Option<Timestamp>,
    due: Timestamp,
    sent: Option<Timestamp>,
}

impl From<Row> for Mail {
    fn from(row: Row) -> Self {
        let state = State::of(row.state);
        Self {
            id: row.id,
            kind: Kind::of(row.kind),
            invitation: row.invitation,
            sign_up: row.sign_up,
            link: row.link,
            api_token: row.api_token,
            address: row.address,
            recipient: row.recipient,
            created: row.created,
            planned: row.planned,
            delivery: Delivery {
                state,
                attempts: row.attempts,
                last_reply: row.last_reply,
                due: state.is_open().then_some(row.due),
                sent: row.sent,
            },
        }
    }
}

/// The mail of an id.
pub async fn by_id(connection: &mut SqliteConnection, id: MailId) -> Result<Option<Mail>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select id as "id: MailId", kind, invitation as "invitation: InvitationId", sign_up as "sign_up: SignUpId", link as "link: LoginLinkId",
                  api_token as "api_token: ApiTokenId", address as "address: AddressId", recipient, state, attempts, last_reply,
                  created as "created: Timestamp", planned as "planned: Timestamp",
                  due as "due: Timestamp", sent as "sent: Timestamp"
             from mails where id = ?"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(Into::into))
}

/// Mails before an id in some of the states (a bit for each code), newest first. Each state is read along the index and they are merged, so
/// that the few that failed are found without reading past all that were sent.
pub async fn page(connection: &mut SqliteConnection, states: i64, before: MailId, limit: i64) -> Result<Vec<Mail>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id as "id: MailId", kind, invitation as "invitation: InvitationId", sign_up as "sign_up: SignUpId", link as "link: LoginLinkId",
                  api_token as "api_token: ApiTokenId", address as "address: AddressId", recipient, state, attempts, last_reply,
                  created as "created: Timestamp", planned as "planned: Timestamp",
                  due as "due: Timestamp", sent as "sent: Timestamp"
             from mails where id in (
                select id from mails where state = 1 and ?1 & 2 and id < ?2
                union all select id from mails where state = 2 and ?1 & 4 and id < ?2
                union all select id from mails where state = 3 and ?1 & 8 and id < ?2
                union all select id from mails where state = 4 and ?1 & 16 and id < ?2
                union all select id from mails where state = 5 and ?1 & 32 and id < ?2
                 order by id desc limit ?3)
            order by id desc"#,
        states,
        before,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Drops the resets of a user's password that were requested and have no link yet.
pub async fn drop_requested_resets(tx: &mut Tx, user: UserId) -> Result<(), Error> {
    sqlx::query!(
        "update mails set state = 5, last_reply = 'another password, or the end of the login, came first'
          where kind = 4 and link is null and state in (1, 2, 4) and address = (select address from users where id = ?)",
        user
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Drops the mail of an invitation that ended while it waited for its first attempt, and gives its place back: who invites and withdraws over
/// and over takes up none. What is dropped at an attempt keeps its place, which would tell of addresses that have a login.
pub async fn drop_of_invitation(tx: &mut Tx, invitation: InvitationId, why: &str) -> Result<(), Error> {
    sqlx::query!(
        "update mails set state = 5, planned = null, last_reply = ? where invitation = ? and state = 1 and attempts = 0",
        why,
        invitation
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Deletes mails other than those of invitations, once they are settled and older than a moment, and their addresses if nothing else mentions them.
/// Those of invitations stay with their invitation.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    let gone = sqlx::query!(
        r#"delete from mails indexed by mails_passing where kind <> 1 and state in (3, 4, 5) and created < ?
           returning address as "address: AddressId""#,
        before
    )
    .fetch_all(tx.sql())
    .await?;
    let addresses: BTreeSet<AddressId> = gone.iter().map(|row| row.address).collect();
    super::addresses::forget(tx, &addresses).await?;
    Ok(gone.len().try_into().unwrap_or(u64::MAX))
}

/// What an operator wants to know of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Waiting or in flight.
    pub queued: i64,
    /// Refused for good.
    pub failed: i64,
    /// Since when the first of those that should have gone waits; one that was put off should only then.
    pub oldest: Option<Timestamp>,
}

/// Counts the queue.
pub async fn queue(connection: &mut SqliteConnection, now: Timestamp) -> Result<Queue, Error> {
    let open = sqlx::query!(
        r#"select count(*) as "count!: i64",
                  min(coalesce(planned, created)) filter (where coalesce(planned, created) <= ?) as "oldest: Timestamp"
             from mails where state in (1, 2)"#,
        now
    )
    .fetch_one(&mut *connection)
    .await?;
    let failed = sqlx::query!(r#"select count(*) as "count!: i64" from mails where state = 4"#).fetch_one(connection).await?;
    Ok(Queue { queued: open.count, failed: failed.count, oldest: open.oldest })
}
