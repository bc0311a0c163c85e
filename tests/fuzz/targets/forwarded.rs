//! What proxies say whom they forward.

use std::net::{IpAddr, SocketAddr};

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use user_management::api::peer::{Listener, Peer};
use user_management::domain::peer::{Network, Proxies};

pub(super) fn holds(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    for word in text.split([' ', ',', '\n']) {
        let Ok(network) = word.parse::<Network>() else { continue };
        assert_eq!(network.to_string().parse(), Ok(network), "{word}");
    }
    let headers: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').take(40).collect();
    let proxies = Proxies(["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().expect("a network")).to_vec());
    let stranger: IpAddr = "192.0.2.7".parse().expect("an address");
    assert_eq!(client(stranger, &headers, &proxies), stranger, "nobody whom it may be believed");
    let proxy: IpAddr = "10.0.0.1".parse().expect("an address");
    assert_eq!(client(proxy, &headers, &Proxies::default()), proxy, "none is believed");
    let found = client(proxy, &headers, &proxies);
    assert_eq!(found, found.to_canonical(), "one spelling");
    let trusted = |address: IpAddr| {
        let text = address.to_string();
        text.starts_with("10.") || text.starts_with("2001:db8:")
    };
    if !trusted(found) {
        let claimed = [&[b"198.51.100.1, [::1]:7".as_slice()], &headers[..]].concat();
        assert_eq!(client(proxy, &claimed, &proxies), found, "what stands further off can't change who it is");
    }
    found != proxy
}

fn client(connection: IpAddr, headers: &[&[u8]], proxies: &Proxies) -> IpAddr {
    let mut metadata = MetadataMap::new();
    for header in headers {
        let Ok(value) = http::HeaderValue::from_bytes(header) else { continue };
        // any bytes that HTTP lets through
        let value = MetadataValue::<Ascii>::try_from(value.as_bytes()).expect("bytes of a header");
        metadata.append("x-forwarded-for", value);
    }
    let peer = Peer { listener: Listener::Tcp(SocketAddr::new(connection, 80)), uid: None, certificate: None };
    peer.client(&metadata, proxies).expect("TCP has an address")
}
