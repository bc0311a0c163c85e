//! Mail through the host's own `sendmail` program, which every mail system brings.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{OpenError, SendFault, one_line};
use crate::config::mail::SendmailSettings;
use crate::mail::renderer::Rendered;
use crate::ownership;

/// What is kept of the program's complaints; the rest is read and forgotten, so that it never waits for a reader.
const KEPT: u64 = 4096;

/// How long its last words are waited for once it ended. A delivery that goes on in the background may hold them open for hours.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A program that takes a mail on standard input.
pub(super) struct Sendmail {
    command: PathBuf,
    arguments: Vec<String>,
    timeout: Duration,
}

/// What the program left behind.
struct Ended {
    status: ExitStatus,
    said: String,
    took_all: bool,
}

impl Sendmail {
    pub(super) fn open(settings: &SendmailSettings, owners: &[u32]) -> Result<Self, OpenError> {
        let command = settings.command.clone();
        let program = |source| OpenError::Command { path: command.clone(), source };
        // by its path alone: a program may be for others to run and not to read
        let file =
            File::from(open(&command, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|fault| program(fault.into()))?);
        let found = file.metadata().map_err(program)?;
        // it is run by its path, later
        let judged = ownership::check_trusted(&file, owners).and_then(|()| ownership::check_way(&command, owners));
        judged.map_err(|flaw| OpenError::Untrusted { path: command.clone(), flaw })?;
        if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
            return Err(program(std::io::ErrorKind::PermissionDenied.into()));
        }
        Ok(Self { command, arguments: settings.arguments.clone(), timeout: settings.timeout })
    }

    /// The timeout and the last words.
    pub(super) const fn longest(&self) -> Duration {
        self.timeout.saturating_add(LAST_WORDS)
    }

    /// Runs the program for one mail. It is killed, with what it started, when it takes too long or nobody waits for it any more.
    pub(super) async fn send(&self, mail: &Rendered) -> Result<String, SendFault> {
        let name = self.command.display();
        let mut running = match self.start(mail) {
            Ok(child) => Running(Some(child)),
            Err(fault) => return Err(SendFault::Deployment(one_line(&format!("{name} can't be run: {fault}")))),
        };
        // what is piped into it ends lines as files here do
        let text = mail.bytes().iter().copied().filter(|byte| *byte != b'\r').collect::<Vec<u8>>();
        match timeout(self.timeout, running.take(&text)).await {
            Ok(Ok(ended)) => judge(&ended),
            Ok(Err(fault)) => Err(SendFault::Deployment(one_line(&format!("{name}: {fault}")))),
            Err(_) => {
                let seconds = self.timeout.as_secs_f32();
                Err(SendFault::Deployment(one_line(&format!("{name} didn't end within {seconds} s and was killed"))))
            }
        }
    }

    fn start(&self, mail: &Rendered) -> std::io::Result<Child> {
        let mut command = Command::new(&self.command);
        // -i: a line with a single dot doesn't end the mail
        command.args(&self.arguments).arg("-i");
        if let Some(sender) = mail.envelope().from() {
            command.arg("-f").arg(sender);
        }
        // behind -- nothing is an option, whatever it begins with
        command.arg("--").args(mail.envelope().to());
        // the environment may hold secrets of the service, and decides nothing about a mail
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command.current_dir("/").process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

/// A program that is killed with its whole process group unless it ended.
struct Running(Option<Child>);

impl Running {
    async fn take(&mut self, text: &[u8]) -> std::io::Result<Ended> {
        let child = self.0.as_mut().ok_or(std::io::ErrorKind::NotFound)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            let mut stdin = stdin?;
            stdin.write_all(text).await.ok()?;
            stdin.shutdown().await.ok()
        };
        let (mut complaint, mut output) = (Vec::new(), Vec::new());
        let (took_all, status) = {
            let mut heard = pin!(async { tokio::join!(hear(stderr, &mut complaint), hear(stdout, &mut output)) });
            let mut ended = pin!(async { tokio::join!(write, child.wait()) });
            tokio::select! {
                outcome = &mut ended => {
                    let _ = timeout(LAST_WORDS, heard).await;
                    outcome
                }
                _ = &mut heard => ended.await,
            }
        };
        let status = status?;
        self.0 = None;
        let said = if complaint.iter().all(u8::is_ascii_whitespace) { output } else { complaint };
        Ok(Ended { status, said: String::from_utf8_lossy(&said).into_owned(), took_all: took_all.is_some() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let id = self.0.as_ref().and_then(Child::id).and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(group) = id {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn hear(source: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(source) = source else { return };
    let mut beginning = source.take(KEPT);
    let _ = beginning.read_to_end(kept).await;
    let _ = tokio::io::copy(&mut beginning.into_inner(), &mut tokio::io::sink()).await;
}

/// Says whose fault it is by the codes of sysexits.h, which all programs of that name share.
///
/// Only what is said of the recipient or the content is final. `EX_UNAVAILABLE` isn't: it stands for whatever has no code of its own.
fn judge(ended: &Ended) -> Result<String, SendFault> {
    let Some(code) = ended.status.code() else {
        return Err(SendFault::Deployment(one_line(&format!("{}: {}", ended.status, ended.said))));
    };
    let named = |name: &str| one_line(&format!("exit code {code} ({name}): {}", ended.said));
    match code {
        0 if ended.took_all => Ok(one_line(&format!("handed to sendmail {}", ended.said))),
        0 => Err(SendFault::Deployment("it ended without having read the whole mail".to_owned())),
        65 => Err(SendFault::Refused(named("EX_DATAERR"))),
        67 => Err(SendFault::Refused(named("EX_NOUSER"))),
        68 => Err(SendFault::Refused(named("EX_NOHOST"))),
        75 => Err(SendFault::Deferred(named("EX_TEMPFAIL"))),
        64 => Err(SendFault::Deployment(named("EX_USAGE"))),
        69 => Err(SendFault::Deployment(named("EX_UNAVAILABLE"))),
        77 => Err(SendFault::Deployment(named("EX_NOPERM"))),
        78 => Err(SendFault::Deployment(named("EX_CONFIG"))),
        _ => Err(SendFault::Deployment(one_line(&format!("exit code {code}: {}", ended.said)))),
    }
}

#[cfg(test)]
mod tests;
