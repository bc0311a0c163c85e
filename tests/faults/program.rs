//! The program as a process, on sockets of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint};

use crate::client::{Client, Identified};

/// How long anything may take that has to come.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A running program, killed at the latest when it is dropped.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts it on a directory's data, with cheap passwords, and doesn't wait until it serves.
    pub(crate) fn start(directory: &Path) -> Self {
        Self::spawn(Self::command(directory).stderr(Stdio::inherit()))
    }

    pub(crate) fn command(directory: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_user-management"));
        command.env_clear().stdout(Stdio::null()).stderr(Stdio::null());
        for (name, value) in [
            ("DATA_DIR", &*data(directory).to_string_lossy()),
            ("GRPC__LISTEN", ""),
            ("GRPC__TOOLS_SOCKET", &tools_socket(directory).to_string_lossy()),
            ("SIGNUP", "open"),
            ("PASSWORD__MEMORY_KIB", "64"),
            ("PASSWORD__ITERATIONS", "1"),
            ("LOG__FILTER", "error"),
        ] {
            command.env(format!("USER_MANAGEMENT_{name}"), value);
        }
        command
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self { child: command.spawn().expect("the program starts") }
    }

    /// SIGKILL, which nothing can prepare for.
    pub(crate) fn kill(mut self) {
        assert_eq!(self.child.try_wait().expect("its state"), None, "it ran until it was killed");
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
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

pub(crate) fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn tools_socket(directory: &Path) -> PathBuf {
    directory.join("tools.sock")
}

/// The operator, as soon as the program serves.
pub(crate) async fn operator(directory: &Path) -> Client {
    Client::new(channel(&data(directory).join("grpc.sock")).await, Identified::default())
}

/// Whoever holds a token, as soon as the program serves; nobody without one.
pub(crate) async fn bearer(directory: &Path, token: &str) -> Client {
    let identified = if token.is_empty() { Identified::default() } else { Identified::by(token) };
    Client::new(channel(&tools_socket(directory)).await, identified)
}

/// A connection that makes itself anew when the program comes back.
pub(crate) async fn channel(socket: &Path) -> Channel {
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
