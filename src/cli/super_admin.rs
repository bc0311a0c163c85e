//! `super-admin`: people who are judged as an Admin of every account.

use clap::Subcommand;

use super::confirm::Confirmation;
use super::console::Console;
use super::words::request_id;
use super::{Failure, Rehearsal};
use crate::proto;

/// What is done with super-admins.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a user a super-admin
    Grant {
        /// The user's id, usr_…, or address
        user: String,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Take that away
    Revoke {
        /// The user's id, usr_…, or address
        user: String,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl Verb {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let (user, super_admin, rehearsal, confirmation, question) = match self {
            Self::Grant { user, rehearsal, confirmation } => {
                let question = format!("Make {user} an admin of every account, and an operator?");
                (user, true, rehearsal, confirmation, question)
            }
            Self::Revoke { user, rehearsal, confirmation } => {
                let question = format!("Take the super-admin's rights from {user}?");
                (user, false, rehearsal, confirmation, question)
            }
        };
        confirmation.ask(rehearsal.dry_run, &question)?;
        let request =
            proto::SetSuperAdminRequest { user, super_admin, request_id: request_id(), validate_only: rehearsal.dry_run };
        let answer = console.call(request).await?;
        let others = (if super_admin { "gained" } else { "lost" }, answer.other_accounts);
        console.changed_login(&answer, answer.user.as_ref(), &answer.effects, others, rehearsal)
    }
}
