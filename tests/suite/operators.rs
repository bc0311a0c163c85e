//! The command line of operators: the program itself, against a server that runs and against data that nobody serves.

mod batches;
mod filters;
mod lossy;
mod offline;
mod verbs;

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use user_management::proto::Privilege;

use crate::acme::ACME;
use crate::site::{Person, Site};

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let said = Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!said.err.contains("panicked"), "{said:?}");
        said
    }

    /// What it printed, having done what it was told.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The one line on standard error of a command that ended with this code and printed nothing.
    #[track_caller]
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        let line = self.err.strip_prefix("user-management: ").expect("says who speaks").trim_end();
        assert!(!line.contains('\n'), "more than a line: {line}");
        line.to_owned()
    }

    /// Ended as usage, with clap's own explanation.
    #[track_caller]
    pub(crate) fn refused_as_usage(self) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(self.err.contains("error: ") && self.err.contains("--help"), "{self:?}");
    }

    /// What it printed, as JSON, one object a line.
    #[track_caller]
    fn json(self) -> Vec<Value> {
        let lines = self.done();
        lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

impl Site {
    /// The program with some arguments, which nobody stands beside, told of the data directory alone.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_user-management"));
        command.env_clear().stdin(Stdio::null()).args(["--data-dir".as_ref(), self.data_dir().as_os_str()]);
        command.args(line.split_whitespace());
        command
    }

    /// Runs it to its end, while the service goes on.
    pub(crate) async fn operate(&self, line: &str) -> Said {
        let mut command = self.command(line);
        Said::of(tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it starts"))
    }

    /// Runs it with this file's content on its standard input.
    async fn operate_on(&self, input: &str, line: &str) -> Said {
        let path = self.data_dir().join("input");
        std::fs::write(&path, input).expect("written");
        let mut command = self.command(line);
        command.stdin(std::fs::File::open(path).expect("opened"));
        Said::of(tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it starts"))
    }
}

/// A site with an Admin, Ann, in acme.
async fn with_ann() -> (Site, Person) {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    (site, ann)
}
