//! Whose bytes are read next: peers take turns on each core, however many connections they have.
//!
//! A core works on whatever was read, in the order in which it was. One peer with a hundred connections, each with a hundred calls at once,
//! would make everybody else wait for ten thousand calls. So a peer's connections together may read a little in each round, and what is
//! more stays in the kernel, which tells the peer to wait. The next round begins when everything that the last one brought has had its
//! turn: at once on a core that has nothing to do.
//!
//! A round is short, and between two of them the core's thread lets others of the host run that wait for the processor: those who are waiting for
//! an answer may be among them, and would be left waiting for as long as the kernel lets a busy thread go on, some milliseconds.
//!
//! Taking turns still lets a peer that asks for more than its share all the time, or opens connections only to close them, use whatever others
//! leave of the processor, and have them wait for it. So each call beyond its share and each end of a connection costs a peer some time, in which
//! nothing of it is read once more than a little was used up.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Bytes that a peer may read in a round: some five calls of ordinary clients, or fifteen of who makes them as short as can be.
const ROUND: usize = 512;
/// The same on a connection that speaks for many, or for the operator.
const ROUND_OF_MANY: usize = 16 * ROUND;
/// What a read counts at least: waking, looking and closing cost as much as the work on so many bytes.
const READ: usize = 256;
/// What a connection's first read counts: a TLS handshake and the state of HTTP/2 are made for it.
const FIRST_READ: usize = 512;

/// What a call beyond its share costs a peer on a core, so that it is a thousand times a second at most.
const REFUSED: Duration = Duration::from_millis(1);
/// What the end of a connection costs its peer on a core, so that it is five hundred times a second at most.
const ENDED: Duration = Duration::from_millis(2);
/// How much of that a peer may owe and is still read: a program that begins or ends has many connections at once.
const FREE: Duration = Duration::from_millis(250);
/// The most that it can owe beyond, so that it is soon read again whatever it did.
const LONGEST: Duration = Duration::from_secs(1);

/// The rounds of one core.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Rounds>);

#[derive(Default)]
struct Rounds {
    number: AtomicU64,
    /// Those with connections that wait for the next.
    waiting: Mutex<Vec<Line>>,
    wanted: Notify,
}

impl Turns {
    /// Those of the core that this is called on. A task begins them: it has its turn when all that were waiting before it had theirs.
    pub(super) fn begin(tasks: &TaskTracker) -> Self {
        let turns = Self::default();
        tasks.spawn(turns.clone().take());
        turns
    }

    async fn take(self) {
        // those that owe time, by when they don't any more
        let mut owing: BTreeMap<(Instant, u64), Line> = BTreeMap::new();
        let mut entered = 0;
        loop {
            let wanted = self.0.wanted.notified();
            match owing.first_key_value() {
                Some((&(free, _), _)) => drop(tokio::time::timeout_at(free, wanted).await),
                None => wanted.await,
            }
            tokio::task::yield_now().await;
            // to whoever else of the host waits for this processor, if anybody does
            std::thread::yield_now();
            self.0.number.fetch_add(1, Ordering::Relaxed);
            let mut lines = std::mem::take(&mut *self.waiting());
            let now = Instant::now();
            while let Some(first) = owing.first_entry().filter(|first| first.key().0 <= now) {
                lines.push(first.remove());
            }
            for line in lines {
                let waits = line.lock().wake(now);
                match waits {
                    Waits::Nobody => {}
                    Waits::ForTheNext => self.wait(line),
                    Waits::Until(free) => {
                        entered += 1;
                        owing.insert((free, entered), line);
                    }
                }
            }
        }
    }

    fn wait(&self, line: Line) {
        self.waiting().push(line);
        self.0.wanted.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections that one peer has on one core; clones are of the same.
#[derive(Clone)]
pub(super) struct Line(Arc<Mutex<Queue>>);

/// What was read in a round, and who waits for the next.
struct Queue {
    /// What may be read in a round.
    most: usize,
    round: u64,
    read: usize,
    /// By when they began to wait.
    waiting: BTreeMap<u64, Waker>,
    /// Whether the next round knows of it.
    listed: bool,
    next: u64,
    /// Until when what it owes lasts.
    owed: Option<Instant>,
}

/// Whether connections of a line wait.
enum Waits {
    Nobody,
    ForTheNext,
    Until(Instant),
}

impl Line {
    /// One for the connections of a peer.
    pub(super) fn of_peer() -> Self {
        Self(Arc::new(Mutex::new(Queue::new(ROUND))))
    }

    /// One for a connection that is nobody's share.
    pub(super) fn of_many() -> Self {
        Self(Arc::new(Mutex::new(Queue::new(ROUND_OF_MANY))))
    }

    #[cfg(test)]
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Has the peer pay for a call that was refused to it.
    pub(super) fn refused(&self) {
        self.lock().owe(REFUSED, Instant::now());
    }

    /// Whether the peer still has to pay.
    pub(super) fn owes(&self, now: Instant) -> bool {
        self.lock().owed.is_some_and(|owed| owed > now)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    const fn new(most: usize) -> Self {
        Self { most, round: 0, read: 0, waiting: BTreeMap::new(), listed: false, next: 0, owed: None }
    }

    /// What may still be read in this round.
    fn left(&mut self, round: u64) -> usize {
        if self.round != round {
            self.round = round;
            self.read = 0;
        }
        self.most.saturating_sub(self.read)
    }

    fn owe(&mut self, time: Duration, now: Instant) {
        let owed = self.owed.map_or(now, |owed| owed.max(now)) + time;
        self.owed = Some(owed.min(now + FREE + LONGEST));
    }

    /// When its connections are read again, if they aren't now.
    fn free(&self, now: Instant) -> Option<Instant> {
        self.owed.and_then(|owed| owed.checked_sub(FREE)).filter(|free| *free > now)
    }

    /// Wakes as many as may read in a round, unless time is owed; whether others wait still.
    fn wake(&mut self, now: Instant) -> Waits {
        if let Some(at) = self.free(now).filter(|_| !self.waiting.is_empty()) {
            return Waits::Until(at);
        }
        for _ in 0..self.most / READ {
            let Some((_, waker)) = self.waiting.pop_first() else { break };
            waker.wake();
        }
        self.listed = !self.waiting.is_empty();
        if self.listed { Waits::ForTheNext } else { Waits::Nobody }
    }
}

/// Where a connection waits for its turn.
pub(super) struct Place {
    pub(super) turns: Turns,
    pub(super) line: Line,
}

/// A socket that is read in turn.
pub(super) struct Paced<T> {
    io: T,
    place: Place,
    /// Its number among those that wait, until it has read.
    ticket: Option<u64>,
    fresh: bool,
}

impl<T> Paced<T> {
    pub(super) const fn new(io: T, place: Place) -> Self {
        Self { io, place, ticket: None, fresh: true }
    }

    /// How much may be read now; none if it waits for the next round, which wakes it.
    fn turn(&mut self, context: &Context<'_>) -> Option<usize> {
        let mut line = self.place.line.lock();
        let left = line.left(self.place.turns.0.number.load(Ordering::Relaxed));
        if left >= READ && line.free(Instant::now()).is_none() {
            return Some(left);
        }
        let ticket = *self.ticket.get_or_insert_with(|| {
            line.next += 1;
            line.next
        });
        line.waiting.insert(ticket, context.waker().clone());
        let is_listed = std::mem::replace(&mut line.listed, true);
        drop(line);
        if !is_listed {
            self.place.turns.wait(self.place.line.clone());
        }
        None
    }

    fn has_read(&mut self, count: usize) {
        let least = if self.fresh { FIRST_READ } else { READ };
        self.fresh = false;
        let mut line = self.place.line.lock();
        line.read += count.max(least);
        if let Some(ticket) = self.ticket.take() {
            line.waiting.remove(&ticket);
        }
    }
}

impl<T> Drop for Paced<T> {
    fn drop(&mut self) {
        let mut line = self.place.line.lock();
        line.owe(ENDED, Instant::now());
        if let Some(ticket) = self.ticket {
            line.waiting.remove(&ticket);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(most) = self.turn(context) else { return Poll::Pending };
        let most = most.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let read = Pin::new(&mut self.io).poll_read(context, &mut part);
        let count = part.filled().len();
        buffer.advance(count);
        if read.is_ready() {
            self.has_read(count);
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
