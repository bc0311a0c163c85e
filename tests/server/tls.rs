//! TLS, with and without a client's certificate.

use std::path::Path;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;
use user_management::config::Config;
use user_management::server::Server;
use user_management::server::health::Health;

use crate::harness::{LONG, Running, health_of, peer_seen_by_server};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut parameters = CertificateParams::new([]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key in PEM.
fn issue(authority: &Authority, uri: Option<&str>) -> (String, String) {
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.subject_alt_names.extend(uri.map(|uri| SanType::URI(uri.try_into().unwrap())));
    let key = KeyPair::generate().unwrap();
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

fn settings(directory: &Path, authority: &Authority) -> String {
    let (certificate, key) = issue(authority, None);
    for (name, text) in [("cert.pem", certificate), ("key.pem", key), ("ca.pem", authority.pem())] {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let place = directory.display();
    format!("grpc.tls = {{ certificate = '{place}/cert.pem', key = '{place}/key.pem', client_ca = '{place}/ca.pem' }}")
}

async fn connect(
    server: &Running,
    authority: &Authority,
    identity: Option<(String, String)>,
) -> Result<Channel, tonic::transport::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
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
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let address = server.addresses.tcp[0];
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
    let names = "CertificateNames { uris: [\"spiffe://acme/alerts\"], dns_names: [\"localhost\"] }";
    assert!(peer_seen_by_server(channel).await.ends_with(&format!("certificate: Some({names}) }}")));
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
    for (name, text, what) in [
        ("ca.pem", "", "there is no certificate in it"),
        ("key.pem", "junk", "no items found"),
        ("cert.pem", "junk", "there is no certificate in it"),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
        let config = Config::from_toml(&format!("data_dir = '{place}/data'\ngrpc.listen = []\n{settings}")).expect("valid");
        let error = Server::bind(&config, Routes::default(), Health::new()).err().expect("refused").to_string();
        assert!(error.starts_with(&format!("can't use {place}/{name} for TLS: ")) && error.contains(what), "{error}");
    }
}
