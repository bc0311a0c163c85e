//! kill -9 under load, again and again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::dice::Dice;
use crate::program::LONG;
use crate::run::{Run, number};

/// Kills the program at random moments while clients write, and looks for everything that was answered.
pub(crate) async fn lose_nothing_that_was_answered() {
    let (least, seconds, answers) = (number("KILLS", 32), number("SECONDS", 0), number("ANSWERS", 3000));
    let mut dice = Dice::new("kills");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut run = Run::start(&mut dice, directory.path(), |place| place).await;
    let begun = Instant::now();
    let (mut kills, mut answered) = (0, 0);
    while kills < least || run.writers.answered() < answers || begun.elapsed().as_secs() < seconds {
        if dice.throw(5) > 0 {
            // once it serves; else at some moment of its start
            run.place.operator().await;
        }
        sleep(Duration::from_millis(dice.throw(400))).await;
        if kills % 8 == 7 {
            // what takes longer than the usual time between two kills, such as writing the file anew, gets it now and then
            let end = Instant::now() + LONG;
            while run.writers.answered() == answered {
                assert!(Instant::now() < end, "nothing is answered any more");
                sleep(Duration::from_millis(10)).await;
            }
            answered = run.writers.answered();
        }
        run.kill();
        kills += 1;
    }
    run.reckon(&format!("{kills} kills")).await;
}
