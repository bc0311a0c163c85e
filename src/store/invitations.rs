//! Invitations.

mod batch;
mod listing;

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{Grantor, InvitationState, Personal};
use crate::domain::id::{AccountId, AddressId, InvitationId, MailId, ServiceId, UserId};
use crate::domain::invitation::{State, Stored};
use crate::domain::policy::Standing;
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;
use crate::domain::token::Nonce;

use super::{Tx, mails};
pub use batch::{by_ids, insert_all, renew_all, unanswered_of};
pub use listing::{Which, page, page_by_address, page_unanswered};

/// A row of `invitations`, with the account's names and the newest mail.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Its identity.
    pub id: InvitationId,
    /// Into which account.
    pub account: AccountId,
    /// That account's name.
    pub account_name: String,
    /// What people call the account.
    pub account_display_name: String,
    /// The account's time zone.
    pub account_timezone: String,
    /// Whether the account is closed.
    pub account_closed: bool,
    /// The invited address.
    pub address: AddressId,
    /// The address as it was typed.
    pub email: String,
    /// The column offered.
    pub privilege: Privilege,
    /// The roles offered.
    pub roles: RoleSet,
    /// What is stored of its state.
    pub state: Stored,
    /// Who stands behind it.
    pub grantor: Grantor,
    /// What makes its link.
    pub nonce: Nonce,
    /// When the address was invited.
    pub created: Timestamp,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// How many mails were asked for.
    pub send_count: i64,
    /// When the newest link was first previewed.
    pub first_opened: Option<Timestamp>,
    /// Who answered it.
    pub answered_by: Option<UserId>,
    /// The newest mail.
    pub mail: Option<MailId>,
    /// How that mail has fared.
    pub delivery: Option<mails::Delivery>,
    /// The event that last changed it.
    pub version: i64,
}

impl Invitation {
    /// Where the member would stand.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        Standing { privilege: self.privilege, roles: self.roles }
    }

    /// What a reader sees at a moment.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> State {
        self.state.at(now, self.expires)
    }

    /// What an event says of it.
    pub fn event_state(&self, tx: &Tx) -> Result<InvitationState, Error> {
        Ok(InvitationState {
            invitation: self.id,
            account: self.account,
            address: self.address,
            email: Personal::new(&self.email, tx.random()?),
            standing: self.standing(),
            state: self.state,
            grantor: self.grantor,
            expires: self.expires,
            send_count: u32::try_from(self.send_count).unwrap_or(u32::MAX),
            answered_by: self.answered_by,
        })
    }
}

/// What `read!` selects, in one place for all queries of this file.
struct Row {
    id: InvitationId,
    account: AccountId,
    account_name: String,
    account_display_name: String,
    account_timezone: String,
    account_closed: bool,
    address: AddressId,
    email: String,
    privilege: Privilege,
    roles: RoleSet,
    state: Stored,
    grantor_user: Option<UserId>,
    grantor_service: Option<ServiceId>,
    nonce: Vec<u8>,
    created: Timestamp,
    expires: Option<Timestamp>,
    send_count: i64,
    first_opened: Option<Timestamp>,
    answered_by: Option<UserId>,
    mail: Option<MailId>,
    version: i64,
    mail_state: Option<i64>,
    mail_attempts: Option<i64>,
    mail_last_reply: Option<String>,
    mail_due: Option<Timestamp>,
    mail_sent: Option<Timestamp>,
    folded: Option<String>,
}

impl TryFrom<Row> for Invitation {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let delivery = row.mail_state.map(mails::State::of).map(|state| mails::Delivery {
            state,
            attempts: row.mail_attempts.unwrap_or_default(),
            last_reply: row.mail_last_reply.unwrap_or_default(),
            due: row.mail_due.filter(|_| state.is_open()),
            sent: row.mail_sent,
        });
        Ok(Self {
            id: row.id,
            account: row.account,
            account_name: row.account_name,
            account_display_name: row.account_display_name,
            account_timezone: row.account_timezone,
            account_closed: row.account_closed,
            address: row.address,
            email: row.email,
            privilege: row.privilege,
            roles: row.roles,
            state: row.state,
            grantor: Grantor { user: row.grantor_user, service: row.grantor_service },
            nonce: row.nonce.try_into().map_err(|_| Error::internal("a nonce has another length"))?,
            created: row.created,
            expires: row.expires,
            send_count: row.send_count,
            first_opened: row.first_opened,
            answered_by: row.answered_by,
            mail: row.mail,
            delivery,
            version: row.version,
        })
    }
}

macro_rules! read {
    ($rest:literal, $($argument:expr),*) => {
        sqlx::query_as!(
            Row,
            r#"select i.id as "id: InvitationId", i.account as "account: AccountId", a.name as account_name,
                  a.display_name as account_display_name, a.timezone as account_timezone, a.closed as "account_closed: bool",
                  i.address as "address: AddressId", i.email, i.privilege as "privilege: Privilege", i.roles as "roles: RoleSet",
                  i.state as "state: Stored", i.grantor_user as "grantor_user: UserId", i.grantor_service as "grantor_service: ServiceId",
                  i.nonce, i.created as "created: Timestamp", i.expires as "expires: Timestamp", i.send_count,
                  i.first_opened as "first_opened: Timestamp", i.answered_by as "answered_by: UserId", i.mail as "mail: MailId", i.version,
                  m.state as "mail_state?", m.attempts as "mail_attempts?", m.last_reply as "mail_last_reply?",
                  m.due as "mail_due?: Timestamp", m.sent as "mail_sent?: Timestamp", i.folded
             from invitations i cross join accounts a on a.id = i.account left join mails m on m.id = i.mail "#
                + $rest,
            $($argument),*
        )
    };
}
use read;

/// The invitation of an id.
pub async fn by_id(connection: &mut SqliteConnection, id: InvitationId) -> Result<Option<Invitation>, Error> {
    read!("where i.id = ?", id).fetch_optional(connection).await?.map(TryInto::try_into).transpose()
}

/// The unanswered invitation of an address into an account, pending or expired.
pub async fn unanswered(
    connection: &mut SqliteConnection,
    account: AccountId,
    address: AddressId,
) -> Result<Option<Invitation>, Error> {
    read!("where i.account = ? and i.address = ? and i.state = 1", account, address)
        .fetch_optional(connection)
        .await?
        .map(TryInto::try_into)
        .transpose()
}

/// The unanswered invitations into the accounts up to one, by account and id, after an account's.
pub async fn unanswered_after(
    connection: &mut SqliteConnection,
    (account, id): (AccountId, InvitationId),
    last: AccountId,
    limit: i64,
) -> Result<Vec<Invitation>, Error> {
    let rows = read!(
        "where i.state = 1 and (i.account, i.id) > (?, ?) and i.account <= ? order by i.account, i.id limit ?",
        account,
        id,
        last,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The unanswered invitations of an address, newest first.
pub async fn of_address(connection: &mut SqliteConnection, address: AddressId, limit: i64) -> Result<Vec<Invitation>, Error> {
    let rows =
        read!("where i.address = ? and i.state = 1 order by i.id desc limit ?", address, limit).fetch_all(connection).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Whether an address has an unanswered invitation that hasn't expired.
pub async fn any_open(connection: &mut SqliteConnection, address: AddressId, now: Timestamp) -> Result<bool, Error> {
    let row = sqlx::query!(
        "select 1 as found from invitations where address = ? and state = 1 and (expires is null or expires > ?) limit 1",
        address,
        now
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.is_some())
}

/// Adds an invitation with its first mail; false if the address has an unanswered one.
pub async fn insert(tx: &mut Tx, invitation: &Invitation) -> Result<bool, Error> {
    let nonce = &invitation.nonce[..];
    let done = sqlx::query!(
        "insert into invitations (id, account, address, email, privilege, roles, state, grantor_user, grantor_service, nonce, created,
                                  expires, send_count, mail, version, folded)
         values (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
                 (select folded from addresses where addresses.id = ?3))
         on conflict (account, address) where state = 1 do nothing",
        invitation.id,
        invitation.account,
        invitation.address,
        invitation.email,
        invitation.privilege,
        invitation.roles,
        invitation.grantor.user,
        invitation.grantor.service,
        nonce,
        invitation.created,
        invitation.expires,
        invitation.send_count,
        invitation.mail,
        invitation.version
    )
    .execute(tx.sql())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives an unanswered invitation another grant, link, lifetime and mail; false if it was answered meanwhile.
pub async fn renew(tx: &mut Tx, invitation: &Invitation) -> Result<bool, Error> {
    let nonce = &invitation.nonce[..];
    let done = sqlx::query!(
        "update invitations set email = ?, privilege = ?, roles = ?, grantor_user = ?, grantor_service = ?, nonce = ?, expires = ?,
                send_count = ?, first_opened = null, mail = ?, version = ?
          where id = ? and state = 1",
        invitation.email,
        invitation.privilege,
        invitation.roles,
        invitation.grantor.user,
        invitation.grantor.service,
        nonce,
        invitation.expires,
        invitation.send_count,
        invitation.mail,
        invitation.version,
        invitation.id
    )
    .execute(tx.sql())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Changes what an unanswered invitation offers, and who stands behind it; false if it was answered meanwhile.
pub async fn update(tx: &mut Tx, invitation: &Invitation) -> Result<bool, Error> {
    let done = sqlx::query!(
        "update invitations set privilege = ?, roles = ?, grantor_user = ?, grantor_service = ?, version = ? where id = ? and state = 1",
        invitation.privilege,
        invitation.roles,
        invitation.grantor.user,
        invitation.grantor.service,
        invitation.version,
        invitation.id
    )
    .execute(tx.sql())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends an unanswered invitation; false if it had ended. The one conditional update that two answers at once race for.
pub async fn end(tx: &mut Tx, invitation: &Invitation) -> Result<bool, Error> {
    let done = sqlx::query!(
        "update invitations set state = ?, answered_by = ?, version = ? where id = ? and state = 1",
        invitation.state,
        invitation.answered_by,
        invitation.version,
        invitation.id
    )
    .execute(tx.sql())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that the newest link was previewed, the first time.
pub async fn opened(tx: &mut Tx, invitation: &Invitation) -> Result<(), Error> {
    let (now, nonce) = (tx.now(), &invitation.nonce[..]);
    sqlx::query!(
        "update invitations set first_opened = ? where id = ? and nonce = ? and first_opened is null",
        now,
        invitation.id,
        nonce
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}
