//! What callers may cause, so that strangers and mistakes can't: the one place of all limits, their defaults and reasons.
//!
//! | key in `[limits]` | default | counts | why, and why so much |
//! | --- | --- | --- | --- |
//! | `sign_in_failures_per_address` | 20 an hour | wrong passwords for an address, had or not, from peers that its owner isn't known at | guessing; a person who forgot theirs tries less |
//! | `sign_in_failures_per_peer` | 300 an hour | wrong passwords from a peer, right ones not | one password tried at many addresses; an office behind one address mistypes less at nine o'clock |
//! | `sign_in_failures_per_device` | 20 an hour | wrong passwords of a person at a peer where they are known, or in their session | guessing by who shares the peer, or holds a stolen session |
//! | `known_device_days` | 30 | how long a person is known at a peer that they signed in from, or used a link from a mail at | nobody is locked out by strangers' guesses; as long as a session lasts |
//! | `link_uses_per_peer` | 1000 an hour | passwords hashed or compared with links of mails | hashing costs; a thousand invited people confirm within an hour |
//! | `mails_per_peer` | 500 an hour | sign-ups, confirmations again and resets asked for by a peer without being signed in | mail to many addresses; an office signs up |
//! | `mails_per_recipient_hour`, `_day` | 10, 60 | mails to one address that strangers, members and services cause | a mail bomb; beyond it mail is put off, never refused |
//! | `sign_ups_per_address` | 5 | open sign-ups of one address | rows and hashes kept for strangers; one mail brings the links of all |
//! | `sign_ups_per_peer` | 2000 | sign-ups of one peer kept until they expire, confirmed or not | the same; if a confirmation made room, it would tell that there was one |
//! | `sign_ups` | 20000 | sign-ups of everybody kept until they expire | the same, by many together |
//! | `invitations_per_grantor` | 3000 a day | invitations, renewed and sent again ones too, by a person or service | mail in others' names; a batch of a thousand, and some sent again |
//! | `invitations_per_account` | 5000 a day | the same, into an account | the same, by many together |
//! | `address_changes_per_user` | 10 a day | links that a person has mailed to new addresses | mail to addresses that aren't theirs |
//! | `api_tokens_per_user` | 50 a day | personal tokens that a person makes | rows, events and mail of a program that makes one at each run |
//!
//! Zero switches one off, but for `sign_ups_per_address`. Whoever is the operator by the uid on the operators' socket is under none of them, and
//! nothing that they cause counts. A rehearsal (`validate_only`) is judged like the call and uses nothing up.
//!
//! - **Nobody learns by a limit whether an address has a login.** What is counted by address is counted for every address, in the same
//!   statements; mail that is too much is put off where only the owner of the mailbox sees it.
//! - **Nobody is locked out by strangers.** Where a person signed in lately, or used a link from a mail, their own wrong passwords alone
//!   count. So somebody at a new place whose address is under attack asks for a reset, and is let in from there. Whoever shares that peer can
//!   tell, by having all of its tries used up, that the person was there: they share an office.
//! - **A peer pays before hashing**, and is given back what turned out to be right.
//! - **Where mail is caused, a restart forgets nothing**: `mails.planned` and the rows of `spending` count. Wrong passwords are counted in memory:
//!   by [`buckets`], of 100,000 addresses, peers and persons each at most, and beyond that who took least is forgotten first.
//! - **Mail that is put off** goes when the tenth last to its address is an hour old and the sixtieth last a day. A newer one of its kind about the
//!   same takes the place of one that waits so; sign-ups each keep theirs, since each has its own link (`store::mails`).
//! - **Sign-ups of one address share its places by peer** ([`places`]): a newcomer where all are taken gets the newest place of the peer
//!   that has most, if that peer still has as many as the newcomer's then, and otherwise none, with the same answer and a mail that brings
//!   the links there are; that sign-up is kept as one that has ended, so that it costs and counts like any other. So the oldest sign-up of each peer stays: nobody's link is ended by others who sign up with their address, and
//!   one peer can't take all places.
//! - **Too many sign-ups in total are refused**, not the oldest ended: those are other people's.

mod buckets;
mod places;
mod quotas;
mod tries;

use std::time::Duration;

pub(super) use places::{Place, check_waiting, place_of};
pub(super) use quotas::spend_all;
pub(super) use tries::{Paid, Tries, Typist};

use super::App;
use super::caller::{Caller, SignedIn, Who};
use super::passwords::Match;
use crate::config::AbuseLimits;
use crate::domain::email::Email;
use crate::domain::error::Error;
use crate::domain::id::UserId;
use crate::domain::limit::{Limit, Reached};
use crate::domain::password::Password;
use crate::domain::peer::Peer;
use crate::store::devices;
use buckets::Buckets;

/// The limits, with what is counted of them in memory.
pub(super) struct Limits {
    pub(super) config: AbuseLimits,
    pub(super) tries: Tries,
    /// Passwords hashed for sign-ups, by peer: those at once aren't in the database yet, and those of who went away never will be.
    sign_ups: Buckets<Peer>,
}

impl Limits {
    pub(super) fn new(config: AbuseLimits) -> Self {
        Self { config, tries: Tries::new(&config), sign_ups: Buckets::new(config.mails_per_peer, Duration::from_hours(1)) }
    }
}

impl App {
    /// Whose tries count when a caller types the password of an address; none for whom nothing limits.
    pub(super) async fn typist<'a>(&self, caller: &Caller, email: Option<&'a Email>) -> Result<Option<Typist<'a>>, Error> {
        if caller.is_unlimited() {
            return Ok(None);
        }
        let holder = email.and_then(|email| self.directory.view().holder(email));
        if let (Who::Person(SignedIn { user, .. }), Some(holder)) = (caller.who(), holder)
            && user == holder
        {
            return Ok(Some(Typist::InSession(user)));
        }
        // nobody is looked for too, so that it takes as long
        let looked_for = holder.unwrap_or(UserId::from_bytes([0; 16]));
        let since = self.clock.now().minus(self.limits.config.known_device);
        let known = devices::is_known(&mut *self.store.read().await?, looked_for, caller.peer(), since).await?;
        Ok(Some(Typist::AtPeer { email, peer: caller.peer(), known }))
    }

    /// Compares a password that a person typed in their session, by which a stolen one is no way to guess it.
    pub(super) async fn compare_in_session(
        &self,
        caller: &Caller,
        user: UserId,
        typed: Password,
        hash: String,
    ) -> Result<Match, Error> {
        let paid = self.limits.tries.pay(Typist::InSession(user), self.clock.now())?;
        let compared = self.passwords.compare(caller.peer(), typed, hash).await;
        if !matches!(compared, Ok(Match::No)) {
            paid.give_back();
        }
        compared
    }

    /// Counts that a link from a mail is used, before what it costs.
    pub(super) fn pay_for_link(&self, caller: &Caller) -> Result<(), Error> {
        if caller.is_unlimited() {
            return Ok(());
        }
        self.limits.tries.pay(Typist::WithLink(caller.peer()), self.clock.now()).map(drop)
    }

    /// Hashes the password of a sign-up, which its peer pays for before: each counts as one of the mails that it may ask for, and stays
    /// counted if the caller goes away.
    pub(super) async fn hash_sign_up(&self, caller: &Caller, password: Password) -> Result<String, Error> {
        if caller.is_unlimited() {
            return self.passwords.hash(caller.peer(), password).await;
        }
        self.check_sign_up(caller).await?;
        self.limits.sign_ups.take(&caller.peer(), self.clock.now()).map_err(|retry_after| {
            Error::LimitReached(Reached { limit: Limit::RequestsPerPeer, subject: "peer".to_owned(), left: 0, retry_after })
        })?;
        let hashed = self.passwords.hash(caller.peer(), password).await;
        if hashed.is_err() {
            self.limits.sign_ups.give_back(&caller.peer());
        }
        hashed
    }
}
