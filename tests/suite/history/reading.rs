//! Readers of a history whose beginning was dropped: lists, exports, heads that were kept elsewhere.

use std::cell::Cell;

use user_management::domain::event::{Change, Event};
use user_management::proto::{self, EventKind, HistoryFault, HistoryHead};

use super::exporting::{exported, judged};
use super::tampering::verified;
use super::trimming::{SETTINGS, age, dropped, forgetful, lived, trim};
use crate::acme::ACME;
use crate::site::Site;

async fn page(site: &Site, request: &proto::ListEventsRequest) -> proto::ListEventsResponse {
    site.operator().await.operations.list_events(request.clone()).await.expect("listed").into_inner()
}

/// Every head that history has had, oldest first.
async fn heads(site: &Site) -> Vec<HistoryHead> {
    let events = site.operator().await.events_after(0).await;
    events.into_iter().map(|event| HistoryHead { epoch: String::new(), seq: event.seq, hash: event.hash }).collect()
}

#[tokio::test]
async fn lists_begin_where_history_does_whatever_they_are_filtered_by_and_a_page_that_was_dropped_is_empty() {
    let site = forgetful().await;
    let ann = lived(&site).await;
    let members = site.operator().await.members().await;
    let bob =
        members.iter().find(|member| member.email == "robert@acme.test").expect("a member whose roles changed").user.clone();
    let operator = format!("operator:{}", rustix::process::geteuid().as_raw());
    let all = [
        proto::ListEventsRequest::default(),
        proto::ListEventsRequest { account: ACME.to_owned(), ..Default::default() },
        proto::ListEventsRequest { account: ACME.to_owned(), subject: bob, ..Default::default() },
        proto::ListEventsRequest { account: ACME.to_owned(), actor: ann.id.clone(), ..Default::default() },
        proto::ListEventsRequest { subject: ann.id.clone(), ..Default::default() },
        proto::ListEventsRequest { actor: operator, ..Default::default() },
        proto::ListEventsRequest {
            kinds: vec![EventKind::UserCreated.into(), EventKind::AccountCreated.into()],
            ..Default::default()
        },
        proto::ListEventsRequest { from_time: Some(prost_types::Timestamp::default()), ..Default::default() },
    ];
    let mut tokens = Vec::new();
    for request in &all {
        let answer = page(&site, &proto::ListEventsRequest { page_size: 1, ..request.clone() }).await;
        assert!(!answer.next_page_token.is_empty(), "there is more: {request:?}");
        tokens.push(answer.next_page_token);
    }
    age(&site, "fresh").await;
    trim(&site, 1000).await;
    let until = verified(&site, &[]).await.trimmed_until.expect("trimmed").seq;
    for (request, page_token) in all.iter().zip(tokens) {
        let answer = page(&site, request).await;
        assert!(answer.events.iter().all(|event| event.seq > until) && answer.next_page_token.is_empty(), "{request:?}");
        let rest = page(&site, &proto::ListEventsRequest { page_size: 1, page_token, ..request.clone() }).await;
        assert_eq!((rest.events.as_slice(), rest.next_page_token.as_str()), (&[][..], ""), "{request:?}");
    }
    let left = page(&site, &all[0]).await.events;
    let info = site.operator().await.operations.get_server_info(proto::GetServerInfoRequest {}).await.expect("read").into_inner();
    assert_eq!((info.first_event, info.first_event_time), (until + 1, left[1].time));
    assert!(site.operate("status").await.out.contains(&format!("from {} on, since 2027-01-03", until + 1)), "as the screen says");
    let screen = site.operate("events list --kind history-trimmed").await.done();
    assert!(screen.lines().nth(1).is_some_and(|line| line.ends_with(&format!("dropped up to {until}"))), "{screen}");
    assert_eq!(
        left.iter().map(|event| event.seq).collect::<Vec<_>>(),
        [until + 2, until + 1],
        "the drop, and the first that is left"
    );
}

/// So many that who looks at two states of the data is sure to be caught at it.
const SLICES: u32 = 300;

#[tokio::test]
async fn who_reads_history_sees_one_state_of_it_while_slices_go() {
    let site = forgetful().await;
    // each is told of by one event, which is kept
    for number in 0..SLICES {
        site.account(&format!("account-{number}")).await;
    }
    age(&site, "fresh").await;
    let (mut operator, mut other) = (site.operator().await, site.operator().await);
    let gone = Cell::new(false);
    let trims = async {
        while dropped(&site, 1).await.is_some() {}
        gone.set(true);
    };
    let lists = async {
        while !gone.get() {
            let request = proto::ListEventsRequest { page_size: 1000, ..Default::default() };
            let listed = operator.operations.list_events(request).await.expect("listed").into_inner().events;
            let trim = listed.iter().find(|event| event.kind() == EventKind::HistoryTrimmed);
            let until = trim.map_or(0, |trim| trim.trimmed_until);
            assert_eq!(listed.last().map(|event| event.seq), Some(until + 1), "it begins where its own newest trim says");
        }
    };
    let exports = async {
        while !gone.get() {
            let request = proto::ExportEventsRequest { page_size: 1000, ..Default::default() };
            let exported = other.operations.export_events(request).await.expect("exported").into_inner().events;
            let until = exported.iter().rev().find_map(|stored| {
                match Event::decode(&stored.canonical, Vec::new()).expect("whole").change {
                    Change::HistoryTrimmed(trim) => Some(trim.until),
                    _ => None,
                }
            });
            assert_eq!(exported.first().map(|event| event.seq), Some(until.unwrap_or(0) + 1), "as its own newest trim says");
        }
    };
    let verifies = async {
        while !gone.get() {
            let found = verified(&site, &[]).await;
            assert_eq!((found.first_broken, found.differences.as_slice()), (0, &[][..]));
        }
    };
    tokio::join!(trims, lists, exports, verifies);
}

#[tokio::test]
async fn an_export_begins_on_the_checkpoint_and_is_verified_alone() {
    let mut site = forgetful().await;
    lived(&site).await;
    let old = heads(&site).await;
    age(&site, "fresh").await;
    trim(&site, 7).await;
    let found = verified(&site, &[]).await;
    let (until, last) = (found.trimmed_until.expect("trimmed"), found.head.expect("a head"));
    let file = site.data_dir().join("events.ndjson");
    let said = site.operate(&format!("events export --into {}", file.display())).await;
    assert!(said.err.contains(&format!("events before {} were dropped: the export begins there", until.seq + 1)), "{said:?}");
    let text = std::fs::read_to_string(&file).expect("read");
    assert_eq!(text.lines().count() as u64, found.events + 2);
    assert_eq!(exported(&site, &format!("--from {}", until.seq + 1)).await, text);
    let first: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (first["first"].as_u64(), first["previous_hash"].as_str()),
        (Some(until.seq + 1), Some(hex(&until.hash).as_str()))
    );
    let word = |head: &HistoryHead| format!("{}:{}:{}", last.epoch, head.seq, hex(&head.hash));
    let (older, at, newest) = (word(&old[3]), word(&until), word(&last));
    if let Some((whole, said)) = judged(&file, &[&older, &at, &newest]) {
        assert!(whole && said.contains(&format!("whole: events {} to {}", until.seq + 1, last.seq)), "{said}");
        assert!(said.contains("1 of 3 heads are older"), "{said}");
        let wrong = format!("{}:{}:{}", last.epoch, until.seq, "0".repeat(64));
        assert!(!judged(&file, &[&wrong]).expect("as before").0, "the checkpoint has another hash");
        assert!(!judged(&file, &[&older]).expect("as before").0, "nothing was compared");
        let bare = format!("{}:{}", last.seq, hex(&last.hash));
        assert!(judged(&file, &[&bare]).expect("as before").0, "a head without its epoch");
        let mut lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let cut = lines.remove(1);
        (lines[0]["first"], lines[0]["previous_hash"]) = ((until.seq + 2).into(), cut["hash"].clone());
        lines.last_mut().expect("a line")["events"] = (found.events - 1).into();
        let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
        std::fs::write(&file, lines.join("\n") + "\n").expect("written");
        let (whole, said) = judged(&file, &[]).expect("as before");
        assert!(!whole && said.contains("begins where no trim and no head says"), "more was cut off than was trimmed: {said}");
    }
    site.stop().await;
    assert_eq!(exported(&site, "").await, text, "without a server too");
}

#[tokio::test]
async fn heads_before_what_is_left_are_neither_contradicted_nor_confirmed() {
    let site = forgetful().await;
    lived(&site).await;
    let old = heads(&site).await;
    age(&site, "fresh").await;
    trim(&site, 1000).await;
    let found = verified(&site, &old).await;
    assert_eq!(
        (found.first_broken, found.incomparable_heads, old.len()),
        (0, old.len() as u64 - found.kept, old.len()),
        "all but those of what was kept, the last among them"
    );
    let until = found.trimmed_until.expect("trimmed");
    let there: Vec<i64> = sqlx::query_scalar("select seq from events").fetch_all(&mut site.database().await).await.expect("read");
    let (kept, gone): (Vec<_>, Vec<_>) = old.iter().partition(|head| there.iter().any(|seq| seq.unsigned_abs() == head.seq));
    let wrong = HistoryHead { hash: vec![7; 32], ..kept[0].clone() };
    let contradicted = verified(&site, &[gone[0].clone(), wrong]).await;
    assert_eq!((contradicted.first_broken, contradicted.fault()), (kept[0].seq, HistoryFault::Rewritten));
    let elsewhere = HistoryHead { epoch: "epo_00000000000070008000000000000000".to_owned(), ..gone[0].clone() };
    let contradicted = verified(&site, &[elsewhere]).await;
    assert_eq!((contradicted.first_broken, contradicted.fault()), (gone[0].seq, HistoryFault::AnotherHistory));
    assert_eq!(Some(until.seq), old.last().map(|head| head.seq));
    let wrong = HistoryHead { epoch: String::new(), hash: vec![7; 32], ..until.clone() };
    let contradicted = verified(&site, &[wrong]).await;
    assert_eq!((contradicted.first_broken, contradicted.fault()), (until.seq, HistoryFault::Rewritten));
    let later = HistoryHead { seq: until.seq + 9, ..until.clone() };
    assert_eq!(verified(&site, &[gone[0].clone(), later]).await.fault(), HistoryFault::Truncated);

    let word = |head: &HistoryHead| format!("{}:{}", head.seq, hex(&head.hash));
    let said = site.operate(&format!("events verify --head {} --head {}", word(gone[0]), word(&until))).await.done();
    assert!(said.starts_with("whole: 2 events, each as it was recorded; those up to event "), "{said}");
    assert!(said.contains(&format!("\n1 of 2 heads are of events before {}, which were dropped", until.seq)), "{said}");
    let said = site.operate(&format!("events verify --head {} --head {}", word(gone[0]), word(gone[1]))).await;
    assert_eq!(said.code, Some(1), "nothing was compared: {said:?}");
    assert!(said.out.contains("\nNOT COMPARED: 2 of 2 heads are of events before "), "{said:?}");
}

#[tokio::test]
async fn what_is_left_says_which_history_it_is_where_only_its_end_names_one() {
    let mut site = forgetful().await;
    lived(&site).await;
    age(&site, "fresh").await;
    site.restart(Some(&format!("{SETTINGS}\nedition = \"saas\""))).await;
    trim(&site, 1000).await;
    let until = verified(&site, &[]).await.trimmed_until.expect("trimmed");
    let wrong = HistoryHead { hash: vec![7; 32], ..until };
    let contradicted = verified(&site, &[wrong]).await;
    assert_eq!(contradicted.fault(), HistoryFault::Rewritten);
    assert!(contradicted.head.expect("a head").epoch.starts_with("epo_"));
}

#[tokio::test]
async fn a_killed_server_leaves_a_shorter_drop_behind_and_goes_on_with_it() {
    let mut site = forgetful().await;
    lived(&site).await;
    age(&site, "fresh").await;
    dropped(&site, 5).await.expect("some");
    dropped(&site, 5).await.expect("some");
    let crashed = site.after_a_crash().await;
    let (before, found) = (verified(&site, &[]).await, verified(&crashed, &[]).await);
    assert_eq!(found, before);
    assert_eq!((found.first_broken, found.differences.len(), found.trimmed_until.expect("trimmed").seq), (0, 0, 10));
    assert!(trim(&crashed, 5).await > 1, "the rest");
    crashed.directory_is_the_database("after the crash").await;
    site.restart(None).await;
    assert_eq!(trim(&site, 1000).await, 1);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
