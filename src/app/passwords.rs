//! Password hashing: argon2id, off the runtimes, a bounded number at once.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::config::PasswordConfig;
use crate::domain::error::Error;
use crate::domain::password::Password;

/// Callers that may wait for a turn, for each hash that may run: at 30 ms a hash the last one waits some seconds.
const WAITING: usize = 64;

/// Hashes and compares passwords.
#[derive(Clone)]
pub(super) struct Passwords {
    argon2: Argon2<'static>,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What an unknown address's password is compared with, so that it costs what a known one's does.
    decoy: Arc<str>,
}

impl Passwords {
    /// Takes the cost of a hash and how many may run at once.
    pub(super) fn new(config: PasswordConfig) -> Result<Self, Error> {
        let params = Params::new(config.memory_kib, config.iterations, config.parallelism, None)
            .map_err(|error| Error::internal(format!("password: {error}")))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = argon2.hash_password(b"nobody's password").map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self {
            argon2,
            running: Arc::new(Semaphore::new(config.concurrent)),
            waiting: Arc::new(Semaphore::new(config.concurrent * WAITING)),
            decoy: decoy.to_string().into(),
        })
    }

    /// Hashes a password to a PHC string, which names its own cost.
    pub(super) async fn hash(&self, password: Password) -> Result<String, Error> {
        let argon2 = self.argon2.clone();
        self.run(move || argon2.hash_password(password.expose()).map(|hash| hash.to_string()))
            .await?
            .map_err(|error| Error::internal(error.to_string()))
    }

    /// Whether the password is the one of the PHC string; without one it isn't, after the same work.
    pub(super) async fn matches(&self, password: Password, hash: Option<String>) -> Result<bool, Error> {
        let (argon2, decoy) = (self.argon2.clone(), Arc::clone(&self.decoy));
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.as_deref().unwrap_or(&decoy);
            let same = PasswordHash::new(hash).is_ok_and(|hash| argon2.verify_password(password.expose(), &hash).is_ok());
            known && same
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let _place = self.waiting.try_acquire().map_err(|_| Error::Busy { retry_after: Duration::from_secs(2) })?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Error::Draining)?;
        tokio::task::spawn_blocking(move || {
            // the turn ends with the work, not with the caller, who may go away
            let _turn = turn;
            work()
        })
        .await
        .map_err(Error::internal)
    }
}
