//! When a mail that wasn't taken is tried again.

use std::time::Duration;

/// The shortest wait: a relay that greylists wants to see some time go by, and a fault rarely ends within seconds.
pub const FLOOR: Duration = Duration::from_secs(30);

/// The longest wait, so that a fault that was mended is noticed within a working day.
pub const CAP: Duration = Duration::from_hours(6);

/// The wait after the attempt of that number, counted from one; `draw` is where in its range it falls.
///
/// Full jitter above the floor: anything from [`FLOOR`] to twice the floor after the first attempt, a range that doubles with each further
/// one until it ends at [`CAP`]. Mails that failed together spread over the whole range instead of coming back together, and none comes
/// back sooner than the floor, which jitter from zero would allow.
#[must_use]
pub fn wait(attempts: i64, draw: u32) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(0).clamp(1, 16);
    let longest = FLOOR.saturating_mul(1 << doublings).min(CAP);
    FLOOR + longest.saturating_sub(FLOOR).mul_f64(f64::from(draw) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_range_doubles_from_half_a_minute_to_six_hours() {
        let longest: Vec<u64> = (1..=12).map(|attempts| wait(attempts, u32::MAX).as_secs()).collect();
        assert_eq!(longest, [60, 120, 240, 480, 960, 1920, 3840, 7680, 15_360, 21_600, 21_600, 21_600]);
        assert!((1..=12).all(|attempts| wait(attempts, 0) == FLOOR));
        assert_eq!(wait(3, u32::MAX / 2).as_secs(), 134, "half of the way from 30 to 240");
    }

    proptest! {
        #[test]
        fn no_wait_is_shorter_than_the_floor_or_longer_than_the_cap(attempts in any::<i64>(), draw in any::<u32>()) {
            let wait = wait(attempts, draw);
            prop_assert!((FLOOR..=CAP).contains(&wait), "{wait:?}");
        }

        #[test]
        fn a_later_attempt_waits_no_shorter_for_the_same_draw(attempts in 1_i64..30, draw in any::<u32>()) {
            prop_assert!(wait(attempts, draw) <= wait(attempts + 1, draw));
        }
    }
}
