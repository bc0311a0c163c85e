//! The machine that an invitation is, as callers see it: steps taken at random, edits among them, and after each all that the service shows
//! compared with a model.
//!
//! `PLAYS` says how many plays are tried, `SEED` which ones.

mod cast;
mod model;
mod play;
mod steps;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use self::cast::Cast;
use self::play::Play;
use self::steps::steps;

/// Plays that are tried each time.
const PLAYS: u32 = 24;

/// How a step may end, at least: what no play came to wasn't tested.
const ENDINGS: [&str; 13] = [
    "OK",
    "ACCESS_DENIED",
    "ACCOUNT_CLOSED",
    "CREDENTIALS_INVALID",
    "ETAG_MISMATCH",
    "INVITATION_ANSWERED",
    "INVITATION_EXISTS",
    "INVITATION_EXPIRED",
    "INVITATION_HELD",
    "INVITATION_WITHDRAWN",
    "LINK_INVALID",
    "MEMBER_EXISTS",
    "ROLE_OFF_IN_EDITION",
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|given| given.parse().expect("a number"))
}

#[test]
fn an_invitation_is_after_any_steps_what_the_rules_make_of_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let cast = RefCell::new(runtime.block_on(Cast::meet()));
    let seen = RefCell::new(BTreeMap::<&str, u32>::new());
    let plays = number("PLAYS").map_or(PLAYS, |plays| plays.try_into().expect("a number of plays"));
    let mut runner = TestRunner::new(Config {
        cases: plays,
        rng_seed: RngSeed::Fixed(number("SEED").unwrap_or(1)),
        failure_persistence: None,
        max_shrink_iters: 1000,
        ..Config::default()
    });
    let played = runner.run(&steps(), |steps| {
        let mut cast = cast.borrow_mut();
        runtime.block_on(async {
            let mut play = Play::begin(&mut cast).await;
            for step in steps {
                if let Some(ending) = play.take(step).await? {
                    *seen.borrow_mut().entry(ending).or_default() += 1;
                }
            }
            Ok::<(), TestCaseError>(())
        })
    });
    if let Err(failed) = played {
        panic!("{failed}");
    }
    let seen = seen.into_inner();
    println!("{plays} plays: {seen:?}");
    // of other plays too few may have been tried to come to all of them
    if number("SEED").is_none() && plays >= PLAYS {
        let unseen: Vec<_> = ENDINGS.iter().filter(|ending| !seen.contains_key(**ending)).collect();
        assert!(unseen.is_empty(), "no step ended so: {unseen:?}");
    }
}
