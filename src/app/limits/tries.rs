//! Passwords that are typed, counted in memory: a restart forgets what it costs an attacker hours to use up, and nobody gets mail by it.
//!
//! A try at a peer is counted the same whether or not the address has a login, and whether or not its owner is known at that peer: for the
//! address there, for the address everywhere, and for the peer. Where the address's or the peer's allowance is used up, tries are still
//! compared, from what the peer has left of its allowance and then from its reserve, and all are told the same, but for one: the right password
//! of somebody who is known there.
//! So those are never kept out by other peers, and whoever isn't let in hears nothing, by what is said or by what it costs.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use super::buckets::Buckets;
use crate::config::AbuseLimits;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::error::Error;
use crate::domain::id::UserId;
use crate::domain::limit::{Limit, Reached};
use crate::domain::peer::Peer;

/// How long an allowance takes to become whole again.
const WINDOW: Duration = Duration::from_hours(1);

/// A peer's reserve, in allowances of its own: what is compared beyond the allowance, for those who are known there. It costs at most a minute of
/// hashing an hour, and to keep people out by using it up takes who shares the peer with them.
const RESERVE: u32 = 3;

/// Who types a password.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) enum Typist<'a> {
    /// Somebody who names an address, or none, at a peer that its owner is known at or isn't.
    AtPeer { email: Option<&'a Email>, peer: Peer, known: bool },
    /// A person with a session of theirs.
    InSession(UserId),
    /// Whoever holds a link from a mail, or changes a password that was right.
    WithLink(Peer),
}

/// How many wrong passwords were typed lately. An address is kept as a number: two that share one would share an allowance.
pub(in crate::app) struct Tries {
    of_address: Buckets<u64>,
    of_peer: Buckets<Peer>,
    /// Of peers whose allowance is used up.
    of_reserve: Buckets<Peer>,
    of_address_at_peer: Buckets<(Peer, u64)>,
    in_session: Buckets<UserId>,
    with_links: Buckets<Peer>,
    numbers: RandomState,
}

/// A try that was paid for before it is made; it counts unless it is given back.
#[must_use]
pub(in crate::app) struct Paid<'a> {
    tries: &'a Tries,
    typist: Typist<'a>,
    /// The peer's allowance is used up, and this came from its reserve.
    beyond_peer: Option<Reached>,
    /// The address's allowance is used up, and nothing of it was taken.
    beyond_address: Option<Reached>,
}

impl Tries {
    pub(super) fn new(limits: &AbuseLimits) -> Self {
        let (of_peer, of_device) = (limits.sign_in_failures_per_peer, limits.sign_in_failures_per_device);
        Self {
            of_address: Buckets::new(limits.sign_in_failures_per_address, WINDOW),
            of_peer: Buckets::new(of_peer, WINDOW),
            of_reserve: Buckets::new(of_peer.saturating_mul(RESERVE), WINDOW),
            of_address_at_peer: Buckets::new(of_device, WINDOW),
            in_session: Buckets::new(of_device, WINDOW),
            with_links: Buckets::new(limits.link_uses_per_peer, WINDOW),
            numbers: RandomState::new(),
        }
    }

    /// Takes a try before anything is hashed, so that tries at once can't be more than are allowed.
    pub(in crate::app) fn pay<'a>(&'a self, typist: Typist<'a>, now: Timestamp) -> Result<Paid<'a>, Error> {
        let mut paid = Paid { tries: self, typist, beyond_peer: None, beyond_address: None };
        match typist {
            Typist::AtPeer { email, peer, .. } => {
                if let Err(retry_after) = self.of_peer.take(&peer, now) {
                    let reached = reached(Limit::SignInPerPeer, "peer", retry_after);
                    self.of_reserve.take(&peer, now).map_err(|_| Error::LimitReached(reached.clone()))?;
                    paid.beyond_peer = Some(reached);
                }
                let Some(address) = email.map(|email| self.number(email)) else { return Ok(paid) };
                if let Err(retry_after) = self.of_address_at_peer.take(&(peer, address), now) {
                    paid.give_back_to(peer);
                    return Err(Error::LimitReached(reached(Limit::SignInPerDevice, "address", retry_after)));
                }
                let taken = self.of_address.take(&address, now);
                paid.beyond_address = taken.err().map(|retry_after| reached(Limit::SignInPerAddress, "address", retry_after));
            }
            Typist::InSession(user) => {
                let taken = self.in_session.take(&user, now);
                taken.map_err(|retry_after| Error::LimitReached(reached(Limit::InSessionsPerUser, "user", retry_after)))?;
            }
            Typist::WithLink(peer) => {
                let taken = self.with_links.take(&peer, now);
                taken.map_err(|retry_after| Error::LimitReached(reached(Limit::LinksPerPeer, "peer", retry_after)))?;
            }
        }
        Ok(paid)
    }

    fn number(&self, email: &Email) -> u64 {
        self.numbers.hash_one(email.folded())
    }
}

fn reached(limit: Limit, subject: &str, retry_after: Duration) -> Reached {
    Reached { limit, subject: subject.to_owned(), left: 0, retry_after }
}

impl Paid<'_> {
    /// Whether the right password is one. Beyond an allowance it is for those who are known where they are; others' is compared all the
    /// same, so that it costs as much.
    pub(in crate::app) const fn opens(&self) -> bool {
        let beyond = self.beyond_peer.is_some() || self.beyond_address.is_some();
        !beyond || matches!(self.typist, Typist::AtPeer { known: true, .. })
    }

    /// The password was wrong, or opens nothing: what everybody is told then. Where both allowances are used up, it is the one that is used up
    /// for longer.
    pub(in crate::app) fn lost(self) -> Error {
        let beyond = [self.beyond_peer, self.beyond_address].into_iter().flatten();
        beyond.max_by_key(|reached| reached.retry_after).map_or(Error::SignInFailed, Error::LimitReached)
    }

    /// The password was right, or wasn't looked at.
    pub(in crate::app) fn give_back(self) {
        let tries = self.tries;
        match self.typist {
            Typist::AtPeer { email, peer, .. } => {
                self.give_back_to(peer);
                let Some(address) = email.map(|email| tries.number(email)) else { return };
                tries.of_address_at_peer.give_back(&(peer, address));
                if self.beyond_address.is_none() {
                    tries.of_address.give_back(&address);
                }
            }
            Typist::InSession(user) => tries.in_session.give_back(&user),
            Typist::WithLink(peer) => tries.with_links.give_back(&peer),
        }
    }

    fn give_back_to(&self, peer: Peer) {
        let of = if self.beyond_peer.is_some() { &self.tries.of_reserve } else { &self.tries.of_peer };
        of.give_back(&peer);
    }
}
