//! Allowances that refill with time, one for each key, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::clock::Timestamp;

/// Keys that are remembered; each takes some 50 bytes.
const KEYS: usize = 100_000;

/// So many of each key may be taken in a window; what was taken comes back evenly, one by one.
///
/// Of a key, it is kept how long its allowance takes to be whole again, and since when (a leaky bucket). One that is whole needn't be remembered.
/// When too many aren't, the quarter of them that has the least taken is forgotten: who wants others forgotten would have to take more from
/// more keys than they have, and a key that is hammered is remembered longest.
pub(super) struct Buckets<K> {
    allowance: u32,
    window: Duration,
    keys: usize,
    taken: Mutex<HashMap<K, Taken>>,
}

/// What is to come back, as time, and the moment at which it was so much.
#[derive(Clone, Copy)]
struct Taken {
    time: Duration,
    at: Timestamp,
}

impl Taken {
    /// What is still to come back. A clock that was set back brings nothing back, and adds nothing.
    fn left(self, now: Timestamp) -> Duration {
        self.time.saturating_sub(now.since(self.at))
    }
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// Takes how much a key has; zero is without limit.
    pub(super) fn new(allowance: u32, window: Duration) -> Self {
        Self { allowance, window, keys: KEYS, taken: Mutex::default() }
    }

    /// Takes one of a key's allowance, or says how long until there is one.
    pub(super) fn take(&self, key: &K, now: Timestamp) -> Result<(), Duration> {
        if self.allowance == 0 {
            return Ok(());
        }
        let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let time = all.get(key).map_or(Duration::ZERO, |taken| taken.left(now)) + self.one();
        // whatever doesn't divide the window must not cost the last one
        let over = time.saturating_sub(self.one() * self.allowance);
        if !over.is_zero() {
            return Err(over);
        }
        if all.len() >= self.keys && !all.contains_key(key) {
            make_room(&mut all, now);
        }
        all.insert(key.clone(), Taken { time, at: now });
        Ok(())
    }

    /// Gives back what was taken for nothing.
    pub(super) fn give_back(&self, key: &K) {
        let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = all.get_mut(key) {
            taken.time = taken.time.saturating_sub(self.one());
        }
    }

    /// How long one takes to come back.
    fn one(&self) -> Duration {
        self.window / self.allowance.max(1)
    }
}

fn make_room<K: Eq + Hash>(all: &mut HashMap<K, Taken>, now: Timestamp) {
    let before = all.len();
    all.retain(|_, taken| taken.left(now) > Duration::ZERO);
    if all.len() <= before - before / 4 {
        return;
    }
    let mut lefts: Vec<Duration> = all.values().map(|taken| taken.left(now)).collect();
    let (_, quarter, _) = lefts.select_nth_unstable(before / 4);
    let quarter = *quarter;
    // many may be equal, and all of them have as little taken
    all.retain(|_, taken| taken.left(now) > quarter);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros(minutes * 60_000_000)
    }

    #[test]
    fn what_was_taken_comes_back_one_by_one() {
        let buckets = Buckets::new(6, HOUR);
        for _ in 0..6 {
            assert_eq!(buckets.take(&"a", at(0)), Ok(()));
        }
        assert_eq!(buckets.take(&"a", at(0)), Err(Duration::from_mins(10)));
        assert_eq!(buckets.take(&"a", at(7)), Err(Duration::from_mins(3)));
        assert_eq!(buckets.take(&"b", at(7)), Ok(()), "each key has its own");
        assert_eq!(buckets.take(&"a", at(10)), Ok(()));
        assert_eq!(buckets.take(&"a", at(10)), Err(Duration::from_mins(10)));
        buckets.give_back(&"a");
        assert_eq!(buckets.take(&"a", at(10)), Ok(()), "it was given back");
    }

    #[test]
    fn zero_is_without_limit() {
        let buckets = Buckets::new(0, HOUR);
        assert!((0..1000).all(|_| buckets.take(&(), at(0)).is_ok()));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait_for_longer_than_a_window() {
        let buckets = Buckets::new(2, HOUR);
        for _ in 0..2 {
            assert_eq!(buckets.take(&(), at(60 * 24 * 365)), Ok(()));
        }
        buckets.give_back(&());
        assert_eq!(buckets.take(&(), at(0)), Ok(()), "what was given back is there");
        assert_eq!(buckets.take(&(), at(0)), Err(HOUR / 2));
        assert_eq!(buckets.take(&(), at(30)), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_who_took_most_is_remembered_longest() {
        let mut buckets = Buckets::new(10, HOUR);
        buckets.keys = 100;
        for _ in 0..10 {
            assert_eq!(buckets.take(&0, at(0)), Ok(()));
        }
        for stranger in 1..10_000 {
            assert_eq!(buckets.take(&stranger, at(0)), Ok(()));
            assert!(buckets.taken.lock().unwrap().len() <= 100);
        }
        assert!(buckets.take(&0, at(0)).is_err(), "it isn't washed away by others");
        assert_eq!(buckets.take(&10_000, at(61)), Ok(()));
    }
}
