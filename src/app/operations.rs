//! What operators need to run the service: what is running, what happened, what waits in the queue.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tracing::info;

use super::App;
use super::access::Revision;
use super::admission::{Admitted, Operator, Reader, is_operator};
use super::caller::{Caller, Who};
use super::housekeeping::TOLD_BEFORE;
use super::page::{Page, PageRequest, Query, Search};
use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::error::Error;
use crate::domain::event::{Change, Event, MailState};
use crate::domain::head::{Fault, Head};
use crate::domain::id::{AccountId, MailId};
use crate::logging::HEADS;
use crate::store::accounts;
use crate::store::events::{self, Broken, Difference, Stored, Walked, Which};
use crate::store::mails::{self, Mail, Queue};
use crate::store::requests::{Terms, once};

/// How often the head of history goes to the log.
const TELL_HEAD: Duration = Duration::from_hours(1);

/// How many things that aren't as history says are told.
const DIFFERENCES: usize = 100;

/// What became of history.
pub struct Verified {
    /// The walk over it.
    pub walked: Walked,
    /// What isn't as it says; not looked for where it is broken.
    pub differences: Vec<Difference>,
}

/// What runs.
pub struct Running {
    /// The edition.
    pub edition: Edition,
    /// The newest event that is visible.
    pub revision: Revision,
    /// What operators see of it.
    pub inside: Option<Inside>,
}

/// What operators see of what runs.
pub struct Inside {
    /// The data directory.
    pub data_dir: String,
    /// When the server started.
    pub started: Timestamp,
    /// The mail queue.
    pub queue: MailQueue,
    /// Open accounts without an active member who may manage their users.
    pub accounts_without_admin: i64,
    /// The number and time of the first event that is there.
    pub first_event: Option<(u64, Timestamp)>,
}

/// The state of the mail queue.
pub struct MailQueue {
    /// How much there is.
    pub counts: Queue,
    /// The last fault of the deployment that mail met; empty when the last attempt went well.
    pub last_fault: String,
}

/// What is measured when somebody asks.
pub struct Measured {
    /// Whether the last write could be made.
    pub store_healthy: bool,
    /// The number of the newest event.
    pub head: u64,
    /// When the first event that is there happened.
    pub first_event: Option<Timestamp>,
    /// The outbox.
    pub queue: Queue,
    /// Services that expire.
    pub services: Expiring,
    /// Personal tokens that expire.
    pub api_tokens: Expiring,
}

/// What expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiring {
    /// How many do so soon, as is told beforehand.
    pub soon: i64,
    /// When the next one does.
    pub soonest: Option<Timestamp>,
}

impl Expiring {
    fn of(times: impl Iterator<Item = Timestamp>, now: Timestamp) -> Self {
        let until = now.plus(TOLD_BEFORE);
        times.filter(|expires| *expires > now).fold(Self::default(), |found, expires| Self {
            soon: found.soon + i64::from(expires <= until),
            soonest: Some(found.soonest.map_or(expires, |soonest| soonest.min(expires))),
        })
    }
}

/// Whose events to list, by a caller who may.
pub struct Audit {
    /// One account's, or everybody's.
    account: Option<AccountId>,
    /// Whether clients' network addresses may be told.
    pub with_clients: bool,
}

impl App {
    /// Says what is running.
    pub async fn running(&self, caller: &Caller) -> Result<Running, Error> {
        self.signed_in_to_operations(caller)?;
        let inside = if is_operator(caller) {
            let queue = self.queue().await?;
            let path = self.store.directory().path();
            let data_dir = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
            let mut connection = self.store.read().await?;
            let accounts_without_admin = accounts::without_admin(&mut connection).await?;
            let first_event = events::first(&mut connection).await?;
            Some(Inside { data_dir, started: self.started, queue, accounts_without_admin, first_event })
        } else {
            None
        };
        Ok(Running { edition: self.edition, revision: Revision::of(&self.directory.view()), inside })
    }

    /// Measures what metrics tell. They are for whoever reaches their listener, and name nobody.
    pub async fn measured(&self) -> Result<Measured, Error> {
        let (queue, first_event) = {
            let mut connection = self.store.read().await?;
            (mails::queue(&mut connection, self.now()).await?, events::first(&mut connection).await?)
        };
        let (view, now) = (self.directory.snapshot(), self.now());
        Ok(Measured {
            store_healthy: *self.healthy()?.borrow(),
            head: view.seq(),
            first_event: first_event.map(|(_, time)| time),
            queue,
            services: Expiring::of(view.services().filter_map(|service| service.expires), now),
            api_tokens: Expiring::of(view.api_tokens(now).map(|token| token.expires), now),
        })
    }

    /// Admits a reader of everybody's events.
    #[must_use]
    pub fn audit_all(&self, _reader: &Reader) -> Audit {
        Audit { account: None, with_clients: true }
    }

    /// Admits a reader of one account's events: its managers and the services that are bound to it see no client addresses.
    pub fn audit(&self, admitted: &Admitted) -> Result<Audit, Error> {
        let with_clients = match admitted.caller().who() {
            Who::Service(calling) => calling.bound.is_none() && calling.acting_for.is_none(),
            _ => is_operator(admitted.caller()),
        };
        Ok(Audit { account: Some(admitted.account()?), with_clients })
    }

    /// Lists events, newest first.
    pub async fn events(&self, audit: &Audit, which: Which, page: &PageRequest) -> Result<Page<Event>, Error> {
        let which = Which { account: audit.account, ..which };
        let query = match which.account {
            None => Query::of("events"),
            Some(account) => Query::of("events of").with(account.as_bytes()),
        };
        let time = |time: Option<Timestamp>| time.map_or(String::new(), |time| time.as_micros().to_string());
        let query = query
            .with_text(&which.actor.map_or(String::new(), |actor| actor.to_string()))
            .with_text(&which.subject.map_or(String::new(), |subject| subject.to_string()))
            .with_text(&which.kinds.iter().map(u16::to_string).collect::<Vec<_>>().join(","))
            .with_text(&time(which.from))
            .with_text(&time(which.until));
        let before = query.after(page)?.map(u64::from_be_bytes).and_then(|seq| i64::try_from(seq).ok());
        let mut connection = self.store.read().await?;
        // from one view of the data: the beginning may go in between
        let mut view = connection.begin().await?;
        let (first, end) = events::span(&mut view, &which).await?;
        let mut end = before.map_or(end, |before| before.min(end));
        let mut search = Search::new(&query, page);
        while let Some(limit) = search.wants() {
            let found = events::newest(&mut view, &which, (first, end), limit).await?;
            end = found.last().and_then(|last| i64::try_from(last.seq).ok()).unwrap_or(end);
            search.take(found.into_iter().map(|event| (event.seq.to_be_bytes().to_vec(), event)), |event| which.holds(event));
        }
        view.rollback().await?;
        Ok(search.page())
    }

    /// Walks all of history and says whether it is whole, also by heads that were kept elsewhere, and then whether the present is as it says. One caller
    /// after the other.
    pub async fn verify_events(&self, _reader: &Reader, heads: Vec<Head>) -> Result<Verified, Error> {
        // there are few connections to read with, and everybody's lists need them too
        let _alone = self.walking.lock().await;
        let _all = self.trimming.read().await;
        let mut connection = self.store.read().await?;
        let walked = self.walked(&mut connection, heads).await?;
        let differences = match walked.broken {
            Some(_) => Vec::new(),
            None => events::differences(&mut connection, DIFFERENCES).await?,
        };
        Ok(Verified { walked, differences })
    }

    /// A history without its end is whole by itself, so its length is held against what was published since the start.
    pub(super) async fn walked(&self, connection: &mut SqliteConnection, heads: Vec<Head>) -> Result<Walked, Error> {
        let published = self.directory.view().seq();
        let mut walked = events::verify(connection, heads).await?;
        let seen = walked.head.map_or(0, |head| head.seq);
        if walked.broken.is_none() && seen < published {
            walked.broken = Some(Broken { seq: seen + 1, fault: Fault::Truncated, by: None });
        }
        Ok(walked)
    }

    /// Reads events as they are stored, oldest first, and then the head of history.
    pub async fn export_events(&self, _operator: &Operator, from: u64, page: &PageRequest) -> Result<(Vec<Stored>, Head), Error> {
        let _all = self.trimming.read().await;
        let mut connection = self.store.read().await?;
        let stored = events::stored(&mut connection, from, page.size.rows()).await?;
        Ok((stored, self.head(&mut connection).await?))
    }

    /// Logs the head of history if the last time was an hour ago; answers it if it did. Whoever keeps the log elsewhere can prove later that
    /// nothing before was shortened or written anew. It is told whether it changed or not: a log without it was cut.
    pub async fn tell_head_when_due(&self) -> Result<Option<Head>, Error> {
        let now = self.clock.now();
        let told = *self.head_told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.is_some_and(|told| now >= told && now < told.plus(TELL_HEAD)) {
            return Ok(None);
        }
        let head = self.tell_head().await?;
        // not before it was told: one that couldn't be read is due still
        *self.head_told.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(now);
        Ok(Some(head))
    }

    /// Logs the head of history.
    pub(super) async fn tell_head(&self) -> Result<Head, Error> {
        let head = self.head(&mut *self.store.read().await?).await?;
        info!(target: HEADS, %head, "the head of history");
        Ok(head)
    }

    async fn head(&self, connection: &mut SqliteConnection) -> Result<Head, Error> {
        let (seq, hash) = events::last(connection).await?;
        Ok(Head { epoch: Some(self.directory.view().epoch()), seq, hash })
    }

    /// Lists the outbox, newest first; `states` has a bit for each code, none for all.
    pub async fn mails(&self, _reader: &Reader, states: u8, page: &PageRequest) -> Result<Page<Mail>, Error> {
        const LAST: [u8; 16] = [0xff; 16];
        let query = Query::of("mails").with(&[states]);
        let before = MailId::from_bytes(query.after(page)?.unwrap_or(LAST));
        let states = if states == 0 { u8::MAX } else { states };
        let entries = mails::page(&mut *self.store.read().await?, states.into(), before, Query::limit(page)).await?;
        Ok(query.page(page, entries, |mail| mail.id.as_bytes().to_vec()))
    }

    /// Says how the outbox as a whole is faring.
    pub async fn mail_queue(&self, _reader: &Reader) -> Result<MailQueue, Error> {
        self.queue().await
    }

    async fn queue(&self) -> Result<MailQueue, Error> {
        let counts = mails::queue(&mut *self.store.read().await?, self.now()).await?;
        let last_fault = self.mail_fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        Ok(MailQueue { counts, last_fault })
    }

    /// Makes a queued or failed mail due now.
    pub async fn retry_mail(&self, operator: Operator, id: MailId, terms: Terms) -> Result<Mail, Error> {
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let not_found = || Error::MailNotFound(id.to_string());
                once(tx, &terms, async |tx| {
                    let mail = mails::by_id(tx.sql(), id).await?.ok_or_else(not_found)?;
                    if !mails::retry(tx, id).await? {
                        return Err(Error::MailNotRetryable(id, mail.delivery.state.as_str()));
                    }
                    tx.record(Change::MailRetried(MailState { mail: id, invitation: mail.invitation })).await
                })
                .await?;
                mails::by_id(tx.sql(), id).await?.ok_or_else(not_found)
            })
            .await
    }

    /// The Message-ID of a mail, without angle brackets: the same in every attempt.
    #[must_use]
    pub fn message_id(&self, mail: MailId) -> String {
        format!("{mail}@{}", self.renderer.domain())
    }
}
