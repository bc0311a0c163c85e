//! Takes connections from the listeners, within the limit, and hands them to the cores in turn. Waits for nothing a stranger does.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use std::{io, net};

use rustix::io::Errno;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::core::Dealer;
use super::listener::{self, SocketFile};
use super::shares::{Seat, Shares};
use crate::api::peer::Listener;
use crate::metrics::{Metrics, Open};

/// A connection as the kernel gave it: nothing was read yet.
pub(super) struct Accepted {
    pub(super) socket: Socket,
    /// Counts it until it is closed, among all,
    pub(super) permit: OwnedSemaphorePermit,
    /// and among those of its peer.
    pub(super) seat: Seat,
    /// Counts it for those who look.
    pub(super) open: Open,
}

/// The socket of a connection.
pub(super) enum Socket {
    Tcp(net::TcpStream, net::SocketAddr),
    Unix {
        stream: UnixStream,
        listener: Listener,
        /// As the kernel attests it.
        uid: Option<u32>,
    },
}

impl Socket {
    const fn listener(&self) -> &'static str {
        match self {
            Self::Tcp(..) => "tcp",
            Self::Unix { listener: Listener::OperatorsSocket, .. } => "operators_socket",
            Self::Unix { .. } => "tools_socket",
        }
    }
}

/// A listener with what it may take.
pub(super) struct Door {
    pub(super) way: Way,
    /// One for each connection that may be open; doors can share them.
    pub(super) permits: Arc<Semaphore>,
}

/// How connections come.
pub(super) enum Way {
    Tcp(net::TcpListener),
    Unix(listener::Socket, Listener),
}

/// A listener that the acceptor's runtime watches.
enum Watched {
    Tcp(TcpListener),
    Unix { listener: UnixListener, door: Listener, _file: SocketFile },
}

impl Watched {
    fn new(way: Way) -> io::Result<Self> {
        Ok(match way {
            Way::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Way::Unix(socket, door) => {
                Self::Unix { listener: UnixListener::from_std(socket.listener)?, door, _file: socket.file }
            }
        })
    }

    async fn accept(&self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                Socket::Tcp(stream.into_std()?, from)
            }
            Self::Unix { listener, door, .. } => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
                Socket::Unix { stream: stream.into_std()?, listener: *door, uid }
            }
        })
    }
}

/// Connections that are taken before others of the host may have the processor: a peer can ask for hundreds at once, and while the acceptor takes
/// and closes them, the calls of others wait. Fewer at a time would let a peer fill the kernel's queue for longer.
const AT_ONCE: u32 = 8;

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Accepts for ever.
pub(super) async fn accept(door: Door, dealer: Dealer, shares: Shares, metrics: Metrics) {
    let Door { way, permits } = door;
    let listener = match Watched::new(way) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener can't be watched"),
    };
    let mut pause = SHORTEST_PAUSE;
    let mut taken = 0_u32;
    loop {
        match listener.accept().await {
            Ok(socket) => {
                pause = SHORTEST_PAUSE;
                taken = taken.wrapping_add(1);
                if taken.is_multiple_of(AT_ONCE) {
                    std::thread::yield_now();
                }
                let Some(seat) = shares.seat(&socket) else {
                    metrics.closed_early("peer_limit");
                    continue;
                };
                let Some(permit) = permit(&permits).await else { return };
                let open = metrics.connection(socket.listener());
                dealer.deal(Accepted { socket, permit, seat, open });
            }
            Err(error) if is_exhaustion(&error) => {
                tracing::warn!(%error, "no connection can be accepted at present");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            // one connection's own fault, such as a client that went away in the queue
            Err(error) => tracing::debug!(%error, "a connection was not accepted"),
        }
    }
}

/// Waits while the limit is met: the connection at hand is served when another ends, further ones wait in the kernel's queue.
async fn permit(permits: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    match Arc::clone(permits).try_acquire_owned() {
        Ok(permit) => Some(permit),
        Err(TryAcquireError::Closed) => None,
        Err(TryAcquireError::NoPermits) => {
            tracing::warn!("the limit of connections is met; new ones wait");
            Arc::clone(permits).acquire_owned().await.ok()
        }
    }
}

/// Whether the host or the process is out of something, which a pause may mend and trying at once would not.
fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
