//! The whole service as one value: the application, its server, and what works in the background.
//!
//! `main` and the tests start it with the same two calls: [`Service::bind`], after which clients may connect and wait, and
//! [`Service::run`].

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::api::{self, Bound};
use crate::app::{App, StartError};
use crate::config::{Config, Limits};
use crate::domain::clock::Clock;
use crate::metrics::{Metrics, endpoint};
use crate::server::health::Health;
use crate::server::{Addresses, Server, ServerError, announce};
use crate::store::Tuning;
use crate::tls::Certificates;

/// What the mail under way, and then the storage, get at a shutdown even if calls used up its time.
const LEAST: Duration = Duration::from_secs(1);

/// Why the service can't start, or went down without being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The application can't start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server can't start, or failed.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// The service, bound and ready to run.
pub struct Service {
    app: Arc<App>,
    server: Server,
    health: Health,
    metrics: Metrics,
    metrics_listener: Option<(TcpListener, SocketAddr)>,
    limits: Limits,
}

impl Service {
    /// Opens the data and binds every listener; clients can connect, and wait until it runs.
    pub async fn bind(config: &Config, clock: Clock) -> Result<Self, ServeError> {
        let app = App::open(config, clock, Tuning::default()).await?;
        let (health, metrics) = (Health::new(), Metrics::default());
        let bound = Arc::new(OnceLock::new());
        let routes = api::routes(Arc::clone(&app), Arc::clone(&bound), config.limits.message_bytes);
        let server = Server::bind(config, routes, health.clone(), metrics.clone())?;
        let metrics_listener = config.metrics_listen.map(crate::server::listen).transpose()?;
        let _ = bound.set(Bound {
            listeners: spell(server.addresses()),
            certificates: server.certificates().cloned(),
            metrics: metrics.clone(),
        });
        Ok(Self { app, server, health, metrics, metrics_listener, limits: config.limits })
    }

    /// Where it can be reached.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        self.server.addresses()
    }

    /// Where it can be reached, for people: `tcp:<address>`, `unix:<path>`.
    #[must_use]
    pub fn listeners(&self) -> Vec<String> {
        spell(self.addresses())
    }

    /// Where metrics are read; none unless configured.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_listener.as_ref().map(|(_, address)| *address)
    }

    /// The certificates, to be loaded anew while it runs; none without TLS.
    #[must_use]
    pub fn certificates(&self) -> Option<Certificates> {
        self.server.certificates().cloned()
    }

    /// The application, for tests that look beneath the wire.
    #[must_use]
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Serves until `shutdown` is there, then drains and closes the data. Ends in time whatever is still open.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let stop = CancellationToken::new();
        let background = TaskTracker::new();
        background.spawn(Arc::clone(&self.app).deliver(stop.clone()));
        background.spawn(Arc::clone(&self.app).keep_house(stop.clone()));
        background.spawn(Arc::clone(&self.app).forget_history(stop.clone()));
        if let Some(certificates) = self.certificates() {
            background.spawn(certificates.watch(stop.clone()));
        }
        if let Some((listener, _)) = self.metrics_listener.take() {
            let (app, health, metrics) = (Arc::clone(&self.app), self.health.clone(), self.metrics.clone());
            let certificates = self.certificates();
            let text = move || metrics_text(Arc::clone(&app), health.clone(), metrics.clone(), certificates.clone());
            background.spawn(endpoint::serve(listener, stop.clone(), text));
        }
        if let Ok(mut healthy) = self.app.healthy() {
            let (health, stop) = (self.health.clone(), stop.clone());
            background.spawn(async move {
                while let Some(Ok(())) = stop.run_until_cancelled(healthy.changed()).await {
                    health.set_store(*healthy.borrow_and_update());
                }
                // told to stop, or the writer is gone
                health.set_store(false);
            });
        }
        // the background stops with the signal, beside the calls that drain, and all share one deadline
        let end = OnceLock::new();
        let signalled = async {
            shutdown.await;
            stop.cancel();
            let _ = end.set(Instant::now() + self.limits.shutdown);
        };
        let served = self.server.run(signalled).await;
        stop.cancel();
        background.close();
        let end = (*end.get_or_init(Instant::now)).max(Instant::now() + LEAST);
        if tokio::time::timeout_at(end, background.wait()).await.is_err() {
            warn!("something was still under way, such as a mail to the relay; it is tried again after the next start");
        }
        if tokio::time::timeout_at(end + LEAST, self.app.close()).await.is_err() {
            warn!("the storage didn't end in time; what was answered is on the disk");
        }
        Ok(served?)
    }
}

/// What whoever asks for metrics is answered; none while the data can't be read.
async fn metrics_text(app: Arc<App>, health: Health, metrics: Metrics, certificates: Option<Certificates>) -> Option<String> {
    let measured = app.measured().await.inspect_err(|error| warn!(%error, "metrics couldn't be measured")).ok()?;
    let tls = certificates.map(|certificates| certificates.state());
    metrics.text(&measured, tls.as_ref(), health.is_serving()).ok()
}

/// Tells systemd, if it asked, that certificates are being loaded anew.
pub fn announce_reload() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now());
    announce(&states);
}

/// Tells systemd, if it asked, that this is over.
pub fn announce_ready() {
    announce(&[NotifyState::Ready]);
}

fn spell(addresses: &Addresses) -> Vec<String> {
    let tcp = addresses.tcp.iter().map(|address| format!("tcp:{address}"));
    let sockets = std::iter::once(&addresses.socket).chain(&addresses.tools_socket);
    tcp.chain(sockets.map(|path| format!("unix:{}", path.display()))).collect()
}
