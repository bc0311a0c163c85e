//! Who is at the other end of a connection, as far as the connection itself tells. Extracts only; `app` judges what it is worth.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tonic::metadata::MetadataMap;

use crate::domain::peer::Proxies;
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

    /// The network address that it called from: its own, or the one that proxies forwarded it for.
    #[must_use]
    pub fn client(&self, metadata: &MetadataMap, proxies: &Proxies) -> Option<IpAddr> {
        match self.listener {
            Listener::Tcp(address) => Some(proxies.client_of(address.ip(), forwarded(metadata))),
            Listener::OperatorsSocket | Listener::ToolsSocket => None,
        }
    }
}

/// The addresses of `x-forwarded-for`, the nearest first: of all headers in their order, as far as they can be read.
fn forwarded(metadata: &MetadataMap) -> impl Iterator<Item = IpAddr> {
    // the iterator over one name's values goes forth only; there are few, since a call's headers have a limit in bytes
    let values: Vec<_> = metadata.get_all("x-forwarded-for").iter().collect();
    let texts = values.into_iter().rev().flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
    texts.map_while(|text| hop(text.trim()))
}

/// `192.0.2.1`, `2001:db8::1`, either with a port, brackets or both.
fn hop(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip())).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forwarded_is_read_from_the_right_until_something_is_no_address() {
        let read = |headers: &[&'static str]| {
            let mut metadata = MetadataMap::new();
            for header in headers {
                metadata.append("x-forwarded-for", header.parse().unwrap());
            }
            forwarded(&metadata).map(|hop| hop.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read(&["192.0.2.1, 192.0.2.2", " 192.0.2.3 "]), "192.0.2.3 192.0.2.2 192.0.2.1");
        assert_eq!(
            read(&["2001:db8::1,[2001:db8::2],[2001:db8::3]:80,192.0.2.1:80"]),
            "192.0.2.1 2001:db8::3 2001:db8::2 2001:db8::1"
        );
        assert_eq!(read(&["192.0.2.1,unknown,192.0.2.2"]), "192.0.2.2");
        assert_eq!(read(&["192.0.2.1,"]), "");
        assert_eq!(read(&["[192.0.2.1"]), "");
        assert_eq!(read(&[]), "");
    }
}
