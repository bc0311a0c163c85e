//! TLS, with and without a client's certificate.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;
use user_management::config::Config;
use user_management::metrics::Metrics;
use user_management::server::Server;
use user_management::server::health::Health;

use crate::harness::{LONG, Running, health_of, peer_seen_by_server};

pub(crate) type Versions = &'static [&'static SupportedProtocolVersion];

pub(crate) const BOTH: Versions = &[&TLS13, &TLS12];

pub(crate) const EACH: [Versions; 2] = [&[&TLS12], &[&TLS13]];

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority() -> Authority {
    let mut parameters = CertificateParams::new([]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key in PEM.
pub(crate) fn issue(authority: &Authority, uri: Option<&str>) -> (String, String) {
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.subject_alt_names.extend(uri.map(|uri| SanType::URI(uri.try_into().unwrap())));
    let key = KeyPair::generate().unwrap();
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// A certificate that stands for itself from the beginning of a year until so long after 1970 began, and its key in PEM.
pub(crate) fn certificate_within(year: i32, end: Duration) -> (String, String) {
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(year, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(1970, 1, 1) + end;
    let key = KeyPair::generate().unwrap();
    (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

pub(crate) fn write_private(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.unwrap().write_all(bytes).unwrap();
}

pub(crate) fn settings(directory: &Path, authority: &Authority) -> String {
    let (certificate, key) = issue(authority, None);
    for (name, text) in [("cert.pem", certificate), ("key.pem", key), ("ca.pem", authority.pem())] {
        write_private(&directory.join(name), text.as_bytes());
    }
    let place = directory.display();
    format!("grpc.tls = {{ certificate = '{place}/cert.pem', key = '{place}/key.pem', client_ca = '{place}/ca.pem' }}")
}

/// What a client goes by: whom it trusts, and the certificate that it shows.
pub(crate) fn client(authority: &Authority, identity: Option<&(String, String)>, versions: Versions) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

pub(crate) async fn connect(
    server: &Running,
    authority: &Authority,
    identity: Option<(String, String)>,
) -> Result<Channel, tonic::transport::Error> {
    connect_to(server.addresses.tcp[0], client(authority, identity.as_ref(), BOTH)).await
}

pub(crate) async fn connect_to(address: SocketAddr, config: ClientConfig) -> Result<Channel, tonic::transport::Error> {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let connect = move |_| {
        let connector = connector.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            connector.connect("localhost".try_into().unwrap(), stream).await.map(TokioIo::new)
        }
    };
    Endpoint::from_static("http://localhost").connect_with_connector(tower::service_fn(connect)).await
}

#[tokio::test]
async fn the_names_in_a_clients_certificate_reach_the_services() {
    let authority = authority();
    let directory = tempfile::tempdir().unwrap();
    let server = Running::start(&settings(directory.path(), &authority));
    let channel = connect(&server, &authority, None).await.expect("connected");
    assert_eq!(health_of(channel.clone(), "").await.unwrap(), ServingStatus::Serving);
    assert!(peer_seen_by_server(channel).await.ends_with("certificate: None }"));
    let identity = issue(&authority, Some("spiffe://acme/alerts"));
    let channel = connect(&server, &authority, Some(identity)).await.expect("connected");
    let names = "names: CertificateNames { uris: [\"spiffe://acme/alerts\"], dns_names: [\"localhost\"] }";
    let seen = peer_seen_by_server(channel).await;
    assert!(seen.contains(names) && seen.contains("withdrawn: false"), "{seen}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_and_plaintext_are_refused() {
    let authority = authority();
    let directory = tempfile::tempdir().unwrap();
    let server = Running::start(&settings(directory.path(), &authority));
    let stranger = issue(&self::authority(), Some("spiffe://acme/alerts"));
    let refused = match connect(&server, &authority, Some(stranger)).await {
        Err(_) => true,
        // with TLS 1.3 a client learns of it with its first call
        Ok(channel) => health_of(channel, "").await.is_err(),
    };
    assert!(refused);
    let plaintext = tokio::time::timeout(LONG, server.tcp().connect()).await.expect("an end");
    let refused = match plaintext {
        Err(_) => true,
        Ok(channel) => health_of(channel, "").await.is_err(),
    };
    assert!(refused);
}

#[test]
fn a_file_that_is_of_no_use_is_named() {
    let authority = authority();
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path(), &authority);
    let place = directory.path().display();
    let pem = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    for (name, text, what) in [
        ("key.pem", issue(&authority, None).1, "it isn't the key of the certificate"),
        ("ca.pem", pem("CERTIFICATE", "AAAA"), "a certificate in it can't be read"),
        ("ca.pem", String::new(), "there is no certificate in it"),
        ("key.pem", pem("PRIVATE KEY", "!!!!"), "what is in it is no base64, or is encrypted"),
        ("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n".to_owned(), "it is cut off: what it begins has no end"),
        ("key.pem", pem("ENCRYPTED PRIVATE KEY", "AAAA"), "there is no private key in it, or it is encrypted"),
        ("key.pem", "junk".to_owned(), "there is no private key in it, or it is encrypted"),
        ("cert.pem", pem("CERTIFICATE", "!!!!"), "what is in it is no base64, or is encrypted"),
        ("cert.pem", "junk".to_owned(), "there is no certificate in it"),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
        let config = Config::from_toml(&format!("data_dir = '{place}/data'\ngrpc.listen = []\n{settings}")).expect("valid");
        let error =
            Server::bind(&config, Routes::default(), Health::new(), Metrics::default()).err().expect("refused").to_string();
        assert!(error.starts_with(&format!("can't use {place}/{name} for TLS: ")) && error.contains(what), "{error}");
    }
}

#[test]
fn a_key_that_everybody_reads_or_a_group_writes_is_refused_and_a_credential_of_systemd_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path(), &authority());
    let place = directory.path().display();
    let config = Config::from_toml(&format!("data_dir = '{place}/data'\ngrpc.listen = []\n{settings}")).expect("valid");
    let key = directory.path().join("key.pem");
    // systemd's are of root's group; as root, whose files the others are too, ours are
    for (mode, is_taken) in [(0o440, true), (0o640, true), (0o400, true), (0o604, false), (0o644, false), (0o620, false)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let bound = Server::bind(&config, Routes::default(), Health::new(), Metrics::default());
        let said = bound.err().map(|error| error.to_string());
        let refusal = format!(
            "can't use {place}/key.pem for TLS: it can be read by everybody or written by its group; \
             make it 0600, or 0640 for a group that may read it"
        );
        assert_eq!(said, (!is_taken).then_some(refusal), "{mode:o}");
    }
}

#[test]
fn a_certificate_that_others_could_write_and_authorities_that_are_anothers_too_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path(), &authority());
    let place = directory.path().display();
    let config = Config::from_toml(&format!("data_dir = '{place}/data'\ngrpc.listen = []\n{settings}")).expect("valid");
    let refusals = || {
        let bound = Server::bind(&config, Routes::default(), Health::new(), Metrics::default()).err();
        let checked = user_management::server::check(&config).into_iter().next();
        [bound, checked].map(|error| error.map(|error| error.to_string()))
    };
    for name in ["cert.pem", "ca.pem"] {
        let file = directory.path().join(name);
        for (mode, is_taken) in [(0o644, true), (0o444, true), (0o664, false), (0o646, false), (0o600, true)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let refusal = format!(
                "can't use {place}/{name} for TLS: it can be written by other users; make it theirs to read at most (chmod go-w)"
            );
            let expected = (!is_taken).then_some(refusal);
            assert_eq!(refusals(), [expected.clone(), expected], "{mode:o}");
        }
    }
    // who isn't root can't give a file away
    if rustix::process::geteuid().is_root() {
        let give_away = |name: &str| std::os::unix::fs::chown(directory.path().join(name), Some(65_534), None).unwrap();
        give_away("cert.pem");
        give_away("key.pem");
        assert_eq!(refusals(), [None, None], "some other user renews them");
        give_away("ca.pem");
        let refusal = format!(
            "can't use {place}/ca.pem for TLS: it belongs to uid 65534 instead of uid 0; run the program as that user, or chown it"
        );
        assert_eq!(refusals(), [Some(refusal.clone()), Some(refusal)]);
    } else {
        crate::skipped("for want of root: certificates and authorities of another user");
    }
}

/// A `ClientHello` as it was before TLS 1.3, of a version's second number, with which a client says the newest that it speaks.
fn hello_of(version: u8) -> Vec<u8> {
    let suites = [0xc0, 0x2b, 0xc0, 0x23, 0xc0, 0x09, 0xc0, 0x2f, 0xc0, 0x13];
    // the curve P-256, uncompressed points, and signatures by ECDSA or RSA with SHA-256 or SHA-1
    let extensions: [&[u8]; 3] =
        [&[0, 10, 0, 4, 0, 2, 0, 23], &[0, 11, 0, 2, 1, 0], &[0, 13, 0, 10, 0, 8, 4, 3, 4, 1, 2, 3, 2, 1]];
    let long = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let body = [&[3, version][..], &[7; 32], &[0], &long(&suites), &[1, 0], &long(&extensions.concat())].concat();
    let hello = [&[1, 0][..], &long(&body)].concat();
    [&[22, 3, 1][..], &long(&hello)].concat()
}

#[tokio::test]
async fn versions_of_tls_before_1_2_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = Running::start(&settings(directory.path(), &authority()));
    let to = server.addresses.tcp[0];
    let answer = async |version: u8| {
        let exchange = move || {
            let mut stream = std::net::TcpStream::connect(to).unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            stream.write_all(&hello_of(version)).unwrap();
            let mut record = [0; 7];
            stream.read_exact(&mut record).unwrap();
            record
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    };
    // SSL 3.0, TLS 1.0 and 1.1: a fatal alert, of the version (70)
    for version in [0, 1, 2] {
        let record = answer(version).await;
        assert_eq!((record[0], &record[5..]), (21, &[2, 70][..]), "3.{version}: {record:?}");
    }
    let record = answer(3).await;
    assert_eq!((record[0], record[5]), (22, 2), "of TLS 1.2 the same is taken: {record:?}");
}

/// Whether a client with this certificate is answered: the names that the server then knows.
async fn taken(server: &Running, authority: &Authority, identity: &(String, String), versions: Versions) -> Option<String> {
    let channel = connect_to(server.addresses.tcp[0], client(authority, Some(identity), versions)).await.ok()?;
    // with TLS 1.3 a client learns of a refusal with its first call
    health_of(channel.clone(), "").await.ok()?;
    Some(peer_seen_by_server(channel).await)
}

/// A certificate for a client and its key in PEM.
fn issue_as(authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut parameters = CertificateParams::new(["alerts.acme.test".to_owned()]).unwrap();
    change(&mut parameters);
    let key = KeyPair::generate().unwrap();
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn only_certificates_that_are_for_clients_and_good_now_are_taken_by_both_versions() {
    let authority = authority();
    let directory = tempfile::tempdir().unwrap();
    let server = Running::start(&settings(directory.path(), &authority));
    let past = rcgen::date_time_ymd(2020, 1, 1);
    let future = rcgen::date_time_ymd(4000, 1, 1);
    for versions in EACH {
        let good = issue_as(&authority, |parameters| parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
        assert!(taken(&server, &authority, &good, versions).await.is_some());
        let for_all = issue_as(&authority, |_| ());
        assert!(taken(&server, &authority, &for_all, versions).await.is_some(), "it says nothing of what it is for");
        for refused in [
            issue_as(&authority, |parameters| parameters.not_after = past),
            issue_as(&authority, |parameters| parameters.not_before = future),
            issue_as(&authority, |parameters| parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            issue_as(&self::authority(), |_| ()),
        ] {
            assert_eq!(taken(&server, &authority, &refused, versions).await, None);
        }
    }
}
