//! `events`: what was recorded.

use std::process::ExitCode;

use clap::Subcommand;

use super::console::Console;
use super::screen::Column;
use super::words::{EventKind, moment, time, word, words};
use super::{Failure, Paging};
use crate::proto::{self, Event};

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
        #[arg(long, value_name = "TIME")]
        from: Option<jiff::Timestamp>,
        /// Only before this moment
        #[arg(long, value_name = "TIME")]
        to: Option<jiff::Timestamp>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Walk the whole history and say whether it is as it was recorded
    Verify,
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
            Self::Verify => verify(console).await,
        }
    }
}

async fn verify(console: &mut Console) -> Result<ExitCode, Failure> {
    let found = console.call(proto::VerifyEventsRequest {}).await?;
    if console.screen.json {
        console.screen.json(&found)?;
    } else {
        console.screen.line(&verdict(&found))?;
    }
    console.screen.flush()?;
    Ok(ExitCode::from(u8::from(found.first_broken != 0)))
}

/// What a walk over history found.
pub(super) fn verdict(found: &proto::VerifyEventsResponse) -> String {
    match found.first_broken {
        0 => format!("whole: {} events, each as it was recorded", found.events),
        broken => {
            format!("BROKEN at event {broken}: it is missing or isn't as it was recorded; the {} before it are", found.events)
        }
    }
}
