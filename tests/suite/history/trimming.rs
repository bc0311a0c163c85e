//! History whose beginning is dropped: what is left proves itself, and the present is held against it as before.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use user_management::app::retention::Readings;
use user_management::domain::event::TrimState;
use user_management::proto::{self, EventKind, Privilege, Role};

use super::tampering::verified;
use crate::acme::ACME;
use crate::site::{BEGINNING, PASSWORD, Person, Site};

/// Events go when they are 30 days old; sessions last longer, so that some of them are older than what is left.
pub(super) const SETTINGS: &str =
    "signup = \"open\"\nevents.retention_days = 30\nsession.lifetime_days = 400\nsession.idle_hours = 8760";

const DAY: Duration = Duration::from_hours(24);

/// A site whose events are kept for 30 days.
pub(super) async fn forgetful() -> Site {
    Site::with(SETTINGS).await
}

/// Lets all that happened become older than events are kept, and something happen a day ago.
pub(crate) async fn age(site: &Site, account: &str) {
    site.clock.advance(40 * DAY);
    site.account(account).await;
    site.clock.advance(2 * DAY);
}

/// Drops at most so many events that are due.
pub(super) async fn dropped(site: &Site, most: u32) -> Option<TrimState> {
    site.app().trim_slice(site.clock.now(), most).await.expect("the data is there")
}

/// Drops all that is due, as it is done once a day.
pub(super) async fn daily(site: &Site) {
    site.app().trim_history(site.clock.now(), &CancellationToken::new()).await;
}

/// Drops all that is due, so many events at once, and looks after each time whether what is left is whole; answers how often.
pub(crate) async fn trim(site: &Site, most: u32) -> u32 {
    let mut times = 0;
    while let Some(trimmed) = dropped(site, most).await {
        times += 1;
        let found = verified(site, &[]).await;
        assert_eq!((found.first_broken, found.differences.as_slice()), (0, &[][..]), "after {trimmed:?}");
        let told = (found.trimmed_until.expect("told").seq, found.kept, found.events);
        let left = site.operator().await.last_event().await - trimmed.until;
        assert_eq!(told, (trimmed.until, trimmed.kept, left), "{trimmed:?}");
    }
    times
}

/// Something of every kind: made, changed and ended.
pub(super) async fn lived(site: &Site) -> Person {
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    as_ann.assign(&bob.id, &[Role::Data]).await.expect("assigned");
    as_ann.move_to(&bob.id, Privilege::ReadOnly).await.expect("moved");
    let gone = site.member(ACME, "gone@acme.test", Privilege::Normal, &[]).await;
    as_ann.remove(&gone.id).await.expect("removed");
    let kim = site.member(ACME, "kim@acme.test", Privilege::Normal, &[]).await;
    site.bearer(&kim.token).await.leave().await.expect("left");
    site.join(ACME, &kim, Privilege::Normal, &[]).await;
    let open = as_ann.invite("late@acme.test", Privilege::Normal, &[]).await.expect("invited");
    as_ann.resend(&open.id).await.expect("sent again");
    let withdrawn = as_ann.invite("never@acme.test", Privilege::Normal, &[]).await.expect("invited");
    as_ann.withdraw(&withdrawn.id).await.expect("withdrawn");

    let mut operator = site.operator().await;
    site.service("tool", &["users.read"], "").await;
    site.service("former", &["users.read"], "").await;
    let services = operator.operations.list_services(proto::ListServicesRequest::default()).await.expect("listed").into_inner();
    let former = services.services.into_iter().find(|service| service.name == "former").expect("there").id;
    let revoke = proto::RevokeServiceRequest { service: former, ..Default::default() };
    operator.operations.revoke_service(revoke).await.expect("revoked");
    site.api_token_named(&ann, ACME, "backup").await;
    site.api_token(&gone_again(site, &gone).await, ACME, None).await;
    operator.remove(&gone.id).await.expect("removed, and the token ends");
    operator.deactivate(&kim.id, false).await.expect("deactivated");
    let zoe = site.member(ACME, "zoe@acme.test", Privilege::Normal, &[]).await;
    operator.delete(&zoe.id, false).await.expect("erased");
    let signed_out = site.sign_in(&ann.email).await;
    site.bearer(&signed_out.token).await.identity.sign_out(proto::SignOutRequest {}).await.expect("signed out");
    site.sign_in(&ann.email).await;
    as_ann.change_password(PASSWORD, &format!("{PASSWORD} 2")).await.expect("changed, and other sessions end");
    as_ann.change_password(&format!("{PASSWORD} 2"), PASSWORD).await.expect("changed back");
    let mut as_bob = site.bearer(&bob.token).await;
    as_bob.change_email("robert@acme.test", PASSWORD).await.expect("a link is on its way");
    let link = site.mailed_token("robert@acme.test").await;
    site.nobody().await.confirm(&link, PASSWORD).await.expect("confirmed");
    site.account("closed").await;
    let close = proto::CloseAccountRequest { account: "closed".to_owned(), ..Default::default() };
    operator.users.close_account(close).await.expect("closed");
    site.mails_settled().await;
    ann
}

/// Whoever was removed is a member again.
async fn gone_again(site: &Site, gone: &Person) -> Person {
    site.join(ACME, gone, Privilege::Normal, &[]).await;
    gone.clone()
}

/// How many things are there, but for an account that is younger than what goes: so many events have to be kept.
async fn things(site: &Site) -> u64 {
    let count: i64 = sqlx::query_scalar(
        "select (select count(*) from server) + (select count(*) from accounts) - 1 + (select count(*) from users) + (select count(*) from members)
              + (select count(*) from invitations) + (select count(*) from services) + (select count(*) from sessions where ended is null)
              + (select count(*) from api_tokens where ended is null)",
    )
    .fetch_one(&mut site.database().await)
    .await
    .expect("counted");
    u64::try_from(count).expect("a count")
}

#[tokio::test]
async fn the_beginning_goes_in_slices_and_after_each_what_is_left_is_whole_and_the_present_as_it_says() {
    let site = forgetful().await;
    let ann = lived(&site).await;
    let last = site.operator().await.last_event().await;
    age(&site, "fresh").await;
    let before = site.operator().await.events_after(0).await;
    let times = trim(&site, 3).await;
    assert_eq!(u64::from(times), last.div_ceil(3), "all that was old");
    assert_eq!(dropped(&site, 3).await, None, "nothing more");

    let left = site.operator().await.events_after(0).await;
    assert_eq!(left[0], before[usize::try_from(last).expect("few")], "the first one that is young enough");
    let trims: Vec<_> = left.iter().filter(|event| event.kind() == EventKind::HistoryTrimmed).collect();
    assert_eq!(trims.len() as u64, u64::from(times));
    let newest = trims.last().expect("some");
    let dropped = &before[usize::try_from(last - 1).expect("few")];
    assert_eq!((newest.actor.as_str(), newest.trimmed_until, &newest.trimmed_until_hash), ("server", last, &dropped.hash));
    assert_eq!((newest.trimmed_until_time, &left[0].previous_hash), (dropped.time, &dropped.hash));
    assert_eq!(trims.iter().map(|trim| trim.dropped).sum::<u64>() + newest.kept, last);
    assert!(site.counts(&ann).await, "who was signed in still is");
}

#[tokio::test]
async fn what_was_kept_gives_way_to_what_happened_later_when_that_becomes_old() {
    let mut site = forgetful().await;
    let ann = lived(&site).await;
    age(&site, "fresh").await;
    trim(&site, 1000).await;
    assert_eq!(verified(&site, &[]).await.kept, things(&site).await);
    let mut as_ann = site.bearer(&ann.token).await;
    let members = as_ann.members().await;
    for member in members.iter().filter(|member| member.user != ann.id) {
        as_ann.remove(&member.user).await.expect("removed");
    }
    let other = members.iter().find(|member| member.user != ann.id).expect("more than one");
    site.operator().await.delete(&other.user, false).await.expect("erased");
    for session in as_ann.sessions().await.into_iter().filter(|session| !session.current) {
        let request = proto::RevokeSessionRequest { session: session.id, ..Default::default() };
        as_ann.identity.revoke_session(request).await.expect("ended");
    }
    for invitation in as_ann.invited().await {
        as_ann.withdraw(&invitation.id).await.expect("withdrawn");
    }
    site.restart(Some(&format!("{SETTINGS}\nedition = \"saas\""))).await;
    assert_eq!(verified(&site, &[]).await.differences, []);
    age(&site, "fresher").await;
    trim(&site, 2).await;
    let found = verified(&site, &[]).await;
    assert_eq!(found.kept, things(&site).await);
    let epoch = found.head.expect("a head").epoch;
    assert!(epoch.starts_with("epo_"), "what is kept says which history it is: {epoch}");
    site.restart(Some(SETTINGS)).await;
    assert_eq!(verified(&site, &[]).await.differences, [], "it goes on as the edition that it was served as last");
}

#[tokio::test]
async fn a_session_that_expired_without_an_event_is_kept_no_longer_than_its_row() {
    let site = forgetful().await;
    site.account(ACME).await;
    site.person("ann@acme.test").await;
    site.clock.advance(395 * DAY);
    age(&site, "fresh").await;
    site.app().purge().await;
    trim(&site, 1000).await;
    // the edition, two accounts' first, the user: not the session
    assert_eq!(verified(&site, &[]).await.kept, 3);
}

#[tokio::test]
async fn a_clock_that_is_ahead_for_a_while_drops_nothing() {
    let site = forgetful().await;
    lived(&site).await;
    let before = site.operator().await.events_after(0).await;
    site.clock.advance(3650 * DAY);
    site.account("ahead").await;
    site.clock.advance(Duration::from_secs(86_399));
    assert_eq!(dropped(&site, 1000).await, None, "in the first day of the other time");
    site.clock.set(BEGINNING);
    site.account("again").await;
    site.clock.advance(29 * DAY);
    daily(&site).await;
    let after = site.operator().await.events_after(0).await;
    assert_eq!(after[..before.len()], before);
    assert!(after.iter().all(|event| event.kind() != EventKind::HistoryTrimmed));
}

#[tokio::test]
async fn a_clock_that_is_ahead_again_and_again_drops_nothing_while_a_minute_of_the_day_was_right() {
    let site = forgetful().await;
    lived(&site).await;
    let before = site.operator().await.events_after(0).await;
    let mut right = site.clock.now();
    let mut readings = Readings::begin(right);
    site.clock.advance(3650 * DAY);
    site.account("ahead").await;
    for _ in 1..720 {
        right = right.plus(Duration::from_mins(1));
        assert_eq!(readings.take(right), None);
    }
    site.clock.advance(2 * DAY);
    let passed = readings.take(site.clock.now()).expect("it is time");
    site.app().trim_history(passed, &CancellationToken::new()).await;
    assert_eq!(site.operator().await.events_after(0).await[..before.len()], before);
    assert_eq!((1..1440).find_map(|_| readings.take(site.clock.now())), None, "once a day");
    let passed = readings.take(site.clock.now()).expect("it is time again");
    assert_eq!(passed, site.clock.now(), "it stayed there for a day");
    site.app().trim_history(passed, &CancellationToken::new()).await;
    assert_ne!(site.operator().await.events_after(0).await[0], before[0]);
}

#[tokio::test]
async fn nothing_more_goes_once_the_server_is_told_to_stop() {
    let site = forgetful().await;
    lived(&site).await;
    age(&site, "fresh").await;
    let before = site.operator().await.events_after(0).await;
    let stop = CancellationToken::new();
    stop.cancel();
    site.app().trim_history(site.clock.now(), &stop).await;
    assert_eq!(site.operator().await.events_after(0).await, before);
}

#[tokio::test]
async fn history_is_kept_for_ever_unless_it_is_told_otherwise_and_drops_of_drops_alone_are_not_made() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    age(&site, "fresh").await;
    assert_eq!(dropped(&site, 1000).await, None);
    site.restart(Some(SETTINGS)).await;
    assert_eq!(trim(&site, 1000).await, 1);
    age(&site, "fresher").await;
    dropped(&site, 1).await.expect("the account");
    assert_eq!(dropped(&site, 2).await, None, "the drop before it is old too, and alone");
    let left = site.operator().await.events_after(0).await;
    assert_eq!(left[0].kind(), EventKind::HistoryTrimmed);
    age(&site, "freshest").await;
    assert_eq!(trim(&site, 1000).await, 1, "with others it goes");
}

#[tokio::test]
async fn what_is_not_whole_is_not_dropped() {
    let site = forgetful().await;
    lived(&site).await;
    age(&site, "fresh").await;
    site.underneath("update events set time = time - 1 where seq = 9").await;
    assert_eq!(dropped(&site, 1000).await, None);
    daily(&site).await;
    assert_eq!(verified(&site, &[]).await.first_broken, 9, "it is still there to be seen");
    site.underneath("update events set time = time + 1 where seq = 9").await;
    assert!(trim(&site, 5).await > 1);
}
