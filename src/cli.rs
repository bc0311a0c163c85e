//! The command line: arguments to a subcommand.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod send_test_mail;

use crate::app::{self, test_mail};
use crate::config::{Config, ConfigError, Flags};
use crate::serve::ServeError;
use crate::server::{self, ServerError};
pub use send_test_mail::SendTestMail;

/// The user management service of Circonus Inside.
///
/// Settings come from flags, then the environment (`USER_MANAGEMENT_…`), then the file of --config, then defaults.
#[derive(Debug, Parser)]
#[command(name = "user-management", version)]
pub struct Cli {
    /// What to do; serving, for want of it
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings that win over all others
    #[command(flatten)]
    pub flags: Flags,
}

/// What the program can be told to do.
#[derive(Clone, Debug, Default, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM or SIGINT; a second signal ends at once
    #[default]
    Serve,
    /// Print the effective configuration without its secrets, or all that is wrong with it
    CheckConfig,
    /// Send a mail by the configured way and print what the relay said
    SendTestMail(SendTestMail),
}

/// Why the program ends without having done what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration can't be taken.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that the server needs can't be used.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The service can't start, or went down.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A test mail didn't go.
    #[error(transparent)]
    TestMail(#[from] test_mail::TestMailError),
    /// The host refuses what a process needs.
    #[error("the process can't be set up")]
    Process(#[from] std::io::Error),
}

impl Failure {
    /// 2 for what its caller has to change, as with wrong arguments, else 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(if matches!(self, Self::Config(_)) { 2 } else { 1 })
    }

    /// What standard error is told: one line for each problem, with its causes behind it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        if let Self::Config(ConfigError(violations)) = self {
            return violations.clone();
        }
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let _ = write!(line, ": {error}");
            cause = error.source();
        }
        vec![line.replace('\n', " ")]
    }
}

/// Reads the configuration and the files that it names, and tells what counts.
pub fn check_config(flags: &Flags) -> Result<String, Failure> {
    let (config, explanation) = Config::explain(flags, std::env::vars_os())?;
    server::check(&config)?;
    app::check_mail(&config).map_err(ServeError::from)?;
    Ok(explanation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound_and_serves_by_default() {
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["user-management", "--listen", "127.0.0.1:1", "--listen", "[::1]:2", "--edition", "saas"]);
        assert!(cli.command.is_none());
        assert_eq!(cli.flags.listen.len(), 2);
        let cli = Cli::parse_from(["user-management", "check-config", "--data-dir", "d"]);
        assert!(matches!(cli.command, Some(Command::CheckConfig)));
        assert_eq!(cli.flags.data_dir, Some("d".into()));
    }

    #[test]
    fn a_failure_is_one_line_with_its_causes_and_a_bad_configuration_one_for_each_problem() {
        let address = "127.0.0.1:1".parse().unwrap();
        let failure = Failure::from(ServerError::Listen(address, std::io::ErrorKind::PermissionDenied.into()));
        assert_eq!(failure.lines(), ["can't listen on 127.0.0.1:1: permission denied"]);
        let failure = Failure::from(ConfigError(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(failure.lines(), ["a", "b"]);
    }
}
