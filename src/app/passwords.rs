//! Password hashing: argon2id, off the runtimes, a bounded number at once, peers taking turns.

mod costs;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tracing::trace;

use super::turns::Turns;
use crate::config::PasswordConfig;
use crate::domain::error::Error;
use crate::domain::password::{InvalidPassword, Password, cost};
use crate::domain::peer::Peer;
use crate::domain::token::LinkKeys;
use crate::store;
use costs::Costs;

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
    costs: Arc<Costs>,
    /// Salt and output of the hashes that stand in where there is no login: drawn, so that no password is known to make them.
    drawn: Arc<str>,
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
    /// Takes the cost of a hash, how many may run at once, how many logins have a hash of each cost, and the keys whose current one says
    /// which of them an address has where there is no login.
    pub(super) fn new(
        config: PasswordConfig,
        of_logins: BTreeMap<String, u64>,
        keys: Arc<ArcSwap<LinkKeys>>,
    ) -> Result<Self, Error> {
        let params = Params::new(config.memory_kib, config.iterations, config.parallelism, None)
            .map_err(|error| Error::internal(format!("password: {error}")))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let sample = argon2.hash_password(b"a password").map_err(|error| Error::internal(error.to_string()))?.to_string();
        let present = cost(&sample).ok_or_else(|| Error::internal("a hash doesn't say what it costs"))?.to_owned();
        let (salt, output) = (store::random::<16>()?, store::random::<32>()?);
        Ok(Self {
            argon2,
            minimum: config.minimum_length,
            turns: Turns::new(config.concurrent, config.concurrent * WAITING, config.concurrent * OF_ONE_PEER),
            costs: Arc::new(Costs::new(present, of_logins, keys)),
            drawn: format!("{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output)).into(),
        })
    }

    /// What logins' hashes cost, to be told of every change.
    pub(super) fn costs(&self) -> Arc<Costs> {
        Arc::clone(&self.costs)
    }

    /// What a password is compared with for an address that has no login: a PHC string that no known password matches, of a cost that a
    /// login may have.
    pub(super) fn stand_in(&self, address: &str) -> String {
        format!("{}${}", self.costs.without_login(address), self.drawn)
    }

    /// Takes what a person chose for their login.
    pub(super) fn choose(&self, text: &str, context: &[&str]) -> Result<Password, InvalidPassword> {
        Password::choose(text, self.minimum, context)
    }

    /// Hashes a password to a PHC string, which names its own cost.
    pub(super) async fn hash(&self, peer: Peer, password: Password) -> Result<String, Error> {
        trace!(cost = self.costs.present(), "a password is hashed");
        let argon2 = self.argon2.clone();
        self.run(peer, move || argon2.hash_password(password.expose()).map(|hash| hash.to_string()))
            .await?
            .map_err(|error| Error::internal(error.to_string()))
    }

    /// Compares a password with a PHC string.
    pub(super) async fn compare(&self, peer: Peer, password: Password, hash: String) -> Result<Match, Error> {
        trace!(cost = cost(&hash), "a password is compared");
        let outdated = cost(&hash) != Some(self.costs.present());
        let argon2 = self.argon2.clone();
        self.run(peer, move || {
            let same = PasswordHash::new(&hash).is_ok_and(|hash| argon2.verify_password(password.expose(), &hash).is_ok());
            match (same, outdated) {
                (false, _) => Match::No,
                (true, false) => Match::Yes,
                (true, true) => Match::Outdated,
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::LinkKey;

    #[tokio::test]
    async fn what_stands_in_for_a_login_costs_what_one_does_and_matches_nothing() {
        let config = PasswordConfig { minimum_length: 8, memory_kib: 64, iterations: 1, parallelism: 1, concurrent: 1 };
        let former = "$argon2id$v=19$m=128,t=2,p=1";
        let of_logins = BTreeMap::from([(former.to_owned(), 1)]);
        let keys = LinkKeys::new(LinkKey::new(1, [7; 32]), Vec::new());
        let passwords = Passwords::new(config, of_logins, Arc::new(ArcSwap::from_pointee(keys))).expect("a configuration");
        let peer = Peer::V4([192, 0, 2, 1].into());
        let hash = passwords.hash(peer, Password::typed("correct horse battery")).await.expect("a turn");
        let stand_in = passwords.stand_in("ann@acme.test");
        assert_eq!((cost(&hash), cost(&stand_in)), (Some("$argon2id$v=19$m=64,t=1,p=1"), Some(former)));
        let parts = |hash: &str| hash.split('$').skip(4).map(str::len).collect::<Vec<_>>();
        assert_eq!(parts(&stand_in), parts(&hash), "as long a salt and as long an output");
        let password = Password::typed("correct horse battery");
        assert_eq!(passwords.compare(peer, password.clone(), hash).await.expect("a turn"), Match::Yes);
        assert_eq!(passwords.compare(peer, password, stand_in).await.expect("a turn"), Match::No);
    }
}
