//! What stays of history when its beginning is dropped: the last event about each thing that is there. A statement in SQL chooses it by the numbers
//! of kinds, so what each kind says is written down here once more, and each kind is tried behind each other one.

use user_management::domain::clock::{Clock, Timestamp};
use user_management::domain::error::Error;
use user_management::domain::event::{Actor, Change, Door, EmailChangeState, LoginState, Origin};
use user_management::domain::id::TraceId;
use user_management::store::events::{self, Prefix};
use user_management::store::{DataDir, Opened, Store, Tuning, Tx};

use super::sample::{Ingredients, changes};

/// What has a row that history tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Server,
    Account,
    Invitation,
    Member,
    User,
    Session,
    Service,
    ApiToken,
}

/// The thing whose whole state an event tells, and the thing that isn't there any more after it. A new kind is decided on here, and in `superseded` of
/// `src/store/events/trim.rs`.
fn says(change: &Change) -> (Option<Thing>, Option<Thing>) {
    match change {
        Change::EditionSet(_) => (Some(Thing::Server), None),
        Change::AccountCreated(_)
        | Change::AccountUpdated(_)
        | Change::AccountClosed(_)
        | Change::AccountReopened(_)
        | Change::AccountLeftWithoutAdmin(_) => (Some(Thing::Account), None),
        Change::InvitationCreated(_)
        | Change::InvitationRenewed(_)
        | Change::InvitationResent(_)
        | Change::InvitationWithdrawn(_)
        | Change::InvitationAccepted(_)
        | Change::InvitationIgnored(_)
        | Change::InvitationUpdated(_)
        | Change::InvitationLinkReturned(_) => (Some(Thing::Invitation), None),
        Change::MemberJoined(_) | Change::MemberPrivilegeChanged(_) | Change::MemberRolesAssigned(_) => {
            (Some(Thing::Member), None)
        }
        Change::MemberRemoved(_) | Change::MemberLeft(_) => (None, Some(Thing::Member)),
        Change::UserCreated(_) | Change::SuperAdminGranted(_) | Change::UserUpdated(_) | Change::UserReactivated(_) => {
            (Some(Thing::User), None)
        }
        Change::SuperAdminRevoked(_) | Change::UserDeactivated(_) | Change::UserDeleted(_) => {
            (Some(Thing::User), Some(Thing::Session))
        }
        Change::UserEmailChanged(EmailChangeState { kept, .. }) => (Some(Thing::User), kept.is_none().then_some(Thing::Session)),
        Change::UserPasswordChanged(LoginState { kept, .. })
        | Change::UserPasswordReset(LoginState { kept, .. })
        | Change::SessionsRevoked(LoginState { kept, .. }) => (None, kept.is_none().then_some(Thing::Session)),
        Change::SessionStarted(_) => (Some(Thing::Session), None),
        Change::SessionEnded(_) => (None, Some(Thing::Session)),
        Change::ServiceCreated(_) | Change::ServiceRevoked(_) | Change::ServiceExpiring(_) => (Some(Thing::Service), None),
        Change::ApiTokenCreated(_) | Change::ApiTokenExpiring(_) => (Some(Thing::ApiToken), None),
        Change::ApiTokenEnded(_) => (None, Some(Thing::ApiToken)),
        Change::LinkKeyRotated(_) | Change::HistoryTrimmed(_) | Change::LoginLinkMade(_) | Change::MailRetried(_) => (None, None),
    }
}

async fn store(folder: &std::path::Path) -> Store {
    let opened = Opened::open(DataDir::lock(&folder.join("data")).expect("locked")).await.expect("opened");
    opened.start(Clock::set_to(Timestamp::from_micros(0)), Tuning::default(), Box::new(|_| {})).await.expect("started")
}

/// Records a change, drops history up to it, and answers its number.
async fn recorded_and_dropped(tx: &mut Tx, change: &Change) -> Result<u64, Error> {
    tx.record(change.clone()).await?;
    let (until, hash) = events::last(tx.sql()).await?;
    let time = tx.now();
    events::trim(tx, Prefix { until, hash, time }).await?;
    Ok(until)
}

async fn is_there(tx: &mut Tx, seq: u64) -> Result<bool, Error> {
    let seq = i64::try_from(seq).expect("few");
    Ok(sqlx::query_scalar("select exists (select 1 from events where seq = ?)").bind(seq).fetch_one(tx.sql()).await?)
}

/// Rows of the session and the token that the samples are about, which nothing but their rows says that they live.
async fn with_rows(tx: &mut Tx, of: &Ingredients) -> Result<(), Error> {
    sqlx::query("pragma defer_foreign_keys = on").execute(tx.sql()).await?;
    for change in changes(of) {
        match change {
            Change::SessionStarted(session) => {
                let row = "insert into sessions (id, user, token, authenticated, last_used, expires) values (?, ?, ?, 0, 0, 0)";
                let row = sqlx::query(row).bind(session.session.as_bytes().to_vec()).bind(session.user.as_bytes().to_vec());
                row.bind(session.token.as_bytes().to_vec()).execute(tx.sql()).await?;
            }
            Change::ApiTokenCreated(token) => {
                let row =
                    "insert into api_tokens (id, user, account, name, token, created, expires) values (?, ?, ?, '', ?, 0, 0)";
                let row = sqlx::query(row).bind(token.api_token.as_bytes().to_vec()).bind(token.user.as_bytes().to_vec());
                let row = row.bind(token.account.as_bytes().to_vec()).bind(token.token.as_bytes().to_vec());
                row.execute(tx.sql()).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The server itself.
const fn origin() -> Origin {
    Origin { actor: Actor::Server, on_behalf_of: None, client: None, door: Door::Inside, trace: TraceId::from_bytes([0; 16]) }
}

#[tokio::test]
async fn the_last_event_that_tells_of_a_thing_stays_and_no_other_whatever_the_kinds() {
    let folder = tempfile::TempDir::new().expect("a temporary directory");
    let store = store(folder.path()).await;
    for full in [true, false] {
        let of = Ingredients { full, ..Ingredients::fixed() };
        let work = async move |tx: &mut Tx| {
            with_rows(tx, &of).await?;
            let all = changes(&of);
            // the sample of a trim says that there were more
            let before = all.iter().filter(|change| matches!(change, Change::LinkKeyRotated(_))).cycle().take(8);
            tx.record_all(before.cloned().collect()).await?;
            for (earlier, later) in all.iter().flat_map(|earlier| all.iter().map(move |later| (earlier, later))) {
                let (told, (tells, ends)) = (says(earlier).0, says(later));
                sqlx::query("savepoint pair").execute(tx.sql()).await?;
                let first = recorded_and_dropped(tx, earlier).await?;
                assert_eq!(is_there(tx, first).await?, told.is_some(), "{earlier:?}");
                let second = recorded_and_dropped(tx, later).await?;
                // a session is told of once
                let stays = told.is_some() && told != ends && (told != tells || told == Some(Thing::Session));
                assert_eq!(is_there(tx, first).await?, stays, "{earlier:?} before {later:?}");
                assert_eq!(is_there(tx, second).await?, tells.is_some(), "{later:?} after {earlier:?}");
                sqlx::query("rollback to pair").execute(tx.sql()).await?;
            }
            Err(Error::SignInFailed)
        };
        let undone: Result<(), Error> = store.write(origin(), work).await;
        assert!(matches!(undone, Err(Error::SignInFailed)), "{undone:?}");
    }
}
