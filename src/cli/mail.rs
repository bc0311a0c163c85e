//! `mail`: the queue.

use clap::Subcommand;

use super::console::Console;
use super::screen::Column;
use super::words::{DeliveryState, request_id, time, word};
use super::{Failure, Paging, Rehearsal};
use crate::proto::{self, Mail};

/// What is done with mails.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List mails, newest first
    List {
        /// Only in these states
        #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
        state: Vec<DeliveryState>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Try a queued or failed mail now
    Retry {
        /// Its id, mail_…
        mail: String,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
}

const COLUMNS: &[Column<Mail>] = &[
    ("MAIL", |mail| mail.id.clone()),
    ("KIND", |mail| word::<proto::MailKind>(mail.kind)),
    ("TO", |mail| mail.recipient.clone()),
    ("STATE", |mail| word::<proto::DeliveryState>(mail.state)),
    ("TRIES", |mail| mail.attempts.to_string()),
    ("CREATED", |mail| time(mail.create_time.as_ref())),
    ("NEXT TRY", |mail| time(mail.next_attempt_time.as_ref())),
    ("RELAY SAID", |mail| mail.last_reply.clone()),
];

impl Verb {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        match self {
            Self::List { state, paging } => {
                let states = state.into_iter().map(Into::into).collect();
                console.list(proto::ListMailRequest { states, ..Default::default() }, paging, COLUMNS).await
            }
            Self::Retry { mail, rehearsal } => {
                let request = proto::RetryMailRequest { mail, request_id: request_id(), validate_only: rehearsal.dry_run };
                let answer = console.call(request).await?;
                console.changed(&answer, answer.mail.as_ref(), &[COLUMNS], &[], rehearsal)
            }
        }
    }
}
