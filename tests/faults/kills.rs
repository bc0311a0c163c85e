//! kill -9 under load, again and again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Dice;
use crate::load::{self, Journal};
use crate::program::{Program, operator};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// Kills the program at random moments while clients write, and looks for everything that was answered.
pub(crate) async fn lose_nothing_that_was_answered() {
    let (least, seconds) = (number("KILLS", 32), number("SECONDS", 0));
    let mut dice = Dice::new("kills");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut program = Program::start(directory.path());
    let people = load::prepare(directory.path()).await;
    let journal = Journal::default();
    let writers = load::start(directory.path(), &journal, &people).await;
    let begun = Instant::now();
    let mut kills = 0;
    while kills < least || journal.entries().len() < 3000 || begun.elapsed().as_secs() < seconds {
        if dice.throw(5) > 0 {
            // once it serves; else at some moment of its start
            operator(directory.path()).await;
        }
        sleep(Duration::from_millis(dice.throw(400))).await;
        program.kill();
        kills += 1;
        program = Program::start(directory.path());
    }
    journal.done.store(true, Ordering::Relaxed);
    writers.join_all().await;
    let (answered, lost) = (journal.entries().len(), journal.lost.load(Ordering::Relaxed));
    let found = crate::found::all(directory.path(), &journal, program).await;
    println!("kills {kills}, answered writes {answered}, found {found}, answers lost and asked for again {lost}");
    assert!(kills >= 30 && answered >= 3000 && found == answered);
}
