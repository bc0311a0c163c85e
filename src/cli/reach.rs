//! The way to the server: its operators' socket, or the data itself when no server runs.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::net::UnixStream;
use tonic::Status;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceExt as _};

use super::Failure;
use super::calls::{Call, List};
use super::offline::Offline;
use super::refusal::is_lost;
use crate::api::trace;
use crate::config::{Config, Flags};

/// Takes calls, wherever the services are.
pub(super) type Door = BoxCloneService<http::Request<Body>, http::Response<Body>, BoxError>;

/// Longer than the server lets a call take, unless it was told otherwise.
const PATIENCE: Duration = Duration::from_mins(2);

/// A moment for a server that restarts, before a call is repeated.
const PAUSE: Duration = Duration::from_millis(300);

/// Where calls go.
pub(super) struct Server {
    door: Door,
    pub(super) offline: Option<Offline>,
}

impl Server {
    /// Finds the running server, or opens the data if none runs. A socket that was named is the only one meant: then nothing is opened.
    pub(super) async fn find(flags: &Flags) -> Result<Self, Failure> {
        match (Self::running(flags).await, &flags.socket) {
            (Err(Failure::Unreachable(socket, error)), None)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
            {
                let config = Config::load(flags, std::env::vars_os())?;
                let (offline, door) = Offline::open(config, socket).await?;
                Ok(Self { door, offline: Some(offline) })
            }
            (outcome, _) => outcome,
        }
    }

    /// Finds the running server. With a socket that was named, the configuration isn't even read.
    pub(super) async fn running(flags: &Flags) -> Result<Self, Failure> {
        let socket = match &flags.socket {
            Some(socket) => socket.clone(),
            None => Config::explain(flags, std::env::vars_os())?.0.grpc.socket,
        };
        match UnixStream::connect(&socket).await {
            Ok(_) => Ok(Self { door: door(&socket)?, offline: None }),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Err(Failure::SocketClosed { path: socket, uid: rustix::process::geteuid().as_raw() })
            }
            Err(error) => Err(Failure::Unreachable(socket, error)),
        }
    }

    /// Calls, and once more if the connection went before the answer came: changes carry a `request_id`, so they are done once.
    pub(super) async fn call<C: Call>(&self, request: C) -> Result<C::Answer, Failure> {
        let outcome = match self.once(request.clone()).await? {
            Err(status) if is_lost(&status) => {
                tokio::time::sleep(PAUSE).await;
                self.once(request).await?
            }
            outcome => outcome,
        };
        Ok(outcome?)
    }

    /// Lists to the end.
    pub(super) async fn all<L: List>(&self, mut request: L) -> Result<Vec<L::Item>, Failure> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            request.turn(1000, token);
            let (items, next) = L::taken(self.call(request.clone()).await?);
            all.extend(items);
            if next.is_empty() {
                return Ok(all);
            }
            token = next;
        }
    }

    /// Asks for the server's health.
    pub(super) async fn serving(&self) -> Result<bool, Failure> {
        let mut client = HealthClient::new(self.door.clone());
        let answer = in_time(PATIENCE, client.check(HealthCheckRequest::default())).await??;
        Ok(answer.get_ref().status() == ServingStatus::Serving)
    }

    async fn once<C: Call>(&self, request: C) -> Result<Result<C::Answer, Status>, Failure> {
        let work = async {
            // lists of a thousand entries are larger than what is usual
            let mut client = Grpc::new(self.door.clone()).max_decoding_message_size(usize::MAX);
            let ready = client.ready().await;
            ready.map_err(Status::from_error)?;
            let codec = ProstCodec::<C, C::Answer>::default();
            let answer = client.unary(tonic::Request::new(request), PathAndQuery::from_static(C::PATH), codec).await?;
            Ok(answer.into_inner())
        };
        // a little longer than the server, so that its refusal is what is told
        in_time(trace::deadline_of(C::PATH, PATIENCE) + PAUSE, work).await
    }
}

async fn in_time<T>(patience: Duration, work: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(patience, work).await.map_err(|_| Failure::Silent(patience.as_secs()))
}

fn door(socket: &Path) -> Result<Door, Failure> {
    let unusable = |what: String| Failure::Unreachable(socket.to_owned(), std::io::Error::other(what));
    let path = socket.to_str().ok_or_else(|| unusable("its path must be UTF-8".to_owned()))?;
    let endpoint = Endpoint::from_shared(format!("unix:{path}")).map_err(|error| unusable(error.to_string()))?;
    Ok(BoxCloneService::new(endpoint.connect_lazy().map_err(BoxError::from)))
}
