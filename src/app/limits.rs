//! What callers may cause, so that strangers and mistakes can't: counted, and refused or put off beyond a limit. The README's table "All limits"
//! says of each what it counts, how much it is, and why it is so much; `config::limits` has the defaults.
//!
//! Whoever is the operator by the uid on the operators' socket is under none of them, and nothing that they cause counts. A rehearsal
//! (`validate_only`) is judged like the call and uses nothing up.
//!
//! - **Nobody learns by a limit whether an address has a login, or who is known where.** What is counted by address is counted for every
//!   address, in the same statements, and what is compared for some is compared for all ([`tries`]); mail that is too much is put off where only the owner
//!   of the mailbox and who sees the outbox see why and until when.
//! - **Nobody is locked out by strangers.** Where a person signed in lately, or used a link from a mail, their right password opens whatever is
//!   used up by others elsewhere. So somebody at a new place whose address is under attack asks for a reset, and is let in from there. Only who shares
//!   the peer can use up what a person has there, or, by many tries, what everybody has.
//! - **A peer pays before hashing**, and is given back what turned out to be right. A sign-up is paid for in memory, and once more with its row.
//! - **Where mail is caused, a restart forgets nothing**: `mails.planned` and the rows of `spending` count. Wrong passwords are counted in memory
//!   ([`buckets`]).
//! - **Mail that is put off** goes when enough of those before it to its address are an hour or a day old, a reset when the last one is an hour old
//!   at the latest, and everything within half a day, unless twenty others wait to go so, sign-ups apart from others: many who cause a mail
//!   each are a flood too. A newer one of its kind about the same takes the place of one that waits so; sign-ups each keep theirs,
//!   since each has its own link, and the mail of an invitation that ends gives its place back (`store::mails`).
//! - **Sign-ups of one address share its places by peer** ([`places`]): a newcomer where all are taken gets the newest place of the peer
//!   that has most, if that peer still has as many as the newcomer's then, and otherwise none, with the same answer and a mail that brings
//!   the links there are; that sign-up is kept as one that has ended, so that it costs and counts like any other. So the oldest sign-up of each
//!   peer stays: nobody's link is ended by others who sign up with their address, and one peer can't take all places.
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

    /// Counts that a link from a mail is used, or a password changed, before what it costs.
    pub(super) fn pay_for_link(&self, caller: &Caller) -> Result<(), Error> {
        self.pay_for_change(caller).map(drop)
    }

    /// The same, to be given back where the present password is wrong or wasn't compared.
    pub(super) fn pay_for_change(&self, caller: &Caller) -> Result<Option<Paid<'_>>, Error> {
        let typist = (!caller.is_unlimited()).then(|| Typist::WithLink(caller.peer()));
        typist.map(|typist| self.limits.tries.pay(typist, self.clock.now())).transpose()
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
