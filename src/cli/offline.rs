//! The same services over the data itself, for when no server runs.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tonic::body::Body;
use tower::util::BoxCloneService;
use tower::{BoxError, Layer as _, ServiceExt as _};

use super::Failure;
use super::reach::{Door, Server};
use super::screen::note;
use crate::api;
use crate::api::peer::{Listener, Peer};
use crate::api::trace::TraceLayer;
use crate::app::App;
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::logging;
use crate::metrics::Metrics;
use crate::proto;
use crate::store::{DataDir, Tuning};

/// A call may take as long as it needs: nobody else waits.
const DEADLINE: Duration = Duration::from_hours(24);

/// The opened data, whose lock keeps servers and other commands out until the process ends.
pub(super) struct Offline {
    app: Arc<App>,
    data_dir: PathBuf,
}

impl Offline {
    /// Opens the data, but makes none: a mistyped directory must not become a second site. The recorded edition stays, whatever is
    /// configured: switching it is the server's.
    pub(super) async fn open(config: Config, socket: PathBuf) -> Result<(Self, Door), Failure> {
        let data_dir = config.data_dir.clone();
        if !DataDir::holds_data(&data_dir) {
            return Err(Failure::NoData { socket, data_dir });
        }
        logging::start_with_faults(config.log.format);
        let config = Config { edition: None, ..config };
        let app = App::open(&config, Clock::System, Tuning::default()).await.map_err(Failure::Offline)?;
        let routes = api::routes(Arc::clone(&app), Arc::new(OnceLock::new()), config.limits.message_bytes).prepare();
        // whoever could open the data is its user or root: the operator, as on the socket
        let uid = Some(rustix::process::geteuid().as_raw());
        let peer = Peer { listener: Listener::OperatorsSocket, uid, certificate: None };
        let services = TraceLayer::new(Clock::System, DEADLINE, Metrics::default()).layer(routes).map_request(
            move |mut request: http::Request<Body>| {
                request.extensions_mut().insert(peer.clone());
                request
            },
        );
        Ok((Self { app, data_dir }, BoxCloneService::new(services.map_err(BoxError::from))))
    }

    /// Closes the data, and says what nobody does until a server runs.
    pub(super) async fn close(self, server: &Server) {
        let info = server.call(proto::GetServerInfoRequest {}).await;
        let queued = info.ok().and_then(|info| info.mail_queue).map_or(0, |queue| queue.queued);
        let mails = match queued {
            0 => String::new(),
            1 => "; one mail waits for the server to start".to_owned(),
            queued => format!("; {queued} mails wait for the server to start"),
        };
        note(&format!("no server runs, so this worked on {}{mails}", self.data_dir.display()));
        self.app.close().await;
    }
}
