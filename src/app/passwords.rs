//! Password hashing: argon2id, off the runtimes, a bounded number at once, peers taking turns.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};

use super::turns::Turns;
use crate::config::PasswordConfig;
use crate::domain::error::Error;
use crate::domain::password::{InvalidPassword, Password};
use crate::domain::peer::Peer;

/// Callers that may wait for a turn, for each hash that may run: at 30 ms a hash the last one waits some seconds.
const WAITING: usize = 64;

/// How many of them may be one peer's.
const OF_ONE_PEER: usize = 16;

/// How often one password is compared for one call at most: while it is, a sign-in may replace the hash by one of another cost, which
/// happens once.
pub(super) const COMPARISONS: usize = 2;

/// Hashes and compares passwords.
#[derive(Clone)]
pub(super) struct Passwords {
    argon2: Argon2<'static>,
    minimum: usize,
    turns: Arc<Turns>,
    /// What an unknown address's password is compared with, so that it costs what a known one's does.
    decoy: Arc<str>,
}

/// How a typed password compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It is another one.
    No,
    /// It is the one.
    Yes,
    /// It is the one, hashed at another cost than the present: to be hashed again.
    Outdated,
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
            minimum: config.minimum_length,
            turns: Turns::new(config.concurrent, config.concurrent * WAITING, config.concurrent * OF_ONE_PEER),
            decoy: decoy.to_string().into(),
        })
    }

    /// Takes what a person chose for their login.
    pub(super) fn choose(&self, text: &str, context: &[&str]) -> Result<Password, InvalidPassword> {
        Password::choose(text, self.minimum, context)
    }

    /// Hashes a password to a PHC string, which names its own cost.
    pub(super) async fn hash(&self, peer: Peer, password: Password) -> Result<String, Error> {
        let argon2 = self.argon2.clone();
        self.run(peer, move || argon2.hash_password(password.expose()).map(|hash| hash.to_string()))
            .await?
            .map_err(|error| Error::internal(error.to_string()))
    }

    /// Compares a password with a PHC string; without one it is another, after the same work.
    pub(super) async fn compare(&self, peer: Peer, password: Password, hash: Option<String>) -> Result<Match, Error> {
        let (argon2, decoy) = (self.argon2.clone(), Arc::clone(&self.decoy));
        self.run(peer, move || {
            let known = hash.is_some();
            let Ok(hash) = PasswordHash::new(hash.as_deref().unwrap_or(&decoy)) else { return Match::No };
            if argon2.verify_password(password.expose(), &hash).is_err() || !known {
                return Match::No;
            }
            let params = Params::try_from(&hash);
            let present = |params: &Params| {
                let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
                cost(params) == cost(argon2.params()) && hash.algorithm.as_str() == "argon2id"
            };
            if params.is_ok_and(|params| present(&params)) { Match::Yes } else { Match::Outdated }
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, peer: Peer, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let turn = self.turns.take(peer).await?;
        tokio::task::spawn_blocking(move || {
            // the turn ends with the work, not with the caller, who may go away
            let _turn = turn;
            work()
        })
        .await
        .map_err(Error::internal)
    }
}
