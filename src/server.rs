//! The server: listeners, one acceptor, and a runtime for each core.
//!
//! ```text
//! listener ─┐  permit                       ┌ core: deadline, TLS, preface → HTTP/2 → services
//! listener ─┼───────── acceptor ── in turn ─┼ core
//! socket ───┘  (the caller's runtime)       └ core
//! ```
//!
//! Each address has one exclusive listener: with `SO_REUSEPORT` a second server could bind the same port unseen, and the kernel would
//! deal connections unevenly. What may wait for a stranger (a TLS handshake, the first bytes) waits in a task of its own under a deadline,
//! never in the acceptor: the bare socket is handed to its core before anything is read, since the reactor that a socket is registered
//! with should be the one that serves it.
//!
//! What peers may hold at once is counted for each and for all (`shares`): their connections before anything is read, then each call, its
//! request as it comes and its answer until it is taken (`calls`, `answers`). [`Limits::most_memory`] says what that comes to. What is read is
//! read in turn (`turns`), so that whoever sends much, or is refused much, delays themselves.
//!
//! tonic's own graceful shutdown waits for ever for a stream that stays open, so [`Server::run`] has a deadline of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::service::Routes;

use crate::api::peer::Listener;
use crate::config::{Config, Limits};
use crate::domain::clock::Clock;
use crate::metrics::Metrics;
use crate::ownership;
use crate::tls::{self, Certificates, TlsError};

mod acceptor;
mod answers;
mod calls;
mod connection;
mod core;
pub mod health;
mod listener;
mod reflection;
mod shares;
mod turns;

use acceptor::{Door, Way};
use core::{Cores, Serving};
use health::Health;
use shares::Shares;

/// Why a server can't start, or went down without being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another program listens there.
    #[error("can't listen on {0}: the address is in use; is another server running?")]
    AddressInUse(SocketAddr),
    /// The address isn't the host's, or the port is privileged.
    #[error("can't listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// A Unix socket can't be made.
    #[error("can't listen on the socket {}: {what}", .path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The reason.
        what: String,
    },
    /// A file of `grpc.tls` can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The descriptors that were compiled in can't be served.
    #[error("can't serve reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// A core's thread or runtime can't be made, or ended by a fault.
    #[error("the runtime of a core ended")]
    Core(#[source] std::io::Error),
}

/// Where a server can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// TCP, in the order of the configuration, with the ports that port 0 became.
    pub tcp: Vec<SocketAddr>,
    /// The operators' socket.
    pub socket: PathBuf,
    /// The tools' socket.
    pub tools_socket: Option<PathBuf>,
}

/// A server that is bound: clients can connect, and wait until it runs.
pub struct Server {
    doors: Vec<Door>,
    addresses: Addresses,
    routes: Routes,
    tls: Option<Certificates>,
    limits: Limits,
    shares: Shares,
    health: Health,
    metrics: Metrics,
}

/// Connections of the operators' socket, which are counted apart: there is a way in when clients use up all others.
const OPERATORS_CONNECTIONS: usize = 64;

impl Server {
    /// Binds all listeners of the configuration; health and reflection are added to the services.
    ///
    /// Whoever calls this holds the lock of the data directory, since a socket file that nothing answers on is taken for a left-over.
    pub fn bind(config: &Config, services: Routes, health: Health, metrics: Metrics) -> Result<Self, ServerError> {
        let tls = config.grpc.tls.as_ref().map(|files| Certificates::load(files, Clock::System)).transpose()?;
        let routes = services.add_service(health.service());
        let routes = reflection::add(routes).map_err(ServerError::Reflection)?;
        let everyone = Arc::new(Semaphore::new(config.limits.connections));
        let operators = Arc::new(Semaphore::new(OPERATORS_CONNECTIONS));
        let mut doors = Vec::new();
        let mut tcp = Vec::new();
        for address in &config.grpc.listen {
            let (listener, address) = listener::tcp(*address)?;
            tcp.push(address);
            doors.push(Door { way: Way::Tcp(listener), permits: Arc::clone(&everyone) });
        }
        let socket = listener::operators(&config.grpc.socket)?;
        doors.push(Door { way: Way::Unix(socket, Listener::OperatorsSocket), permits: operators });
        if let Some(path) = &config.grpc.tools_socket {
            doors.push(Door { way: Way::Unix(listener::tools(path)?, Listener::ToolsSocket), permits: everyone });
        }
        let addresses = Addresses { tcp, socket: config.grpc.socket.clone(), tools_socket: config.grpc.tools_socket.clone() };
        let shares = Shares::new(config.limits, config.web.trusted_proxies.clone(), core::count());
        Ok(Self { doors, addresses, routes, tls, limits: config.limits, shares, health, metrics })
    }

    /// Where it can be reached.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The certificates that it shows and takes, to be loaded anew while it runs; none without TLS.
    #[must_use]
    pub const fn certificates(&self) -> Option<&Certificates> {
        self.tls.as_ref()
    }

    /// Serves until `shutdown` is there, then drains: no new connections, calls may end, and `limits.shutdown_seconds` later all is closed.
    ///
    /// Dropping the future closes everything at once. An error means that a core failed; the rest was drained then.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServerError> {
        let serving =
            Serving { routes: self.routes.prepare(), tls: self.tls, limits: self.limits, metrics: self.metrics.clone() };
        let mut cores = Cores::start(&serving).map_err(ServerError::Core)?;
        let mut acceptors = JoinSet::new();
        for door in self.doors {
            acceptors.spawn(acceptor::accept(door, cores.dealer(), self.shares.clone(), self.metrics.clone()));
        }
        announce(&[sd_notify::NotifyState::Ready]);
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            error = cores.failure() => Err(ServerError::Core(error)),
        };
        announce(&[sd_notify::NotifyState::Stopping]);
        self.health.set_draining();
        acceptors.shutdown().await;
        cores.drain();
        if tokio::time::timeout(self.limits.shutdown, cores.ended()).await.is_err() {
            tracing::warn!(after = ?self.limits.shutdown, "closing what is still open");
            cores.abort();
            // a core is late only if a handler blocks it, and nothing can end that but the process
            let _ = tokio::time::timeout(Duration::from_secs(1), cores.ended()).await;
        }
        outcome
    }
}

/// Listens on an address of its own, apart from the services; answers the address with its real port.
pub(crate) fn listen(address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), ServerError> {
    listener::tcp(address)
}

/// Says what is wrong with the files that a server would need, without listening.
#[must_use]
pub fn check(config: &Config) -> Vec<ServerError> {
    let owner = ownership::of_site(&config.data_dir);
    let owners = ownership::trusted_by(&config.data_dir);
    let operators = listener::check_operators(&config.grpc.socket, owner);
    let tools = config.grpc.tools_socket.as_deref().map(|path| listener::check_tools(path, owner));
    let tls = config.grpc.tls.as_ref().map(|files| tls::check(files, &owners).map_err(ServerError::from));
    [Some(operators), tools, tls].into_iter().flatten().filter_map(Result::err).collect()
}

/// Tells systemd, if it asked.
pub(crate) fn announce(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd can't be told");
    }
}
