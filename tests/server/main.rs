//! The server by itself: listeners, limits, health, reflection, shutdown.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

mod harness;
mod hostile;
mod printed;
mod program;
mod reload;
mod secrets;
#[path = "../suite/skipped.rs"]
mod skipped;
mod tls;
#[allow(dead_code, reason = "tests of the transport use the rest of it")]
#[path = "../suite/tls_relay.rs"]
mod tls_relay;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_util::stream;
use harness::{LONG, Running, health_of, peer_seen_by_server, refusal_of};
pub(crate) use skipped::skipped;
use tokio::time::timeout;
use tonic::Code;
use tonic::service::Routes;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt as _;
use user_management::config::Config;
use user_management::metrics::Metrics;
use user_management::server::Server;
use user_management::server::health::Health;

/// Connects and says nothing.
fn silent(server: &Running) -> TcpStream {
    let stream = TcpStream::connect(server.addresses.tcp[0]).expect("connected");
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// Waits for the server to close the connection.
async fn closed(mut stream: TcpStream) {
    let read = tokio::task::spawn_blocking(move || stream.read_to_end(&mut Vec::new())).await.unwrap();
    // a reset is an end too
    if let Err(error) = read {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn every_listener_serves_and_the_services_know_which_it_was() {
    let server = Running::start("");
    let uid = rustix::process::getuid().as_raw();
    for (endpoint, peer) in [
        (server.tcp(), "Peer { listener: Tcp(127.0.0.1:".to_owned()),
        (server.socket(), format!("Peer {{ listener: OperatorsSocket, uid: Some({uid})")),
        (server.tools_socket(), format!("Peer {{ listener: ToolsSocket, uid: Some({uid})")),
    ] {
        let channel = endpoint.connect().await.expect("connected");
        assert_eq!(health_of(channel.clone(), "").await.unwrap(), ServingStatus::Serving);
        let seen = peer_seen_by_server(channel).await;
        assert!(seen.starts_with(&peer), "{seen}");
    }
}

#[tokio::test]
async fn health_fails_with_the_store_and_watchers_are_told_until_the_server_drains() {
    let mut server = Running::start("");
    let channel = server.tcp().connect().await.expect("connected");
    let access = "circonus.usermanagement.v1.Access";
    let mut watch =
        HealthClient::new(channel.clone()).watch(HealthCheckRequest { service: access.to_owned() }).await.unwrap().into_inner();
    let mut statuses = Vec::new();
    statuses.push(watch.message().await.unwrap().unwrap().status());
    server.health.set_store(false);
    statuses.push(watch.message().await.unwrap().unwrap().status());
    assert_eq!(health_of(channel.clone(), access).await.unwrap(), ServingStatus::NotServing);
    assert_eq!(health_of(channel.clone(), "").await.unwrap(), ServingStatus::NotServing);
    server.health.set_store(true);
    statuses.push(watch.message().await.unwrap().unwrap().status());
    assert_eq!(health_of(channel.clone(), "no.Such").await.unwrap_err().code(), Code::NotFound);
    server.stop();
    statuses.push(watch.message().await.unwrap().unwrap().status());
    assert_eq!(statuses, [ServingStatus::Serving, ServingStatus::NotServing, ServingStatus::Serving, ServingStatus::NotServing]);
    assert!(watch.message().await.unwrap().is_none(), "the stream ends, so that the server can");
    server.ended().await;
}

#[tokio::test]
async fn reflection_of_both_versions_lists_the_contract() {
    let server = Running::start("");
    let channel = server.tcp().connect().await.expect("connected");
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
    let newer = format!("{:?}", answers.message().await.unwrap().unwrap());
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
    let older = format!("{:?}", answers.message().await.unwrap().unwrap());
    for answer in [newer, older] {
        for service in ["UserManagement", "Access", "Identity", "Operations"] {
            assert!(answer.contains(&format!("circonus.usermanagement.v1.{service}")), "{answer}");
        }
        assert!(answer.contains("grpc.health.v1.Health"), "{answer}");
    }
}

#[tokio::test]
async fn reflection_knows_the_error_details() {
    let server = Running::start("");
    let channel = server.tcp().connect().await.expect("connected");
    let symbol = "google.rpc.ErrorInfo".to_owned();
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::FileContainingSymbol(symbol)),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    assert!(matches!(answer, v1::server_reflection_response::MessageResponse::FileDescriptorResponse(_)), "{answer:?}");
}

#[tokio::test]
async fn silent_connections_hold_nobody_up_and_are_closed_at_the_deadline() {
    let server = Running::start("limits.handshake_seconds = 1");
    let silent: Vec<_> = std::iter::repeat_with(|| silent(&server)).take(5).collect();
    let channel = server.tcp().connect().await.expect("connected");
    assert_eq!(health_of(channel.clone(), "").await.unwrap(), ServingStatus::Serving);
    for stream in silent {
        closed(stream).await;
    }
    assert_eq!(health_of(channel, "").await.unwrap(), ServingStatus::Serving, "who speaks stays");
}

#[tokio::test]
async fn who_begins_byte_by_byte_gets_no_longer() {
    // all but its last byte, for whoever says the whole is answered
    const BEGUN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r";
    let server = Running::start("limits.handshake_seconds = 1");
    let mut stream = silent(&server);
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let goes_on = move |byte: &&u8| match stream.write_all(&[**byte]).and_then(|()| stream.read(&mut [0])) {
        Ok(0) => false,
        Ok(_) => panic!("the server speaks before it has the whole"),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock => true,
            // ends too
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => false,
            _ => panic!("{error}"),
        },
    };
    let said = tokio::task::spawn_blocking(|| BEGUN.iter().take_while(goes_on).count()).await.unwrap();
    assert!(said < BEGUN.len(), "it would have taken five seconds, and nobody ended it");
}

#[tokio::test]
async fn a_client_of_another_protocol_is_closed_at_once() {
    let server = Running::start("limits.handshake_seconds = 3600");
    let mut stream = silent(&server);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    closed(stream).await;
}

#[tokio::test]
async fn beyond_the_limit_connections_wait_but_operators_do_not() {
    let server = Running::start("limits.connections = 1\nlimits.handshake_seconds = 3600");
    let first = silent(&server);
    let second = async { health_of(server.tcp().connect().await.expect("connected"), "").await };
    let mut second = std::pin::pin!(second);
    assert!(timeout(Duration::from_millis(200), &mut second).await.is_err(), "it waits");
    let operator = server.socket().connect().await.expect("connected");
    assert_eq!(health_of(operator, "").await.unwrap(), ServingStatus::Serving);
    drop(first);
    assert_eq!(second.await.unwrap(), ServingStatus::Serving, "its turn comes");
}

#[tokio::test]
async fn a_shutdown_ends_in_time_whatever_is_open() {
    const SHUTDOWN: Duration = Duration::from_secs(1);
    let settings = "limits.shutdown_seconds = 1\nlimits.handshake_seconds = 3600\nlimits.request_seconds = 3600";
    let mut server = Running::start(settings);
    let silent = silent(&server);
    let channel = server.tcp().connect().await.expect("connected");
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let open_stream = client.server_reflection_info(stream::pending()).await.expect("a stream");
    let watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.expect("a stream");
    let told = Instant::now();
    server.stop();
    // within a minute, where all else is open for an hour
    server.ended().await;
    assert!(told.elapsed() >= SHUTDOWN, "it waited for them as long as it may");
    closed(silent).await;
    drop((open_stream, watch));
    assert!(!server.addresses.socket.exists(), "its socket goes with it");
    assert!(TcpStream::connect(server.addresses.tcp[0]).is_err(), "its port is free");
}

#[tokio::test]
async fn a_call_in_progress_is_answered_before_the_shutdown_ends() {
    let mut server = Running::start("limits.request_seconds = 1\nlimits.shutdown_seconds = 3600");
    let channel = server.tcp().connect().await.expect("connected");
    let call = refusal_of(channel.clone(), "/test.Test/Hang");
    let stop = async {
        // calls of one connection arrive in their order: when this is answered, the other is being served
        health_of(channel, "").await.unwrap();
        server.stop();
    };
    let (status, ()) = tokio::join!(call, stop);
    assert_eq!(status.code(), Code::DeadlineExceeded);
    server.ended().await;
}

#[tokio::test]
async fn without_a_shutdown_everything_is_closed_at_once() {
    let mut server = Running::start("limits.handshake_seconds = 3600\nlimits.shutdown_seconds = 3600");
    let silent = silent(&server);
    let channel = server.tcp().connect().await.expect("connected");
    let mut watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.message().await.expect("open");
    server.drop_run().await;
    closed(silent).await;
    assert!(timeout(LONG, watch.message()).await.expect("an end").is_err());
}

#[tokio::test]
async fn a_port_or_socket_in_use_is_one_clear_line() {
    let server = Running::start("");
    let port = server.addresses.tcp[0];
    let directory = tempfile::tempdir().unwrap();
    let bind = |settings: String| {
        let text = format!("data_dir = '{}'\n{settings}", directory.path().display());
        let config = Config::from_toml(&text).expect("valid");
        Server::bind(&config, Routes::default(), Health::new(), Metrics::default()).err().expect("refused").to_string()
    };
    let message = bind(format!("grpc.listen = ['{port}']"));
    assert_eq!(message, format!("can't listen on {port}: the address is in use; is another server running?"));
    let socket = server.addresses.socket.display();
    let message = bind(format!("grpc.listen = []\ngrpc.socket = '{socket}'"));
    assert_eq!(message, format!("can't listen on the socket {socket}: the address is in use; is another server running?"));
}

#[tokio::test]
async fn the_protocols_own_refusals_carry_a_reason_and_the_trace_id() {
    let server = Running::start("limits.request_seconds = 1");
    let channel = server.tcp().connect().await.expect("connected");
    for (path, code) in [
        ("/test.Test/Hang", Code::DeadlineExceeded),
        ("/no.Such/Method", Code::Unimplemented),
        ("/circonus.usermanagement.v1.Access/CheckAccess", Code::Unimplemented),
        ("/test.Test/Peer", Code::FailedPrecondition),
    ] {
        let status = refusal_of(channel.clone(), path).await;
        assert_eq!(status.code(), code, "{path}");
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("PROTOCOL", "usermanagement.circonus"));
        assert!(info.metadata["trace_id"].starts_with("trc_"));
    }
}
