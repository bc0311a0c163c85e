//! The program as a process, on data and sockets of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint};

use crate::client::{Client, Identified};

/// How long anything may take that has to come.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Where the program runs, and with what.
#[derive(Clone)]
pub(crate) struct Place {
    directory: PathBuf,
    environment: Vec<(String, OsString)>,
}

impl Place {
    /// A directory for everything, cheap passwords, and mail that is written to files.
    pub(crate) fn new(directory: &Path) -> Self {
        let mut place = Self { directory: directory.to_owned(), environment: Vec::new() };
        let (data, tools) = (place.data(), place.tools_socket());
        place.set("DATA_DIR", data);
        place.set("GRPC__LISTEN", "");
        place.set("GRPC__TOOLS_SOCKET", tools);
        place.set("SIGNUP", "open");
        place.set("PASSWORD__MEMORY_KIB", "64");
        place.set("PASSWORD__ITERATIONS", "1");
        // one peer does what an office does in a year, and half a minute's mails to an address are waited for
        for limit in ["MAILS_PER_PEER", "MAILS_PER_RECIPIENT_HOUR", "MAILS_PER_RECIPIENT_DAY", "LINK_USES_PER_PEER"] {
            place.set(&format!("LIMITS__{limit}"), "0");
        }
        for limit in ["SIGN_IN_FAILURES_PER_ADDRESS", "SIGN_IN_FAILURES_PER_PEER", "SIGN_IN_FAILURES_PER_DEVICE"] {
            place.set(&format!("LIMITS__{limit}"), "0");
        }
        for limit in ["INVITATIONS_PER_GRANTOR", "INVITATIONS_PER_ACCOUNT", "ADDRESS_CHANGES_PER_USER"] {
            place.set(&format!("LIMITS__{limit}"), "0");
        }
        for limit in ["SIGN_UPS_PER_PEER", "SIGN_UPS"] {
            place.set(&format!("LIMITS__{limit}"), "0");
        }
        place.set("LOG__FILTER", "error");
        place
    }

    /// With this setting, named as in the environment.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    /// Without the errors that are meant.
    pub(crate) fn quiet(self) -> Self {
        self.with("LOG__FILTER", "off")
    }

    fn set(&mut self, key: &str, value: impl Into<OsString>) {
        self.environment.push((format!("USER_MANAGEMENT_{key}"), value.into()));
    }

    /// Mails go to a relay, which has a second for each.
    pub(crate) fn mailing_to(mut self, relay: SocketAddr) -> Self {
        self.set("WEB__PUBLIC_URL", "http://localhost:7080");
        self.set("MAIL__FROM", "Circonus Inside <noreply@circonus.test>");
        self.set("MAIL__TRANSPORT", "smtp");
        self.set("MAIL__SMTP__HOST", relay.ip().to_string());
        self.set("MAIL__SMTP__PORT", relay.port().to_string());
        self.set("MAIL__SMTP__SECURITY", "plaintext");
        self.set("MAIL__SMTP__TIMEOUT_SECONDS", "1");
        self
    }

    /// The shim stands between the program and the system, and goes by these variables.
    pub(crate) fn behind(mut self, shim: &Path, variables: &[(&str, &Path)]) -> Self {
        self.environment.push(("LD_PRELOAD".to_owned(), shim.into()));
        self.environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        self
    }

    /// Starts the program, and doesn't wait until it serves.
    pub(crate) fn start(&self) -> Program {
        let built = std::env::var_os("PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_user-management").into());
        let mut command = Command::new(built);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        Program { child: command.spawn().expect("the program starts") }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("user-management.db")
    }

    fn tools_socket(&self) -> PathBuf {
        self.directory.join("tools.sock")
    }

    /// The operator, as soon as the program serves.
    pub(crate) async fn operator(&self) -> Client {
        Client::new(self.operators_channel().await, Identified::default())
    }

    pub(crate) async fn operators_channel(&self) -> Channel {
        channel(&self.data().join("grpc.sock")).await
    }

    /// A connection for everybody else.
    pub(crate) async fn tools_channel(&self) -> Channel {
        channel(&self.tools_socket()).await
    }
}

/// A running program, killed at the latest when it is dropped.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// SIGKILL, which nothing can prepare for.
    pub(crate) fn kill(&mut self) {
        assert_eq!(self.child.try_wait().expect("its state"), None, "it ran until it was killed");
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// SIGTERM, and its end in order.
    pub(crate) async fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told");
        let ended = tokio::task::spawn_blocking(move || self.child.wait().expect("its end"));
        assert!(ended.await.expect("waited for").success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that makes itself anew when the program comes back.
async fn channel(socket: &Path) -> Channel {
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).expect("an address");
    let end = Instant::now() + LONG;
    loop {
        match endpoint.connect().await {
            Ok(channel) => return channel,
            Err(error) => assert!(Instant::now() < end, "it doesn't serve: {error:?}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
}
