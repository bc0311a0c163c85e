//! A clock that jumps by hours, ahead and back, under load and across kills.

use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use crate::dice::Dice;
use crate::run::{Run, number};
use crate::shim;

/// Twice this must be less than a request is remembered: what is asked again after a jump is the same request.
const FARTHEST: i64 = 11 * 3600 * 1_000_000;

/// Jumps while clients write, and looks for everything that was answered.
///
/// Sessions and links live longer than any jump, so that none ends by the clock; a session that was begun by a clock which was ahead isn't
/// taken until the clock is there again.
pub(crate) async fn that_jumps_loses_nothing() {
    let jumps = number("JUMPS", 24);
    let mut dice = Dice::new("clock");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let offset = directory.path().join("offset");
    set(&offset, 0);
    let mut run = Run::start(&mut dice, directory.path(), |place| {
        let place = place.behind(&shim::compiled(), &[("CLOCK_OFFSET", &offset)]);
        place.with("SESSION__IDLE_HOURS", "240").with("LINK__RESET_MINUTES", "1440").with("LINK__CONFIRMATION_HOURS", "72")
    })
    .await;
    for jump in 0..jumps {
        sleep(Duration::from_millis(dice.throw(400))).await;
        let micros = i64::try_from(dice.throw(2 * FARTHEST.unsigned_abs())).expect("hours") - FARTHEST;
        let mut clock = run.clock.write().await;
        *clock = micros;
        set(&offset, micros);
        drop(clock);
        if jump % 4 == 3 {
            run.place.operator().await;
            run.kill();
        }
        run.writers.answered();
    }
    // what is owed until later is due now
    set(&offset, FARTHEST);
    run.reckon(&format!("clock: {jumps} jumps")).await;
}

fn set(offset: &Path, micros: i64) {
    // in place: the program has it mapped
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(offset).expect("the offset");
    std::os::unix::fs::FileExt::write_all_at(&file, &micros.to_ne_bytes(), 0).expect("set");
}
