//! Sign-ups that wait: how many may, and whose of one address do.

use sqlx::sqlite::SqliteConnection;

use crate::app::App;
use crate::app::caller::Caller;
use crate::config::AbuseLimits;
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::id::{AddressId, SignUpId};
use crate::domain::limit::{Limit, Reached};
use crate::store::Tx;
use crate::store::sign_ups::{self, Waiting};

/// What becomes of a sign-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Place {
    /// It waits beside the others.
    Free,
    /// It waits in place of this one, which ends.
    Of(SignUpId),
    /// It doesn't wait.
    None,
}

impl App {
    /// Refuses what a caller asks for by signing up, before it costs a hash; the write judges it again.
    pub(super) async fn check_sign_up(&self, caller: &Caller) -> Result<(), Error> {
        let Some(requests) = self.requests_of(caller) else { return Ok(()) };
        let mut connection = self.store.read().await?;
        let now = self.now();
        requests.check(&mut connection, now, 1).await?;
        check_waiting(&mut connection, now, &self.limits.config, &caller.peer().to_bytes()).await
    }
}

/// Refuses one more sign-up where too many wait, by one peer or by all.
pub(in crate::app) async fn check_waiting(
    connection: &mut SqliteConnection,
    now: Timestamp,
    limits: &AbuseLimits,
    peer: &[u8],
) -> Result<(), Error> {
    let reached = |limit, subject: &str, until: Timestamp| {
        Error::LimitReached(Reached { limit, subject: subject.to_owned(), left: 0, retry_after: until.since(now) })
    };
    // with as many as are allowed, the one that is the last of them when sorted by their ends is the first to make room
    if limits.sign_ups_per_peer > 0
        && let Some(until) = sign_ups::nth_end_of(connection, peer, now, limits.sign_ups_per_peer).await?
    {
        return Err(reached(Limit::SignUpsPerPeer, "peer", until));
    }
    if limits.sign_ups > 0
        && let Some(until) = sign_ups::nth_end(connection, now, limits.sign_ups).await?
    {
        return Err(reached(Limit::SignUps, "site", until));
    }
    Ok(())
}

/// Finds the place of one more sign-up of an address.
pub(in crate::app) async fn place_of(tx: &mut Tx, limits: &AbuseLimits, address: AddressId, peer: &[u8]) -> Result<Place, Error> {
    let now = tx.now();
    let waiting = sign_ups::waiting(tx.sql(), address, now).await?;
    Ok(place(&waiting, peer, limits.sign_ups_per_address.try_into().unwrap_or(usize::MAX)))
}

/// Shares the places of an address by peer: a newcomer gets the newest place of the peer that has most, unless their own would then have
/// more. `waiting` is in order, oldest first.
fn place(waiting: &[Waiting], newcomer: &[u8], places: usize) -> Place {
    if waiting.len() < places {
        return Place::Free;
    }
    let has = |peer: &[u8]| waiting.iter().filter(|each| each.peer == peer).count();
    let most = waiting.iter().max_by_key(|each| (has(&each.peer), each.sign_up));
    match most {
        Some(most) if has(&most.peer) >= has(newcomer) + 2 => Place::Of(most.sign_up),
        _ => Place::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sign-ups in their order, each of the peer that a letter stands for.
    fn waiting(peers: &str) -> Vec<Waiting> {
        let id = |second: usize| SignUpId::new(Timestamp::from_micros(i64::try_from(second).unwrap() * 1_000_000), [0; 10]);
        peers.bytes().enumerate().map(|(at, peer)| Waiting { sign_up: id(at), peer: vec![peer] }).collect()
    }

    fn newcomer(peers: &str, peer: u8) -> Option<usize> {
        let waiting = waiting(peers);
        match place(&waiting, &[peer], 5) {
            Place::Free => Some(usize::MAX),
            Place::Of(ended) => waiting.iter().position(|each| each.sign_up == ended),
            Place::None => None,
        }
    }

    #[test]
    fn while_there_is_room_everybody_waits() {
        assert_eq!(newcomer("aaaa", b'a'), Some(usize::MAX));
    }

    #[test]
    fn one_peer_can_not_take_all_places() {
        assert_eq!(newcomer("aaaaa", b'b'), Some(4), "the newest of the peer that has most");
        assert_eq!(newcomer("baaaa", b'b'), Some(4));
        assert_eq!(newcomer("bbaaa", b'b'), None, "they would have most themselves");
        assert_eq!(newcomer("aaaaa", b'a'), None);
    }

    #[test]
    fn nobodys_oldest_is_ended_by_others() {
        assert_eq!(newcomer("abcde", b'f'), None);
        assert_eq!(newcomer("babab", b'c'), Some(4));
        assert_eq!(newcomer("aabcd", b'e'), Some(1), "the newer of the two");
    }
}
