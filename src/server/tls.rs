//! TLS 1.2 and 1.3 by rustls with ring, for HTTP/2 alone.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::ServerError;
use crate::config::TlsFiles;

/// Reads the files. With `client_ca`, clients may show a certificate and needn't; one that isn't from there fails the handshake.
pub(super) fn load(files: &TlsFiles) -> Result<TlsAcceptor, ServerError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| refused(&files.key, &error))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| refused(&files.certificate, &error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(authorities) => builder.with_client_cert_verifier(client_verifier(authorities)?),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| refused(&files.certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn client_verifier(authorities: &Path) -> Result<Arc<dyn ClientCertVerifier>, ServerError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authorities)? {
        roots.add(certificate).map_err(|error| refused(authorities, &error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
        .allow_unauthenticated()
        .build()
        .map_err(|error| refused(authorities, &error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(refused(path, &"there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(refused(path, &error)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ServerError> {
    std::fs::read(path).map_err(|error| refused(path, &error))
}

fn refused(path: &Path, what: &dyn std::fmt::Display) -> ServerError {
    ServerError::Tls { path: path.to_owned(), what: what.to_string() }
}
