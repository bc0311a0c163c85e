//! Holding the present against history: each event tells the whole state of what it is about, so the last one about a thing has to tell what
//! stands in its row. Whoever changes a row behind history's back is found that way.
//!
//! A page at a time, row and event in one statement, so that nothing has to be kept in memory and calls go on meanwhile. What history
//! doesn't hold can't be held against it: passwords, when something was last used, mails, sign-ups, open links and counts of limits. Sessions and
//! personal tokens are looked at while they are live, since housekeeping deletes old ones.

use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::decode_each;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::error::Error;
use crate::domain::event::{Change, EmailChangeState, InvitationState, UserState};
use crate::domain::id::{AccountId, AddressId, ApiTokenId, InvitationId, ServiceId, SessionId, UserId};
use crate::store::hex;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum Object {
    Server,
    Account(AccountId),
    User(UserId),
    Member(AccountId, UserId),
    Invitation(InvitationId),
    Service(ServiceId),
    Session(SessionId),
    ApiToken(ApiTokenId),
}

/// A thing that isn't as the last event about it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub object: Object,
    /// The last event about it; none where history never mentions it.
    pub last: Option<u64>,
}

/// The tables, in the order in which they are looked through.
#[derive(Clone, Copy)]
enum Table {
    Server,
    Accounts,
    Users,
    Members,
    Invitations,
    Services,
    Sessions,
    ApiTokens,
}

impl Table {
    const ALL: [Self; 8] = [
        Self::Server,
        Self::Accounts,
        Self::Users,
        Self::Members,
        Self::Invitations,
        Self::Services,
        Self::Sessions,
        Self::ApiTokens,
    ];
}

/// The key of a row: of members two ids, of others one and an empty one.
type Key = (Vec<u8>, Vec<u8>);

/// A row with the last event about what it is about.
struct Kept {
    key: Key,
    /// What stands in it, as a JSON array.
    row: String,
    last: Option<(i64, Vec<u8>)>,
}

/// Finds what isn't as history says, at most as many as the limit.
pub async fn differences(connection: &mut SqliteConnection, limit: usize) -> Result<Vec<Difference>, Error> {
    let mut found = Vec::new();
    for table in Table::ALL {
        let mut after = Key::default();
        loop {
            // row, event and personal values from one view of the data: somebody may be erased in between
            let mut view = connection.begin().await?;
            let page = page(&mut view, table, &after).await?;
            let events: Vec<_> = page.iter().filter_map(|kept| kept.last.clone()).collect();
            let mut events = decode_each(&mut view, events).await?.into_iter();
            view.rollback().await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.key);
            for kept in &page {
                let event = kept.last.as_ref().and_then(|_| events.next()).and_then(Result::ok);
                let told = event.as_ref().and_then(|event| told(&event.change));
                if told.is_none() || told != serde_json::from_str(&kept.row).ok() {
                    let last = kept.last.as_ref().and_then(|(seq, _)| u64::try_from(*seq).ok());
                    found.push(Difference { object: object(table, &kept.key)?, last });
                }
            }
            if found.len() >= limit {
                break;
            }
        }
    }
    if found.len() < limit {
        found.extend(missing(connection, limit).await?);
    }
    found.truncate(limit);
    Ok(found)
}

fn object(table: Table, (first, second): &Key) -> Result<Object, Error> {
    let id = |bytes: &Vec<u8>| <[u8; 16]>::try_from(&bytes[..]).map_err(Error::internal);
    Ok(match table {
        Table::Server => Object::Server,
        Table::Accounts => Object::Account(AccountId::from_bytes(id(first)?)),
        Table::Users => Object::User(UserId::from_bytes(id(first)?)),
        Table::Members => Object::Member(AccountId::from_bytes(id(first)?), UserId::from_bytes(id(second)?)),
        Table::Invitations => Object::Invitation(InvitationId::from_bytes(id(first)?)),
        Table::Services => Object::Service(ServiceId::from_bytes(id(first)?)),
        Table::Sessions => Object::Session(SessionId::from_bytes(id(first)?)),
        Table::ApiTokens => Object::ApiToken(ApiTokenId::from_bytes(id(first)?)),
    })
}

/// What has to stand in the row of what an event is about, in the order of `page`; none where no row may be.
fn told(change: &Change) -> Option<Value> {
    let id = |id: Option<&[u8; 16]>| id.map_or(String::new(), |id| hex(id));
    Some(match change {
        Change::EditionSet(data) => json!([id(Some(data.epoch.as_bytes())), data.edition.code()]),
        Change::AccountCreated(account)
        | Change::AccountUpdated(account)
        | Change::AccountClosed(account)
        | Change::AccountReopened(account)
        | Change::AccountLeftWithoutAdmin(account) => {
            json!([account.name, account.display_name, account.timezone, i32::from(account.closed), 1])
        }
        Change::InvitationCreated(state)
        | Change::InvitationRenewed(state)
        | Change::InvitationResent(state)
        | Change::InvitationWithdrawn(state)
        | Change::InvitationAccepted(state)
        | Change::InvitationIgnored(state)
        | Change::InvitationUpdated(state)
        | Change::InvitationLinkReturned(state) => told_of_invitation(state),
        Change::MemberJoined(member) | Change::MemberPrivilegeChanged(member) | Change::MemberRolesAssigned(member) => json!([
            member.standing.privilege.code(),
            member.standing.roles.bits(),
            member.joined.as_micros(),
            id(member.invitation.as_ref().map(InvitationId::as_bytes)),
            1
        ]),
        Change::UserCreated(user)
        | Change::SuperAdminGranted(user)
        | Change::SuperAdminRevoked(user)
        | Change::UserUpdated(user)
        | Change::UserEmailChanged(EmailChangeState { user, .. })
        | Change::UserDeactivated(user)
        | Change::UserReactivated(user) => told_of_user(user),
        Change::UserDeleted(erased) => {
            json!([hex(erased.address.as_bytes()), "", "", 0, 0, 1, folded_when_erased(erased.address), 1])
        }
        Change::SessionStarted(session) => json!([
            hex(session.user.as_bytes()),
            hex(session.token.as_bytes()),
            session.authenticated.as_micros(),
            session.expires.as_micros(),
            1
        ]),
        Change::ServiceCreated(service) | Change::ServiceRevoked(service) | Change::ServiceExpiring(service) => json!([
            service.name,
            service.scopes.bits(),
            id(service.account.as_ref().map(AccountId::as_bytes)),
            service.token.map_or(String::new(), |token| hex(token.as_bytes())),
            service.certificate,
            service.expires.map(Timestamp::as_micros),
            i32::from(service.revoked),
            1
        ]),
        Change::ApiTokenCreated(token) | Change::ApiTokenExpiring(token) => json!([
            hex(token.user.as_bytes()),
            hex(token.account.as_bytes()),
            token.name.value(),
            hex(token.token.as_bytes()),
            token.cap.map(|cap| cap.privilege.code()),
            token.cap.map(|cap| cap.roles.bits()),
            token.expires.as_micros(),
            1
        ]),
        // what ended has no row, or no live one; the rest isn't among what is looked up
        Change::MemberRemoved(_)
        | Change::MemberLeft(_)
        | Change::SessionEnded(_)
        | Change::ApiTokenEnded(_)
        | Change::UserPasswordChanged(_)
        | Change::UserPasswordReset(_)
        | Change::SessionsRevoked(_)
        | Change::LoginLinkMade(_)
        | Change::MailRetried(_)
        | Change::LinkKeyRotated(_)
        | Change::HistoryTrimmed(_) => return None,
    })
}

fn told_of_invitation(state: &InvitationState) -> Value {
    let id = |id: Option<&[u8; 16]>| id.map_or(String::new(), |id| hex(id));
    let folded = match state.email.value() {
        "" => folded_when_erased(state.address),
        email => folded(email),
    };
    json!([
        hex(state.account.as_bytes()),
        hex(state.address.as_bytes()),
        state.email.value(),
        state.standing.privilege.code(),
        state.standing.roles.bits(),
        state.state.code(),
        id(state.grantor.user.as_ref().map(UserId::as_bytes)),
        id(state.grantor.service.as_ref().map(ServiceId::as_bytes)),
        state.expires.map(Timestamp::as_micros),
        state.send_count,
        id(state.answered_by.as_ref().map(UserId::as_bytes)),
        folded,
        1
    ])
}

fn told_of_user(user: &UserState) -> Value {
    json!([
        hex(user.address.as_bytes()),
        user.email.value(),
        user.display_name.value(),
        i32::from(user.active),
        i32::from(user.super_admin),
        0,
        folded(user.email.value()),
        1
    ])
}

/// The form of an address that equality is judged on.
fn folded(email: &str) -> String {
    Email::parse(email).map_or_else(|_| email.to_ascii_lowercase(), |email| email.folded().to_owned())
}

/// What stands in its place once its person was erased.
fn folded_when_erased(address: AddressId) -> String {
    format!("{}@erased", hex(address.as_bytes()))
}

macro_rules! kept {
    ($connection:ident, $query:literal $(, $argument:expr)*) => {
        sqlx::query!($query $(, $argument)*)
            .fetch_all($connection)
            .await?
            .into_iter()
            .map(|kept| Kept { key: (kept.first, kept.second), row: kept.row, last: kept.seq.zip(kept.bytes) })
            .collect()
    };
}

/// Reads the next rows of a table, each with the last event about what it is about. Copies that triggers keep have to be like their
/// originals, and what the last-admin rule goes by like the members that it is about. That it was told that something expires soon has to
/// be the last that was told of it, while it counts.
async fn page(connection: &mut SqliteConnection, table: Table, (first, second): &Key) -> Result<Vec<Kept>, Error> {
    Ok(match table {
        Table::Server if !first.is_empty() => Vec::new(),
        Table::Server => kept!(
            connection,
            r#"select s.epoch as "first!", x'' as "second!: Vec<u8>", json_array(lower(hex(s.epoch)), s.edition) as "row!: String",
                      e.seq as "seq?", e.bytes as "bytes?"
                 from server s left join events e on e.seq = (select max(l.seq) from events l indexed by events_by_kind where l.kind = 1)
                where s.one = 1"#
        ),
        Table::Accounts => kept!(
            connection,
            r#"select a.id as "first!", x'' as "second!: Vec<u8>", json_array(a.name, a.display_name, a.timezone, a.closed, a.has_manager is exists (
                        select 1 from members m indexed by members_managing cross join users u on u.id = m.user
                         where m.account = a.id and u.active = 1 and (m.privilege = 1 or m.roles & 1 <> 0)
                      )) as "row!: String",
                      e.seq as "seq?", e.bytes as "bytes?"
                 from accounts a left join events e on e.seq = (
                      select max(l.seq) from events l indexed by events_by_account_and_kind where l.account = a.id and l.kind between 10 and 19)
                where a.id > ? order by a.id limit 500"#,
            first
        ),
        Table::Users => kept!(
            connection,
            r#"select u.id as "first!", x'' as "second!: Vec<u8>",
                      json_array(lower(hex(u.address)), u.email, u.display_name, u.active, u.super_admin, u.deleted, a.folded, u.folded is a.folded) as "row!: String",
                      e.seq as "seq?", e.bytes as "bytes?"
                 from users u left join addresses a on a.id = u.address left join events e on e.seq = (
                      select max(l.seq) from events l indexed by events_by_subject
                       where l.subject = u.id and l.kind in (40, 41, 42, 43, 44, 47, 48, 49))
                where u.id > ? order by u.id limit 500"#,
            first
        ),
        Table::Members => kept!(
            connection,
            r#"select m.account as "first!", m.user as "second!: Vec<u8>",
                      json_array(m.privilege, m.roles, m.joined, lower(hex(m.invitation)), m.folded is u.folded and m.active is u.active) as "row!: String",
                      e.seq as "seq?", e.bytes as "bytes?"
                 from members m left join users u on u.id = m.user left join events e on e.seq = (
                      select max(l.seq) from events l indexed by events_by_account_and_subject
                       where l.account = m.account and l.subject = m.user and l.kind between 30 and 39)
                where (m.account, m.user) > (?, ?) order by m.account, m.user limit 500"#,
            first,
            second
        ),
        Table::Invitations => kept!(
            connection,
            r#"select i.id as "first!", x'' as "second!: Vec<u8>",
                      json_array(lower(hex(i.account)), lower(hex(i.address)), i.email, i.privilege, i.roles, i.state, lower(hex(i.grantor_user)),
                                 lower(hex(i.grantor_service)), i.expires, i.send_count, lower(hex(i.answered_by)), a.folded, i.folded is a.folded) as "row!: String",
                      e.seq as "seq?", e.bytes as "bytes?"
                 from invitations i left join addresses a on a.id = i.address left join events e on e.seq = (
                      select max(l.seq) from events l indexed by events_by_subject where l.subject = i.id and l.kind between 20 and 29)
                where i.id > ? order by i.id limit 500"#,
            first
        ),
        Table::Services => kept!(
            connection,
            r#"select s.id as "first!", x'' as "second!: Vec<u8>",
                      json_array(s.name, s.scopes, lower(hex(s.account)), lower(hex(s.token)), s.certificate, s.expires, s.revoked,
                                 s.revoked or s.expiry_told is (e.kind = 62)) as "row!: String",
                      e.seq as "seq?", e.bytes as "bytes?"
                 from services s left join events e on e.seq = (
                      select max(l.seq) from events l indexed by events_by_subject where l.subject = s.id and l.kind between 60 and 69)
                where s.id > ? order by s.id limit 500"#,
            first
        ),
        // live, so nothing that ends sessions of its user and not this one may have happened since it began: the one that goes on stands
        // behind the user, of a change of address behind the whole of the user's state
        Table::Sessions => kept!(
            connection,
            r#"select s.id as "first!", x'' as "second!: Vec<u8>",
                      json_array(lower(hex(s.user)), lower(hex(s.token)), s.authenticated, s.expires, not exists (
                        select 1 from events x indexed by events_by_subject
                         where x.subject = s.user and x.kind in (42, 44, 45, 46, 47, 49, 52) and x.seq > e.seq
                           and not (x.kind in (45, 46, 52) and substr(x.bytes, x.state_at + 16, 1) = x'01' and substr(x.bytes, x.state_at + 17, 16) = s.id)
                           and not (x.kind = 44 and substr(x.bytes, x.state_at + 114, 1) = x'01' and substr(x.bytes, x.state_at + 115, 16) = s.id)
                      )) as "row!: String",
                      e.seq as "seq?", e.bytes as "bytes?"
                 from sessions s left join events e on e.seq = (
                      select max(l.seq) from events l indexed by events_by_subject where l.subject = s.id and l.kind in (50, 51))
                where s.id > ? and s.ended is null order by s.id limit 500"#,
            first
        ),
        Table::ApiTokens => kept!(
            connection,
            r#"select t.id as "first!", x'' as "second!: Vec<u8>",
                      json_array(lower(hex(t.user)), lower(hex(t.account)), t.name, lower(hex(t.token)), t.privilege, t.roles, t.expires,
                                 t.expiry_told is (e.kind = 82)) as "row!: String",
                      e.seq as "seq?", e.bytes as "bytes?"
                 from api_tokens t left join events e on e.seq = (
                      select max(l.seq) from events l indexed by events_by_subject where l.subject = t.id and l.kind between 80 and 89)
                where t.id > ? and t.ended is null order by t.id limit 500"#,
            first
        ),
    })
}

/// What history says is there and isn't: accounts, users, invitations and services, whose rows are never deleted, and members who neither left nor were
/// removed; of each kind at most so many. Any event that tells of a thing is looked at, not only that of its making, which may be dropped; told is the last.
async fn missing(connection: &mut SqliteConnection, limit: usize) -> Result<Vec<Difference>, Error> {
    let limit = i64::try_from(limit).map_err(Error::internal)?;
    let rows = sqlx::query!(
        r#"select * from (
             select 10 as "kind!: i64", e.seq as "seq!: i64", e.account as "first!: Vec<u8>", x'' as "second!: Vec<u8>"
               from events e indexed by events_by_kind where e.kind between 10 and 19 and not exists (select 1 from accounts a where a.id = e.account)
                and not exists (select 1 from events l indexed by events_by_account_and_kind
                                 where l.account = e.account and l.kind between 10 and 19 and l.seq > e.seq) limit ?1)
           union all select * from (
             select 20, e.seq, e.subject, x'' from events e indexed by events_by_kind
              where e.kind between 20 and 29 and not exists (select 1 from invitations i where i.id = e.subject)
                and not exists (select 1 from events l indexed by events_by_subject
                                 where l.subject = e.subject and l.kind between 20 and 29 and l.seq > e.seq) limit ?1)
           union all select * from (
             select 30, e.seq, e.account, e.subject from events e indexed by events_by_kind
              where e.kind in (30, 31, 32) and not exists (select 1 from members m where m.account = e.account and m.user = e.subject)
                and not exists (select 1 from events l indexed by events_by_account_and_subject
                                 where l.account = e.account and l.subject = e.subject and l.kind between 30 and 34 and l.seq > e.seq) limit ?1)
           union all select * from (
             select 40, e.seq, e.subject, x'' from events e indexed by events_by_kind
              where e.kind in (40, 41, 42, 43, 44, 47, 48, 49) and not exists (select 1 from users u where u.id = e.subject)
                and not exists (select 1 from events l indexed by events_by_subject
                                 where l.subject = e.subject and l.kind in (40, 41, 42, 43, 44, 47, 48, 49) and l.seq > e.seq) limit ?1)
           union all select * from (
             select 60, e.seq, e.subject, x'' from events e indexed by events_by_kind
              where e.kind between 60 and 69 and not exists (select 1 from services s where s.id = e.subject)
                and not exists (select 1 from events l indexed by events_by_subject
                                 where l.subject = e.subject and l.kind between 60 and 69 and l.seq > e.seq) limit ?1)"#,
        limit
    )
    .fetch_all(connection)
    .await?;
    let missing = rows.into_iter().map(|row| {
        let table = match row.kind {
            10 => Table::Accounts,
            20 => Table::Invitations,
            30 => Table::Members,
            40 => Table::Users,
            _ => Table::Services,
        };
        Ok(Difference { object: object(table, &(row.first, row.second))?, last: u64::try_from(row.seq).ok() })
    });
    missing.collect()
}
