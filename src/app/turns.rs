//! Turns at work that is costly and bounded, given to peers one after the other: who asks often waits behind themself, not in front of others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::domain::error::Error;
use crate::domain::peer::Peer;

/// When a peer that was turned away may try again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How many work and wait at once.
pub(super) struct Turns {
    state: Mutex<State>,
    waiting: usize,
    of_one_peer: usize,
}

#[derive(Default)]
struct State {
    free: usize,
    waiting: usize,
    /// Peers with somebody waiting, in the order in which they are next.
    line: VecDeque<Peer>,
    lines: HashMap<Peer, VecDeque<oneshot::Sender<Turn>>>,
}

impl State {
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let peer = self.line.pop_front()?;
        let line = self.lines.get_mut(&peer)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&peer);
        } else {
            self.line.push_back(peer);
        }
        self.waiting -= usize::from(next.is_some());
        next
    }
}

/// A turn, until it is dropped.
pub(super) struct Turn(Option<Arc<Turns>>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

impl Turns {
    /// Takes how many may work, how many may wait, and how many of those may be one peer's.
    pub(super) fn new(working: usize, waiting: usize, of_one_peer: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { free: working, ..State::default() }), waiting, of_one_peer })
    }

    /// Waits for a turn; refuses at once where too many wait already.
    pub(super) async fn take(self: &Arc<Self>, peer: Peer) -> Result<Turn, Error> {
        let turn = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Turn(Some(Arc::clone(self))));
            }
            let of_peer = state.lines.get(&peer).map_or(0, VecDeque::len);
            if state.waiting >= self.waiting || of_peer >= self.of_one_peer {
                return Err(Error::Busy { retry_after: RETRY_AFTER });
            }
            let (give, turn) = oneshot::channel();
            if of_peer == 0 {
                state.line.push_back(peer);
            }
            state.lines.entry(peer).or_default().push_back(give);
            state.waiting += 1;
            turn
        };
        turn.await.map_err(|_| Error::Draining)
    }

    /// Gives a turn that ended to whoever is next and still there.
    fn pass_on(self: &Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state();
                let next = state.next();
                if next.is_none() {
                    state.free += 1;
                    return;
                }
                next
            };
            match next.map(|next| next.send(Turn(Some(Arc::clone(self))))) {
                Some(Err(mut unwanted)) => drop(unwanted.0.take()),
                Some(Ok(())) | None => return,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn peer(last: u8) -> Peer {
        Peer::V4([192, 0, 2, last].into())
    }

    #[tokio::test]
    async fn peers_take_turns_however_many_of_one_wait() {
        let turns = Turns::new(1, 10, 5);
        let first = turns.take(peer(1)).await.expect("a free turn");
        let mut greedy: Vec<_> = (0..3).map(|_| Box::pin(turns.take(peer(1)))).collect();
        for wait in &mut greedy {
            assert!(futures_util::poll!(wait).is_pending());
        }
        let mut modest = Box::pin(turns.take(peer(2)));
        assert!(futures_util::poll!(&mut modest).is_pending());
        drop(first);
        let second = greedy.remove(0).await.expect("the one who waits longest");
        drop(second);
        let third = modest.now_or_never().expect("the other peer is next").expect("a turn");
        assert!(futures_util::poll!(&mut greedy[0]).is_pending());
        drop(third);
        greedy.remove(0).now_or_never().expect("and then the first again").expect("a turn");
    }

    #[tokio::test]
    async fn too_many_are_turned_away_first_those_of_one_peer() {
        let turns = Turns::new(1, 3, 2);
        let turn = turns.take(peer(1)).await.expect("a free turn");
        let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(turns.take(peer(1)))).collect();
        for wait in &mut waiting {
            assert!(futures_util::poll!(wait).is_pending());
        }
        assert!(matches!(turns.take(peer(1)).await, Err(Error::Busy { .. })));
        let mut other = Box::pin(turns.take(peer(2)));
        assert!(futures_util::poll!(&mut other).is_pending());
        assert!(matches!(turns.take(peer(3)).await, Err(Error::Busy { .. })));
        drop((waiting, other, turn));
        turns.take(peer(3)).now_or_never().expect("those who went away wait no longer").expect("a turn");
    }
}
