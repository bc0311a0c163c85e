//! Every mail that is owed was sent, and none for what never happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use user_management::proto::{self, DeliveryState, EventKind, Mail, MailKind};

use super::{Found, every};
use crate::client::Client;
use crate::model::Region;
use crate::postbox::Postbox;
use crate::program::LONG;

/// Has everything tried again that waits or failed, until nothing does. Under kills mails are owed faster than they go, so that there may be
/// many: they have to become fewer.
pub(super) async fn are_sent(operator: &mut Client) {
    let (mut end, mut fewest) = (Instant::now() + LONG, usize::MAX);
    loop {
        let states = vec![DeliveryState::Queued.into(), DeliveryState::Sending.into(), DeliveryState::Failed.into()];
        let left = every!(operator, operations.list_mail, proto::ListMailRequest { states, ..Default::default() }, mails);
        if left.is_empty() {
            return;
        }
        if left.len() < fewest {
            (end, fewest) = (Instant::now() + LONG, left.len());
        }
        assert!(Instant::now() < end, "{fewest} mails stay owed, such as {:?}", left.first());
        for mail in left.iter().filter(|mail| mail.attempts > 0 && mail.state() != DeliveryState::Sending) {
            let request = proto::RetryMailRequest { mail: mail.id.clone(), ..Default::default() };
            // refused if it was sent since
            let _ = operator.operations.retry_mail(request).await;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Holds the rows against what the writers are owed, and what the relay took against the rows; answers how often a mail was tried again by hand.
pub(super) async fn are_as_owed(operator: &mut Client, postbox: &Postbox, regions: &[Region], found: &mut Found) -> usize {
    let rows = every!(operator, operations.list_mail, proto::ListMailRequest::default(), mails);
    let erased: BTreeSet<&String> = regions.iter().flat_map(|region| &region.mails.erased).collect();
    let mut by_recipient = BTreeMap::<(String, MailKind), Vec<&Mail>>::new();
    // of a deleted person's invitations the rows are kept, without the address
    for row in rows.iter().filter(|row| !row.recipient.is_empty()) {
        by_recipient.entry((row.recipient.to_lowercase(), row.kind())).or_default().push(row);
    }
    for ((recipient, kind), owed) in regions.iter().flat_map(|region| &region.mails.owed) {
        let rows = by_recipient.remove(&(recipient.clone(), *kind)).unwrap_or_default();
        if erased.contains(recipient) {
            assert!(rows.is_empty(), "{recipient} was erased, and is owed {rows:?}");
            continue;
        }
        let dropped = rows.iter().filter(|row| row.state() == DeliveryState::Dropped).count();
        let range = owed.sure..=owed.sure + owed.perhaps;
        assert!(
            range.contains(&rows.len()) && dropped <= owed.droppable,
            "{recipient} {kind:?}: {owed:?}, and there are {rows:?}"
        );
    }
    assert!(by_recipient.is_empty(), "for what never happened: {by_recipient:?}");
    let mut taken = BTreeMap::<String, (String, usize)>::new();
    for message in postbox.everything() {
        let [to] = &message.to[..] else { panic!("a mail goes to one: {:?}", message.to) };
        let id = message.header("Message-ID").expect("a mail has an id");
        let entry = taken.entry(id.clone()).or_insert_with(|| (to.clone(), 0));
        assert_eq!(&entry.0, to, "{id} went to two");
        entry.1 += 1;
    }
    for row in &rows {
        let was_taken = taken.remove(&row.message_id);
        if let (DeliveryState::Sent, None) = (row.state(), &was_taken) {
            panic!("sent, and never taken: {row:?}");
        }
        found.mails += 1;
        found.mails_repeated += was_taken.map_or(0, |(_, times)| times - 1);
    }
    let foreign: Vec<_> = taken.iter().filter(|(_, (to, _))| !erased.contains(&to.to_lowercase())).collect();
    assert!(foreign.is_empty(), "taken for what never happened: {foreign:?}");
    let request = proto::ListEventsRequest { kinds: vec![EventKind::MailRetried.into()], ..Default::default() };
    every!(operator, operations.list_events, request, events).len()
}
