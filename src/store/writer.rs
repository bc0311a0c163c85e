//! The writer: one thread, one connection, everything that changes.
//!
//! It takes what waits, up to a bound, into one durable transaction, each job inside a savepoint, and commits once for all: the cost
//! of an fsync is shared, and nobody is answered before it. A lone write isn't delayed and needs no savepoint.
//!
//! A refusal undoes its own job. A fault of the storage ends the whole group: every caller in it gets an error, nothing is
//! published, and the connection is opened anew before the next group, so that memory can't disagree with the file. A panic is one job's.

use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{Instrument as _, Span, error, info, trace, trace_span, warn};

use crate::domain::clock::Clock;
use crate::domain::error::{Error, chain};
use crate::domain::event::{Door, Origin};

use super::tx::{Committed, Tail, Tx};
use super::{Tuning, events};

/// Jobs that may wait; one more is refused as busy.
const QUEUE: usize = 4096;

/// Those that are left to operators on their socket and to the service itself, whatever others ask for.
const RESERVED: usize = QUEUE / 8;

/// How often callers that find the queue full are asked to come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A job gets the transaction, or none if its group failed before its turn: then it does nothing but say whom to tell.
type Job = Box<dyn for<'t> FnOnce(Option<&'t mut Tx>) -> LocalBoxFuture<'t, Verdict> + Send>;

/// How a job ended, and how to tell its caller once the group's end is known.
struct Verdict {
    ending: Ending,
    answer: Box<dyn FnOnce(Result<(), Error>)>,
}

enum Ending {
    Keep,
    Undo,
    Fault(String),
}

struct Queued {
    origin: Origin,
    job: Job,
}

/// What is called after each commit, on the writer's thread, before any answer goes out.
pub type OnCommit = Box<dyn FnMut(&Committed) + Send>;

/// The way to the writer's thread.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Queued>,
    healthy: watch::Receiver<bool>,
}

impl Writer {
    /// Starts the thread. Ends when every way to it is dropped.
    pub(super) fn start(
        options: SqliteConnectOptions,
        clock: Clock,
        tuning: Tuning,
        published: Tail,
        on_commit: OnCommit,
    ) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (health, healthy) = watch::channel(true);
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            if tuning.pinned {
                pin();
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => {
                    let writing = Writing { options, clock, group: tuning.group, published, on_commit, health, tx: None };
                    runtime.block_on(writing.run(queue));
                }
                Err(cause) => error!(%cause, "no runtime for the writer"),
            }
        })?;
        Ok((Self { jobs, healthy }, thread))
    }

    /// Runs a job inside the next transaction and answers after its commit. The job runs to its end even if the caller goes away.
    pub(super) async fn write<T, F>(&self, origin: Origin, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        // the job's statements belong to the call that wants it
        let (call, write) = (Span::current(), trace_span!("write"));
        let job: Job = Box::new(move |tx| {
            let work = async move {
                let (result, keep) = match tx {
                    Some(tx) => {
                        let result = match job(tx).await {
                            Ok(value) => tx.judge().await.map(|()| value),
                            Err(refusal) => Err(refusal),
                        };
                        (result, !tx.validates_only())
                    }
                    None => (Err(Error::Storage("its group failed before its turn".into())), false),
                };
                let ending = match &result {
                    Ok(_) if keep => Ending::Keep,
                    Err(Error::Storage(cause)) => Ending::Fault(cause.to_string()),
                    Ok(_) | Err(_) => Ending::Undo,
                };
                let answer = Box::new(move |group: Result<(), Error>| {
                    // a caller that went away has nobody to be told
                    let _ = answer.send(group.and(result));
                });
                Verdict { ending, answer }
            };
            Box::pin(work.instrument(write).instrument(call))
        });
        let has_precedence = matches!(origin.door, Door::OperatorsSocket | Door::Inside);
        if !has_precedence && self.jobs.capacity() <= RESERVED {
            return Err(Error::Busy { retry_after: RETRY_AFTER });
        }
        self.jobs.try_send(Queued { origin, job }).map_err(|full| match full {
            mpsc::error::TrySendError::Full(_) => Error::Busy { retry_after: RETRY_AFTER },
            // this is a way to it, so it can't have been told to end
            mpsc::error::TrySendError::Closed(_) => Error::Storage("the writer's thread is gone".into()),
        })?;
        let result = answered.await.unwrap_or_else(|_| Err(Error::internal("the job panicked")));
        trace!(kept = result.is_ok(), "a write ended");
        result
    }

    /// Follows whether the last group could be written.
    pub(super) fn healthy(&self) -> watch::Receiver<bool> {
        self.healthy.clone()
    }
}

/// Pins this thread to one core *before* the connection is opened, so that the thread sqlx makes for it shares the core: a statement is
/// two wake-ups, which cost a third on one core of what they cost across two.
fn pin() {
    if let Some(core) = core_affinity::get_core_ids().and_then(|cores| cores.into_iter().next_back()) {
        core_affinity::set_for_current(core);
    }
}

struct Writing {
    options: SqliteConnectOptions,
    clock: Clock,
    group: NonZeroUsize,
    published: Tail,
    on_commit: OnCommit,
    health: watch::Sender<bool>,
    tx: Option<Tx>,
}

impl Writing {
    async fn run(mut self, mut queue: mpsc::Receiver<Queued>) {
        let mut group = Vec::with_capacity(self.group.get());
        while queue.recv_many(&mut group, self.group.get()).await > 0 {
            let mut jobs = std::mem::take(&mut group).into_iter();
            let mut verdicts = Vec::with_capacity(jobs.len());
            let outcome = self.transaction(&mut jobs, &mut verdicts).await;
            if let Err(fault) = &outcome {
                for queued in jobs {
                    verdicts.push((queued.job)(None).await);
                }
                error!(fault, jobs = verdicts.len(), "the storage failed; the whole group was undone");
                self.health.send_replace(false);
            }
            for verdict in verdicts {
                (verdict.answer)(outcome.clone().map_err(|fault| Error::Storage(fault.into())));
            }
        }
        if let Some(tx) = self.tx.take() {
            // the last checkpoint belongs to this thread: after it the file stands alone
            let _ = tx.close().await;
        }
    }

    /// Takes the jobs one by one into one transaction and commits it. After a fault those that weren't begun are still there, and the
    /// connection is gone: whatever state it was in, the next group starts from what the file says.
    async fn transaction(&mut self, jobs: &mut std::vec::IntoIter<Queued>, verdicts: &mut Vec<Verdict>) -> Result<(), String> {
        let mut tx = match self.tx.take() {
            Some(tx) => tx,
            None => self.open().await.map_err(|error| chain(&error))?,
        };
        let alone = jobs.len() == 1;
        tx.begin().await.map_err(|error| chain(&error))?;
        for queued in jobs {
            let mark = tx.start_job(queued.origin);
            if !alone && let Err(error) = tx.savepoint().await {
                verdicts.push((queued.job)(None).await);
                return Err(chain(&error));
            }
            // a panic drops the way to the caller, who then learns of it
            let verdict = AssertUnwindSafe((queued.job)(Some(&mut tx))).catch_unwind().await.ok();
            let undone = match verdict.as_ref().map(|verdict| &verdict.ending) {
                Some(Ending::Keep) => false,
                Some(Ending::Undo) | None => true,
                Some(Ending::Fault(fault)) => {
                    let fault = fault.clone();
                    verdicts.extend(verdict);
                    return Err(fault);
                }
            };
            verdicts.extend(verdict);
            if undone {
                tx.undo_to(&mark);
                if alone {
                    tx.rollback().await.map_err(|error| chain(&error))?;
                    self.tx = Some(tx);
                    return Ok(());
                }
            }
            if !alone {
                tx.end_savepoint(undone).await.map_err(|error| chain(&error))?;
            }
        }
        if !*self.health.borrow() {
            tx.touch_file().await.map_err(|error| chain(&error))?;
        }
        tx.commit().await.map_err(|error| chain(&error))?;
        self.published = tx.tail();
        (self.on_commit)(&tx.take_committed());
        if let Err(fault) = tx.scrub().await {
            // the deletion stands; housekeeping asks for this again until it is done
            warn!(error = %chain(&fault), "what was erased couldn't be overwritten in the file yet");
        }
        self.tx = Some(tx);
        if !self.health.send_replace(true) {
            info!("the storage takes writes again");
        }
        Ok(())
    }

    /// Opens the connection and publishes what became durable although its group was told otherwise: a commit whose fsync failed may
    /// still be found in the file.
    async fn open(&mut self) -> Result<Tx, Error> {
        let mut connection = SqliteConnection::connect_with(&self.options).await?;
        let tail = events::tail(&mut connection).await?;
        while self.published.seq < tail.seq {
            let missed = events::after(&mut connection, self.published.seq, 1000).await?;
            let Some(last) = missed.last() else { break };
            self.published.seq = last.seq;
            // which hashes became of other costs isn't said of these: the next start counts them anew
            (self.on_commit)(&Committed { events: missed, owes_mail: true, ..Committed::default() });
        }
        self.published = tail;
        Ok(Tx::new(connection, self.clock.clone(), tail))
    }
}
