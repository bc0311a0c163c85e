//! `events`: what was recorded.

mod export;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::console::Console;
use super::screen::Column;
use super::words::{EventKind, moment, time, typed_moment, word, words};
use super::{Failure, Paging};
use crate::domain::head::{Head, heads_in};
use crate::proto::{self, Event, HistoryFault};
pub(super) use export::Export;

/// What is done with events.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List events, newest first
    List {
        /// Only those of this account
        #[arg(long, default_value = "", hide_default_value = true)]
        account: String,
        /// Only of these kinds
        #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
        kind: Vec<EventKind>,
        /// Only what was done by this one: usr_…, svc_…, operator:<uid>, server or anonymous
        #[arg(long, default_value = "", hide_default_value = true)]
        actor: String,
        /// Only what is about this: usr_…, inv_…, svc_…, sid_… or mail_…
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        subject: String,
        /// Only at this moment or later, such as 2026-11-24T00:00:00Z
        #[arg(long, value_name = "TIME", value_parser = typed_moment)]
        from: Option<jiff::Timestamp>,
        /// Only before this moment
        #[arg(long, value_name = "TIME", value_parser = typed_moment)]
        to: Option<jiff::Timestamp>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Walk the whole history and say whether it is as it was recorded
    Verify(Verify),
    /// Write history, one event a line, so that another program can verify it alone: with addresses and names that weren't erased
    Export(Export),
}

/// What history is held against.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// A head that was kept elsewhere, `epo_…:<seq>:<hash>` or `<seq>:<hash>`: history must hold it
    #[arg(long, value_name = "HEAD")]
    head: Vec<Head>,
    /// All heads that stand in a file, such as an old log or an export
    #[arg(long, value_name = "FILE")]
    heads_in: Option<PathBuf>,
}

const COLUMNS: &[Column<Event>] = &[
    ("SEQ", |event| event.seq.to_string()),
    ("TIME", |event| time(event.time.as_ref())),
    ("WHAT", |event| word::<proto::EventKind>(event.kind)),
    ("ACCOUNT", |event| event.account.clone()),
    ("BY", by),
    ("ABOUT", about),
    ("STATE", state),
];

fn by(event: &Event) -> String {
    if event.on_behalf_of.is_empty() { event.actor.clone() } else { format!("{} for {}", event.actor, event.on_behalf_of) }
}

fn about(event: &Event) -> String {
    let parts = [&event.subject, &event.email, &event.display_name];
    parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ")
}

/// What the event left behind, as far as one line has room.
fn state(event: &Event) -> String {
    let parts = [
        word::<proto::InvitationState>(event.invitation_state),
        word::<proto::Privilege>(event.privilege),
        words::<proto::Role>(&event.roles),
        word::<proto::Edition>(event.edition),
        event.scopes.join(","),
        if event.trimmed_until == 0 { String::new() } else { format!("dropped up to {}", event.trimmed_until) },
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

impl Verb {
    pub(super) async fn run(self, console: &mut Console) -> Result<ExitCode, Failure> {
        match self {
            Self::List { account, kind, actor, subject, from, to, paging } => {
                let request = proto::ListEventsRequest {
                    account,
                    kinds: kind.into_iter().map(Into::into).collect(),
                    actor,
                    subject,
                    from_time: from.map(moment),
                    to_time: to.map(moment),
                    ..Default::default()
                };
                console.list(request, paging, COLUMNS).await?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Verify(verify) => verify.run(console).await,
            Self::Export(export) => export.run(console).await,
        }
    }
}

/// How many heads one call takes.
const HEADS: usize = 10_000;

impl Verify {
    pub(super) async fn run(self, console: &mut Console) -> Result<ExitCode, Failure> {
        let mut heads = self.head;
        if let Some(file) = self.heads_in {
            let unusable = |why: &dyn std::fmt::Display| Failure::Input(vec![format!("{}: {why}", file.display())]);
            let text = std::fs::read(&file).map_err(|error| unusable(&error))?;
            let found = heads_in(&String::from_utf8_lossy(&text));
            if found.is_empty() {
                return Err(unusable(&"no head of history stands in it"));
            }
            heads.extend(found);
        }
        heads.sort_by_key(|head| head.seq);
        heads.dedup();
        let heads = heads.into_iter().map(|head| proto::HistoryHead {
            epoch: head.epoch.map(|epoch| epoch.to_string()).unwrap_or_default(),
            seq: head.seq,
            hash: head.hash.to_vec(),
        });
        let heads: Vec<_> = heads.collect();
        let asked = heads.len() as u64;
        let mut parts = heads.chunks(HEADS);
        let first = parts.next().unwrap_or_default().to_vec();
        let mut found = console.call(proto::VerifyEventsRequest { heads: first }).await?;
        for part in parts {
            found = merged(found, console.call(proto::VerifyEventsRequest { heads: part.to_vec() }).await?);
        }
        let compared = asked == 0 || found.incomparable_heads < asked;
        if console.screen.json {
            console.screen.json(&found)?;
        } else {
            console.screen.line(&verdict(&found))?;
            found.differences.iter().try_for_each(|difference| console.screen.line(&differs(difference)))?;
            if found.incomparable_heads > 0 {
                console.screen.line(&incomparable(&found, asked))?;
            }
            if is_whole(&found) {
                console.screen.line(&format!("head: {}", export::head(found.head.as_ref())?))?;
            }
        }
        console.screen.flush()?;
        Ok(ExitCode::from(u8::from(!is_whole(&found) || !compared)))
    }
}

/// What was found with parts of the heads, as it would be with all: the first break counts.
fn merged(before: proto::VerifyEventsResponse, found: proto::VerifyEventsResponse) -> proto::VerifyEventsResponse {
    let incomparable_heads = before.incomparable_heads + found.incomparable_heads;
    let before_counts = !is_unbroken(&before) && (is_unbroken(&found) || before.first_broken <= found.first_broken);
    let counts = if before_counts { before } else { found };
    proto::VerifyEventsResponse { incomparable_heads, ..counts }
}

/// Whether history is whole, and the present is as it says.
pub(super) fn is_whole(found: &proto::VerifyEventsResponse) -> bool {
    is_unbroken(found) && found.differences.is_empty()
}

fn is_unbroken(found: &proto::VerifyEventsResponse) -> bool {
    found.first_broken == 0 && found.fault() == HistoryFault::Unspecified
}

/// What a walk over history found.
pub(super) fn verdict(found: &proto::VerifyEventsResponse) -> String {
    let (events, broken) = (found.events, found.first_broken);
    if is_unbroken(found) {
        return match found.differences.len() {
            0 => format!("whole: {events} events, each as it was recorded{}", dropped(found)),
            1 => format!("CHANGED behind history's back: one thing; the {events} events themselves are whole"),
            differ => format!("CHANGED behind history's back: {differ} things; the {events} events themselves are whole"),
        };
    }
    let what = match found.fault() {
        HistoryFault::Missing => "it isn't there, though later ones are",
        HistoryFault::Edited => "it isn't as it was recorded",
        HistoryFault::Moved => "another event stands in its place",
        HistoryFault::Unlinked => "it doesn't stand on the one before: one of the two was put in another's place",
        HistoryFault::Truncated => "history ends before it, and it was there",
        HistoryFault::Rewritten => "it isn't the one whose hash was kept: this one or one before was written anew",
        HistoryFault::AnotherHistory => "the head that was kept is of another history",
        HistoryFault::Kept => "what was kept up to it of the events that were dropped isn't what was kept",
        HistoryFault::Unspecified => "it is missing or isn't as it was recorded",
    };
    let by = export::head(found.contradicted.as_ref()).map_or(String::new(), |head| format!(" (kept: {head})"));
    format!("BROKEN at event {broken}: {what}{by}; whole by themselves are the {events} up to there")
}

/// What isn't there to be looked at.
fn dropped(found: &proto::VerifyEventsResponse) -> String {
    let Some(until) = &found.trimmed_until else { return String::new() };
    let (seq, time, kept) = (until.seq, time(found.trimmed_until_time.as_ref()), found.kept);
    format!("; those up to event {seq} ({time}) were dropped but for {kept}, the last about each thing")
}

/// What can't be said of heads that are older than history is kept.
fn incomparable(found: &proto::VerifyEventsResponse, asked: u64) -> String {
    let (older, until) = (found.incomparable_heads, found.trimmed_until.as_ref().map_or(0, |head| head.seq));
    let none = if older == asked { "NOT COMPARED: " } else { "" };
    format!("{none}{older} of {asked} heads are of events before {until}, which were dropped: nothing can be said of those")
}

fn differs(difference: &proto::StateDifference) -> String {
    let what = match (difference.account.as_str(), difference.subject.as_str()) {
        ("", "") => "the server's edition or epoch".to_owned(),
        (account, "") => format!("account {account}"),
        ("", subject) => subject.to_owned(),
        (account, user) => format!("member {user} of {account}"),
    };
    match difference.last_event {
        0 => format!("{what}: history doesn't mention it"),
        last => format!("{what}: isn't as event {last} says, the last about it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_heads_the_first_break_is_told_whichever_part_found_it() {
        let found = |first_broken: u64, incomparable_heads: u64| {
            let fault = if first_broken == 0 { HistoryFault::Unspecified } else { HistoryFault::Rewritten };
            proto::VerifyEventsResponse { first_broken, fault: fault.into(), incomparable_heads, ..Default::default() }
        };
        for (before, after, told) in [(0, 0, 0), (0, 7, 7), (7, 0, 7), (7, 5, 5), (5, 7, 5)] {
            assert_eq!(merged(found(before, 2), found(after, 3)), found(told, 5), "{before} and {after}");
        }
    }

    #[test]
    fn a_fault_without_the_number_of_an_event_is_a_fault() {
        let found = proto::VerifyEventsResponse { fault: HistoryFault::Edited.into(), ..Default::default() };
        assert!(!is_whole(&found));
        assert!(verdict(&found).starts_with("BROKEN "), "{}", verdict(&found));
    }
}
