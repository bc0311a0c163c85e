//! Events, by account, actor, subject, kind and time.

use std::time::Duration;

use tonic::Status;
use user_management::proto::{Event, EventKind, ListEventsRequest, Privilege};

use super::{refused_for, walk};
use crate::acme::ACME;
use crate::client::Client;
use crate::site::Site;

async fn page(client: &mut Client, query: &ListEventsRequest) -> Result<(Vec<Event>, String), Status> {
    let answer = client.operations.list_events(query.clone()).await?.into_inner();
    Ok((answer.events, answer.next_page_token))
}

async fn listed(client: &mut Client, query: &ListEventsRequest) -> Vec<u64> {
    let events = walk(3, async |page_token| page(client, &ListEventsRequest { page_size: 3, page_token, ..query.clone() }).await);
    events.await.iter().map(|event| event.seq).collect()
}

/// Two accounts with members, whose Admin changes much.
async fn history() -> (Site, String) {
    let site = Site::start().await;
    for account in [ACME, "other"] {
        site.account(account).await;
    }
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.join("other", &ann, Privilege::Admin, &[]).await;
    let ben = site.member(ACME, "ben@acme.test", Privilege::Normal, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    for privilege in [Privilege::ReadOnly, Privilege::Admin, Privilege::Normal] {
        site.clock.advance(Duration::from_mins(1));
        as_ann.move_to(&ben.id, privilege).await.expect("moved");
    }
    let service = site.service("tool", &["users.write"], "").await;
    site.bearer(&service).await.invite("cy@acme.test", Privilege::Normal, &[]).await.expect("invited");
    as_ann.remove(&ben.id).await.expect("removed");
    (site, ann.token)
}

#[tokio::test]
async fn events_are_found_by_each_filter_and_by_all_at_once() {
    let (site, token) = history().await;
    let mut operator = site.operator().await;
    let (all, _) = page(&mut operator, &ListEventsRequest { page_size: 1000, ..Default::default() }).await.expect("listed");
    let mut found = 0;
    // whatever an event says of itself finds it, with all that says the same
    for event in &all {
        let (time, kind) = (event.time, event.kind);
        let later = event.time.map(|time| prost_types::Timestamp { seconds: time.seconds + 1, ..time });
        for mask in 0..32_u8 {
            let of = |bit: u8| mask & bit != 0;
            if event.subject.is_empty() && of(4) || event.account.is_empty() && of(1) {
                continue;
            }
            let query = ListEventsRequest {
                account: if of(1) { event.account.clone() } else { String::new() },
                actor: if of(2) { event.actor.clone() } else { String::new() },
                subject: if of(4) { event.subject.clone() } else { String::new() },
                kinds: if of(8) { vec![kind, kind, EventKind::MailRetried.into()] } else { Vec::new() },
                from_time: time.filter(|_| of(16)),
                to_time: later.filter(|_| of(16)),
                ..Default::default()
            };
            let expected = all.iter().filter(|other| {
                (!of(1) || other.account == event.account)
                    && (!of(2) || other.actor == event.actor)
                    && (!of(4) || other.subject == event.subject)
                    && (!of(8) || other.kind == event.kind)
                    && (!of(16) || other.time == event.time)
            });
            let expected: Vec<u64> = expected.map(|event| event.seq).collect();
            assert_eq!(listed(&mut operator, &query).await, expected, "{query:?}");
            found += 1;
        }
    }
    assert!(found > 300, "{found}");
    let mut as_ann = site.bearer(&token).await;
    let ben = all.iter().find(|event| event.kind() == EventKind::MemberRemoved).expect("removed").subject.clone();
    let query = ListEventsRequest { account: ACME.to_owned(), subject: ben, ..Default::default() };
    let (about_ben, _) = page(&mut as_ann, &query).await.expect("an Admin may");
    assert_eq!(about_ben.len(), 5, "joined, three moves, removed: nothing of their sessions, which are of no account");
}

#[tokio::test]
async fn a_span_of_time_begins_with_its_first_moment_and_ends_before_its_last() {
    let (site, _) = history().await;
    let mut operator = site.operator().await;
    let (all, _) = page(&mut operator, &ListEventsRequest { page_size: 1000, ..Default::default() }).await.expect("listed");
    let times: Vec<_> = all.iter().map(|event| event.time.expect("a time").seconds).collect();
    let moment = |seconds: i64| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let (first, last) = (times[times.len() - 1], times[0]);
    for (from, until) in
        [(first, last), (first - 9, first), (first, first + 1), (first + 60, last + 1), (last, last), (last + 1, last + 9)]
    {
        let query = ListEventsRequest { from_time: moment(from), to_time: moment(until), ..Default::default() };
        let expected = all.iter().filter(|event| (from..until).contains(&event.time.expect("a time").seconds));
        assert_eq!(listed(&mut operator, &query).await, expected.map(|event| event.seq).collect::<Vec<_>>(), "{from} {until}");
    }
}

#[tokio::test]
async fn a_token_of_events_belongs_to_its_filters_and_unknown_values_are_refused() {
    let (site, _) = history().await;
    let mut operator = site.operator().await;
    let all = ListEventsRequest { page_size: 1, ..Default::default() };
    let by_uid = format!("operator:{}", rustix::process::geteuid().as_raw());
    let queries = [
        all.clone(),
        ListEventsRequest { account: ACME.to_owned(), ..all.clone() },
        ListEventsRequest { actor: by_uid, ..all.clone() },
        ListEventsRequest { kinds: vec![EventKind::MemberPrivilegeChanged.into()], ..all.clone() },
        ListEventsRequest { from_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }), ..all.clone() },
        ListEventsRequest { to_time: Some(prost_types::Timestamp { seconds: 9_000_000_000, nanos: 0 }), ..all.clone() },
    ];
    for (position, query) in queries.iter().enumerate() {
        let (_, page_token) = page(&mut operator, query).await.expect("listed");
        assert!(!page_token.is_empty(), "{query:?}");
        for (other, of) in queries.iter().enumerate() {
            match page(&mut operator, &ListEventsRequest { page_token: page_token.clone(), ..of.clone() }).await {
                Ok(_) => assert_eq!(position, other, "{query:?} {of:?}"),
                refused => assert_eq!(refused_for(refused), ["page_token"]),
            }
        }
    }
    let wrong = ListEventsRequest {
        kinds: vec![0, 9],
        actor: "ann@acme.test".to_owned(),
        subject: "acc_1".to_owned(),
        from_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        to_time: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
        ..all
    };
    let fields = ["kinds[0]", "kinds[1]", "actor", "subject", "from_time", "to_time"];
    assert_eq!(refused_for(page(&mut operator, &wrong).await), fields);
}
