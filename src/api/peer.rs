//! Who is at the other end of a connection, as far as the connection itself tells. Extracts only; `app` judges what it is worth.

use std::net::SocketAddr;
use std::sync::Arc;

use x509_parser::extensions::GeneralName;

use crate::domain::peer;

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

/// The names in a client's verified certificate. The common name is none: it was never meant as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// The URIs of the subject alternative name, such as SPIFFE ids.
    pub uris: Vec<String>,
    /// The DNS names of the subject alternative name.
    pub dns_names: Vec<String>,
}

impl CertificateNames {
    /// Reads the names of a certificate (DER) whose chain the handshake has verified; one that can't be read has none.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let mut names = Self::default();
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return names };
        let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return names };
        for name in &alternative.value.general_names {
            match name {
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => names.dns_names.push((*name).to_owned()),
                _ => {}
            }
        }
        names
    }
}

/// Who is at the other end of a connection; every request on it carries this in its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The door.
    pub listener: Listener,
    /// The uid that the kernel attests for a Unix socket (`SO_PEERCRED`), taken when the peer connected.
    pub uid: Option<u32>,
    /// The names in the client's certificate, if it showed one and `grpc.tls.client_ca` vouches for it.
    pub certificate: Option<Arc<CertificateNames>>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_uris_and_dns_names_but_not_the_common_name() {
        let mut parameters = rcgen::CertificateParams::new(["10.0.0.1".to_owned(), "alerts.acme.test".to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "admin");
        parameters.subject_alt_names.push(rcgen::SanType::URI("spiffe://acme/alerts".try_into().unwrap()));
        let certificate = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let names = CertificateNames::of(certificate.der());
        assert_eq!(names.uris, ["spiffe://acme/alerts"]);
        assert_eq!(names.dns_names, ["alerts.acme.test"]);
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        assert_eq!(CertificateNames::of(b"junk"), CertificateNames::default());
    }
}
