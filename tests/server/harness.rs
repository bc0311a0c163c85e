//! A real server on free ports, and clients for it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use user_management::api::peer::Peer;
use user_management::app::operations::{Expiring, Measured};
use user_management::config::Config;
use user_management::metrics::Metrics;
use user_management::server::health::Health;
use user_management::server::{Addresses, Server, ServerError};
use user_management::store::mails::Queue;
use user_management::tls::Certificates;

/// How long a test waits for what must happen; far longer than it takes.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A server that runs until it is stopped or dropped.
pub(crate) struct Running {
    pub(crate) addresses: Addresses,
    pub(crate) health: Health,
    pub(crate) certificates: Option<Certificates>,
    metrics: Metrics,
    stop: CancellationToken,
    run: JoinSet<Result<(), ServerError>>,
    _directory: tempfile::TempDir,
}

impl Running {
    /// Starts one with free ports, a tools' socket and these further settings.
    pub(crate) fn start(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display();
        let listen = if settings.contains("grpc.listen") { "" } else { "grpc.listen = ['127.0.0.1:0']" };
        let text = format!("data_dir = '{place}'\ngrpc.tools_socket = '{place}/tools.sock'\n{listen}\n{settings}");
        let config = Config::from_toml(&text).expect("a valid configuration");
        let health = Health::new();
        let metrics = Metrics::default();
        let server = Server::bind(&config, Routes::new(Test), health.clone(), metrics.clone()).expect("bound");
        let addresses = server.addresses().clone();
        let certificates = server.certificates().cloned();
        let stop = CancellationToken::new();
        let mut run = JoinSet::new();
        run.spawn(server.run(stop.clone().cancelled_owned()));
        Self { addresses, health, certificates, metrics, stop, run, _directory: directory }
    }

    /// Tells it to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) {
        let end = tokio::time::timeout(LONG, self.run.join_next()).await.expect("the server ends");
        end.expect("it ran").expect("without a panic").expect("without an error");
    }

    /// Ends it without a shutdown.
    pub(crate) async fn drop_run(&mut self) {
        self.run.shutdown().await;
    }

    /// How many connections it closed for a reason.
    pub(crate) fn closed_early(&self, reason: &str) -> u64 {
        let queue = Queue { queued: 0, failed: 0, oldest: None };
        let (services, api_tokens) = (Expiring::default(), Expiring::default());
        let measured = Measured { store_healthy: true, head: 0, first_event: None, queue, services, api_tokens };
        let text = self.metrics.text(&measured, None, true).expect("text");
        let sample = format!("user_management_connections_closed_early_total{{reason=\"{reason}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&sample)).map_or(0, |count| count.parse().expect("a number"))
    }

    pub(crate) fn tcp(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.addresses.tcp[0])).unwrap()
    }

    pub(crate) fn socket(&self) -> Endpoint {
        Endpoint::from_shared(format!("unix:{}", self.addresses.socket.display())).unwrap()
    }

    pub(crate) fn tools_socket(&self) -> Endpoint {
        Endpoint::from_shared(format!("unix:{}", self.addresses.tools_socket.as_ref().unwrap().display())).unwrap()
    }
}

/// Asks for the health of a service.
pub(crate) async fn health_of(channel: Channel, service: &str) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = tokio::time::timeout(LONG, HealthClient::new(channel).check(request)).await.expect("an answer");
    answer.map(|answer| answer.into_inner().status())
}

/// Calls a method of the test service, or one that isn't there, and returns its refusal.
pub(crate) async fn refusal_of(channel: Channel, path: &'static str) -> Status {
    refusal_of_bytes(channel, path, 0).await
}

/// The same with so much in the request.
pub(crate) async fn refusal_of_bytes(channel: Channel, path: &'static str, bytes: usize) -> Status {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("connected");
    let codec = tonic_prost::ProstCodec::<Vec<u8>, ()>::default();
    let call = client.unary(tonic::Request::new(vec![1; bytes]), PathAndQuery::from_static(path), codec);
    tokio::time::timeout(LONG, call).await.expect("an answer").expect_err("a refusal")
}

/// What the server knows of the caller, as the test service tells it.
pub(crate) async fn peer_seen_by_server(channel: Channel) -> String {
    let status = refusal_of(channel, "/test.Test/Peer").await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    status.message().to_owned()
}

/// An answer of 1918 bytes, with the five that stand before each message: a field without meaning, again and again.
static MUCH: LazyLock<String> = LazyLock::new(|| ["\0\0\0\u{7}~", &"x\0".repeat(959)].concat());

/// A method whose name ends in `Hang` never answers, `Much` answers with [`MUCH`] when it has its request, `Piece` refuses with the length of the
/// first piece of its request as its message, and anything else with the peer.
#[derive(Clone)]
struct Test;

impl tonic::server::NamedService for Test {
    const NAME: &'static str = "test.Test";
}

impl tower::Service<Request<Body>> for Test {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().to_owned();
        let peer = format!("{:?}", request.extensions().get::<Peer>().expect("a peer"));
        let mut asked = request.into_body();
        Box::pin(async move {
            if method.ends_with("Hang") {
                return std::future::pending().await;
            }
            let refuse = |message| Ok(Status::failed_precondition(message).into_http());
            if method.ends_with("Much") {
                return match asked.collect().await {
                    Ok(_) => Ok(Response::new(Body::new(MUCH.to_owned()))),
                    Err(refused) => Ok(refused.into_http()),
                };
            }
            if method.ends_with("Piece") {
                let piece = asked.frame().await.expect("a request").expect("whole").into_data().expect("bytes");
                return refuse(piece.len().to_string());
            }
            refuse(peer)
        })
    }
}
