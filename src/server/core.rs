//! A thread with a current-thread runtime for each core, all serving the same services.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use super::acceptor::Accepted;
use super::calls::CountLayer;
use super::connection::{self, Connection};
use super::turns::{Place, Turns};
use crate::api::trace::TraceLayer;
use crate::config::Limits;
use crate::domain::clock::Clock;
use crate::metrics::Metrics;
use crate::tls::Certificates;

/// What each core serves.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) routes: Routes,
    pub(super) tls: Option<Certificates>,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
}

/// The running cores. Dropped, they end at once.
pub(super) struct Cores {
    dealer: Option<Dealer>,
    running: JoinSet<io::Result<()>>,
    drain: CancellationToken,
    abort: CancellationToken,
    _abort_on_drop: DropGuard,
}

/// Gives connections to the cores in turn.
#[derive(Clone)]
pub(super) struct Dealer {
    queues: Arc<[UnboundedSender<Accepted>]>,
    next: Arc<AtomicUsize>,
}

impl Dealer {
    /// The queues have no bound of their own: the permits that connections come with are one.
    pub(super) fn deal(&self, accepted: Accepted) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.queues.len().max(1);
        if let Some(queue) = self.queues.get(turn) {
            // a core that is gone ends the server; until then its connections are closed
            let _ = queue.send(accepted);
        }
    }
}

/// How many a server has: as many as the process may use.
pub(super) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

impl Cores {
    /// Starts them all.
    pub(super) fn start(serving: &Serving) -> io::Result<Self> {
        let (drain, abort) = (CancellationToken::new(), CancellationToken::new());
        let abort_on_drop = abort.clone().drop_guard();
        let mut queues = Vec::new();
        let mut running = JoinSet::new();
        for number in 0..count() {
            let (queue, accepted) = mpsc::unbounded_channel();
            let (ended, end) = tokio::sync::oneshot::channel();
            let (serving, drain, abort) = (serving.clone(), drain.clone(), abort.clone());
            std::thread::Builder::new().name(format!("core-{number}")).spawn(move || {
                let _ = ended.send(run(number, serving, accepted, &drain, &abort));
            })?;
            queues.push(queue);
            running.spawn(async move { end.await.unwrap_or_else(|_| Err(io::Error::other("its thread panicked"))) });
        }
        let dealer = Dealer { queues: queues.into(), next: Arc::default() };
        Ok(Self { dealer: Some(dealer), running, drain, abort, _abort_on_drop: abort_on_drop })
    }

    pub(super) fn dealer(&self) -> Dealer {
        self.dealer.clone().unwrap_or_else(|| unreachable!("asked for after draining"))
    }

    /// Waits for a core to end that was not told to.
    pub(super) async fn failure(&mut self) -> io::Error {
        match self.running.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => error.into(),
            Some(Ok(Ok(()))) | None => io::Error::other("it stopped serving"),
        }
    }

    /// Lets calls end and closes their connections; those that have not begun to speak are closed at once.
    pub(super) fn drain(&mut self) {
        self.dealer = None;
        self.drain.cancel();
    }

    /// Closes all connections.
    pub(super) fn abort(&self) {
        self.abort.cancel();
    }

    /// Waits until all have ended.
    pub(super) async fn ended(&mut self) {
        while self.running.join_next().await.is_some() {}
    }
}

/// The thread of a core.
fn run(
    number: usize,
    serving: Serving,
    accepted: UnboundedReceiver<Accepted>,
    drain: &CancellationToken,
    abort: &CancellationToken,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            () = abort.cancelled() => Ok(()),
            outcome = serve(number, serving, accepted, drain) => outcome,
        }
    });
    // hashing or another blocking call may still run; its answer has no taker
    runtime.shutdown_background();
    outcome
}

async fn serve(
    number: usize,
    serving: Serving,
    mut accepted: UnboundedReceiver<Accepted>,
    drain: &CancellationToken,
) -> io::Result<()> {
    let Serving { routes, tls, limits, metrics } = serving;
    let (ready, connections) = mpsc::unbounded_channel();
    let tasks = TaskTracker::new();
    let turns = Turns::begin(&tasks);
    let admit_all = async {
        while let Some(accepted) = accepted.recv().await {
            let place = Place { line: accepted.seat.line(number), turns: turns.clone() };
            tasks.spawn(admit(accepted, place, tls.clone(), limits, ready.clone(), metrics.clone()));
        }
        std::future::pending::<Infallible>().await
    };
    let incoming = stream::unfold(connections, async |mut connections: UnboundedReceiver<Connection>| {
        connections.recv().await.map(|connection| (Ok::<_, Infallible>(connection), connections))
    });
    let serve = http2(limits)
        .layer(TraceLayer::new(Clock::System, limits.request, metrics.clone()))
        .layer(CountLayer::new(limits, metrics.clone()))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, drain.cancelled());
    tokio::select! {
        outcome = serve => outcome.map_err(io::Error::other),
        never = admit_all => match never {},
    }
}

async fn admit(
    accepted: Accepted,
    place: Place,
    tls: Option<Certificates>,
    limits: Limits,
    ready: UnboundedSender<Connection>,
    metrics: Metrics,
) {
    match connection::admit(accepted, place, tls, limits, metrics.clone()).await {
        // while draining nobody takes it, and its drop closes it
        Ok(connection) => drop(ready.send(connection)),
        Err(error) => {
            metrics.closed_early(match error.kind() {
                ErrorKind::TimedOut => "deadline",
                ErrorKind::InvalidData => "protocol",
                _ => "other",
            });
            tracing::debug!(%error, "connection closed before its first call");
        }
    }
}

/// Headers of one call in bytes: a bearer token and some context of tracing are below 1 KiB. Many short ones take five times as much.
const HEADER_LIST_BYTES: u32 = 8 * 1024;
/// Data that may be under way to one call, and to one connection, before it is taken; what a hostile connection can make us hold.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 128 * 1024;
/// Calls that a client opened and reset before they were taken (CVE-2023-44487); more end the connection.
const PENDING_RESETS: usize = 20;
/// Streams that the server reset for a client's errors (CVE-2025-8671); more end the connection.
const OWN_RESETS: usize = 100;
/// A connection that is silent so long is asked for a sign of life, and closed when none comes.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(20);

fn http2(limits: Limits) -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .max_concurrent_streams(limits.streams_per_connection)
        .http2_max_header_list_size(HEADER_LIST_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(OWN_RESETS))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
}
