//! Sessions: how long they last, and what ends them.

use std::time::Duration;

use futures_util::future::join_all;
use user_management::proto;

use super::{created, whose};
use crate::client::Client;
use crate::site::{BEGINNING, Site};

const HOUR: Duration = Duration::from_hours(1);
const MOMENT: Duration = Duration::from_micros(1);

#[tokio::test]
async fn a_session_ends_when_it_was_idle_for_twelve_hours() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let mut client = site.bearer(&ann.token).await;
    for _ in 0..3 {
        site.clock.advance((12 * HOUR).saturating_sub(MOMENT));
        assert_eq!(whose(&mut client).await, ann.id, "each use starts the time anew");
    }
    site.clock.advance(12 * HOUR);
    assert_eq!(whose(&mut client).await, "CREDENTIALS_INVALID");
    assert_eq!(whose(&mut client).await, "CREDENTIALS_INVALID", "trying it is no use of it");
}

#[tokio::test]
async fn a_session_ends_after_thirty_days_however_much_it_is_used() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let mut client = site.bearer(&ann.token).await;
    for _ in 0..71 {
        site.clock.advance(10 * HOUR);
        assert_eq!(whose(&mut client).await, ann.id);
    }
    site.clock.advance((10 * HOUR).saturating_sub(MOMENT));
    assert_eq!(whose(&mut client).await, ann.id, "up to the last moment");
    site.clock.advance(MOMENT);
    assert_eq!(whose(&mut client).await, "CREDENTIALS_INVALID");
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once_and_no_other() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let again = site.sign_in(&ann.email).await;
    let mut client = site.bearer(&ann.token).await;
    client.identity.sign_out(proto::SignOutRequest {}).await.expect("signed out");
    assert_eq!(whose(&mut client).await, "CREDENTIALS_INVALID");
    assert_eq!(whose(&mut site.bearer(&again.token).await).await, ann.id);
}

#[tokio::test]
async fn a_person_has_a_hundred_sessions_and_the_one_that_was_idle_for_longest_makes_way() {
    let site = Site::start().await;
    let first = site.person("ann@acme.test").await;
    site.clock.advance(MOMENT);
    let idle = site.sign_in("ann@acme.test").await;
    for _ in 2..100 {
        site.clock.advance(MOMENT);
        site.sign_in("ann@acme.test").await;
    }
    site.clock.advance(MOMENT);
    assert_eq!(whose(&mut site.bearer(&first.token).await).await, first.id);
    let ended = proto::ListEventsRequest { kinds: vec![proto::EventKind::SessionEnded.into()], ..Default::default() };
    let mut operator = site.operator().await;
    assert!(operator.operations.list_events(ended.clone()).await.expect("listed").into_inner().events.is_empty());
    site.sign_in("ann@acme.test").await;
    assert_eq!(whose(&mut site.bearer(&idle.token).await).await, "CREDENTIALS_INVALID");
    assert_eq!(whose(&mut site.bearer(&first.token).await).await, first.id);
    assert_eq!(live(&site, &first.token).await, 100);
    assert_eq!(operator.operations.list_events(ended).await.expect("listed").into_inner().events.len(), 1);
}

/// How many sessions count of who holds the token of one of them.
async fn live(site: &Site, token: &str) -> usize {
    let request = proto::ListSessionsRequest { page_size: 1000, ..Default::default() };
    site.bearer(token).await.identity.list_sessions(request).await.expect("it was used last").into_inner().sessions.len()
}

#[tokio::test]
async fn however_many_sign_in_at_once_a_person_has_a_hundred_sessions() {
    let site =
        Site::with("signup = 'open'\nlimits.sign_in_failures_per_device = 0\nlimits.sign_in_failures_per_address = 0").await;
    let ann = site.person("ann@acme.test").await;
    for _ in 0..4 {
        site.clock.advance(MOMENT);
        assert_eq!(whose(&mut site.bearer(&ann.token).await).await, ann.id);
        // as many as of one peer may wait for a hash
        join_all((0..30).map(|_| site.sign_in("ann@acme.test"))).await;
    }
    assert_eq!(live(&site, &ann.token).await, 100);
}

#[tokio::test]
async fn sessions_that_ended_by_being_idle_count_for_none_and_make_no_way() {
    let site = Site::start().await;
    site.person("ann@acme.test").await;
    for _ in 1..100 {
        site.clock.advance(MOMENT);
        site.sign_in("ann@acme.test").await;
    }
    site.clock.advance(12 * HOUR);
    for number in 1..=3 {
        let ann = site.sign_in("ann@acme.test").await;
        assert_eq!(live(&site, &ann.token).await, number);
    }
    let ended = proto::ListEventsRequest { kinds: vec![proto::EventKind::SessionEnded.into()], ..Default::default() };
    let events = site.operator().await.operations.list_events(ended).await.expect("listed").into_inner().events;
    assert!(events.is_empty(), "nobody ended them: {events:?}");
}

#[tokio::test]
async fn of_sessions_that_ended_by_being_idle_a_hundred_are_kept() {
    let site = Site::start().await;
    site.person("ann@acme.test").await;
    for _ in 1..100 {
        // ids tell the order of different milliseconds
        site.clock.advance(Duration::from_millis(1));
        site.sign_in("ann@acme.test").await;
    }
    site.clock.advance(12 * HOUR);
    for _ in 0..5 {
        site.sign_in("ann@acme.test").await;
    }
    site.clock.advance(12 * HOUR);
    let mut operator = site.operator().await;
    let mut about = async |kind: proto::EventKind| -> Vec<String> {
        let request = proto::ListEventsRequest { kinds: vec![kind.into()], page_size: 1000, ..Default::default() };
        let events = operator.operations.list_events(request).await.expect("listed").into_inner().events;
        events.into_iter().rev().map(|event| event.subject).collect()
    };
    let begun = about(proto::EventKind::SessionStarted).await;
    assert_eq!(begun.len(), 105);
    for _ in 0..2 {
        let ann = site.sign_in("ann@acme.test").await;
        assert_eq!(whose(&mut site.bearer(&ann.token).await).await, ann.id);
        assert_eq!(about(proto::EventKind::SessionEnded).await, begun[..5]);
    }
}

#[tokio::test]
async fn sessions_that_an_older_release_made_without_a_bound_make_way_some_at_a_time() {
    let mut site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    site.stop().await;
    site.underneath(
        "with recursive more (number) as (select 1 union all select number + 1 from more where number < 150)
         insert into sessions select randomblob(16), user, randomblob(32), authenticated, last_used - number, expires, null from sessions, more",
    )
    .await;
    site.restart(None).await;
    for left in [142, 133, 124, 115, 106, 100, 100] {
        site.clock.advance(MOMENT);
        site.sign_in("ann@acme.test").await;
        assert_eq!(live(&site, &ann.token).await, left);
    }
}

#[tokio::test]
async fn a_restart_forgets_neither_sessions_nor_when_they_were_used() {
    let mut site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let out = site.sign_in(&ann.email).await;
    site.bearer(&out.token).await.identity.sign_out(proto::SignOutRequest {}).await.expect("signed out");
    let service = site.service("all", &["users.read"], "").await;
    let scopes = vec!["users.read".to_owned()];
    let gone = created(&site, proto::CreateServiceRequest { name: "gone".to_owned(), scopes, ..Default::default() }).await;
    let request = proto::RevokeServiceRequest { service: gone.service.expect("a service").id, ..Default::default() };
    site.operator().await.operations.revoke_service(request).await.expect("revoked");
    let unused = site.sign_in(&ann.email).await;
    site.clock.advance(11 * HOUR);
    assert_eq!(whose(&mut site.bearer(&ann.token).await).await, ann.id);
    site.restart(None).await;
    site.clock.advance(11 * HOUR);
    for (token, who) in [
        (&ann.token, ann.id.as_str()),
        (&unused.token, "CREDENTIALS_INVALID"),
        (&out.token, "CREDENTIALS_INVALID"),
        (&service, "service"),
        (&gone.token, "CREDENTIALS_INVALID"),
    ] {
        assert_eq!(whose(&mut site.bearer(token).await).await, who);
    }
}

#[tokio::test]
async fn a_super_admin_is_an_operator_for_fifteen_minutes_after_typing_the_password_restart_or_not() {
    let mut site = Site::start().await;
    let sue = site.person("sue@site.test").await;
    assert!(!is_operator(&mut site.bearer(&sue.token).await).await);
    mark(&site, &sue.id, true).await;
    assert!(is_operator(&mut site.bearer(&sue.token).await).await, "her password was just typed");
    mark(&site, &sue.id, false).await;
    assert!(!is_operator(&mut site.bearer(&sue.token).await).await, "her sessions ended with the mark");
    mark(&site, &sue.id, true).await;
    let sue = site.sign_in(&sue.email).await;
    site.clock.advance(Duration::from_mins(15).saturating_sub(MOMENT));
    site.restart(None).await;
    let mut client = site.bearer(&sue.token).await;
    assert!(is_operator(&mut client).await);
    site.clock.advance(MOMENT);
    assert!(!is_operator(&mut client).await, "using the session doesn't make it fresh");
    let again = site.sign_in(&sue.email).await;
    assert!(is_operator(&mut site.bearer(&again.token).await).await);
}

async fn is_operator(client: &mut Client) -> bool {
    client.operations.list_mail(proto::ListMailRequest::default()).await.is_ok()
}

async fn mark(site: &Site, user: &str, super_admin: bool) {
    let request = proto::SetSuperAdminRequest { user: user.to_owned(), super_admin, ..Default::default() };
    site.operator().await.operations.set_super_admin(request).await.expect("the operator may");
}

#[tokio::test]
async fn a_clock_that_was_wrong_for_a_while_prolongs_nothing() {
    let site = Site::start().await;
    let sue = site.person("sue@acme.test").await;
    mark(&site, &sue.id, true).await;
    // the clock is a day ahead when she signs in, and is then set right
    site.clock.advance(24 * HOUR);
    let early = site.sign_in(&sue.email).await;
    assert!(is_operator(&mut site.bearer(&early.token).await).await);
    site.clock.set(BEGINNING);
    assert_eq!(whose(&mut site.bearer(&early.token).await).await, "CREDENTIALS_INVALID", "it would last a day longer");
    let late = site.sign_in(&sue.email).await;
    let mut client = site.bearer(&late.token).await;
    assert!(is_operator(&mut client).await, "signing in again mends it");
    site.clock.advance(Duration::from_mins(15));
    assert!(!is_operator(&mut client).await, "time goes on although history says that it is later");
    site.clock.advance(12 * HOUR);
    assert_eq!(whose(&mut client).await, "CREDENTIALS_INVALID");
    assert!(site.app().now() >= BEGINNING.plus(24 * HOUR), "what history judges isn't put back");
}
