//! `GET /metrics` over plain HTTP/1.1, for one collector or a few: one answer a connection, few connections, each with a deadline.

use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 8;
/// From a connection to the end of its answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of a request's head.
const HEAD: usize = 8 * 1024;
/// How long to wait when the host is out of descriptors.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves what `text` makes until told to stop, and then ends at once.
pub(crate) async fn serve<F>(listener: TcpListener, stop: CancellationToken, text: impl Fn() -> F + Clone + Send + Sync + 'static)
where
    F: Future<Output = Option<String>> + Send + 'static,
{
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the listener for metrics can't be watched"),
    };
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    let accept = async {
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (text, stop) = (text.clone(), stop.clone());
                    connections.spawn(async move {
                        let _permit = permit;
                        let answered = tokio::time::timeout(DEADLINE, answer(stream, text));
                        let _ = stop.run_until_cancelled(answered).await;
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection for metrics was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    let _ = stop.run_until_cancelled(accept).await;
    connections.close();
    connections.wait().await;
}

async fn answer<F>(stream: TcpStream, text: impl Fn() -> F)
where
    F: Future<Output = Option<String>>,
{
    let service = service_fn(|request: Request<Incoming>| {
        let text = &text;
        async move {
            Ok::<_, Infallible>(match (request.method(), request.uri().path()) {
                (&Method::GET, "/metrics") => match text().await {
                    Some(text) => metrics(text),
                    None => status(StatusCode::SERVICE_UNAVAILABLE),
                },
                (_, "/metrics") => {
                    let mut refused = status(StatusCode::METHOD_NOT_ALLOWED);
                    refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
                    refused
                }
                _ => status(StatusCode::NOT_FOUND),
            })
        }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(HEAD);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection for metrics ended");
    }
}

fn metrics(text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
