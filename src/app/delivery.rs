//! The delivery worker: takes the mail that is due first, decides what goes, sends it, and writes down how that ended.
//!
//! A mail is in flight, in the database, before it is handed to the relay, and its Message-ID is the same in every attempt: a crash after the
//! relay took it repeats a mail that can be told from a new one, and loses none. No RPC ever waits for this.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::App;
use super::letters::Decision;
use super::server_origin;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::error::{Error, chain};
use crate::mail::{Letter, SendFault};
use crate::store;
use crate::store::mails::{self, Mail, State};
use crate::store::{Tx, erasure};

/// How long an attempt may be in flight before it counts as lost. The one worker finishes an attempt before it takes the next.
const LEASE: Duration = Duration::from_mins(15);

/// The wait after the first attempt that failed; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(30);

/// The longest wait between attempts.
const LONGEST_WAIT: Duration = Duration::from_hours(6);

/// How often the queue is looked at although nothing woke the worker: a clock that was set back must not strand a mail.
const LOOK: Duration = Duration::from_mins(1);

/// How long a relay may put a mail off before it counts as refused (RFC 5321, 4.5.4.1).
const GIVE_UP: Duration = Duration::from_hours(5 * 24);

impl App {
    /// Delivers until told to stop; an attempt under way is finished first.
    pub async fn deliver(self: Arc<Self>, stop: CancellationToken) {
        if let Err(error) = self.store.write(server_origin(), async |tx| mails::resume(tx).await).await {
            warn!(%error, "mails in flight at the last stop couldn't be resumed yet");
        }
        while !stop.is_cancelled() {
            // a panic is one mail's: it stays in flight until its lease is over, and the others go on
            let wait = match AssertUnwindSafe(self.deliver_next()).catch_unwind().await {
                Err(_) => {
                    error!("delivering a mail panicked");
                    FIRST_WAIT
                }
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => self.until_next().await,
                Ok(Err(error)) => {
                    warn!(error = %chain(&error), "the mail queue can't be worked on at present");
                    FIRST_WAIT
                }
            };
            let woken = async {
                let _ = tokio::time::timeout(wait, self.mail_owed.notified()).await;
            };
            stop.run_until_cancelled(woken).await;
        }
    }

    async fn until_next(&self) -> Duration {
        let next = async { mails::next_due(&mut *self.store.read().await?).await };
        match next.await {
            Ok(Some(due)) => due.since(self.now()).min(LOOK),
            Ok(None) | Err(_) => LOOK,
        }
    }

    /// Makes one attempt at the mail that is due first; false if none is due.
    pub async fn deliver_next(&self) -> Result<bool, Error> {
        let Some(mail) = self.store.write(server_origin(), async |tx| mails::take_due(tx, LEASE).await).await? else {
            return Ok(false);
        };
        let (state, reply, due) = match self.decide(&mail).await {
            Ok(Decision::Drop(why)) => (State::Dropped, why.to_owned(), self.now()),
            Ok(Decision::Send(letter, to)) => self.attempt(&mail, &letter, &to).await,
            Err(error) => {
                warn!(mail.id = %mail.id, error = %chain(&error), "what to send couldn't be read");
                (State::Queued, "a fault of the server; its log says which".to_owned(), self.now().plus(FIRST_WAIT))
            }
        };
        info!(mail.id = %mail.id, state = state.as_str(), attempts = mail.delivery.attempts, "mail attempted");
        // a reply may quote the address
        debug!(mail.id = %mail.id, reply, "what the relay said");
        let id = mail.id;
        let settled = async move |tx: &mut Tx| {
            let settled = mails::settle(tx, id, state, &reply, due).await?;
            if !settled {
                erasure::note_mail(tx, id).await?;
            }
            Ok(settled)
        };
        if !self.store.write(server_origin(), settled).await? {
            // written while its person was erased
            self.erase_mail_files().await;
        }
        Ok(true)
    }

    async fn attempt(&self, mail: &Mail, letter: &Letter, to: &str) -> (State, String, Timestamp) {
        let now = self.now();
        let Ok(to) = Email::parse(to) else {
            return (State::Failed, "the address can't be sent to".to_owned(), now);
        };
        let rendered = match self.renderer.render(letter, &to, &self.message_id(mail.id), mail.created) {
            Ok(rendered) => rendered,
            Err(error) => return (State::Failed, error.to_string(), now),
        };
        let outcome = self.transport.send(&rendered).await;
        let now = self.now();
        let later = now.plus(wait_after(mail.delivery.attempts));
        let mut fault = self.mail_fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clear();
        match outcome {
            Ok(reply) => (State::Sent, reply, now),
            Err(SendFault::Refused(reply)) => (State::Failed, reply, now),
            Err(SendFault::Deferred(reply)) if now >= mail.created.plus(GIVE_UP) => (State::Failed, reply, now),
            Err(SendFault::Deferred(reply)) => (State::Queued, reply, later),
            Err(SendFault::Deployment(what)) => {
                fault.clone_from(&what);
                (State::Queued, what, later)
            }
        }
    }
}

/// Half to all of the doubled wait, so that mails which failed together don't come back together.
fn wait_after(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(16);
    let wait = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
    let share = store::random::<2>().map_or(u16::MAX, u16::from_be_bytes);
    wait.mul_f64(0.5 + f64::from(share) / f64::from(u16::MAX) / 2.0)
}
