//! gRPC: a handler says who, what, do, answer.
//!
//! `peer` and `credentials` only extract what came with a request; `app` judges it. `fields` parses, gathering every violation; `convert`
//! writes answers; `status` is the one place where an error becomes a status.

mod access;
mod convert;
mod credentials;
mod fields;
mod identity;
mod operations;
pub mod peer;
pub mod status;
pub mod trace;
mod user_management;

use std::sync::{Arc, OnceLock};

use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::app::caller::Caller;
use crate::domain::error::Error;
use crate::domain::id::TraceId;
use crate::metrics::Metrics;
use crate::proto::access_server::AccessServer;
use crate::proto::identity_server::IdentityServer;
use crate::proto::operations_server::OperationsServer;
use crate::proto::user_management_server::UserManagementServer;
use crate::tls::Certificates;

/// What every handler works with.
#[derive(Clone)]
struct Api {
    app: Arc<App>,
    bound: Arc<OnceLock<Bound>>,
}

/// What `GetServerInfo` says of the server itself, known once it is bound.
pub struct Bound {
    /// Where it listens, for people.
    pub listeners: Vec<String>,
    /// Its certificates, if it has TLS.
    pub certificates: Option<Certificates>,
    /// Where refusals by limits are counted.
    pub metrics: Metrics,
}

/// The four services, ready to be served.
#[must_use]
pub fn routes(app: Arc<App>, bound: Arc<OnceLock<Bound>>, message_bytes: usize) -> Routes {
    let api = Api { app, bound };
    let mut routes = Routes::builder();
    routes
        .add_service(UserManagementServer::new(api.clone()).max_decoding_message_size(message_bytes))
        .add_service(AccessServer::new(api.clone()).max_decoding_message_size(message_bytes))
        .add_service(IdentityServer::new(api.clone()).max_decoding_message_size(message_bytes))
        .add_service(OperationsServer::new(api).max_decoding_message_size(message_bytes));
    routes.routes()
}

impl Api {
    /// Finds out who calls, runs the handler, and turns what it says into an answer or a status.
    async fn answer<T, R, F>(&self, request: Request<T>, handler: impl FnOnce(Caller, T) -> F) -> Result<Response<R>, Status>
    where
        F: Future<Output = Result<R, Error>> + Send,
    {
        let trace = request.extensions().get().copied().unwrap_or_else(|| TraceId::from_bytes([0; 16]));
        let credentials = credentials::of(&request, trace, self.app.now(), self.app.proxies());
        let answer = async { handler(self.app.caller(&credentials)?, request.into_inner()).await };
        answer.await.map(Response::new).map_err(|error| {
            if let (Error::LimitReached(reached), Some(bound)) = (&error, self.bound.get()) {
                bound.metrics.limit_reached(reached.limit);
            }
            status::of(&error, trace)
        })
    }
}
