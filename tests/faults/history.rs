//! The events that have to be there, in order.

use std::collections::{BTreeMap, BTreeSet};

use user_management::proto::{Event, EventKind};

/// What is expected next in a stream.
#[derive(Clone, Debug)]
enum Entry {
    /// This; with any subject where none is known.
    Sure(EventKind, Option<String>),
    /// This, if a request whose answer never came was carried out.
    Perhaps(EventKind),
    /// All of these, in any order: they were asked for at once.
    Together(Vec<(EventKind, String)>),
}

/// The events of each account, of each person, and of each service.
#[derive(Default)]
pub(crate) struct History {
    streams: BTreeMap<String, Vec<Entry>>,
}

impl History {
    pub(crate) fn expect(&mut self, stream: &str, kind: EventKind, subject: &str) {
        self.push(stream, Entry::Sure(kind, Some(subject.to_owned())));
    }

    /// An event whose subject no answer told.
    pub(crate) fn expect_of_any(&mut self, stream: &str, kind: EventKind) {
        self.push(stream, Entry::Sure(kind, None));
    }

    pub(crate) fn perhaps(&mut self, stream: &str, kind: EventKind) {
        self.push(stream, Entry::Perhaps(kind));
    }

    pub(crate) fn together(&mut self, stream: &str, events: Vec<(EventKind, String)>) {
        self.push(stream, Entry::Together(events));
    }

    fn push(&mut self, stream: &str, entry: Entry) {
        self.streams.entry(stream.to_owned()).or_default().push(entry);
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = &String> {
        self.streams.keys()
    }

    /// Answers what differs between what has to be there and what is.
    pub(crate) fn difference(&self, found: &BTreeMap<String, Vec<(EventKind, String)>>) -> Option<String> {
        self.streams.iter().find_map(|(stream, expected)| {
            let found = found.get(stream).map(Vec::as_slice).unwrap_or_default();
            differs(expected, found).map(|what| format!("{stream}: {what}"))
        })
    }
}

fn differs(expected: &[Entry], found: &[(EventKind, String)]) -> Option<String> {
    // how many of the found ones may stand for the expected ones so far
    let mut reached = BTreeSet::from([0]);
    for entry in expected {
        let next: BTreeSet<usize> = reached.iter().flat_map(|at| ends(entry, *at, found)).collect();
        if next.is_empty() {
            let recorded = found.iter().skip(reached.last().copied().unwrap_or_default()).take(3).collect::<Vec<_>>();
            return Some(format!("{entry:?} was answered, and what was recorded is {recorded:?}"));
        }
        reached = next;
    }
    let last = reached.last().copied().unwrap_or_default();
    (!reached.contains(&found.len()))
        .then(|| format!("recorded, and never answered: {:?}", found.iter().skip(last).take(3).collect::<Vec<_>>()))
}

/// Where an entry may end that begins at some place.
fn ends(entry: &Entry, at: usize, found: &[(EventKind, String)]) -> Vec<usize> {
    let rest = found.get(at..).unwrap_or_default();
    match entry {
        Entry::Perhaps(kind) => (at..=at + rest.iter().take_while(|(found, _)| found == kind).count()).collect(),
        Entry::Sure(kind, subject) => {
            let fits = |(found, of): &(EventKind, String)| found == kind && subject.as_ref().is_none_or(|subject| subject == of);
            rest.first().filter(|first| fits(first)).map(|_| at + 1).into_iter().collect()
        }
        Entry::Together(events) => {
            let (mut first, mut events) = (rest.iter().take(events.len()).cloned().collect::<Vec<_>>(), events.clone());
            first.sort();
            events.sort();
            if first == events { vec![at + events.len()] } else { Vec::new() }
        }
    }
}

/// Whose history an event belongs to.
pub(crate) fn stream(event: &Event) -> &str {
    [&event.account, &event.user, &event.subject].into_iter().find(|name| !name.is_empty()).map_or("", String::as_str)
}
