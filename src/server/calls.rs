//! Counts each call, its request and its answer against what its peer and all together may hold ([`super::shares`]).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::answers::Answers;
use super::connection::Origin;
use super::shares::Call;
use crate::api::status;
use crate::api::trace::TurnedAway;
use crate::domain::error::Error;
use crate::domain::id::TraceId;
use crate::metrics::Metrics;

/// Takes the [`Origin`] out of each request and leaves the peer there, for the services.
#[derive(Clone)]
pub(super) struct CountLayer(pub(super) Metrics);

impl<S> Layer<S> for CountLayer {
    type Service = Count<S>;

    fn layer(&self, inner: S) -> Count<S> {
        Count { inner, metrics: self.0.clone() }
    }
}

/// The services behind a [`CountLayer`].
#[derive(Clone)]
pub(super) struct Count<S> {
    inner: S,
    metrics: Metrics,
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
        let trace = request.extensions().get().copied().unwrap_or_else(|| TraceId::from_bytes([0; 16]));
        let Some(Origin { peer, holder, answers }) = request.extensions_mut().remove() else {
            unreachable!("every connection says where it comes from");
        };
        request.extensions_mut().insert(peer);
        let refusals = Refusals { trace, metrics: self.metrics.clone() };
        let call = match holder.call() {
            Ok(call) => Arc::new(call),
            Err(error) => {
                let mut refused = refusals.status(&error).into_http();
                refused.extensions_mut().insert(TurnedAway);
                return Box::pin(std::future::ready(Ok(refused)));
            }
        };
        let withhold = only_reads(request.uri().path());
        let asked = Arc::clone(&call);
        let request = request.map(|inner| Body::new(Asked { inner, call: asked, refusals: refusals.clone() }));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|inner| Body::new(Answer { inner, call, answers, withhold, refusals, ended: false })))
        })
    }
}

/// Whether a call changes nothing, so that there is no harm in withholding its answer: it can be asked again.
fn only_reads(path: &str) -> bool {
    let method = path.rsplit('/').next().unwrap_or_default();
    let reads = ["Get", "List", "Check", "BatchCheck", "Preview", "Verify", "Export", "ServerReflectionInfo"];
    reads.iter().any(|read| method.starts_with(read))
}

/// How a call is told that it is one too many. Nothing is logged of it, for there may be a great many.
#[derive(Clone)]
struct Refusals {
    trace: TraceId,
    metrics: Metrics,
}

impl Refusals {
    fn status(&self, error: &Error) -> Status {
        if let Error::LimitReached(reached) = error {
            self.metrics.limit_reached(reached.limit);
        }
        status::unlogged(error, self.trace)
    }
}

/// A request whose bytes are counted as they come.
struct Asked {
    inner: Body,
    call: Arc<Call>,
    refusals: Refusals,
}

impl http_body::Body for Asked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(error) = self.call.asked(data.len())
        {
            self.inner = Body::empty();
            return Poll::Ready(Some(Err(self.refusals.status(&error))));
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

/// An answer whose bytes are counted until they are taken.
struct Answer {
    inner: Body,
    call: Arc<Call>,
    answers: Answers,
    withhold: bool,
    refusals: Refusals,
    ended: bool,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(context)?) else { return Poll::Ready(None) };
        let frame = match frame.into_data() {
            Err(trailers) => trailers,
            Ok(data) => match self.call.answers(data.len(), self.withhold) {
                Ok(charge) => Frame::data(self.answers.hold(data, charge)),
                Err(error) => {
                    self.ended = true;
                    self.inner = Body::empty();
                    let mut trailers = HeaderMap::new();
                    self.refusals.status(&error).add_header(&mut trailers)?;
                    Frame::trailers(trailers)
                }
            },
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.ended { SizeHint::with_exact(0) } else { self.inner.size_hint() }
    }
}
