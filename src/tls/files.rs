//! The files of `grpc.tls`, read into what handshakes go by.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::TlsError;
use super::client::{begins, expires};
use crate::config::TlsFiles;
use crate::domain::clock::Timestamp;
use crate::ownership;

/// Until when certificates are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The server's: the soonest of its chain.
    pub certificate: Timestamp,
    /// The soonest of the authorities'. One that has expired still vouches: it is trusted because it is in the file.
    pub client_ca: Option<Timestamp>,
}

/// What the files hold.
pub(super) struct Loaded {
    pub(super) acceptor: TlsAcceptor,
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    pub(super) expiry: Expiry,
    pub(super) begins: Timestamp,
}

/// Says whether the files can be used, which have to belong to one of these users.
pub fn check(files: &TlsFiles, owners: &[u32]) -> Result<(), TlsError> {
    load_of(files, owners).map(drop)
}

/// Reads the files, of which the authorities' has to be the program's own or root's.
pub(super) fn load(files: &TlsFiles) -> Result<Loaded, TlsError> {
    load_of(files, &ownership::own_or_root())
}

/// Reads the files. With `client_ca`, clients may show a certificate and needn't; one that isn't from there fails the handshake.
fn load_of(files: &TlsFiles, owners: &[u32]) -> Result<Loaded, TlsError> {
    // these may be another user's, who gets them anew
    let chain = certificates(&files.certificate, &[])?;
    let key = open(&files.key)?;
    ownership::check_secret(&key, &[]).map_err(|flaw| refused(&files.key, &format!("it {flaw}")))?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key, key)?).map_err(|error| match error {
        pem::Error::NoItemsFound => refused(&files.key, &"there is no private key in it, or it is encrypted"),
        error => refused(&files.key, &fault(&error)),
    })?;
    let soonest = |path: &Path, chain: &[CertificateDer<'_>]| {
        let times = chain.iter().map(|certificate| expires(certificate)).collect::<Option<Vec<_>>>();
        times.and_then(|times| times.into_iter().min()).ok_or_else(|| refused(path, &"a certificate in it can't be read"))
    };
    let certificate = soonest(&files.certificate, &chain)?;
    let begins = chain.iter().filter_map(|certificate| begins(certificate)).max().unwrap_or(certificate);
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| refused(&files.certificate, &error))?;
    let (verifier, client_ca) = match &files.client_ca {
        None => (None, None),
        Some(path) => {
            let authorities = certificates(path, owners)?;
            let expires = soonest(path, &authorities)?;
            (Some(client_verifier(path, authorities)?), Some(expires))
        }
    };
    let builder = match &verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => refused(&files.key, &"it isn't the key of the certificate"),
        error => refused(&files.certificate, &error),
    })?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // no session is resumed, see above
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Ok(Loaded { acceptor, verifier, expiry: Expiry { certificate, client_ca }, begins })
}

fn client_verifier(path: &Path, authorities: Vec<CertificateDer<'static>>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots
            .add(certificate)
            .map_err(|error| refused(path, &format!("a certificate in it can't be an authority's: {error}")))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
        .allow_unauthenticated()
        .build()
        .map_err(|error| refused(path, &error))
}

fn certificates(path: &Path, owners: &[u32]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = open(path)?;
    ownership::check_trusted(&file, owners).map_err(|flaw| refused(path, &format!("it {flaw}")))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path, file)?).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(refused(path, &"there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(refused(path, &fault(&error))),
    }
}

/// Certificates and keys are some KiB; what is larger is another file.
const LARGEST: u64 = 1024 * 1024;

fn open(path: &Path) -> Result<File, TlsError> {
    ownership::open_file(path).map_err(|error| refused(path, &error))
}

fn read(path: &Path, file: File) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| refused(path, &error))?;
    if bytes.len() as u64 > LARGEST { Err(refused(path, &"it is larger than 1 MiB")) } else { Ok(bytes) }
}

/// Why PEM can't be read.
fn fault(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it is cut off: what it begins has no end".to_owned(),
        pem::Error::Base64Decode(_) => "what is in it is no base64, or is encrypted".to_owned(),
        error => format!("it isn't PEM: {error}"),
    }
}

fn refused(path: &Path, what: &dyn std::fmt::Display) -> TlsError {
    TlsError { path: path.to_owned(), what: what.to_string() }
}
