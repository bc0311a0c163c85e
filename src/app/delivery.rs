//! The delivery worker: takes the mails that are due, decides what goes, sends it, and writes down how that ended.
//!
//! A mail is in flight, in the database, before it is handed to the relay, and its Message-ID is the same in every attempt: a crash after the
//! relay took it repeats a mail that can be told from a new one, and loses none. A few mails are handed over at once, so that a relay that
//! is slow or silent about one recipient holds up no other. No RPC ever waits for this.

mod in_flight;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::in_flight::Flight;
pub(super) use self::in_flight::InFlight;
use super::App;
use super::letters::Decision;
use super::server_origin;
use crate::domain::backoff;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::error::{Error, chain};
use crate::domain::id::MailId;
use crate::mail::{Letter, SendFault};
use crate::store;
use crate::store::mails::{self, Attempted, Eligible, Mail, State};
use crate::store::{Tx, erasure};

/// How long an attempt may be in flight, beyond the longest that its transport can take, before it counts as lost.
const LEASE: Duration = Duration::from_mins(15);

/// How often the queue is looked at although nothing woke the worker: a clock that was set back must not strand a mail.
const LOOK: Duration = Duration::from_mins(1);

/// How soon a store that couldn't be written to is asked again to take how a mail fared.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a relay may put a mail off before it counts as refused (RFC 5321, 4.5.4.1).
const GIVE_UP: Duration = Duration::from_hours(5 * 24);

impl App {
    /// Delivers until told to stop; attempts under way are finished first.
    pub async fn deliver(self: Arc<Self>, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        // a server that was killed, or a disk that failed, leaves mails in flight that nobody sends
        let mut stranded = true;
        while !stop.is_cancelled() {
            // before the take: what falls due while it looks must not be taken for what it left
            let asked = self.now();
            let wait = match self.take_for(&under_way, &mut stranded).await {
                Ok(Some(flight)) => {
                    let (app, stop) = (Arc::clone(&self), stop.clone());
                    under_way.spawn(async move { app.attempt(&flight.mail, &stop).await });
                    continue;
                }
                Ok(None) => self.until_next(asked).await,
                Err(error) => {
                    warn!(error = %chain(&error), "the mail queue can't be worked on at present");
                    stranded = true;
                    backoff::FLOOR
                }
            };
            tokio::select! {
                () = stop.cancelled() => (),
                // what was held back for this one's sake may be taken now
                Some(ended) = under_way.join_next() => note(ended),
                _ = tokio::time::timeout(wait, self.mail_owed.notified()) => (),
            }
        }
        while let Some(ended) = under_way.join_next().await {
            note(ended);
        }
    }

    /// Makes one attempt at the mail that is due first; false if none is due.
    pub async fn deliver_next(&self) -> Result<bool, Error> {
        let Some(flight) = self.take(i64::MAX).await? else { return Ok(false) };
        let stop = CancellationToken::new();
        stop.cancel();
        self.attempt(&flight.mail, &stop).await?;
        Ok(true)
    }

    /// Takes a mail if there is a place for one. The last place is for first attempts: mails that wait for a silent relay again and again,
    /// however many, don't hold up a new one.
    async fn take_for(&self, under_way: &JoinSet<Result<(), Error>>, stranded: &mut bool) -> Result<Option<Flight>, Error> {
        if std::mem::take(stranded) {
            let sending = self.in_flight.mails();
            self.store.write(server_origin(), async move |tx| mails::resume(tx, &sending).await).await?;
        }
        match self.mail_concurrent.saturating_sub(under_way.len()) {
            0 => Ok(None),
            1 if !under_way.is_empty() => self.take(0).await,
            _ => self.take(i64::MAX).await,
        }
    }

    async fn take(&self, most_attempts: i64) -> Result<Option<Flight>, Error> {
        let (lease, busy) = (LEASE + self.transport.longest(), self.in_flight.addresses());
        let take = async move |tx: &mut Tx| mails::take_due(tx, lease, Eligible { busy: &busy, most_attempts }).await;
        let mail = self.store.write(server_origin(), take).await?;
        Ok(mail.map(|mail| self.in_flight.take_up(mail)))
    }

    /// How long nothing will be due beside what was at some moment.
    async fn until_next(&self, asked: Timestamp) -> Duration {
        let next = async { mails::next_due(&mut *self.store.read().await?, asked).await };
        match next.await {
            Ok(Some(due)) => due.since(self.now()).min(LOOK),
            Ok(None) | Err(_) => LOOK,
        }
    }

    async fn attempt(&self, mail: &Mail, stop: &CancellationToken) -> Result<(), Error> {
        let mut named = None;
        let (state, reply, due) = match self.decide(mail).await {
            Ok(Decision::Drop(why)) => (State::Dropped, why.to_owned(), self.now()),
            Ok(Decision::Send(letter, to)) => self.send(mail, &letter, &to).await,
            Ok(Decision::SendNaming(user, letter, to)) => {
                named = Some(user);
                self.send(mail, &letter, &to).await
            }
            Err(error) => {
                warn!(mail.id = %mail.id, error = %chain(&error), "what to send couldn't be read");
                (State::Queued, "a fault of the server; its log says which".to_owned(), self.now().plus(backoff::FLOOR))
            }
        };
        let id = mail.id;
        info!(mail.id = %id, state = state.as_str(), attempts = mail.delivery.attempts, "mail attempted");
        // a reply may quote the address
        debug!(mail.id = %id, reply, "what the relay said");
        while let Err(error) = self.settle(id, Attempted { state, reply: &reply, due, named }).await {
            // a disk that is full now and has room again soon: a mail that the relay took isn't sent twice for that
            if stop.is_cancelled() || !matches!(error, Error::Storage(_)) {
                return Err(error);
            }
            let _ = tokio::time::timeout(AGAIN, stop.cancelled()).await;
        }
        Ok(())
    }

    /// Writes down how an attempt ended.
    async fn settle(&self, id: MailId, attempted: Attempted<'_>) -> Result<(), Error> {
        let Attempted { state, reply, due, named } = attempted;
        let reply = reply.to_owned();
        let settled = async move |tx: &mut Tx| {
            mails::settle(tx, id, Attempted { state, reply: &reply, due, named }).await?;
            erasure::note_mail(tx, id, named).await
        };
        if self.store.write(server_origin(), settled).await? {
            self.erase_mail_files().await;
        }
        Ok(())
    }

    async fn send(&self, mail: &Mail, letter: &Letter, to: &str) -> (State, String, Timestamp) {
        let now = self.now();
        let Ok(to) = Email::parse(to) else {
            return (State::Failed, "the address can't be sent to".to_owned(), now);
        };
        let rendered = match self.renderer.render(letter, &to, &self.message_id(mail.id), mail.created) {
            Ok(rendered) => rendered,
            Err(error) => {
                warn!(mail.id = %mail.id, error = %chain(&error), "the mail couldn't be rendered");
                return (State::Failed, error.to_string(), now);
            }
        };
        let outcome = self.transport.send(&rendered).await;
        let now = self.now();
        let draw = store::random::<4>().map_or(u32::MAX, u32::from_be_bytes);
        let later = now.plus(backoff::wait(mail.delivery.attempts, draw));
        let mut fault = self.mail_fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clear();
        match outcome {
            Ok(reply) => (State::Sent, reply, now),
            Err(SendFault::Refused(reply)) => (State::Failed, reply, now),
            Err(SendFault::Deferred(reply)) if now >= mail.wanted_since().plus(GIVE_UP) => (State::Failed, reply, now),
            Err(SendFault::Deferred(reply)) => (State::Queued, reply, later),
            Err(SendFault::Deployment(what)) => {
                fault.clone_from(&what);
                (State::Queued, what, later)
            }
        }
    }
}

/// A fault or a panic is one mail's: it stays in flight until its lease is over, and the others go on.
fn note(ended: Result<Result<(), Error>, JoinError>) {
    match ended {
        Ok(Ok(())) => (),
        Ok(Err(error)) => warn!(error = %chain(&error), "how a mail fared couldn't be written down"),
        Err(fault) => error!(%fault, "delivering a mail panicked"),
    }
}
