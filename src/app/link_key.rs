//! The key that links in mails are derived with: found at the start, and exchanged for another.
//!
//! The database says which key is in force, by its digest, and the file follows: a rotation lays the new keys beside the file, records the
//! change, and then puts them in the file's place. Where that was cut short, since whoever asked went away, the commit was in doubt or the program
//! was killed, the last step is done by housekeeping, by the next rotation, a retry too, or by the next start. A start with a key that
//! nobody recorded, because a deployment brought another, records that.

mod file;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tracing::warn;

use super::admission::Operator;
use super::{App, server_origin};
use crate::domain::clock::Timestamp;
use crate::domain::error::{Error, chain};
use crate::domain::event::{Change, LinkKeyState};
use crate::domain::token::{LinkKeys, LinkKind, LinkToken, Nonce};
use crate::store::requests::{Terms, once};
use crate::store::{self, Store, server};
use file::Draft;
pub use file::{LinkKeyError, read};

/// How long the links of the key before count after a rotation: as long as an invitation, unless it is configured otherwise.
pub const FORMER_LASTS: Duration = Duration::from_hours(7 * 24);

/// What becomes of links that were mailed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormerLinks {
    /// They count for [`FORMER_LASTS`], or until they would have ended anyway.
    Last,
    /// They end with the rotation: somebody may know the key.
    End,
}

impl FormerLinks {
    fn until(self, now: Timestamp) -> Option<Timestamp> {
        (self == Self::Last).then(|| now.plus(FORMER_LASTS))
    }
}

impl App {
    /// Makes links with another key from now on. A retry rotates nothing again.
    pub async fn rotate_link_key(&self, operator: Operator, former: FormerLinks, terms: Terms) -> Result<LinkKeyState, Error> {
        let _alone = self.rotation.lock().await;
        self.put_recorded_key().await?;
        let (path, in_force, now) = (self.link_key_file.clone(), self.link_keys.load().current().digest(), self.now());
        let secret = store::random()?;
        let prepared = tokio::task::spawn_blocking(move || {
            let keys = file::read(&path).map_err(|error| Error::LinkKeyFile(chain(&error)))?;
            if keys.current().digest() != in_force {
                return Err(Error::LinkKeyFile(
                    "it holds another key than the one in force: restart the service to take that".to_owned(),
                ));
            }
            let keys = keys.rotated(secret, now, former.until(now));
            let draft = Draft::write(&path, &keys).map_err(|error| Error::LinkKeyFile(error.to_string()))?;
            Ok((keys, draft))
        });
        let (keys, draft) = prepared.await.map_err(Error::internal)??;
        let state = LinkKeyState { number: keys.current().number(), former_until: former.until(now) };
        let (digest, rehearsed) = (keys.current().digest(), terms.validate_only);
        let done = self
            .store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                once(tx, &terms, async |tx| {
                    server::set_link_key(tx, &digest).await?;
                    tx.record(Change::LinkKeyRotated(state)).await?;
                    Ok(state)
                })
                .await
            })
            .await?;
        let as_before = done.replayed || rehearsed;
        // a rotation that was recorded and isn't put there is put there later
        let put = tokio::task::spawn_blocking(move || if as_before { draft.discard() } else { draft.put() });
        put.await.map_err(Error::internal)?.map_err(Error::internal)?;
        if !as_before {
            self.link_keys.store(Arc::new(keys));
        }
        Ok(done.outcome)
    }

    /// Does the last step of a rotation that was cut short before it.
    pub async fn finish_rotation(&self) -> Result<(), Error> {
        let _alone = self.rotation.lock().await;
        self.put_recorded_key().await
    }

    /// Makes links with the key that is recorded, if it is another than the one in force and its file is there.
    async fn put_recorded_key(&self) -> Result<(), Error> {
        let recorded = server::link_key(&mut *self.store.read().await?).await?;
        if recorded.is_none_or(|recorded| recorded == self.link_keys.load().current().digest()) {
            return Ok(());
        }
        let path = self.link_key_file.clone();
        let found = tokio::task::spawn_blocking(move || load(&path, false, recorded)).await.map_err(Error::internal)?;
        let found = found.map_err(|error| Error::LinkKeyFile(chain(&error)))?;
        if Some(found.current().digest()) == recorded {
            self.link_keys.store(Arc::new(found));
        }
        Ok(())
    }

    /// The token of an object's link.
    pub(super) fn link_token(&self, kind: LinkKind, object: [u8; 16], nonce: &Nonce) -> SecretString {
        self.link_keys.load().current().derive(kind, object, nonce)
    }

    /// Whether a token is that of the row with this nonce, by a key that counts.
    pub(super) fn is_link(&self, token: &LinkToken, nonce: &Nonce) -> bool {
        token.is_of(&self.link_keys.load(), nonce, self.now())
    }
}

/// Judges the file of the keys for a site of which data is there or not, without making anything: a fresh one gets its key at the first start.
pub(super) fn check(path: &Path, owners: &[u32], holds_data: bool) -> Result<(), LinkKeyError> {
    match file::read_of(path, owners) {
        Err(LinkKeyError::Missing(_)) if !holds_data => Ok(()),
        found => found.map(drop),
    }
}

/// Makes the first key of a site before its database is, so that data without a key is data whose key was lost.
pub(super) fn prepare(path: &Path, holds_data: bool) -> Result<(), LinkKeyError> {
    if holds_data { Ok(()) } else { file::read_or_make(path).map(drop) }
}

/// Finds the keys of the site, or makes the first if its data is fresh; `recorded` is the digest of the one in force.
pub(super) fn load(path: &Path, fresh: bool, recorded: Option<[u8; 32]>) -> Result<LinkKeys, LinkKeyError> {
    if fresh {
        return file::read_or_make(path);
    }
    let found = file::read(path)?;
    match recorded.filter(|recorded| *recorded != found.current().digest()).and_then(|recorded| Draft::left(path, recorded)) {
        Some(draft) => {
            draft.put().map_err(|error| LinkKeyError::File(path.to_owned(), error))?;
            file::read(path)
        }
        None => Ok(found),
    }
}

/// Exchanges the key in a file that the service doesn't write itself: the source of a credential. The service takes it, and records it, at
/// its next start.
pub fn rotate_file(path: &Path, former: FormerLinks, now: Timestamp) -> Result<LinkKeyState, LinkKeyError> {
    let failed = |error| LinkKeyError::File(path.to_owned(), error);
    let secret = store::random().map_err(|error| failed(std::io::Error::other(error)))?;
    let found = file::read(path).map_err(|error| match error {
        LinkKeyError::Missing(_) => failed(std::io::ErrorKind::NotFound.into()),
        error => error,
    })?;
    let keys = found.rotated(secret, now, former.until(now));
    Draft::write(path, &keys).and_then(Draft::put).map_err(failed)?;
    Ok(LinkKeyState { number: keys.current().number(), former_until: former.until(now) })
}

/// Records the key that links are made with from this start on, if it is another.
pub(super) async fn record(store: &Store, keys: &LinkKeys, recorded: Option<[u8; 32]>) -> Result<(), Error> {
    let digest = keys.current().digest();
    if recorded == Some(digest) {
        return Ok(());
    }
    let state = LinkKeyState { number: keys.current().number(), former_until: keys.former().iter().map(|(_, end)| *end).max() };
    if recorded.is_some() {
        warn!(link_key.number = state.number, "another link key was brought; links of keys that it doesn't name count no more");
    }
    store
        .write(server_origin(), async move |tx| {
            server::set_link_key(tx, &digest).await?;
            // the first key, and that of data from before keys were recorded, is no change
            if recorded.is_some() { tx.record(Change::LinkKeyRotated(state)).await } else { Ok(()) }
        })
        .await
}
