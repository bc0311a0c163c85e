//! What a write works with: the connection inside its transaction, its moment, and `record`.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::error::Error;
use crate::domain::event::{Change, Event, Hash, Origin, Personal};
use crate::domain::id::TraceId;
use crate::domain::name::Slug;

use super::last_manager::{self, Concerned};
use super::{accounts, events};

/// The end of history: what the next event stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) seq: u64,
    pub(super) hash: Hash,
    pub(super) time: Timestamp,
}

impl Tail {
    /// Before the first event.
    pub(super) const START: Self = Self { seq: 0, hash: [0; 32], time: Timestamp::from_micros(i64::MIN) };
}

/// One job's view of the writer's transaction.
pub struct Tx {
    connection: SqliteConnection,
    clock: Clock,
    now: Timestamp,
    origin: Origin,
    tail: Tail,
    events: Vec<Event>,
    costs: Vec<CostChange>,
    marked: BTreeSet<Concerned>,
    may_leave_without_admin: bool,
    left_without_admin: Vec<Slug>,
    afterwards: Afterwards,
    validates_only: bool,
}

/// What follows the commit.
#[derive(Clone, Copy, Default)]
struct Afterwards {
    owes_mail: bool,
    scrubs: bool,
}

/// Where a job began, to go back to.
pub(super) struct Mark {
    tail: Tail,
    events: usize,
    costs: usize,
    afterwards: Afterwards,
}

/// Of what cost the hash was and is that somebody signs in by: as [`crate::domain::password::cost`] tells it, none where nobody may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostChange {
    /// Before.
    pub from: Option<String>,
    /// Now.
    pub to: Option<String>,
}

/// What a group of jobs leaves behind.
#[derive(Default, Debug)]
pub struct Committed {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Of what cost hashes of logins were and are.
    pub costs: Vec<CostChange>,
    /// A mail was put into the outbox.
    pub owes_mail: bool,
}

impl Tx {
    pub(super) fn new(connection: SqliteConnection, clock: Clock, tail: Tail) -> Self {
        let nobody = Origin {
            actor: crate::domain::event::Actor::Server,
            on_behalf_of: None,
            client: None,
            door: crate::domain::event::Door::Inside,
            trace: TraceId::from_bytes([0; 16]),
        };
        Self {
            connection,
            now: clock.now(),
            clock,
            origin: nobody,
            tail,
            events: Vec::new(),
            costs: Vec::new(),
            marked: BTreeSet::new(),
            may_leave_without_admin: false,
            left_without_admin: Vec::new(),
            afterwards: Afterwards::default(),
            validates_only: false,
        }
    }

    /// The connection, inside the transaction.
    pub fn sql(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// The moment of this write: the clock's, or the last event's if the clock went back behind it.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The number that the next event will have: the version of what it changes.
    #[must_use]
    pub fn next_version(&self) -> i64 {
        i64::try_from(self.tail.seq + 1).unwrap_or(i64::MAX)
    }

    /// Fresh random bytes, for ids, nonces and salts.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], Error> {
        random()
    }

    /// Says that a mail was put into the outbox, so that delivery wakes after the commit.
    pub fn owe_mail(&mut self) {
        self.afterwards.owes_mail = true;
    }

    /// Says of what cost the hash of a login was and is, so that whoever has none can be let cost the same after the commit.
    pub(super) fn note_cost(&mut self, change: CostChange) {
        self.costs.extend((change.from != change.to).then_some(change));
    }

    /// Has what was deleted overwritten in the file and its log, after the commit and before this job is answered.
    pub fn scrub_after_commit(&mut self) {
        self.afterwards.scrubs = true;
    }

    /// Has this job undone although it succeeds: its caller asked what would happen.
    pub fn validate_only(&mut self) {
        self.validates_only = true;
    }

    pub(super) const fn validates_only(&self) -> bool {
        self.validates_only
    }

    /// Says that an operator knows what this job may do: leave an account without an active member who may manage its users.
    pub fn leave_without_admin(&mut self) {
        self.may_leave_without_admin = true;
    }

    /// Records a change: appends its event to history, and has the last-admin rule judged before the job counts.
    ///
    /// Call it after the rows were changed: the event says how they are now.
    pub async fn record(&mut self, change: Change) -> Result<(), Error> {
        self.record_all(vec![change]).await
    }

    /// Records changes in their order, in as many statements as one takes.
    pub async fn record_all(&mut self, changes: Vec<Change>) -> Result<(), Error> {
        self.marked.extend(changes.iter().filter_map(last_manager::concerned));
        let mut tail = self.tail;
        let mut recorded = Vec::with_capacity(changes.len());
        for change in changes {
            let client = match &self.origin.client {
                Some(client) => Some(Personal::new(client, self.random()?)),
                None => None,
            };
            let event = Event {
                seq: tail.seq + 1,
                id: crate::domain::id::EventId::new(self.now, self.random()?),
                time: self.now,
                actor: self.origin.actor,
                on_behalf_of: self.origin.on_behalf_of,
                client,
                door: self.origin.door,
                trace: self.origin.trace,
                change,
                previous: tail.hash,
            };
            let encoded = event.encode();
            tail = Tail { seq: event.seq, hash: encoded.hash, time: event.time };
            recorded.push((event, encoded));
        }
        events::append(&mut self.connection, &recorded).await?;
        self.tail = tail;
        self.events.extend(recorded.into_iter().map(|(event, _)| event));
        Ok(())
    }

    pub(super) fn start_job(&mut self, origin: Origin) -> Mark {
        self.now = self.clock.now().max(self.tail.time);
        self.origin = origin;
        self.marked.clear();
        self.may_leave_without_admin = false;
        self.left_without_admin.clear();
        self.validates_only = false;
        Mark { tail: self.tail, events: self.events.len(), costs: self.costs.len(), afterwards: self.afterwards }
    }

    /// Judges the last-admin rule on all that was recorded. The writer calls it when the job is done; a job does so itself before it reads
    /// what the rule keeps, `accounts.has_manager`, or tells which accounts it left without an admin.
    pub async fn judge(&mut self) -> Result<(), Error> {
        if self.marked.is_empty() {
            return Ok(());
        }
        let marked = std::mem::take(&mut self.marked);
        let lost = last_manager::judge(&mut self.connection, &marked).await?;
        if lost.is_empty() {
            return Ok(());
        }
        let mut left = Vec::with_capacity(lost.len());
        for account in lost {
            let account = accounts::by_id(&mut self.connection, account).await?;
            left.push(account.ok_or_else(|| Error::internal("an account that was judged isn't in the store"))?);
        }
        left.sort_by(|one, other| one.name.cmp(&other.name));
        let names: Vec<Slug> = left.iter().filter_map(|account| Slug::parse(&account.name).ok()).collect();
        if !self.may_leave_without_admin {
            return Err(Error::LastAdmin(names));
        }
        self.record_all(left.iter().map(|account| Change::AccountLeftWithoutAdmin(account.state())).collect()).await?;
        self.left_without_admin.extend(names);
        Ok(())
    }

    /// The accounts that this job left without an active member who may manage their users, as far as it was judged.
    #[must_use]
    pub fn left_without_admin(&self) -> &[Slug] {
        &self.left_without_admin
    }

    pub(super) fn undo_to(&mut self, mark: &Mark) {
        self.tail = mark.tail;
        self.events.truncate(mark.events);
        self.costs.truncate(mark.costs);
        self.afterwards = mark.afterwards;
    }

    pub(super) fn take_committed(&mut self) -> Committed {
        Committed {
            events: std::mem::take(&mut self.events),
            costs: std::mem::take(&mut self.costs),
            owes_mail: std::mem::take(&mut self.afterwards.owes_mail),
        }
    }

    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.run("begin immediate").await
    }

    pub(super) async fn savepoint(&mut self) -> Result<(), sqlx::Error> {
        self.run("savepoint job").await
    }

    /// Ends the job's savepoint, keeping or undoing what was done since.
    pub(super) async fn end_savepoint(&mut self, undo: bool) -> Result<(), sqlx::Error> {
        self.run(if undo { "rollback to job; release job" } else { "release job" }).await
    }

    /// Makes the commit write to the file, whatever the jobs did: one that writes nothing proves nothing about the storage.
    pub(super) async fn touch_file(&mut self) -> Result<(), sqlx::Error> {
        // rewrites the file's first page even with the value that is there, as an update of a row doesn't
        self.run("pragma user_version = 0").await
    }

    /// Overwrites what was deleted, if a job asked for it: writes the file anew without free space, and empties the log.
    ///
    /// Deleting with `secure_delete` isn't enough, since pages that were split before may hold copies.
    pub(super) async fn scrub(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.afterwards.scrubs) {
            return Ok(());
        }
        self.run("vacuum").await?;
        let done = sqlx::query("pragma wal_checkpoint(truncate)").fetch_one(&mut self.connection).await?;
        if done.try_get::<i64, _>(0)? != 0 {
            return Err(Error::internal("a reader keeps the log from being emptied"));
        }
        self.run("update server set erasing = 0").await?;
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.run("commit").await
    }

    pub(super) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        self.run("rollback").await
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(statement).execute(&mut self.connection).await.map(|_| ())
    }

    pub(super) const fn tail(&self) -> Tail {
        self.tail
    }
}

/// Draws random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(bytes)
}
