//! The question before what can't be undone.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::Args;

use super::Failure;

/// Whether to ask first.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Confirmation {
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

impl Confirmation {
    /// Asks the person at the terminal, unless they said yes before; a rehearsal needs no yes.
    pub(super) fn ask(self, dry_run: bool, question: &str) -> Result<(), Failure> {
        if self.yes || dry_run {
            return Ok(());
        }
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Err(Failure::Unconfirmed(question.to_owned()));
        }
        let mut stderr = std::io::stderr();
        let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") { Ok(()) } else { Err(Failure::Declined) }
    }
}
