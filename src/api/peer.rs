//! Who is at the other end of a connection, as far as the connection itself tells. Extracts only; `app` judges what it is worth.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::domain::peer;
use crate::tls::ClientCertificate;

/// The door that a connection came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// TCP, with or without TLS; from this address, which may be a proxy's.
    Tcp(SocketAddr),
    /// `grpc.socket`.
    OperatorsSocket,
    /// `grpc.tools_socket`.
    ToolsSocket,
}

/// Who is at the other end of a connection; every request on it carries this in its extensions.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The door.
    pub listener: Listener,
    /// The uid that the kernel attests for a Unix socket (`SO_PEERCRED`), taken when the peer connected.
    pub uid: Option<u32>,
    /// The client's certificate, if it showed one and `grpc.tls.client_ca` vouches for it.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Peer {
    /// The peer of a request; none for requests that came through no listener of the server.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Option<&Self> {
        request.extensions().get()
    }

    /// Whom limits take it for: whoever connects, be that a proxy for many.
    #[must_use]
    pub fn as_limits_see(&self) -> peer::Peer {
        match self.listener {
            Listener::Tcp(address) => peer::Peer::of_address(address.ip()),
            Listener::OperatorsSocket | Listener::ToolsSocket => self.uid.map_or(peer::Peer::Inside, peer::Peer::Uid),
        }
    }
}
