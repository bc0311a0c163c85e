//! What every call goes through: a trace id, a deadline, and at its end one log line and one count.
//!
//! A refusal is the service at work, not a fault of it, so it is logged at INFO. ERROR is for what an operator should look at: `INTERNAL`,
//! `UNKNOWN`, `DATA_LOSS` and `UNAVAILABLE`. Health checks and reflection are logged at DEBUG.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use crate::domain::clock::Clock;
use crate::domain::id::TraceId;
use crate::metrics::{self, Metrics};

/// How long a walk through all of history may take: large ones have millions of events, of which some ten thousand are walked a second.
const WALK: Duration = Duration::from_hours(1);

/// How long a call may take that has no reason to take longer than `usual`.
#[must_use]
pub fn deadline_of(path: &str, usual: Duration) -> Duration {
    if path == "/circonus.usermanagement.v1.Operations/VerifyEvents" { usual.max(WALK) } else { usual }
}

/// Puts a [`TraceId`] into the extensions of each request, and ends calls that take too long.
#[derive(Clone, Debug)]
pub struct TraceLayer {
    clock: Clock,
    deadline: Duration,
    metrics: Metrics,
}

impl TraceLayer {
    /// A call must be answered within the deadline, but for walks through history ([`deadline_of`]). For a stream that is its beginning; it may
    /// then stay open.
    #[must_use]
    pub const fn new(clock: Clock, deadline: Duration, metrics: Metrics) -> Self {
        Self { clock, deadline, metrics }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner, clock: self.clock.clone(), deadline: self.deadline, metrics: self.metrics.clone() }
    }
}

/// The services behind a [`TraceLayer`].
#[derive(Clone, Debug)]
pub struct Trace<S> {
    inner: S,
    clock: Clock,
    deadline: Duration,
    metrics: Metrics,
}

impl<S> Service<Request<Body>> for Trace<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let trace = TraceId::new(self.clock.now(), random());
        request.extensions_mut().insert(trace);
        let deadline = deadline_of(request.uri().path(), self.deadline);
        let mut end = EndOfCall::new(request.uri().path(), trace, self.metrics.clone());
        let span = end.span.clone();
        let answer = self.inner.call(request);
        let work = async move {
            let response = match tokio::time::timeout(deadline, answer).await {
                Ok(Ok(response)) => explained(response, trace),
                Err(_) => refusal(Code::DeadlineExceeded, &format!("not answered within {deadline:?}"), trace),
            };
            end.turned_away = response.extensions().get().cloned().unwrap_or_default();
            end.note(response.headers());
            response.map(|inner| Body::new(TracedBody { inner, end }))
        };
        Box::pin(async move { Ok(work.instrument(span).await) })
    }
}

/// Random bits that tell calls of the same millisecond apart. If there are none, the time alone has to do.
fn random() -> [u8; 10] {
    let mut bytes = [0; 10];
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// Gives refusals of the protocol itself, such as an unknown method, the reason that every error carries.
///
/// A request that can't be read is `INTERNAL` to the library, as it is to clients that can't read an answer; here it is the caller's own doing,
/// and no fault that an operator should look at. Faults of the service have brought their details along.
fn explained(response: Response<Body>, trace: TraceId) -> Response<Body> {
    if !response.headers().contains_key(Status::GRPC_STATUS) || response.headers().contains_key(Status::GRPC_STATUS_DETAILS) {
        return response;
    }
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::Internal => refusal(Code::InvalidArgument, status.message(), trace),
        Some(status) if status.code() != Code::Ok => refusal(status.code(), status.message(), trace),
        _ => response,
    }
}

fn refusal(code: Code, message: &str, trace: TraceId) -> Response<Body> {
    of_the_protocol(code, message, trace).into_http()
}

/// A refusal of the protocol itself.
pub(crate) fn of_the_protocol(code: Code, message: &str, trace: TraceId) -> Status {
    let metadata = [("trace_id".to_owned(), trace.to_string())];
    let details = ErrorDetails::with_error_info("PROTOCOL", "usermanagement.circonus", metadata);
    Status::with_error_details(code, message, details)
}

/// In an answer's extensions: whether the call, or its bytes, were too many at once, as far as is known. Such calls are counted, and logged for
/// nobody but who looks closely.
#[derive(Clone, Debug, Default)]
pub struct TurnedAway(Arc<AtomicBool>);

impl TurnedAway {
    /// Says that it was.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Writes the log line when the call ends, in whatever way: its drop is the end.
struct EndOfCall {
    span: Span,
    begun: Instant,
    quiet: bool,
    turned_away: TurnedAway,
    code: Option<Code>,
    rpc: &'static str,
    metrics: Metrics,
}

/// The path is the caller's own text.
const LONGEST_NAME: usize = 100;

impl EndOfCall {
    fn new(path: &str, trace: TraceId, metrics: Metrics) -> Self {
        let rpc = metrics::rpc(path);
        let path = path.trim_start_matches('/');
        let name: String = path.chars().take(LONGEST_NAME).collect();
        let quiet = ["grpc.health.", "grpc.reflection."].iter().any(|prefix| path.starts_with(prefix));
        let span = tracing::info_span!("call", rpc = name, trace.id = %trace);
        Self { span, begun: Instant::now(), quiet, turned_away: TurnedAway::default(), code: None, rpc, metrics }
    }

    fn note(&mut self, headers: &HeaderMap) {
        if headers.contains_key(Status::GRPC_STATUS) {
            self.code = Status::from_header_map(headers).map(|status| status.code());
        }
    }
}

impl Drop for EndOfCall {
    fn drop(&mut self) {
        self.metrics.answered(self.rpc, self.code);
        let _entered = self.span.enter();
        let duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match self.code {
            None => tracing::debug!(duration_ms, "call ended by the caller or the shutdown"),
            Some(code) if self.turned_away.get() => tracing::debug!(grpc.status = ?code, duration_ms, "call turned away"),
            Some(code @ (Code::Internal | Code::Unknown | Code::DataLoss | Code::Unavailable)) => {
                tracing::error!(grpc.status = ?code, duration_ms, "call failed");
            }
            Some(code) if self.quiet => tracing::debug!(grpc.status = ?code, duration_ms, "call answered"),
            Some(code) => tracing::info!(grpc.status = ?code, duration_ms, "call answered"),
        }
    }
}

/// An answer whose last frame says how the call ended.
struct TracedBody {
    inner: Body,
    end: EndOfCall,
}

impl http_body::Body for TracedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let entered = this.end.span.enter();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        drop(entered);
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.end.note(trailers);
                }
            }
            Some(Err(status)) => this.end.code = Some(status.code()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// A body that ends with the status in its trailers, as tonic ends a call that began well.
    struct Trailers(Option<HeaderMap>);

    impl http_body::Body for Trailers {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.take().map(|trailers| Ok(Frame::trailers(trailers))))
        }
    }

    fn with_trailers(code: Code) -> Response<Body> {
        let mut trailers = HeaderMap::new();
        Status::new(code, "").add_header(&mut trailers).unwrap();
        Response::new(Body::new(Trailers(Some(trailers))))
    }

    type Answer = fn() -> Response<Body>;

    /// Lets a call end as given, reads its answer unless it is dropped, and returns what was logged.
    async fn logged(path: &str, answer: Answer, read: bool) -> String {
        let lines = Lines::default();
        let subscriber =
            tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).with_writer(lines.clone());
        let _guard = tracing::subscriber::set_default(subscriber.finish());
        let inner = tower::service_fn(move |request: Request<Body>| {
            assert!(request.extensions().get::<TraceId>().is_some());
            std::future::ready(Ok::<_, Infallible>(answer()))
        });
        let clock = Clock::set_to(crate::domain::clock::Timestamp::from_micros(0));
        let mut service = TraceLayer::new(clock, Duration::from_mins(1), Metrics::default()).layer(inner);
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let mut body = service.call(request).await.unwrap().into_body();
        while read && std::future::poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut body), context)).await.is_some() {}
        drop(body);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn only_faults_are_errors_and_each_call_is_one_line_with_its_trace_id() {
        let call = "/circonus.usermanagement.v1.Access/CheckAccess";
        let cases: [(&str, Answer, &str, &str); 7] = [
            (call, || with_trailers(Code::Ok), " INFO ", "grpc.status=Ok"),
            (call, || with_trailers(Code::DataLoss), "ERROR ", "grpc.status=DataLoss"),
            (call, || Status::not_found("").into_http(), " INFO ", "grpc.status=NotFound"),
            (call, || refusal(Code::Internal, "", TraceId::from_bytes([0; 16])), "ERROR ", "grpc.status=Internal"),
            (call, || Status::internal("unread").into_http(), " INFO ", "grpc.status=InvalidArgument"),
            ("/grpc.health.v1.Health/Check", || with_trailers(Code::Ok), "DEBUG ", "grpc.status=Ok"),
            ("/grpc.health.v1.Health/Check", || Status::unavailable("").into_http(), "ERROR ", "grpc.status=Unavailable"),
        ];
        for (path, answer, level, status) in cases {
            let line = logged(path, answer, true).await;
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(line.contains(level) && line.contains(status) && line.contains("trace.id=trc_"), "{line}");
            assert!(line.contains(&format!("rpc=\"{}\"", &path[1..])), "{line}");
        }
    }

    #[tokio::test]
    async fn a_call_ends_at_the_deadline_but_a_walk_through_history_may_take_an_hour() {
        for (rpc, refused) in [("Access/CheckAccess", Some(Code::DeadlineExceeded)), ("Operations/VerifyEvents", None)] {
            let path = format!("/circonus.usermanagement.v1.{rpc}");
            assert_eq!(deadline_of(&path, Duration::ZERO), if refused.is_some() { Duration::ZERO } else { WALK });
            assert_eq!(deadline_of(&path, 2 * WALK), 2 * WALK, "whatever is configured");
            let inner = tower::service_fn(move |_: Request<Body>| async move {
                match refused {
                    Some(_) => std::future::pending().await,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
                Ok::<_, Infallible>(with_trailers(Code::Ok))
            });
            let clock = Clock::set_to(crate::domain::clock::Timestamp::from_micros(0));
            // there is next to no time
            let mut service = TraceLayer::new(clock, Duration::ZERO, Metrics::default()).layer(inner);
            let answer = service.call(Request::builder().uri(path).body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(Status::from_header_map(answer.headers()).map(|status| status.code()), refused, "{rpc}");
        }
    }

    #[tokio::test]
    async fn a_call_that_its_caller_gave_up_is_no_error() {
        let line = logged("/a/b", || with_trailers(Code::Internal), false).await;
        assert!(line.contains("DEBUG ") && line.contains("ended by the caller"), "{line}");
    }
}
