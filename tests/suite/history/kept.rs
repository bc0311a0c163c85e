//! Whoever changes what is left of a trimmed history is found, and so is whoever changes the present that it tells of.

use user_management::domain::error::chain;
use user_management::domain::event::{Actor, Change, Door, Origin, TrimState};
use user_management::domain::id::TraceId;
use user_management::proto::{ExportEventsRequest, GetServerInfoRequest, HistoryFault, RevokeSessionsRequest};
use user_management::store::Tx;
use user_management::store::events::{self, Prefix};

use super::tampering::verified;
use super::trimming::{age, daily, forgetful, lived, trim};
use super::whole;
use crate::site::{BEGINNING, Site};

/// What the server does of itself.
fn server() -> Origin {
    Origin { actor: Actor::Server, on_behalf_of: None, client: None, door: Door::Inside, trace: TraceId::from_bytes([0; 16]) }
}

/// A site that lived for a while, most of whose events were dropped.
async fn trimmed() -> Site {
    let site = forgetful().await;
    lived(&site).await;
    age(&site, "fresh").await;
    trim(&site, 20).await;
    site
}

impl Site {
    async fn events(&self) -> i64 {
        sqlx::query_scalar("select count(*) from events").fetch_one(&mut self.database().await).await.expect("counted")
    }
}

#[tokio::test]
async fn each_way_to_change_what_is_left_is_told_apart() {
    let (first_kept, another) =
        ("(select min(seq) from events where kind = 60)", "(select min(seq) from events where kind = 40)");
    let last_trim = "(select max(seq) from events where kind = 3)";
    let cases: [(String, HistoryFault); 13] = [
        (format!("delete from events where seq = {first_kept}"), HistoryFault::Kept),
        (format!("update events set bytes = zeroblob(length(bytes)) where seq = {first_kept}"), HistoryFault::Edited),
        (format!("update events set hash = zeroblob(32) where seq = {first_kept}"), HistoryFault::Edited),
        (format!("update events set account = zeroblob(16) where seq = {first_kept}"), HistoryFault::Edited),
        (
            format!("update events set (bytes, hash) = (select bytes, hash from events where seq = {another}) where seq = {first_kept}"),
            HistoryFault::Moved,
        ),
        ("update personal_values set value = 'eve@evil.test' where value = 'ann@acme.test'".to_owned(), HistoryFault::Edited),
        ("delete from personal_values where value = 'ann@acme.test'".to_owned(), HistoryFault::Edited),
        (
            "insert into events (seq, time, kind, account, bytes, hash) select -5, time, kind, account, bytes, hash from events limit 1".to_owned(),
            HistoryFault::Moved,
        ),
        (
            "insert into events (seq, time, kind, account, bytes, hash)
             select -9223372036854775808, time, kind, account, bytes, hash from events limit 1"
                .to_owned(),
            HistoryFault::Moved,
        ),
        ("delete from events where seq = (select min(seq) from events where kind = 3) - 1".to_owned(), HistoryFault::Missing),
        (format!("update events set bytes = zeroblob(length(bytes)) where seq = {last_trim}"), HistoryFault::Edited),
        (format!("delete from events where seq >= {last_trim}"), HistoryFault::Missing),
        // what was kept then stands for itself, without where people called from
        ("delete from events where kind = 3".to_owned(), HistoryFault::Edited),
    ];
    let site = trimmed().await;
    age(&site, "fresher").await;
    let whole = verified(&site, &[]).await;
    assert_eq!(whole.first_broken, 0);
    for (edit, fault) in cases {
        let tampered = site.after_a_crash().await;
        let edited =
            sqlx::raw_sql(sqlx::AssertSqlSafe(edit.clone())).execute(&mut tampered.database().await).await.expect("it runs");
        assert!(edited.rows_affected() > 0, "{edit}");
        let found = verified(&tampered, &[]).await;
        assert!(found.first_broken > 0, "{edit}");
        assert_eq!(found.fault(), fault, "{edit}");
        let walked = events::verify(&mut tampered.database().await, Vec::new()).await.expect("walked");
        assert_eq!(walked.broken.map(|broken| broken.seq), Some(found.first_broken), "{edit}");
        let there = tampered.events().await;
        daily(&tampered).await;
        assert_eq!(tampered.events().await, there, "nothing is dropped, nor made: {edit}");
    }
    daily(&site).await;
    assert_ne!(verified(&site, &[]).await.trimmed_until, whole.trimmed_until, "there was something to drop");
}

#[tokio::test]
async fn a_trim_that_says_that_nothing_went_or_itself_is_not_taken_for_a_whole_history() {
    let site = trimmed().await;
    for until in [0, site.operator().await.last_event().await + 2] {
        let state = TrimState { until, hash: [0; 32], time: BEGINNING, dropped: 0, kept: 1, kept_digest: [0; 32] };
        let record = async move |tx: &mut Tx| tx.record(Change::HistoryTrimmed(state)).await;
        site.app().store().write(server(), record).await.expect("recorded");
        let found = verified(&site, &[]).await;
        assert_eq!((found.first_broken, found.fault()), (site.operator().await.last_event().await, HistoryFault::Edited));
        assert_eq!(site.operate("events verify").await.code, Some(1));
    }
}

#[tokio::test]
async fn a_trim_that_nobody_can_read_takes_nothing_down() {
    let site = whole().await;
    let before = site.operator().await.events_after(0).await;
    site.underneath("insert into events (seq, time, kind, bytes, hash) values (0, 0, 3, x'', zeroblob(32))").await;
    assert_eq!(site.operator().await.events_after(0).await, before);
    let mut operator = site.operator().await;
    let exported = operator.operations.export_events(ExportEventsRequest::default()).await.expect("exported").into_inner();
    assert_eq!(exported.events.len(), before.len());
    operator.operations.get_server_info(GetServerInfoRequest {}).await.expect("told");
    assert!(site.app().measured().await.expect("measured").first_event.is_some());
    assert_eq!(verified(&site, &[]).await.fault(), HistoryFault::Edited);
    let walked = events::verify(&mut site.database().await, Vec::new()).await.expect("walked");
    assert_eq!(walked.broken.map(|broken| broken.seq), Some(1), "0 would say that all is whole");
}

#[tokio::test]
async fn nothing_goes_from_a_history_whose_end_was_cut_off_under_the_server() {
    let site = trimmed().await;
    age(&site, "fresher").await;
    age(&site, "freshest").await;
    site.underneath("delete from events where seq = (select max(seq) from events)").await;
    let there = site.events().await;
    daily(&site).await;
    assert_eq!(site.events().await, there);
    assert_eq!(verified(&site, &[]).await.fault(), HistoryFault::Truncated);
}

#[tokio::test]
async fn what_was_exchanged_since_it_was_looked_at_does_not_go() {
    let site = whole().await;
    let events = site.operator().await.events_after(0).await;
    let hash = events[0].hash.clone().try_into().expect("a hash");
    let looked_at = Prefix { until: 2, hash, time: BEGINNING };
    let refused =
        site.app().store().write(server(), async move |tx| events::trim(tx, looked_at).await).await.expect_err("refused");
    assert!(chain(&refused).contains("isn't the one that was looked at"), "{refused:?}");
    assert_eq!(site.operator().await.events_after(0).await, events);
}

#[tokio::test]
async fn the_beginning_does_not_go_back_to_an_event_that_was_kept() {
    let site = trimmed().await;
    let (seq, hash): (i64, Vec<u8>) = sqlx::query_as("select seq, hash from events order by seq limit 1")
        .fetch_one(&mut site.database().await)
        .await
        .expect("read");
    let kept = Prefix { until: seq.unsigned_abs(), hash: hash.try_into().expect("a hash"), time: BEGINNING };
    let refused = site.app().store().write(server(), async move |tx| events::trim(tx, kept).await).await.expect_err("refused");
    assert!(chain(&refused).contains("by somebody else meanwhile"), "{refused:?}");
}

#[tokio::test]
async fn what_was_kept_is_not_exchanged_while_slices_go() {
    let site = trimmed().await;
    age(&site, "fresher").await;
    site.underneath("delete from events where seq = (select min(seq) from events where kind = 60)").await;
    let refused = site.app().trim_slice(site.clock.now(), 1000).await.expect_err("nothing is sealed anew");
    assert!(chain(&refused).contains("what was kept of history isn't what was kept"), "{refused:?}");
    assert_eq!(verified(&site, &[]).await.fault(), HistoryFault::Kept);
}

#[tokio::test]
async fn whatever_is_changed_in_the_present_is_named_although_its_events_are_old() {
    let site = trimmed().await;
    let cases = [
        ("update members set privilege = 1", "usr_"),
        ("delete from members", "usr_"),
        ("delete from services", "svc_"),
        ("delete from invitations where state = 1", "inv_"),
        ("delete from users where email = 'gone@acme.test'", "usr_"),
        ("delete from accounts where name = 'closed'", ""),
        ("update accounts set closed = 0", ""),
        ("update invitations set state = 1 where state = 4", "inv_"),
        ("update services set revoked = 0 where revoked = 1", "svc_"),
        ("update users set active = 1 where email = 'kim@acme.test'", "usr_"),
        ("update server set edition = 2", ""),
        // what was ended comes back, and every event about it is dropped
        ("update sessions set ended = null where ended is not null", "sid_"),
        ("update api_tokens set ended = null where ended is not null", "tok_"),
        (
            "insert into members (account, user, privilege, roles, joined, version)
             select a.id, u.id, 1, 0, 0, 1 from accounts a, users u where a.name = 'acme' and u.email = 'gone@acme.test'",
            "usr_",
        ),
    ];
    for (edit, subject) in cases {
        let tampered = site.after_a_crash().await;
        tampered.underneath(edit).await;
        for when in ["at once", "after what is left was dropped too"] {
            let found = verified(&tampered, &[]).await;
            assert_eq!((found.first_broken, found.fault()), (0, HistoryFault::Unspecified), "{edit} {when}");
            assert!(
                found.differences.iter().any(|difference| difference.subject.starts_with(subject)),
                "{edit} {when}: {:?}",
                found.differences
            );
            if when == "at once" {
                age(&tampered, "fresher").await;
                daily(&tampered).await;
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_was_ended_and_brought_back_is_not_taken_for_a_live_one_by_the_next_drop() {
    let site = trimmed().await;
    let ann = site.operator().await.members().await.into_iter().find(|member| member.email == "ann@acme.test").expect("there");
    let request = RevokeSessionsRequest { user: ann.user, ..Default::default() };
    site.operator().await.users.revoke_sessions(request).await.expect("ended");
    site.underneath("update sessions set ended = null").await;
    age(&site, "fresher").await;
    daily(&site).await;
    let found = verified(&site, &[]).await;
    assert_eq!(found.first_broken, 0);
    assert!(found.differences.iter().any(|difference| difference.subject.starts_with("sid_")), "{:?}", found.differences);
}
