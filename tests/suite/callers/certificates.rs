//! Client certificates: the names in one make a caller a service, if they are registered.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use user_management::app::caller::{Credentials, Who};
use user_management::domain::event::Door;
use user_management::domain::id::TraceId;
use user_management::domain::peer::Peer;
use user_management::proto::{self, Privilege};

use super::{created, whose};
use crate::client::{Client, Identified, reason};
use crate::site::Site;

/// A site whose TCP takes TLS alone, and the authority of its certificates.
struct Secured {
    site: Site,
    authority: CertifiedIssuer<'static, KeyPair>,
    _directory: TempDir,
}

/// A certificate's names.
#[derive(Default)]
struct Names<'a> {
    dns: &'a [&'a str],
    uri: Option<&'a str>,
    common: Option<&'a str>,
}

impl Secured {
    /// Puts TLS before a site that has what the test needs.
    async fn from(mut site: Site) -> Self {
        let mut parameters = CertificateParams::new([]).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(parameters, key).expect("an authority");
        let directory = TempDir::new().expect("a temporary directory");
        let place = directory.path();
        let (certificate, key) = issue(&authority, &Names { dns: &["localhost"], ..Names::default() });
        write(place, &[("cert.pem", certificate), ("key.pem", key), ("ca.pem", authority.pem())]);
        let place = place.display();
        let files = format!("certificate = '{place}/cert.pem', key = '{place}/key.pem', client_ca = '{place}/ca.pem'");
        let settings = format!("signup = \"open\"\ngrpc.tls = {{ {files} }}");
        site.restart(Some(&settings)).await;
        Self { site, authority, _directory: directory }
    }

    /// A connection that shows a certificate with these names.
    async fn showing(&self, names: &Names<'_>) -> Channel {
        let (certificate, key) = issue(&self.authority, names);
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("an authority");
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key"))
            .expect("a usable certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let address = self.site.tcp().to_owned();
        let connect = move |_| {
            let (connector, address) = (connector.clone(), address.clone());
            async move {
                let stream = TcpStream::connect(address).await?;
                connector.connect("localhost".try_into().expect("a name"), stream).await.map(TokioIo::new)
            }
        };
        Endpoint::from_static("http://localhost").connect_with_connector(tower::service_fn(connect)).await.expect("connected")
    }
}

fn issue(authority: &CertifiedIssuer<'static, KeyPair>, names: &Names<'_>) -> (String, String) {
    let dns: Vec<String> = names.dns.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(dns).expect("names");
    parameters.subject_alt_names.extend(names.uri.map(|uri| SanType::URI(uri.try_into().expect("a URI"))));
    if let Some(common) = names.common {
        parameters.distinguished_name.push(DnType::CommonName, common);
    }
    let key = KeyPair::generate().expect("a key");
    (parameters.signed_by(&key, authority).expect("a certificate").pem(), key.serialize_pem())
}

fn write(directory: &Path, files: &[(&str, String)]) {
    for (name, text) in files {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(directory.join(name));
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
    }
}

/// Registers a certificate's name to a new service, and answers the service's id.
async fn register(site: &Site, name: &str, certificate_name: &str) -> String {
    let request = proto::CreateServiceRequest {
        name: name.to_owned(),
        scopes: vec!["users.read".to_owned()],
        certificate_name: certificate_name.to_owned(),
        ..Default::default()
    };
    let made = created(site, request).await;
    assert!(made.token.is_empty(), "who has a certificate needs no token");
    made.service.expect("a service").id
}

#[tokio::test]
async fn a_registered_name_of_a_certificate_makes_a_service_and_the_common_name_never() {
    let secured = Secured::from(Site::start().await).await;
    register(&secured.site, "alerts", "spiffe://acme/alerts").await;
    register(&secured.site, "graphs", "graphs.acme.test").await;
    for (names, who) in [
        (Names { uri: Some("spiffe://acme/alerts"), ..Names::default() }, "service"),
        (Names { dns: &["graphs.acme.test"], ..Names::default() }, "service"),
        (Names { dns: &["other.acme.test", "graphs.acme.test"], ..Names::default() }, "service"),
        (Names { common: Some("graphs.acme.test"), dns: &["localhost"], ..Names::default() }, "nobody"),
        (Names { common: Some("spiffe://acme/alerts"), ..Names::default() }, "nobody"),
        (Names { dns: &["graphs.acme.test.evil.test"], ..Names::default() }, "nobody"),
        (Names { dns: &["*.acme.test"], ..Names::default() }, "nobody"),
        (Names { uri: Some("spiffe://acme/alerts/more"), ..Names::default() }, "nobody"),
        (Names { dns: &["Graphs.acme.test"], ..Names::default() }, "nobody"),
        (Names { dns: &["graphs.acme.test."], ..Names::default() }, "nobody"),
        (Names { dns: &["graphs.acme.test\0"], ..Names::default() }, "nobody"),
        (Names { dns: &["10.0.0.1"], ..Names::default() }, "nobody"),
        (Names { uri: Some("graphs.acme.test"), ..Names::default() }, "nobody"),
        (Names { dns: &["spiffe://acme/alerts"], ..Names::default() }, "nobody"),
        (Names { uri: Some("spiffe://acme/alerts"), dns: &["graphs.acme.test"], ..Names::default() }, "CREDENTIALS_INVALID"),
    ] {
        let mut client = Client::new(secured.showing(&names).await, Identified::default());
        assert_eq!(whose(&mut client).await, who);
    }
}

#[tokio::test]
async fn a_bearer_token_beats_a_certificate_and_a_bad_one_does_not_fall_back_to_it() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let secured = Secured::from(site).await;
    register(&secured.site, "alerts", "alerts.acme.test").await;
    let channel = secured.showing(&Names { dns: &["alerts.acme.test"], ..Names::default() }).await;
    assert_eq!(whose(&mut Client::new(channel.clone(), Identified::by(&ann.token))).await, ann.id);
    assert_eq!(whose(&mut Client::new(channel.clone(), Identified::by("ses_none"))).await, "CREDENTIALS_INVALID");
    assert_eq!(whose(&mut Client::new(channel, Identified::default())).await, "service");
}

#[tokio::test]
async fn a_certificate_stops_counting_with_its_service_and_can_be_registered_anew() {
    let secured = Secured::from(Site::start().await).await;
    let site = &secured.site;
    let service = register(site, "alerts", "alerts.acme.test").await;
    let taken = proto::CreateServiceRequest {
        name: "again".to_owned(),
        scopes: vec!["users.read".to_owned()],
        certificate_name: "alerts.acme.test".to_owned(),
        ..Default::default()
    };
    let refused = site.operator().await.operations.create_service(taken).await.expect_err("it is another's");
    assert_eq!(reason(&refused), "SERVICE_EXISTS");
    let mut client =
        Client::new(secured.showing(&Names { dns: &["alerts.acme.test"], ..Names::default() }).await, Identified::default());
    assert_eq!(whose(&mut client).await, "service");
    let request = proto::RevokeServiceRequest { service, ..Default::default() };
    site.operator().await.operations.revoke_service(request).await.expect("revoked");
    assert_eq!(whose(&mut client).await, "nobody", "on the same connection");
    register(site, "alerts", "alerts.acme.test").await;
    assert_eq!(whose(&mut client).await, "service");
}

#[tokio::test]
async fn a_certificate_beats_the_peers_uid() {
    let site = Site::start().await;
    register(&site, "alerts", "alerts.acme.test").await;
    // no listener takes both, so this looks beneath the wire
    let credentials = |names: &[&str]| Credentials {
        authorization: Vec::new(),
        certificate_names: names.iter().map(|name| (*name).to_owned()).collect(),
        operators_socket_uid: Some(0),
        forwarded: false,
        act_as: Vec::new(),
        client: None,
        peer: Peer::Uid(0),
        door: Door::OperatorsSocket,
        trace: TraceId::from_bytes([0; 16]),
    };
    let who = |names: &[&str]| site.app().caller(&credentials(names)).expect("somebody").who();
    assert!(matches!(who(&["alerts.acme.test"]), Who::Service(_)));
    assert!(matches!(who(&[]), Who::Operator(0)));
    let overflow = Credentials { operators_socket_uid: Some(65534), ..credentials(&[]) };
    assert!(matches!(site.app().caller(&overflow).expect("somebody").who(), Who::Nobody), "the uid of another namespace's users");
}

#[tokio::test]
async fn a_service_with_a_certificate_may_act_for_people_like_one_with_a_token() {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let secured = Secured::from(site).await;
    let request = proto::CreateServiceRequest {
        name: "pages".to_owned(),
        scopes: vec!["users.act_as".to_owned()],
        certificate_name: "pages.acme.test".to_owned(),
        ..Default::default()
    };
    created(&secured.site, request).await;
    let channel = secured.showing(&Names { dns: &["pages.acme.test"], ..Names::default() }).await;
    assert_eq!(whose(&mut Client::new(channel, Identified::default().with("x-act-as", &ann.id))).await, ann.id);
}

#[tokio::test]
async fn a_certificate_that_expires_stops_counting_on_its_open_connection() {
    let secured = Secured::from(Site::start().await).await;
    register(&secured.site, "alerts", "alerts.acme.test").await;
    let names = Names { dns: &["alerts.acme.test"], ..Names::default() };
    let mut client = Client::new(secured.showing(&names).await, Identified::default());
    assert_eq!(whose(&mut client).await, "service");
    // certificates of these tests last until 4096
    secured.site.clock.advance(std::time::Duration::from_hours(24 * 366 * 2100));
    assert_eq!(whose(&mut client).await, "nobody");
}
