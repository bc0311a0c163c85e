//! The program: arguments, logging, signals; all else is the library's.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use user_management::cli::{Cli, Failure};
use user_management::config::mail::MailTransport;
use user_management::config::{Config, Flags};
use user_management::domain::clock::Clock;
use user_management::logging;
use user_management::serve::{self, Service};
use user_management::tls::Certificates;

fn main() -> ExitCode {
    keep_memory_private();
    let cli = Cli::parse();
    let outcome = if cli.serves() { start(&cli.flags).map(|()| ExitCode::SUCCESS) } else { cli.run() };
    outcome.unwrap_or_else(|failure| {
        for line in failure.lines() {
            // that nobody listens is no reason to panic
            let _ = writeln!(std::io::stderr(), "user-management: {line}");
        }
        failure.exit_code()
    })
}

fn start(flags: &Flags) -> Result<(), Failure> {
    let config = Config::load(flags, std::env::vars_os())?;
    logging::start(&config.log);
    raise_open_files(config.limits.connections);
    // an error means that there is a provider, and it can only be the same
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(config));
    // what blocks still would keep the process beyond the deadline of its shutdown
    runtime.shutdown_background();
    outcome
}

/// Lets nobody but root read the memory, which holds keys and passwords, from a core dump or by attaching to the process.
fn keep_memory_private() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // what can't be had is no reason not to work: a container may forbid it
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Each connection is an open file, and the usual limit on those is as low as that on connections.
fn raise_open_files(connections: usize) {
    /// The database, its log, mails, sockets to the relay.
    const OTHERS: usize = 256;
    /// A core's runtime: what it waits with.
    const CORE: usize = 8;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let wanted = u64::try_from(connections.saturating_add(OTHERS + CORE * cores)).unwrap_or(u64::MAX);
    if current.is_some_and(|current| current < wanted) {
        let most = maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
        if raised.is_err() || most < wanted {
            tracing::warn!(limit = most, wanted, "the host lets the service open fewer files than limits.connections may take");
        }
    }
}

async fn run(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let service = Service::bind(&config, Clock::System).await?;
    announce(&config, &service);
    let certificates = service.certificates();
    let stop = CancellationToken::new();
    tokio::select! {
        outcome = service.run(stop.cancelled()) => outcome?,
        () = signals.second(&stop, certificates.as_ref()) => tracing::warn!("ended at once by a second signal"),
    }
    tracing::info!("ended");
    Ok(())
}

/// Says what somebody who just started it asks first: where it listens, and where mails go.
fn announce(config: &Config, service: &Service) {
    for address in service.listeners() {
        tracing::info!(address, "listening");
    }
    match &config.mail.transport {
        MailTransport::Directory { path } => tracing::info!(directory = %path.display(), "mails are written to files, not sent"),
        MailTransport::Smtp(relay) => tracing::info!(relay = format!("{}:{}", relay.host, relay.port), "mails go to a relay"),
        MailTransport::Sendmail(program) => tracing::info!(program = %program.command.display(), "mails go to a program"),
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), edition = service.app().edition().as_str(), "serving");
}

/// SIGTERM and SIGINT, which mean the same, and SIGHUP.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT; loads certificates anew at each SIGHUP before.
    async fn next(&mut self, certificates: Option<&Certificates>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => reload(certificates).await,
            }
        }
    }

    /// Stops the server at the first signal and returns at the second.
    async fn second(&mut self, stop: &CancellationToken, certificates: Option<&Certificates>) {
        self.next(certificates).await;
        tracing::info!("shutting down");
        stop.cancel();
        self.next(None).await;
    }
}

/// Loads certificates anew, off the thread that accepts connections.
async fn reload(certificates: Option<&Certificates>) {
    let Some(certificates) = certificates.cloned() else {
        return tracing::info!("SIGHUP loads certificates anew, and there are none in use");
    };
    serve::announce_reload();
    // whether it went well is in the log and in GetServerInfo
    let _ = tokio::task::spawn_blocking(move || certificates.reload()).await;
    serve::announce_ready();
}
