//! Counts each call, its request and its answer against what its peer and all together may hold ([`super::shares`]).
//!
//! A request is given on when its end has come, not before: what it is parsed into may be many times larger, and would be held for as long as a
//! caller likes. A change goes on when its caller goes away, and keeps its place until it is done, or a caller who leaves at once could
//! have any number of them wait.

use std::convert::Infallible;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use super::answers::Answers;
use super::connection::Origin;
use super::shares::Call;
use super::turns::Line;
use crate::api::status;
use crate::api::trace::{TurnedAway, of_the_protocol};
use crate::config::Limits;
use crate::domain::error::Error;
use crate::domain::id::TraceId;
use crate::metrics::Metrics;

/// What a call is, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It changes nothing, so there is no harm in withholding its answer: it can be asked again.
    Read,
    /// The same, with any number of questions and answers.
    Conversation,
    Change,
    /// A change of many, each of which is answered.
    Batch,
}

impl Kind {
    fn of(path: &str) -> Self {
        const READS: [&str; 7] = ["Get", "List", "Check", "BatchCheck", "Preview", "Verify", "Export"];
        let method = path.rsplit('/').next().unwrap_or_default();
        match path {
            _ if path.starts_with("/grpc.reflection.") => Self::Conversation,
            _ if path.starts_with("/grpc.health.") || READS.iter().any(|read| method.starts_with(read)) => Self::Read,
            _ if method.starts_with("Batch") => Self::Batch,
            _ => Self::Change,
        }
    }

    /// Bytes that an answer must have room for before the call begins; for the others it is looked at when there is one.
    const fn room(self) -> usize {
        match self {
            Self::Read | Self::Conversation => 0,
            Self::Change => 4 * 1024,
            Self::Batch => 2 * 1024 * 1024,
        }
    }

    const fn is_change(self) -> bool {
        matches!(self, Self::Change | Self::Batch)
    }
}

/// Takes the [`Origin`] out of each request and leaves the peer there, for the services.
#[derive(Clone)]
pub(super) struct CountLayer {
    limits: Limits,
    metrics: Metrics,
    changes: TaskTracker,
}

impl CountLayer {
    pub(super) fn new(limits: Limits, metrics: Metrics) -> Self {
        Self { limits, metrics, changes: TaskTracker::new() }
    }
}

impl<S> Layer<S> for CountLayer {
    type Service = Count<S>;

    fn layer(&self, inner: S) -> Count<S> {
        Count { inner, layer: self.clone() }
    }
}

/// The services behind a [`CountLayer`].
#[derive(Clone)]
pub(super) struct Count<S> {
    inner: S,
    layer: CountLayer,
}

impl<S> Service<Request<Body>> for Count<S>
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
        let CountLayer { limits, metrics, changes } = self.layer.clone();
        let trace = request.extensions().get().copied().unwrap_or_else(|| TraceId::from_bytes([0; 16]));
        let Some(Origin { peer, holder, answers, line }) = request.extensions_mut().remove() else {
            unreachable!("every connection says where it comes from");
        };
        request.extensions_mut().insert(peer);
        let refusals = Refusals { trace, metrics, line, turned_away: TurnedAway::default(), unsaid: Arc::default() };
        let kind = Kind::of(request.uri().path());
        // a share may be smaller than the largest answers
        let room = kind.room().min(limits.buffered_bytes_per_peer.min(limits.buffered_bytes) / 2);
        let call = match holder.call(room) {
            Ok(call) => Arc::new(call),
            Err(error) => {
                let mut refused = refusals.status(&error).into_http();
                refused.extensions_mut().insert(refusals.turned_away);
                return Box::pin(std::future::ready(Ok(refused)));
            }
        };
        let whole = (kind != Kind::Conversation).then(|| Whole {
            held: BytesMut::new(),
            // a message's length stands before it in five bytes
            most: limits.message_bytes + 5,
            until: Instant::now() + limits.request,
            wait: None,
        });
        let asked = Arc::clone(&call);
        let request =
            request.map(|inner| Body::new(Asked { inner, call: asked, refusals: refusals.clone(), whole, ended: false }));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = if kind.is_change() {
                let place = Arc::clone(&call);
                let change = async move {
                    let response = answer.await;
                    drop(place);
                    response
                };
                match changes.spawn(change.instrument(Span::current())).await {
                    Ok(response) => response?,
                    Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
                    // with its runtime, as this will
                    Err(_) => std::future::pending().await,
                }
            } else {
                answer.await?
            };
            let idle = (kind == Kind::Conversation).then(|| Idle::new(limits.request));
            let turned_away = refusals.turned_away.clone();
            let mut response =
                response.map(|inner| Body::new(Answer { inner, call, answers, kind, refusals, idle, ended: false }));
            response.extensions_mut().insert(turned_away);
            Ok(response)
        })
    }
}

/// How a call is told that it is one too many. Nothing is logged of it, for there may be a great many.
#[derive(Clone)]
struct Refusals {
    trace: TraceId,
    metrics: Metrics,
    line: Line,
    turned_away: TurnedAway,
    /// What a conversation that ends for it doesn't say by itself.
    unsaid: Arc<Mutex<Option<Status>>>,
}

impl Refusals {
    fn status(&self, error: &Error) -> Status {
        if let Error::LimitReached(reached) = error {
            self.metrics.limit_reached(reached.limit);
            self.line.refused();
        }
        self.turned_away.set();
        status::unlogged(error, self.trace)
    }

    fn unsaid(&self) -> std::sync::MutexGuard<'_, Option<Status>> {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose bytes are counted as they come.
struct Asked {
    inner: Body,
    call: Arc<Call>,
    refusals: Refusals,
    /// Until it is whole. None for a conversation, which has no end to wait for.
    whole: Option<Whole>,
    ended: bool,
}

/// What has come of a request that is to be whole.
struct Whole {
    /// In one piece: it may come byte by byte.
    held: BytesMut,
    /// More than this is given on as it is, to be refused for its length.
    most: usize,
    /// Then it counts as one that never ends. Its caller has been answered, but a change would go on waiting for the rest, and keep its place.
    until: Instant,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Whole {
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let until = self.until;
        self.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until))).as_mut().poll(context).is_ready()
    }
}

impl Asked {
    /// Ends what is asked, and lets go of what came of it.
    fn end(&mut self) {
        self.inner = Body::empty();
        self.whole = None;
        self.ended = true;
    }
}

impl http_body::Body for Asked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        while !this.ended {
            let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context)? else {
                if this.whole.as_mut().is_some_and(|whole| whole.is_late(context)) {
                    this.end();
                    let late = of_the_protocol(Code::DeadlineExceeded, "its end didn't come in time", this.refusals.trace);
                    return Poll::Ready(Some(Err(late)));
                }
                return Poll::Pending;
            };
            let data = match frame.map(Frame::into_data) {
                Some(Ok(data)) => data,
                // its trailers say nothing that anybody wants to know
                Some(Err(_)) => continue,
                None => {
                    this.ended = true;
                    break;
                }
            };
            if let Err(error) = this.call.asked(data.len()) {
                this.end();
                let status = this.refusals.status(&error);
                *this.refusals.unsaid() = Some(status.clone());
                return Poll::Ready(Some(Err(status)));
            }
            let Some(whole) = &mut this.whole else { return Poll::Ready(Some(Ok(Frame::data(data)))) };
            whole.held.extend_from_slice(&data);
            this.ended = whole.held.len() > whole.most;
        }
        let held = this.whole.take().map(|whole| whole.held).filter(|held| !held.is_empty());
        Poll::Ready(held.map(|held| Ok(Frame::data(held.freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.whole.as_ref().is_none_or(|whole| whole.held.is_empty()) && (self.ended || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// How long a conversation may rest.
struct Idle {
    longest: Duration,
    end: Pin<Box<Sleep>>,
}

impl Idle {
    fn new(longest: Duration) -> Self {
        Self { longest, end: Box::pin(tokio::time::sleep(longest)) }
    }

    fn begin_anew(&mut self) {
        self.end.as_mut().reset(Instant::now() + self.longest);
    }
}

/// An answer whose bytes are counted until they are taken.
struct Answer {
    inner: Body,
    call: Arc<Call>,
    answers: Answers,
    kind: Kind,
    refusals: Refusals,
    idle: Option<Idle>,
    ended: bool,
}

impl Answer {
    fn end(&mut self, status: &Status) -> Result<Frame<Bytes>, Status> {
        self.ended = true;
        self.inner = Body::empty();
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context)? else {
            let Some(idle) = &mut this.idle else { return Poll::Pending };
            ready!(idle.end.as_mut().poll(context));
            let rested = of_the_protocol(Code::DeadlineExceeded, "nothing was asked for too long", this.refusals.trace);
            return Poll::Ready(Some(this.end(&rested)));
        };
        let data = match frame.map(Frame::into_data) {
            Some(Ok(data)) => data,
            end => {
                let unsaid = (this.kind == Kind::Conversation).then(|| this.refusals.unsaid().take()).flatten();
                return Poll::Ready(match (unsaid, end) {
                    (Some(status), _) => Some(this.end(&status)),
                    (None, Some(Err(trailers))) => Some(Ok(trailers)),
                    (None, _) => None,
                });
            }
        };
        if let Some(idle) = &mut this.idle {
            // what was asked further may be held still
            idle.begin_anew();
        } else {
            this.call.settle();
        }
        let charge = if this.kind.is_change() { Ok(this.call.must_answer(data.len())) } else { this.call.answers(data.len()) };
        Poll::Ready(Some(match charge {
            Ok(charge) => Ok(Frame::data(this.answers.hold(data, charge))),
            Err(error) => {
                let refused = this.refusals.status(&error);
                this.end(&refused)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
