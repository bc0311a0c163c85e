//! `rotate-link-key`: another key for the links of mails.

use std::path::PathBuf;

use clap::Args;

use super::confirm::Confirmation;
use super::console::Console;
use super::words::{request_id, time};
use super::{Failure, Manner, Rehearsal, screen};
use crate::app::link_key::{self, FormerLinks};
use crate::domain::clock::Clock;
use crate::proto;

/// What becomes of the key and of links that were mailed.
#[derive(Debug, Args)]
pub(super) struct RotateLinkKey {
    /// End links that were mailed before at once, since somebody may know the key; otherwise they count for seven days more
    #[arg(long)]
    now: bool,
    /// Change this file alone, the source of a credential, for the service to take at its next start
    #[arg(long, value_name = "PATH", conflicts_with_all = ["json", "dry_run"])]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    rehearsal: Rehearsal,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    pub(super) manner: Manner,
}

impl RotateLinkKey {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        self.confirm()?;
        let validate_only = self.rehearsal.dry_run;
        let request = proto::RotateLinkKeyRequest { now: self.now, request_id: request_id(), validate_only };
        let answer = console.call(request).await?;
        self.rehearsal.remark();
        if console.screen.json {
            console.screen.json(&answer)?;
        } else {
            console.screen.line(&told(answer.number, answer.former_links_end_time.as_ref().map(|until| time(Some(until)))))?;
        }
        console.screen.flush()
    }

    fn confirm(&self) -> Result<(), Failure> {
        const QUESTION: &str = "End all links that were mailed? They are refused from then on.";
        if self.now { self.confirmation.ask(self.rehearsal.dry_run, QUESTION) } else { Ok(()) }
    }

    /// Rotates in a file that no server writes.
    pub(super) fn run_on(&self, file: &std::path::Path) -> Result<(), Failure> {
        self.confirm()?;
        let former = if self.now { FormerLinks::End } else { FormerLinks::Last };
        let state = link_key::rotate_file(file, former, Clock::System.now())?;
        let until = state.former_until.map(|until| until.to_string());
        screen::print(&format!("{}\n", told(state.number, until)))?;
        screen::note("the service takes it at its next start");
        Ok(())
    }
}

fn told(number: u32, former_until: Option<String>) -> String {
    let former = former_until.map_or_else(|| "no more".to_owned(), |until| format!("until {until}"));
    format!("links are made with key {number}; those mailed before count {former}")
}
