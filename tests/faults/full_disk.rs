//! A disk that fills and empties again.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::dice::Dice;
use crate::disk::{health, healthy};
use crate::program::LONG;
use crate::run::{Run, number};
use crate::shim;

/// The disk that the data are on.
enum Disk {
    /// A file system of its own, full when its room is taken.
    Small { mounted: TempDir, ballast: PathBuf },
    /// Who may not mount one has the system say that it is full.
    Said { directory: TempDir, full: PathBuf },
}

impl Disk {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m,mode=700", "none"]).arg(directory.path()).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            let ballast = directory.path().join("ballast");
            return Self::Small { mounted: directory, ballast };
        }
        let full = directory.path().join("full");
        Self::Said { directory, full }
    }

    fn directory(&self) -> &Path {
        match self {
            Self::Small { mounted: directory, .. } | Self::Said { directory, .. } => directory.path(),
        }
    }

    fn fill(&self) {
        match self {
            Self::Small { ballast, .. } => {
                let mut file = File::create(ballast).expect("the ballast");
                for size in [1 << 16, 1 << 10, 1] {
                    while file.write_all(&vec![0; size]).is_ok() {}
                }
            }
            Self::Said { full, .. } => drop(File::create(full).expect("full")),
        }
    }

    fn empty(&self) {
        match self {
            Self::Small { ballast: file, .. } | Self::Said { full: file, .. } => std::fs::remove_file(file).expect("emptied"),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Small { mounted, .. } = self {
            let _ = Command::new("umount").arg("--lazy").arg(mounted.path()).status();
        }
    }
}

/// Writes that find no room are refused and told so, health says it, and what was answered before, between and after is all there; also
/// where the program is killed while the disk is full, or started on it.
pub(crate) async fn that_fills_and_empties_loses_nothing() {
    let rounds = number("FILLED", 8);
    let mut dice = Dice::new("full disk");
    let disk = Disk::new();
    let mut run = Run::start(&mut dice, disk.directory(), |place| match &disk {
        Disk::Small { .. } => place.quiet(),
        Disk::Said { full, .. } => place.quiet().behind(&shim::compiled(), &[("DISK_FULL", full)]),
    })
    .await;
    let mut kills = 0;
    for _ in 0..rounds {
        sleep(Duration::from_millis(dice.throw(400))).await;
        let before = run.writers.tally.unanswered.load(Ordering::Relaxed);
        disk.fill();
        let end = Instant::now() + LONG;
        while run.writers.tally.unanswered.load(Ordering::Relaxed) == before || health(&run.place).await == ServingStatus::Serving
        {
            assert!(Instant::now() < end, "a full disk isn't noticed");
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(dice.throw(200))).await;
        if dice.once_in(2) {
            run.kill();
            kills += 1;
            sleep(Duration::from_millis(dice.throw(400))).await;
        }
        disk.empty();
        if run.program.has_ended() {
            // a start may be refused for want of room
            run.program = run.place.start();
        }
        healthy(&run.place, ServingStatus::Serving).await;
        run.writers.answered();
    }
    let how = if matches!(disk, Disk::Small { .. }) { "a small file system" } else { "by word of the system" };
    run.reckon(&format!("full disk ({how}): filled {rounds} times, {kills} kills meanwhile")).await;
}
