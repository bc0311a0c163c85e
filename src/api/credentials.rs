//! What came with a request: extracted here, judged by `app`.

use secrecy::SecretString;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use super::peer::{Listener, Peer};
use crate::app::caller::Credentials;
use crate::domain::clock::Timestamp;
use crate::domain::event::Door;
use crate::domain::id::TraceId;
use crate::domain::peer::{self, Proxies};
use crate::tls::CertificateNames;

/// Headers that proxies add: with one of them, the peer of the socket isn't who is calling.
const FORWARDED: [&str; 6] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// Extracts the credentials of a request.
pub(super) fn of<T>(request: &Request<T>, trace: TraceId, now: Timestamp, proxies: &Proxies) -> Credentials {
    let metadata = request.metadata();
    let peer = Peer::of(request);
    let client = peer.and_then(|peer| peer.client(metadata, proxies));
    let certificate = peer.and_then(|peer| peer.certificate.as_deref());
    let names = certificate.and_then(|certificate| certificate.names(now));
    let names = names.into_iter().flat_map(CertificateNames::registrable);
    Credentials {
        authorization: texts(metadata, "authorization").into_iter().map(SecretString::from).collect(),
        certificate_names: names.cloned().collect(),
        operators_socket_uid: peer.filter(|peer| matches!(peer.listener, Listener::OperatorsSocket)).and_then(|peer| peer.uid),
        forwarded: FORWARDED.iter().any(|name| metadata.contains_key(*name))
            || metadata
                .keys()
                .any(|key| matches!(key, tonic::metadata::KeyRef::Ascii(key) if key.as_str().starts_with("x-forwarded-"))),
        act_as: texts(metadata, "x-act-as"),
        client: client.map(|client| client.to_string()),
        peer: match client {
            Some(client) => peer::Peer::of_address(client),
            None => peer.and_then(|peer| peer.uid).map_or(peer::Peer::Inside, peer::Peer::Uid),
        },
        door: peer.map_or(Door::Inside, |peer| match peer.listener {
            Listener::Tcp(_) => Door::Tcp,
            Listener::OperatorsSocket => Door::OperatorsSocket,
            Listener::ToolsSocket => Door::ToolsSocket,
        }),
        trace,
    }
}

/// Every value of a header; one that isn't text is empty, which nothing accepts.
fn texts(metadata: &MetadataMap, name: &str) -> Vec<String> {
    let text = |value: &MetadataValue<Ascii>| value.to_str().unwrap_or_default().to_owned();
    metadata.get_all(name).iter().map(text).collect()
}
