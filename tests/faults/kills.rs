//! kill -9 under load, again and again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::dice::Dice;
use crate::run::{Run, number};

/// Kills the program at random moments while clients write, and looks for everything that was answered.
pub(crate) async fn lose_nothing_that_was_answered() {
    let (least, seconds, answers) = (number("KILLS", 32), number("SECONDS", 0), number("ANSWERS", 3000));
    let mut dice = Dice::new("kills");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut run = Run::start(&mut dice, directory.path(), |place| place).await;
    let begun = Instant::now();
    let mut kills = 0;
    while kills < least || run.writers.answered() < answers || begun.elapsed().as_secs() < seconds {
        if dice.throw(5) > 0 {
            // once it serves; else at some moment of its start
            run.place.operator().await;
        }
        sleep(Duration::from_millis(dice.throw(400))).await;
        run.kill();
        kills += 1;
    }
    run.reckon(&format!("{kills} kills")).await;
}
