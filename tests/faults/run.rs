//! The program, a relay, and clients that write: what each kind of trouble is made for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::RwLock;

use crate::dice::Dice;
use crate::postbox::Postbox;
use crate::program::{Place, Program};
use crate::smtp_sink::{Script, SmtpSink};
use crate::writer::Writers;

/// A run under load.
pub(crate) struct Run {
    pub(crate) place: Place,
    pub(crate) program: Program,
    pub(crate) relay: Arc<SmtpSink>,
    pub(crate) writers: Writers,
    /// How wrong the clock is, in microseconds; no writer acts while it is set.
    pub(crate) clock: Arc<RwLock<i64>>,
    postbox: Postbox,
}

impl Run {
    /// Starts everything in a directory, the program in a place that may be changed first.
    pub(crate) async fn start(dice: &mut Dice, directory: &Path, changed: impl FnOnce(Place) -> Place) -> Self {
        let relay = Arc::new(SmtpSink::start(Script::accepting()));
        let place = changed(Place::new(directory).mailing_to(relay.address()));
        let (program, postbox) = (place.start(), Postbox::new(&relay));
        let clock = Arc::default();
        let writers = Writers::start(&place, &postbox, dice, &clock).await;
        Self { place, program, relay, writers, clock, postbox }
    }

    /// Kills the program and starts it again.
    pub(crate) fn kill(&mut self) {
        self.program.kill();
        self.program = self.place.start();
    }

    /// Ends the load, and holds what there is against what was answered.
    pub(crate) async fn reckon(self, trouble: &str) {
        let tally = Arc::clone(&self.writers.tally);
        let regions = self.writers.finish().await;
        self.relay.follow(Script::accepting());
        let found = crate::reckoning::all(&self.place, &self.postbox, &regions, self.program).await;
        let counted = |count: &AtomicU64| count.load(Ordering::Relaxed);
        println!(
            "{trouble}: {} answered writes, all found; {} asked again, {} decisions meanwhile; {found:?}\n    {}",
            counted(&tally.answered),
            counted(&tally.repeated),
            counted(&tally.decided),
            tally.acts()
        );
    }
}

/// A number from the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}
