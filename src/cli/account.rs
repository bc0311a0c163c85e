//! `account`: the tenants.

use clap::{Subcommand, ValueEnum};

use super::confirm::Confirmation;
use super::console::Console;
use super::screen::Column;
use super::words::{Whether, request_id, time};
use super::{Failure, Paging, Rehearsal, Seen};
use crate::proto::{self, Account};

/// What is done with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List accounts by name
    List {
        /// Only open ones, or only closed ones
        #[arg(long, value_enum)]
        state: Option<State>,
        /// Only those that nobody active may manage the users of; with =no only the others
        #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "yes", value_name = "YES|NO")]
        admin_missing: Option<Whether>,
        /// Only those whose name begins like this
        #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
        name: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one account
    Show {
        /// Its name
        account: String,
    },
    /// Create an account; it has no members until the first invitation is accepted
    Create {
        /// Its name for ever: 2 to 63 of a-z, 0-9 and -
        account: String,
        /// What people read; the name, for want of it
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        display_name: String,
        /// An IANA time zone such as Europe/Berlin; UTC, for want of it
        #[arg(long, value_name = "ZONE", default_value = "", hide_default_value = true)]
        timezone: String,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// Change what people read of an account
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["display_name", "timezone"]))]
    Update {
        /// Its name
        account: String,
        /// What people read
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// An IANA time zone such as Europe/Berlin
        #[arg(long, value_name = "ZONE")]
        timezone: Option<String>,
        #[command(flatten)]
        seen: Seen,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// Close an account: it grants nothing to anybody until it is opened again
    Close {
        /// Its name
        account: String,
        #[command(flatten)]
        seen: Seen,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Open a closed account again
    Reopen {
        /// Its name
        account: String,
        #[command(flatten)]
        seen: Seen,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
}

/// Whether an account grants anything.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum State {
    Open,
    Closed,
}

const COLUMNS: &[Column<Account>] = &[
    ("ACCOUNT", |account| account.name.clone()),
    ("DISPLAY NAME", |account| account.display_name.clone()),
    ("TIME ZONE", |account| account.timezone.clone()),
    ("STATE", state),
    ("CREATED", |account| time(account.create_time.as_ref())),
];

const MORE: &[Column<Account>] = &[("ETAG", |account| account.etag.clone())];

const ALL: &[&[Column<Account>]] = &[COLUMNS, MORE];

fn state(account: &Account) -> String {
    match (account.closed, account.admin_missing) {
        (true, _) => "closed",
        (false, true) => "open, without an admin",
        (false, false) => "open",
    }
    .to_owned()
}

impl Verb {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        match self {
            Self::List { state, admin_missing, name, paging } => {
                let request = proto::ListAccountsRequest {
                    closed: state.map(|state| matches!(state, State::Closed)),
                    admin_missing: admin_missing.map(Whether::is_yes),
                    name_prefix: name,
                    ..Default::default()
                };
                console.list(request, paging, COLUMNS).await
            }
            Self::Show { account } => {
                let answer = console.call(proto::GetAccountRequest { account }).await?;
                console.show(answer.account.as_ref(), ALL)
            }
            Self::Create { account, display_name, timezone, rehearsal } => {
                let request = proto::CreateAccountRequest {
                    name: account,
                    display_name,
                    timezone,
                    request_id: request_id(),
                    validate_only: rehearsal.dry_run,
                };
                let answer = console.call(request).await?;
                console.changed(&answer, answer.account.as_ref(), ALL, &[], rehearsal)
            }
            Self::Update { account, display_name, timezone, seen, rehearsal } => {
                let request = proto::UpdateAccountRequest {
                    account,
                    display_name,
                    timezone,
                    etag: seen.etag,
                    request_id: request_id(),
                    validate_only: rehearsal.dry_run,
                };
                let answer = console.call(request).await?;
                console.changed(&answer, answer.account.as_ref(), ALL, &[], rehearsal)
            }
            Self::Close { account, seen, rehearsal, confirmation } => {
                confirmation.ask(rehearsal.dry_run, &format!("Close {account}? Nobody has a permission there then."))?;
                let (request_id, validate_only) = (request_id(), rehearsal.dry_run);
                let request = proto::CloseAccountRequest { account, etag: seen.etag, request_id, validate_only };
                let answer = console.call(request).await?;
                console.changed(&answer, answer.account.as_ref(), ALL, &[], rehearsal)
            }
            Self::Reopen { account, seen, rehearsal } => {
                let (request_id, validate_only) = (request_id(), rehearsal.dry_run);
                let request = proto::ReopenAccountRequest { account, etag: seen.etag, request_id, validate_only };
                let answer = console.call(request).await?;
                console.changed(&answer, answer.account.as_ref(), ALL, &[], rehearsal)
            }
        }
    }
}
