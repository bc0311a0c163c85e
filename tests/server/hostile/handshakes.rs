//! What hostile peers do to a listener with TLS.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::assaults::{self, Assault, connections};
use super::wire::Wire;
use super::{Site, UNHURRIED, apart, stated_bound, used_by};
use crate::harness::LONG;
use crate::tls::{self, BOTH};

/// Handshakes that come to nothing.
const HALVES: [(&str, Assault); 2] = [("half a record", half_a_record), ("a hello and nothing more", hello_alone)];

/// A record that says it has 512 bytes of a `ClientHello`, and the first of them.
fn half_a_record(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    connections(to, from, |wire| {
        wire.send(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]);
    })
}

/// A whole `ClientHello`, so that the server makes keys, signs and answers, and waits for what doesn't come.
fn hello_alone(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    let config = Arc::new(tls::client(&tls::authority(), None, BOTH));
    connections(to, from, |wire| {
        let mut hello = Vec::new();
        let mut client = rustls::ClientConnection::new(Arc::clone(&config), "localhost".try_into().unwrap()).unwrap();
        client.write_tls(&mut hello).unwrap();
        wire.send(&hello);
    })
}

/// Whether the server answers with a record of its handshake.
fn is_greeted(wire: &mut Wire) -> bool {
    let mut record = [0];
    wire.0.set_read_timeout(Some(LONG)).unwrap();
    wire.0.read_exact(&mut record).is_ok() && record == [22]
}

/// A place beside a site that speaks TLS for those who can't; there each is the peer that it is.
async fn beside(site: &Site) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (place, to) = (listener.local_addr().unwrap(), site.tcp);
    let connector = TlsConnector::from(Arc::new(tls::client(site.authority.as_ref().unwrap(), None, BOTH)));
    let passing = TaskTracker::new();
    passing.clone().spawn(async move {
        while let Ok((mut plain, from)) = listener.accept().await {
            let connector = connector.clone();
            passing.spawn(async move {
                let socket = TcpSocket::new_v4()?;
                socket.bind(SocketAddr::new(from.ip(), 0))?;
                let mut secured = connector.connect("localhost".try_into().unwrap(), socket.connect(to).await?).await?;
                tokio::io::copy_bidirectional(&mut plain, &mut secured).await
            });
        }
    });
    place
}

#[tokio::test]
async fn half_handshakes_keep_nobody_out_and_no_server_from_ending() {
    let site = Site::secured(&[("LIMITS__SHUTDOWN_SECONDS", "3600"), ("LIMITS__HANDSHAKE_SECONDS", "3600")]);
    let (earlier, to) = (site.client().await, site.tcp);
    let mut held = Vec::new();
    for (number, (name, assault)) in (2..).zip(HALVES) {
        eprintln!("{name}");
        drop(std::mem::replace(&mut held, apart(move || assault(to, Ipv4Addr::new(127, 0, 0, number))).await));
        site.answers(&earlier).await;
    }
    let (greeted, held) = apart(move || (is_greeted(&mut held[0]), held)).await;
    assert!(greeted, "the server is in the midst of it");
    assert!(!apart(move || site.ends_by_its_deadline()).await, "no handshake is waited for");
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_memory_stays_under_the_stated_bound_too() {
    let bound = stated_bound("");
    for (name, assault) in HALVES {
        let site = Site::secured(&UNHURRIED);
        let used = used_by(&site, assault, site.tcp).await;
        eprintln!("{name}: {} MiB of {}", used >> 20, bound >> 20);
        assert!(used < bound, "{name}: {used}");
    }
    // what each connection holds of its streams, and of the records that nobody reads
    let holding = ["thousands of streams", "answers not taken, nothing read"];
    for (name, assault) in assaults::ALL.into_iter().filter(|(name, _)| holding.contains(name)) {
        let site = Site::secured(&UNHURRIED);
        let used = used_by(&site, assault, beside(&site).await).await;
        eprintln!("{name}, in TLS: {} MiB of {}", used >> 20, bound >> 20);
        assert!(used < bound, "{name}: {used}");
    }
}
