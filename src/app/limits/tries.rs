//! Passwords that are typed, counted in memory: a restart forgets what it costs an attacker hours to use up, and nobody gets mail by it.

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

/// Who types a password.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) enum Typist<'a> {
    /// Somebody at a peer that the address's owner isn't known at, or who names no address at all.
    Stranger(Option<&'a Email>, Peer),
    /// A person at a peer where they signed in lately.
    Known(UserId, Peer),
    /// A person with a session of theirs.
    InSession(UserId),
    /// Whoever holds a link from a mail.
    WithLink(Peer),
}

/// How many wrong passwords were typed lately.
pub(in crate::app) struct Tries {
    /// By the address that was named, whether or not anybody has it. It is kept as a number: two that share one would share an allowance.
    of_address: Buckets<u64>,
    of_peer: Buckets<Peer>,
    /// By the person and, without a session, the peer where they are known.
    of_person: Buckets<(UserId, Option<Peer>)>,
    with_links: Buckets<Peer>,
    numbers: RandomState,
}

/// A try that was paid for before it is made; it counts unless it is given back.
#[must_use]
pub(in crate::app) struct Paid<'a> {
    tries: &'a Tries,
    typist: Typist<'a>,
}

impl Tries {
    pub(super) fn new(limits: &AbuseLimits) -> Self {
        Self {
            of_address: Buckets::new(limits.sign_in_failures_per_address, WINDOW),
            of_peer: Buckets::new(limits.sign_in_failures_per_peer, WINDOW),
            of_person: Buckets::new(limits.sign_in_failures_per_device, WINDOW),
            with_links: Buckets::new(limits.link_uses_per_peer, WINDOW),
            numbers: RandomState::new(),
        }
    }

    /// Takes a try before anything is hashed, so that tries at once can't be more than are allowed.
    pub(in crate::app) fn pay<'a>(&'a self, typist: Typist<'a>, now: Timestamp) -> Result<Paid<'a>, Error> {
        match typist {
            Typist::Stranger(email, peer) => {
                self.of_peer.take(&peer, now).map_err(reached(Limit::SignInPerPeer, "peer"))?;
                if let Some(address) = email.map(|email| self.number(email)) {
                    self.of_address.take(&address, now).map_err(|retry_after| {
                        self.of_peer.give_back(&peer);
                        reached(Limit::SignInPerAddress, "address")(retry_after)
                    })?;
                }
            }
            Typist::Known(user, peer) => {
                // told as a stranger is: who shares the peer isn't told that the address has a login which is known there
                self.of_person.take(&(user, Some(peer)), now).map_err(reached(Limit::SignInPerAddress, "address"))?;
            }
            Typist::InSession(user) => {
                self.of_person.take(&(user, None), now).map_err(reached(Limit::SignInPerDevice, "user"))?;
            }
            Typist::WithLink(peer) => self.with_links.take(&peer, now).map_err(reached(Limit::LinksPerPeer, "peer"))?,
        }
        Ok(Paid { tries: self, typist })
    }

    fn number(&self, email: &Email) -> u64 {
        self.numbers.hash_one(email.folded())
    }
}

fn reached(limit: Limit, subject: &'static str) -> impl Fn(Duration) -> Error {
    move |retry_after| Error::LimitReached(Reached { limit, subject: subject.to_owned(), left: 0, retry_after })
}

impl Paid<'_> {
    /// The password was right, or wasn't looked at.
    pub(in crate::app) fn give_back(self) {
        let Self { tries, typist } = self;
        match typist {
            Typist::Stranger(email, peer) => {
                tries.of_peer.give_back(&peer);
                if let Some(address) = email.map(|email| tries.number(email)) {
                    tries.of_address.give_back(&address);
                }
            }
            Typist::Known(user, peer) => tries.of_person.give_back(&(user, Some(peer))),
            Typist::InSession(user) => tries.of_person.give_back(&(user, None)),
            Typist::WithLink(peer) => tries.with_links.give_back(&peer),
        }
    }
}
