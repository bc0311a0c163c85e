//! Peers: who shares what limits allow to one that isn't known otherwise.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::IpNet;

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

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let one = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| one());
        network.map(|network| Self(network.trunc())).map_err(|_| "must be an address, or a network such as 10.0.0.0/8")
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The proxies that are believed about whom they forward.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(pub Vec<Network>);

/// More proxies than stand in a row anywhere; a header with more costs no more to look at.
const MOST_HOPS: usize = 32;

impl Proxies {
    /// The client of a connection: the first hop that isn't trusted, of the connection's own address and those that forwarded, the nearest
    /// first. What is behind that hop may be anybody's invention.
    pub fn client_of(&self, connection: IpAddr, nearest: impl Iterator<Item = IpAddr>) -> IpAddr {
        let mut last = connection.to_canonical();
        let mut nearest = nearest.take(MOST_HOPS);
        while self.trust(last) {
            let Some(hop) = nearest.next() else { break };
            last = hop.to_canonical();
        }
        last
    }

    /// Whether what an address forwards is believed.
    #[must_use]
    pub fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.0.contains(&address))
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
        let proxies = Proxies(vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::7".parse().unwrap()]);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let behind = |nearest: &[&str], connection: &str| {
            proxies.client_of(address(connection), nearest.iter().map(|hop| address(hop))).to_string()
        };
        assert_eq!(behind(&["10.0.0.2", "192.0.2.1", "198.51.100.9"], "10.0.0.1"), "192.0.2.1", "the last was claimed");
        assert_eq!(behind(&["198.51.100.9"], "192.0.2.7"), "192.0.2.7", "nobody whom it may be believed");
        assert_eq!(behind(&["10.0.0.2", "10.0.0.3"], "::ffff:10.0.0.1"), "10.0.0.3", "from within");
        assert_eq!(behind(&["::ffff:192.0.2.1"], "2001:db8::7"), "192.0.2.1");
        assert_eq!(behind(&["192.0.2.1"], "2001:db8::8"), "2001:db8::8", "a neighbour of the proxy");
        assert_eq!(behind(&[], "10.0.0.1"), "10.0.0.1");
        assert_eq!(behind(&["10.0.0.2"; 100], "10.0.0.1"), "10.0.0.2");
    }

    #[test]
    fn networks_are_written_as_addresses_or_with_a_prefix() {
        for (text, shown) in [("10.0.0.7", "10.0.0.7/32"), ("10.1.2.3/8", "10.0.0.0/8"), ("::1", "::1/128")] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
        }
        for text in ["", "10.0.0.0/33", "proxy.acme.test", "10.0.0.1:80"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
