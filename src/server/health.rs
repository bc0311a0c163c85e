//! `grpc.health.v1`: a check that can fail.
//!
//! The server and all its services serve while the data can be written and the server isn't draining; they share one store, so they
//! share one answer.

use std::pin::Pin;

use futures_core::Stream;
use futures_util::stream;
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthRpcs, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::proto::{access_server, identity_server, operations_server, user_management_server};

/// The names that can be asked about; the empty one is the server as a whole.
const NAMES: [&str; 5] = [
    "",
    user_management_server::SERVICE_NAME,
    identity_server::SERVICE_NAME,
    access_server::SERVICE_NAME,
    operations_server::SERVICE_NAME,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    store: bool,
    draining: bool,
}

impl State {
    const fn status(self) -> ServingStatus {
        if self.store && !self.draining { ServingStatus::Serving } else { ServingStatus::NotServing }
    }
}

/// A handle on the server's health; clones are of the same.
#[derive(Clone, Debug)]
pub struct Health {
    state: watch::Sender<State>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// Healthy, until told otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self { state: watch::Sender::new(State { store: true, draining: false }) }
    }

    /// Says whether the data can be written.
    pub fn set_store(&self, ok: bool) {
        self.set(|state| state.store = ok);
    }

    /// Says that the server is going down. Watchers are told, and their streams end.
    pub fn set_draining(&self) {
        self.set(|state| state.draining = true);
    }

    /// Whether the server serves.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.state.borrow().status() == ServingStatus::Serving
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            let before = *state;
            change(state);
            *state != before
        });
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        // a question has one name, which isn't one of these if it is longer
        HealthServer::new(HealthService { state: self.state.subscribe() }).max_decoding_message_size(1024)
    }
}

/// The RPCs of health.
pub(super) struct HealthService {
    state: watch::Receiver<State>,
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

type Answers = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl HealthRpcs for HealthService {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !NAMES.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("there is no such service"));
        }
        Ok(Response::new(answer(self.state.borrow().status())))
    }

    type WatchStream = Answers;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Answers>, Status> {
        let known = NAMES.contains(&request.get_ref().service.as_str());
        let watch = Watch { state: self.state.clone(), known, told: None, ended: false };
        Ok(Response::new(Box::pin(stream::unfold(watch, Watch::next))))
    }
}

/// One watcher. Whoever watches an unknown service is told so and kept, as the protocol has it.
struct Watch {
    state: watch::Receiver<State>,
    known: bool,
    told: Option<ServingStatus>,
    ended: bool,
}

impl Watch {
    /// The next status that differs from the one told last; none after draining.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        let Self { known, told, ended, .. } = self;
        let status = |state: &State| if known { state.status() } else { ServingStatus::ServiceUnknown };
        let news = |state: &State| state.draining || told != Some(status(state));
        let now = *self.state.wait_for(news).await.ok().filter(|_| !ended)?;
        let status = status(&now);
        Some((Ok(answer(status)), Self { told: Some(status), ended: now.draining, ..self }))
    }
}
