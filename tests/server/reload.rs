//! Certificates that are loaded anew while the server runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{Running, health_of, peer_seen_by_server};
use crate::tls::{Authority, BOTH, EACH, authority, client, connect, issue, settings};

/// A handshake, and the settings frame with which the server begins: behind it come what tickets there are.
async fn handshake(server: &Running, connector: &TlsConnector) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(server.addresses.tcp[0]).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream.read_exact(&mut [0; 9]).await.unwrap();
    stream
}

/// The certificate that a new connection is shown.
async fn shown(server: &Running, authority: &Authority) -> Vec<u8> {
    let stream = handshake(server, &TlsConnector::from(Arc::new(client(authority, None, BOTH)))).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// Puts another certificate with its key in place.
fn renew(directory: &Path, authority: &Authority) {
    let (certificate, key) = issue(authority, None);
    std::fs::write(directory.join("cert.pem"), certificate).unwrap();
    std::fs::write(directory.join("key.pem"), key).unwrap();
}

/// A file's name and what stands in it; none removes it.
type Change<'a> = (&'a str, Option<&'a [u8]>);

/// A certificate for the server with its key, good from and until the beginnings of these years.
fn good_within(authority: &Authority, from: i32, until: i32) -> (String, String) {
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (parameters.not_before, parameters.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
    let key = KeyPair::generate().unwrap();
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on() {
    let (authority, directory) = (authority(), tempfile::tempdir().unwrap());
    let server = Running::start(&settings(directory.path(), &authority));
    let certificates = server.certificates.clone().unwrap();
    let channel = connect(&server, &authority, None).await.expect("connected");
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let before = shown(&server, &authority).await;
    renew(directory.path(), &authority);
    assert_eq!(shown(&server, &authority).await, before, "nothing changes by itself");
    certificates.reload().expect("taken");
    assert_ne!(shown(&server, &authority).await, before);
    server.health.set_store(false);
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing, "the stream is open");
    assert_eq!(health_of(channel, "").await.unwrap(), ServingStatus::NotServing, "so is its connection");
    assert_eq!((certificates.state().taken, certificates.state().refused), (1, 0));
}

#[tokio::test]
async fn what_cannot_be_used_keeps_the_old_and_says_so_until_it_is_mended() {
    let (authority, directory) = (authority(), tempfile::tempdir().unwrap());
    let server = Running::start(&settings(directory.path(), &authority));
    let certificates = server.certificates.clone().unwrap();
    let before = shown(&server, &authority).await;
    let file = |name: &str| directory.path().join(name);
    let good = |name: &str| std::fs::read(file(name)).unwrap();
    let whole = [("cert.pem", good("cert.pem")), ("key.pem", good("key.pem")), ("ca.pem", good("ca.pem"))];
    let (another, another_key) = issue(&authority, None);
    let half = whole[0].1[..whole[0].1.len() / 2].to_vec();
    let (old, old_key) = good_within(&authority, 2019, 2020);
    let (early, early_key) = good_within(&authority, 4000, 4001);
    let large = vec![b'a'; 1024 * 1024 + 1];
    let broken: [(&[Change<'_>], &str, &str); 9] = [
        (&[("cert.pem", None)], "cert.pem", "No such file"),
        (&[("cert.pem", Some(&half))], "cert.pem", "can't use"),
        (&[("cert.pem", Some(another.as_bytes()))], "key.pem", "it isn't the key of the certificate"),
        (&[("key.pem", Some(another_key.as_bytes()))], "key.pem", "it isn't the key of the certificate"),
        (&[("key.pem", Some(b""))], "key.pem", "there is no private key in it, or it is encrypted"),
        (&[("ca.pem", Some(b""))], "ca.pem", "there is no certificate in it"),
        (&[("cert.pem", Some(old.as_bytes())), ("key.pem", Some(old_key.as_bytes()))], "cert.pem", "it expired at 2020-01-01"),
        (
            &[("cert.pem", Some(early.as_bytes())), ("key.pem", Some(early_key.as_bytes()))],
            "cert.pem",
            "it counts from 4000-01-01T00:00:00Z on only",
        ),
        (&[("ca.pem", Some(&large))], "ca.pem", "larger than 1 MiB"),
    ];
    for (number, (changes, name, what)) in (1..).zip(broken) {
        for (name, bytes) in changes {
            match bytes {
                None => std::fs::remove_file(file(name)).unwrap(),
                Some(bytes) => std::fs::write(file(name), bytes).unwrap(),
            }
        }
        let error = certificates.reload().expect_err("refused").to_string();
        assert!(error.contains(name) && error.contains(what), "{error}");
        assert_eq!(certificates.state().fault.as_ref(), Some(&error));
        assert_eq!(certificates.state().refused, number);
        assert_eq!(shown(&server, &authority).await, before);
        for (name, bytes) in &whole {
            std::fs::write(file(name), bytes).unwrap();
        }
    }
    let set = |mode| std::fs::set_permissions(file("key.pem"), std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o644);
    let error = certificates.reload().expect_err("refused").to_string();
    assert!(error.contains("key.pem") && error.contains("it can be read by everybody"), "{error}");
    assert_eq!(shown(&server, &authority).await, before);
    set(0o440);
    std::fs::set_permissions(file("ca.pem"), std::fs::Permissions::from_mode(0o666)).unwrap();
    let error = certificates.reload().expect_err("refused").to_string();
    assert!(error.contains("ca.pem") && error.contains("it can be written by other users"), "{error}");
    std::fs::set_permissions(file("ca.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
    certificates.reload().expect("mended");
    assert_eq!(certificates.state().fault, None);
}

#[tokio::test]
async fn a_client_of_an_authority_that_was_taken_out_counts_no_longer_on_its_open_connection() {
    let (former, new, directory) = (authority(), authority(), tempfile::tempdir().unwrap());
    let server = Running::start(&settings(directory.path(), &former));
    let certificates = server.certificates.clone().unwrap();
    let identity = issue(&former, Some("spiffe://acme/alerts"));
    let channel = connect(&server, &former, Some(identity.clone())).await.expect("connected");
    assert!(peer_seen_by_server(channel.clone()).await.contains("withdrawn: false"));
    std::fs::write(directory.path().join("ca.pem"), format!("{}{}", former.pem(), new.pem())).unwrap();
    certificates.reload().expect("taken");
    assert!(peer_seen_by_server(channel.clone()).await.contains("withdrawn: false"), "another joined it");
    std::fs::write(directory.path().join("ca.pem"), new.pem()).unwrap();
    certificates.reload().expect("taken");
    assert!(peer_seen_by_server(channel).await.contains("withdrawn: true"));
    let refused = match connect(&server, &former, Some(identity)).await {
        Err(_) => true,
        Ok(channel) => health_of(channel, "").await.is_err(),
    };
    assert!(refused);
    let identity = issue(&new, Some("spiffe://acme/alerts"));
    let channel = connect(&server, &former, Some(identity)).await.expect("connected");
    assert!(peer_seen_by_server(channel).await.contains("withdrawn: false"));
}

#[tokio::test]
async fn no_session_is_resumed_so_that_each_connection_has_its_certificate_looked_at() {
    let (authority, directory) = (authority(), tempfile::tempdir().unwrap());
    let server = Running::start(&settings(directory.path(), &authority));
    for versions in EACH {
        let identity = issue(&authority, None);
        let connector = TlsConnector::from(Arc::new(client(&authority, Some(&identity), versions)));
        for _ in 0..3 {
            let stream = handshake(&server, &connector).await;
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}
