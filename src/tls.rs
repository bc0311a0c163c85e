//! TLS 1.2 and 1.3 by rustls with ring, for HTTP/2 alone: the server's certificate, those of clients, and loading both anew.
//!
//! What is loaded is one value, put in the place of the former one as a whole or not at all: whatever can't be used keeps the old, and is
//! told until a later attempt went well. Open connections go on with the keys of their handshake.
//!
//! No session is ever resumed. A resumed one would bring its client's certificate along without its being looked at again, past its expiry
//! and past a change of the authorities; connections here last, so their handshakes cost nothing that counts.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::config::TlsFiles;
use crate::domain::clock::{Clock, Timestamp};

mod client;
mod der;
mod files;

pub use client::{CertificateNames, ClientCertificate};
use files::Loaded;
pub use files::{Expiry, check};

/// How long before a certificate expires that is told.
pub const TOLD_BEFORE: Duration = Duration::from_hours(14 * 24);

/// How often it is told.
const TOLD_EVERY: Duration = Duration::from_hours(24);

/// A file of `grpc.tls` that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't use {} for TLS: {what}", .path.display())]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// The reason.
    pub what: String,
}

/// How the certificates are doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateState {
    /// Until when those in use are good.
    pub expiry: Expiry,
    /// When they were loaded.
    pub loaded: Timestamp,
    /// Why the last attempt to load them anew kept the old ones; none if it went well.
    pub fault: Option<String>,
    /// How many attempts to load them anew went well.
    pub taken: u64,
    /// How many kept the old ones.
    pub refused: u64,
}

/// The certificates in use; clones are of the same.
#[derive(Clone)]
pub struct Certificates {
    shared: Arc<Shared>,
}

struct Shared {
    files: TlsFiles,
    clock: Clock,
    loaded: ArcSwap<Loaded>,
    /// Locked while certificates are loaded anew, and while a client's is entered: none slips past a change of the authorities.
    kept: Mutex<Kept>,
}

struct Kept {
    state: CertificateState,
    clients: Vec<Shown>,
    /// How many of them there were after those were taken out whose connections had ended.
    after_sweep: usize,
}

/// A certificate that the client of an open connection has shown.
struct Shown {
    certificate: Weak<ClientCertificate>,
    chain: Vec<CertificateDer<'static>>,
}

/// What one handshake goes by.
pub struct Handshake {
    /// Does it.
    pub acceptor: TlsAcceptor,
    loaded: Arc<Loaded>,
}

impl Certificates {
    /// Loads the files of the configuration.
    ///
    /// A certificate that has expired is taken with a warning: refusing to start would take the operators' socket away too.
    pub fn load(files: &TlsFiles, clock: Clock) -> Result<Self, TlsError> {
        let loaded = files::load(files)?;
        let state = CertificateState { expiry: loaded.expiry, loaded: clock.now(), fault: None, taken: 0, refused: 0 };
        let kept = Mutex::new(Kept { state, clients: Vec::new(), after_sweep: 0 });
        let shared = Shared { files: files.clone(), clock, loaded: ArcSwap::from_pointee(loaded), kept };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How they are doing.
    #[must_use]
    pub fn state(&self) -> CertificateState {
        self.kept().state.clone()
    }

    /// Loads the same files anew, for connections that are made from now on; answers whether what they hold was taken.
    ///
    /// Certificates of clients that the authorities don't vouch for any more count no longer on open connections either.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.take_files()?;
        self.warn();
        Ok(())
    }

    fn take_files(&self) -> Result<(), TlsError> {
        let mut kept = self.kept();
        let now = self.shared.clock.now();
        match files::load(&self.shared.files).and_then(|loaded| self.check_time(loaded, now)) {
            Ok(loaded) => {
                kept.state.fault = None;
                kept.state.taken += 1;
                (kept.state.expiry, kept.state.loaded) = (loaded.expiry, now);
                kept.clients.retain(|shown| shown.judge(&loaded));
                self.shared.loaded.store(Arc::new(loaded));
                tracing::info!(expires = %kept.state.expiry.certificate, "certificates were loaded anew");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "certificates couldn't be loaded anew; the old ones stay in use");
                kept.state.fault = Some(error.to_string());
                kept.state.refused += 1;
                Err(error)
            }
        }
    }

    fn check_time(&self, loaded: Loaded, now: Timestamp) -> Result<Loaded, TlsError> {
        let refused = |what: String| TlsError { path: self.shared.files.certificate.clone(), what };
        if loaded.expiry.certificate <= now {
            return Err(refused(format!("it expired at {}", loaded.expiry.certificate)));
        }
        if loaded.begins > now {
            return Err(refused(format!("it counts from {} on only", loaded.begins)));
        }
        Ok(loaded)
    }

    /// What the next handshake goes by.
    #[must_use]
    pub fn handshake(&self) -> Handshake {
        let loaded = self.shared.loaded.load_full();
        Handshake { acceptor: loaded.acceptor.clone(), loaded }
    }

    /// Enters the chain that a client has shown in a handshake.
    #[must_use]
    pub fn enter(&self, handshake: &Handshake, chain: &[CertificateDer<'_>]) -> Option<Arc<ClientCertificate>> {
        let certificate = Arc::new(ClientCertificate::of(chain.first()?));
        let shown = Shown {
            certificate: Arc::downgrade(&certificate),
            chain: chain.iter().map(|certificate| certificate.clone().into_owned()).collect(),
        };
        let mut kept = self.kept();
        let now = self.shared.loaded.load_full();
        // they may have been loaded anew since the handshake began
        if !Arc::ptr_eq(&now, &handshake.loaded) && !shown.judge(&now) {
            return Some(certificate);
        }
        if kept.clients.len() >= 2 * kept.after_sweep + 64 {
            kept.clients.retain(|shown| shown.certificate.strong_count() > 0);
            kept.after_sweep = kept.clients.len();
        }
        kept.clients.push(shown);
        Some(certificate)
    }

    /// Warns now and each day of what expires soon, until told to stop.
    pub async fn watch(self, stop: CancellationToken) {
        loop {
            self.warn();
            if stop.run_until_cancelled(tokio::time::sleep(TOLD_EVERY)).await.is_none() {
                return;
            }
        }
    }

    fn warn(&self) {
        let Expiry { certificate, client_ca } = self.state().expiry;
        let now = self.shared.clock.now();
        let begins = self.shared.loaded.load().begins;
        if begins > now {
            tracing::error!(key = "grpc.tls.certificate", %begins, "a certificate doesn't count yet");
        }
        for (key, expires) in [("grpc.tls.certificate", Some(certificate)), ("grpc.tls.client_ca", client_ca)] {
            match expires {
                Some(expires) if expires <= now => tracing::error!(key, %expires, "a certificate has expired"),
                Some(expires) if expires <= now.plus(TOLD_BEFORE) => tracing::warn!(key, %expires, "a certificate expires soon"),
                _ => {}
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    /// Says whether the authorities vouch for it still; if not, it counts no longer.
    fn judge(&self, loaded: &Loaded) -> bool {
        let Some(certificate) = self.certificate.upgrade() else { return false };
        let (Some((first, rest)), Some(verifier)) = (self.chain.split_first(), &loaded.verifier) else { return false };
        // what expired since is judged by its own time, at each call
        let vouched = verifier.verify_client_cert(first, rest, UnixTime::now());
        if let Err(error) = &vouched {
            tracing::info!(%error, "a client's certificate counts no longer");
            certificate.withdraw();
        }
        vouched.is_ok()
    }
}
