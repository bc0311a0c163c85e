//! What a run of the tests says that it skips.

/// Says that something wasn't tried, where it shows of tests that pass too: the harness keeps what `println` says.
pub(crate) fn skipped(what: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}
