//! The command line: arguments to a subcommand.
//!
//! What operators do goes through the RPCs that everybody uses. `reach` finds the server: a running one through its operators' socket, and
//! when none runs, the same services over the locked data, inside this process. `console` calls and pages, `screen` prints, and each noun
//! has a file with its verbs and columns. A new verb is a variant with its request there, and its RPC a line in `calls`.

mod account;
mod calls;
mod check;
mod confirm;
mod console;
mod edition;
mod event;
mod failure;
mod input;
mod invite;
mod link;
mod mail;
mod manual;
mod member;
mod offline;
mod reach;
mod refusal;
mod rotate_link_key;
mod screen;
mod send_test_mail;
mod service;
mod status;
mod super_admin;
mod token;
mod user;
mod words;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app;
use crate::config::{Config, Flags};
use crate::serve::ServeError;
use crate::server;

use console::Console;
pub use failure::Failure;
use reach::Server;

const EXIT_STATUS: &str = "\
Exit status:
  0  done; of `status`: all is well; of `check`: allowed; of `events verify`: whole
  1  refused or failed; of many addresses: one was; of `status`: something needs attention; of `check`: denied; of `events verify`: broken
  2  wrong arguments, fields, lists or configuration
  3  what was named isn't there
  4  the server can't be reached or is busy, or the data is in use: try again";

/// The user management service of Circonus Inside, and the commands of those who run it.
///
/// Settings come from flags, then the environment (`USER_MANAGEMENT_…`), then the file of --config, then defaults. Commands go to the running
/// server through its operators' socket; when none runs, they lock the data directory and work on the data themselves.
#[derive(Debug, Parser)]
#[command(name = "user-management", version, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do; serving, for want of it
    #[command(subcommand)]
    command: Option<Command>,
    /// Settings that win over all others
    #[command(flatten)]
    pub flags: Flags,
}

impl Cli {
    /// Whether the program is to serve.
    #[must_use]
    pub const fn serves(&self) -> bool {
        matches!(self.command, None | Some(Command::Serve))
    }

    /// Does what the command line says, serving apart.
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.command.unwrap_or_default() {
            Command::Serve => unreachable!("main serves"),
            Command::CheckConfig => screen::print(&check_config(&self.flags)?),
            Command::SendTestMail(mail) => screen::print(&mail.run(&self.flags)?),
            Command::Completions(completions) => completions.print(),
            Command::Man(pages) => pages.print(),
            Command::Operate(operation) => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let outcome = runtime.block_on(operate(operation, &self.flags));
                runtime.shutdown_background();
                return outcome;
            }
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What the program can be told to do.
#[derive(Debug, Default, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT; a second signal ends at once
    #[default]
    Serve,
    /// Print the effective configuration without its secrets, or all that is wrong with it
    CheckConfig,
    /// Send a mail by the configured way and print what the relay said
    SendTestMail(send_test_mail::SendTestMail),
    /// What goes to a server.
    #[command(flatten)]
    Operate(Operation),
    /// Print the completions of a shell
    Completions(manual::Completions),
    /// Print a manual page (roff), or write all of them
    Man(manual::Pages),
}

/// What operators do.
#[derive(Debug, Subcommand)]
enum Operation {
    /// Say in one screen whether all is well
    Status(status::Status),
    /// Accounts: list, show, create, update, close, reopen
    Account(Noun<account::Verb>),
    /// Invitations: list, show, send, update, resend, withdraw
    Invite(Noun<invite::Verb>),
    /// Members of an account: list, show, move, change roles, remove, many at once
    Member(Noun<member::Verb>),
    /// Super-admins: grant, revoke
    SuperAdmin(Noun<super_admin::Verb>),
    /// Users: list, show, create, reset-password, deactivate, reactivate, delete, revoke-sessions
    User(Noun<user::Verb>),
    /// Internal tools that call with a token or a certificate: list, create, revoke
    Service(Noun<service::Verb>),
    /// Tokens that leaked: revoke
    Token(Noun<token::Verb>),
    /// What the other edition would change: preview
    Edition(Noun<edition::Verb>),
    /// What was recorded: list, verify, export
    Events(Noun<event::Verb>),
    /// The same as `events verify`
    #[command(hide = true)]
    VerifyEvents(Alias<event::Verify>),
    /// The same as `events export`
    #[command(hide = true)]
    ExportEvents(Alias<event::Export>),
    /// The mail queue: list, retry
    Mail(Noun<mail::Verb>),
    /// Say whether a user has a permission in an account, and why; or all that they have
    Check(check::Check),
    /// Make the links of mails with another key
    RotateLinkKey(rotate_link_key::RotateLinkKey),
}

/// A noun with its verb.
#[derive(Debug, Args)]
struct Noun<V: Subcommand> {
    #[command(subcommand)]
    verb: V,
    #[command(flatten)]
    manner: Manner,
}

/// Another name for a verb of a noun.
#[derive(Debug, Args)]
struct Alias<V: Args> {
    #[command(flatten)]
    verb: V,
    #[command(flatten)]
    manner: Manner,
}

/// How to print.
#[derive(Clone, Copy, Debug, Args)]
struct Manner {
    /// Print JSON, one object a line: of `list` and `show` the object, of a change its RPC's whole answer, of many addresses one each
    #[arg(long, global = true)]
    json: bool,
}

/// How much to list.
#[derive(Clone, Copy, Debug, Args)]
struct Paging {
    /// Stop after so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Whether to do it.
#[derive(Clone, Copy, Debug, Args)]
struct Rehearsal {
    /// Judge everything and say what would happen, but change nothing and send nothing
    #[arg(long)]
    dry_run: bool,
}

impl Rehearsal {
    /// Says that it was one.
    fn remark(self) {
        if self.dry_run {
            screen::note("a dry run: nothing was changed");
        }
    }
}

/// What was seen of the thing before.
#[derive(Clone, Debug, Args)]
struct Seen {
    /// Only if its etag is still this one, which `show` told
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

async fn operate(operation: Operation, flags: &Flags) -> Result<ExitCode, Failure> {
    if flags.edition.is_some() || !flags.listen.is_empty() {
        return Err(Failure::Usage("--edition and --listen are for serving"));
    }
    if let Operation::Status(status) = operation {
        return status.run(Server::running(flags).await?).await;
    }
    if let Operation::RotateLinkKey(rotation) = &operation
        && let Some(file) = &rotation.file
    {
        return rotation.run_on(file).map(|()| ExitCode::SUCCESS);
    }
    let server = Server::find(flags).await?;
    let mut console = Console::new(server, operation.manner().json);
    let outcome = operation.run(&mut console).await;
    console.close().await;
    outcome
}

impl Operation {
    const fn manner(&self) -> Manner {
        match self {
            Self::Status(status) => status.manner,
            Self::Account(noun) => noun.manner,
            Self::Invite(noun) => noun.manner,
            Self::Member(noun) => noun.manner,
            Self::SuperAdmin(noun) => noun.manner,
            Self::User(noun) => noun.manner,
            Self::Service(noun) => noun.manner,
            Self::Token(noun) => noun.manner,
            Self::Edition(noun) => noun.manner,
            Self::Events(noun) => noun.manner,
            Self::VerifyEvents(alias) => alias.manner,
            Self::ExportEvents(alias) => alias.manner,
            Self::Mail(noun) => noun.manner,
            Self::Check(check) => check.manner,
            Self::RotateLinkKey(rotation) => rotation.manner,
        }
    }

    async fn run(self, console: &mut Console) -> Result<ExitCode, Failure> {
        match self {
            Self::Status(_) => unreachable!("is asked of a running server"),
            Self::Account(noun) => noun.verb.run(console).await?,
            Self::Invite(noun) => noun.verb.run(console).await?,
            Self::Member(noun) => noun.verb.run(console).await?,
            Self::SuperAdmin(noun) => noun.verb.run(console).await?,
            Self::User(noun) => noun.verb.run(console).await?,
            Self::Service(noun) => noun.verb.run(console).await?,
            Self::Token(noun) => noun.verb.run(console).await?,
            Self::Edition(noun) => noun.verb.run(console).await?,
            Self::Events(noun) => return noun.verb.run(console).await,
            Self::VerifyEvents(alias) => return alias.verb.run(console).await,
            Self::ExportEvents(alias) => return alias.verb.run(console).await,
            Self::Mail(noun) => noun.verb.run(console).await?,
            Self::Check(check) => return check.run(console).await,
            Self::RotateLinkKey(rotation) => rotation.run(console).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Reads the configuration and the files that it names, and tells what counts.
fn check_config(flags: &Flags) -> Result<String, Failure> {
    let (config, explanation) = Config::explain(flags, std::env::vars_os())?;
    let files = app::check(&config).into_iter().map(|error| ServeError::from(error).into());
    let faults: Vec<Failure> = files.chain(server::check(&config).into_iter().map(Failure::from)).collect();
    if faults.is_empty() { Ok(explanation) } else { Err(Failure::Several(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound_and_serves_by_default() {
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["user-management", "--listen", "127.0.0.1:1", "--listen", "[::1]:2", "--edition", "saas"]);
        assert!(cli.serves());
        assert_eq!(cli.flags.listen.len(), 2);
        let cli = Cli::parse_from(["user-management", "check-config", "--data-dir", "d"]);
        assert!(matches!(cli.command, Some(Command::CheckConfig)));
        assert_eq!(cli.flags.data_dir, Some("d".into()));
    }

    #[test]
    fn every_filter_of_a_list_in_the_contract_has_a_flag_or_a_place() {
        let lists = [
            ("ListAccounts", "account", "admin_missing:admin_missing closed:state name_prefix:name"),
            ("ListInvitations", "invite", "account:account states:state delivery_states:mail held:held email_prefix:email"),
            ("ListMembers", "member", "account:account privileges:privilege role:role active:state email_prefix:email"),
            ("ListUsers", "user", "active:state super_admin:super_admin email_prefix:email"),
            ("ListServices", "service", ""),
            ("ListEvents", "events", "account:account kinds:kind actor:actor subject:subject from_time:from to_time:to"),
            ("ListMail", "mail", "states:state"),
        ];
        let pool = prost_reflect::DescriptorPool::decode(crate::proto::DESCRIPTORS).unwrap();
        let program = Cli::command();
        for (rpc, noun, filters) in lists {
            let request = pool.get_message_by_name(&format!("{}.{rpc}Request", calls::PACKAGE)).unwrap();
            let fields = request.fields().map(|field| field.name().to_owned());
            let mut fields: Vec<String> = fields.filter(|name| name != "page_size" && name != "page_token").collect();
            let (mut known, arguments): (Vec<_>, Vec<_>) =
                filters.split_whitespace().map(|filter| filter.split_once(':').unwrap()).unzip();
            fields.sort_unstable();
            known.sort_unstable();
            assert_eq!(fields, known, "{rpc}");
            let list = program.find_subcommand(noun).and_then(|noun| noun.find_subcommand("list")).unwrap();
            for argument in arguments {
                assert!(list.get_arguments().any(|each| each.get_id() == argument), "{noun} list takes no {argument}");
            }
        }
    }
}
