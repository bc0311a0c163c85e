//! From a bare socket to a connection that speaks HTTP/2, or to its end at the deadline; and its end when answers aren't taken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval};
use tonic::transport::server::Connected;

use super::acceptor::{Accepted, Socket};
use super::answers::Answers;
use super::shares::{Holder, Seat};
use super::turns::{Line, Paced, Place};
use crate::api::peer::{Listener, Peer};
use crate::config::Limits;
use crate::metrics::{Metrics, Open};
use crate::tls::Certificates;

/// What every HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose client has begun to speak HTTP/2.
pub(super) struct Connection {
    io: Box<dyn Io>,
    /// How much of the preface, which was read to see it, was read again by the HTTP/2 server.
    replayed: usize,
    origin: Origin,
    /// How long an answer may wait, and when it is looked whether one does.
    patience: Duration,
    look: Interval,
    /// Since when it takes nothing of what is written.
    stuck: Option<Instant>,
    metrics: Metrics,
    _permit: OwnedSemaphorePermit,
    _seat: Seat,
    _open: Open,
}

/// Where a call comes from; every request carries it.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) peer: Peer,
    /// what it is counted against,
    pub(super) holder: Holder,
    /// where its answers wait,
    pub(super) answers: Answers,
    /// and who pays for what is refused.
    pub(super) line: Line,
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Takes a connection through its TLS handshake and preface, within the deadline.
pub(super) async fn admit(
    accepted: Accepted,
    place: Place,
    tls: Option<Certificates>,
    limits: Limits,
    metrics: Metrics,
) -> io::Result<Connection> {
    let Accepted { socket, permit, seat, open: counted } = accepted;
    let line = place.line.clone();
    let work = async {
        let (mut io, peer) = open(socket, place, tls).await?;
        read_preface(&mut io).await?;
        Ok((io, peer))
    };
    let silent = || io::Error::new(io::ErrorKind::TimedOut, "no HTTP/2 preface before the deadline");
    let (io, peer) = tokio::time::timeout(limits.handshake, work).await.unwrap_or_else(|_| Err(silent()))?;
    let origin = Origin { peer, holder: seat.holder(), answers: Answers::default(), line };
    let patience = limits.request;
    let often = patience / 4;
    let look = tokio::time::interval_at(Instant::now() + often, often);
    Ok(Connection { io, replayed: 0, origin, patience, look, stuck: None, metrics, _permit: permit, _seat: seat, _open: counted })
}

async fn open(socket: Socket, place: Place, tls: Option<Certificates>) -> io::Result<(Box<dyn Io>, Peer)> {
    match socket {
        Socket::Tcp(stream, address) => {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let stream = Paced::new(TcpStream::from_std(stream)?, place);
            let peer = |certificate| Peer { listener: Listener::Tcp(address), uid: None, certificate };
            let Some(tls) = tls else { return Ok((Box::new(stream), peer(None))) };
            let handshake = tls.handshake();
            let stream = handshake.acceptor.accept(stream).await?;
            let (_, session) = stream.get_ref();
            let certificate = session.peer_certificates().and_then(|chain| tls.enter(&handshake, chain));
            Ok((Box::new(stream), peer(certificate)))
        }
        Socket::Unix { stream, listener, uid } => {
            stream.set_nonblocking(true)?;
            let stream = Paced::new(UnixStream::from_std(stream)?, place);
            Ok((Box::new(stream), Peer { listener, uid, certificate: None }))
        }
    }
}

/// Reads no further than the preface, and stops at the first byte that differs.
async fn read_preface(io: &mut Box<dyn Io>) -> io::Result<()> {
    let mut rest = PREFACE;
    let mut buffer = [0; PREFACE.len()];
    while !rest.is_empty() {
        let room = buffer.get_mut(..rest.len()).unwrap_or_default();
        let count = io.read(room).await?;
        let read = room.get(..count).unwrap_or_default();
        if read.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        rest = rest.strip_prefix(read).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not HTTP/2"))?;
    }
    Ok(())
}

impl Connected for Connection {
    type ConnectInfo = Origin;

    fn connect_info(&self) -> Origin {
        self.origin.clone()
    }
}

impl Connection {
    /// Fails when an answer isn't taken in time, or nothing at all. Whichever way the HTTP/2 server is stuck, it reads or writes when it is
    /// woken.
    fn look(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.look.poll_tick(context).is_ready() {
            let waiting = [self.origin.answers.oldest(), self.stuck];
            if waiting.into_iter().flatten().any(|since| since.elapsed() >= self.patience) {
                self.metrics.closed_early("untaken");
                return Err(io::Error::new(io::ErrorKind::TimedOut, "its answers weren't taken in time"));
            }
        }
        Ok(())
    }

    /// Notes whether what was written was taken.
    fn written<T>(&mut self, outcome: Poll<T>) -> Poll<T> {
        if outcome.is_ready() {
            self.stuck = None;
        } else {
            self.stuck.get_or_insert_with(Instant::now);
        }
        outcome
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.look(context)?;
        let rest = PREFACE.get(self.replayed..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..count).unwrap_or_default());
        self.replayed += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.look(context)?;
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look(context)?;
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.written(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.look(context)?;
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
