//! Why the program ends without having done what it was told: what standard error says, and the exit code.

use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use tonic::Status;

use super::refusal;
use crate::app::StartError;
use crate::app::link_key::LinkKeyError;
use crate::app::test_mail::TestMailError;
use crate::config::ConfigError;
use crate::serve::ServeError;
use crate::server::ServerError;
use crate::store::OpenError;

/// Lines about an input at most: someone reads them.
const LINES: usize = 20;

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
    TestMail(#[from] TestMailError),
    /// A file of link keys can't be changed.
    #[error(transparent)]
    LinkKey(#[from] LinkKeyError),
    /// The host refuses what a process needs.
    #[error("the process can't be set up")]
    Process(#[from] std::io::Error),
    /// Arguments that don't go together.
    #[error("{0}")]
    Usage(&'static str),
    /// Lists that can't be taken: what is wrong with which line.
    #[error("the input can't be taken")]
    Input(Vec<String>),
    /// Not all of many was done.
    #[error("{0}")]
    Partly(Progress, #[source] Option<Box<Failure>>),
    /// More than one of these, or one.
    #[error("it can't start")]
    Several(Vec<Failure>),
    /// No server answers on the socket.
    #[error("no server answers on {}", .0.display())]
    Unreachable(PathBuf, #[source] std::io::Error),
    /// The socket is another user's.
    #[error("the operators' socket {} is closed to uid {uid}: run this as root or as the user of the service", .path.display())]
    SocketClosed {
        /// The socket.
        path: PathBuf,
        /// Who tried.
        uid: u32,
    },
    /// No server runs, and there is no data to work on.
    #[error("no server answers on {}, and {} holds no data yet: start the server, or name its --socket or --data-dir", .socket.display(), .data_dir.display())]
    NoData {
        /// Where a server would be.
        socket: PathBuf,
        /// Where data would be.
        data_dir: PathBuf,
    },
    /// The data of a server that doesn't run can't be opened.
    #[error("no server answers, and the data can't be opened")]
    Offline(#[source] StartError),
    /// The server said no.
    #[error("refused")]
    Refused(Box<Status>),
    /// The server said no to a list, perhaps because of one entry: where each stands.
    #[error("refused")]
    RefusedWithin(Box<Status>, Vec<String>),
    /// Nothing came back in time.
    #[error("the server didn't answer within {0} s")]
    Silent(u64),
    /// An answer that isn't what the contract says.
    #[error("the server's answer can't be shown: {0}")]
    Answer(String),
    /// A service was made whose token nobody saw.
    #[error("the service {0} was made, but the answer with its token was lost: revoke it and create another")]
    TokenLost(String),
    /// A link was made that nobody saw.
    #[error("a link was made for {0}, but the answer with it was lost: ask for another")]
    LinkLost(String),
    /// What can't be undone takes a yes, and there is nobody to ask.
    #[error("{0} Say --yes if that is meant: there is no terminal to ask on")]
    Unconfirmed(String),
    /// The person at the terminal said no.
    #[error("nothing was changed")]
    Declined,
    /// Not all tokens were ended.
    #[error("of {all} tokens, {done} were looked for: do it again for the others")]
    TokensLeft {
        /// Those that were ended, or are none of the server's.
        done: usize,
        /// All that were found.
        all: usize,
        /// What came between.
        #[source]
        cause: Box<Failure>,
    },
    /// The server knows none of the tokens.
    #[error("no token in it is known here")]
    NoneKnown,
    /// What was to be printed can't be written.
    #[error("the output can't be written")]
    Output(#[source] std::io::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl Failure {
    /// Tells where the entries stand that a refusal is about.
    #[must_use]
    pub(super) fn within(self, places: Vec<String>) -> Self {
        match self {
            Self::Refused(status) => Self::RefusedWithin(status, places),
            failure => failure,
        }
    }

    /// 2 for what its caller has to change, as with wrong arguments; 3 for what isn't there; 4 for what may work later; else 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) | Self::Input(_) => 2,
            // never 0, though nobody reads: something wasn't done
            Self::Partly(_, cause) => cause.as_ref().map_or(1, |cause| cause.code().max(1)),
            Self::Refused(status) | Self::RefusedWithin(status, _) => refusal::exit_code(status),
            Self::Several(all) => all.iter().map(Self::code).max().unwrap_or(1),
            Self::TokensLeft { cause, .. } => cause.code().max(1),
            Self::NoneKnown => 3,
            Self::Unreachable(..)
            | Self::NoData { .. }
            | Self::Silent(_)
            | Self::Offline(StartError::Open(OpenError::InUse(_))) => 4,
            // whoever reads has had enough
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => 0,
            _ => 1,
        }
    }

    /// What standard error is told: one line for each problem, with its causes behind it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Config(ConfigError(violations)) => violations.clone(),
            Self::Input(wrong) => some(wrong),
            Self::Partly(progress, cause) => {
                let mut lines = cause.as_ref().map(|cause| cause.lines()).unwrap_or_default();
                lines.push(progress.to_string());
                lines
            }
            Self::Several(all) => all.iter().flat_map(Self::lines).collect(),
            Self::TokensLeft { cause, .. } => [cause.lines(), vec![self.to_string()]].concat(),
            Self::Refused(status) => refusal::lines(status, &[]),
            Self::RefusedWithin(status, places) => some(&refusal::lines(status, places)),
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => Vec::new(),
            _ => {
                let mut line = self.to_string();
                let mut cause = self.source();
                while let Some(error) = cause {
                    let _ = write!(line, ": {error}");
                    cause = error.source();
                }
                vec![line.replace('\n', " ")]
            }
        }
    }
}

/// How far many invitations have come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Addresses that there are.
    pub all: usize,
    /// Those whose results are known.
    pub known: usize,
    /// Those of them that were refused.
    pub refused: usize,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { all, known, refused } = self;
        write!(f, "of {all} addresses, {} taken and {refused} refused", known - refused)?;
        if known < all {
            write!(f, "; {} have no result: send those again, and who was invited after all is refused", all - known)?;
        }
        Ok(())
    }
}

/// The first of many lines, and how many more there are.
fn some(lines: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = lines.iter().take(LINES).cloned().collect();
    if lines.len() > LINES {
        shown.push(format!("and {} more of this kind", lines.len() - LINES));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_its_causes_and_a_bad_configuration_one_for_each_problem() {
        let address = "127.0.0.1:1".parse().unwrap();
        let failure = Failure::from(ServerError::Listen(address, ErrorKind::PermissionDenied.into()));
        assert_eq!(failure.lines(), ["can't listen on 127.0.0.1:1: permission denied"]);
        let failure = Failure::from(ConfigError(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(failure.lines(), ["a", "b"]);
    }

    #[test]
    fn of_many_wrong_lines_the_first_are_told() {
        let wrong: Vec<String> = (1..=22).map(|line| format!("line {line}")).collect();
        let told = Failure::Input(wrong.clone()).lines();
        assert_eq!((told.len(), &told[19], told[20].as_str()), (21, &wrong[19], "and 2 more of this kind"));
        assert_eq!(Failure::Input(wrong[..20].to_vec()).lines(), wrong[..20]);
    }

    #[test]
    fn tokens_that_are_left_are_counted_behind_why_and_several_faults_are_all_told() {
        let left = Failure::TokensLeft { done: 2, all: 5, cause: Box::new(Failure::Silent(120)) };
        assert_eq!(left.lines()[1..], ["of 5 tokens, 2 were looked for: do it again for the others"]);
        assert_eq!((left.lines()[0].clone(), left.code()), (Failure::Silent(120).lines()[0].clone(), 4));
        let gone = Failure::Output(ErrorKind::BrokenPipe.into());
        assert_eq!(Failure::TokensLeft { done: 2, all: 5, cause: Box::new(gone) }.code(), 1);
        let several = Failure::Several(vec![Failure::Usage("one"), Failure::from(std::io::Error::from(ErrorKind::NotFound))]);
        assert_eq!((several.lines().len(), several.code()), (2, 2));
    }

    #[test]
    fn what_ended_halfway_is_never_told_as_done() {
        let halfway = Progress { all: 2500, known: 1000, refused: 3 };
        let gone = Failure::Output(ErrorKind::BrokenPipe.into());
        let failure = Failure::Partly(halfway, Some(Box::new(gone)));
        let line = "of 2500 addresses, 997 taken and 3 refused; 1500 have no result: send those again, and who was invited after \
                    all is refused";
        assert_eq!((failure.code(), failure.lines()), (1, vec![line.to_owned()]));
        let failure = Failure::Partly(halfway, Some(Box::new(Failure::Silent(120))));
        assert_eq!((failure.code(), failure.lines()[0].as_str()), (4, "the server didn't answer within 120 s"));
        let lines = Failure::Partly(Progress { known: 2500, ..halfway }, None).lines();
        assert_eq!(lines, ["of 2500 addresses, 2497 taken and 3 refused"]);
    }
}
