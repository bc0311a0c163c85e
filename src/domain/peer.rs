//! Peers: who shares what limits allow to one that isn't known otherwise.

use std::net::{IpAddr, Ipv4Addr};

/// Who is at the other end, as far as limits tell callers apart: whoever can make as many addresses as they like is one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// The program itself, where no connection is between.
    Inside,
    /// A user of this host, over one of its sockets.
    Uid(u32),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The upper half of an IPv6 address: a host is commonly given all that begin so, and a customer many of those.
    V6(u64),
}

impl Peer {
    /// The peer of a connection from a network address.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX)),
        }
    }

    /// The peer behind proxies: the last hop that isn't trusted, of those that forwarded a request in their order, and then the connection's own
    /// address. What stands before that hop may be anybody's invention.
    pub fn behind(forwarded: &[IpAddr], connection: IpAddr, is_trusted: impl Fn(IpAddr) -> bool) -> Self {
        let hops = std::iter::once(connection).chain(forwarded.iter().rev().copied());
        let mut last = connection;
        for hop in hops {
            last = hop;
            if !is_trusted(hop) {
                break;
            }
        }
        Self::of_address(last)
    }

    /// What is stored of it: other bytes for every other peer.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Inside => vec![0],
            Self::Uid(uid) => [&[1], &uid.to_be_bytes()[..]].concat(),
            Self::V4(address) => [&[4], &address.octets()[..]].concat(),
            Self::V6(network) => [&[6], &network.to_be_bytes()[..]].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::of_address(address.parse().unwrap())
    }

    #[test]
    fn one_network_is_one_peer() {
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_eq!(peer("192.0.2.1"), peer("::ffff:192.0.2.1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }

    #[test]
    fn peers_are_stored_apart() {
        let all = [Peer::Inside, Peer::Uid(0), peer("0.0.0.0"), peer("::2"), peer("0:0:0:1::"), Peer::Uid(1)];
        let stored: std::collections::BTreeSet<_> = all.into_iter().map(Peer::to_bytes).collect();
        assert_eq!(stored.len(), all.len());
    }

    #[test]
    fn behind_proxies_the_last_hop_that_is_not_trusted_counts() {
        let hops = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let trusted = |hop: IpAddr| hop.to_string().starts_with("10.");
        let behind = |forwarded: &[&str], connection: &str| Peer::behind(&hops(forwarded), connection.parse().unwrap(), trusted);
        assert_eq!(behind(&["198.51.100.9", "192.0.2.1", "10.0.0.2"], "10.0.0.1"), peer("192.0.2.1"), "the first was claimed");
        assert_eq!(behind(&["198.51.100.9"], "192.0.2.7"), peer("192.0.2.7"), "nobody whom it may be believed");
        assert_eq!(behind(&["10.0.0.3", "10.0.0.2"], "10.0.0.1"), peer("10.0.0.3"), "from within");
        assert_eq!(behind(&[], "10.0.0.1"), peer("10.0.0.1"));
    }
}
