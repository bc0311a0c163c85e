//! What is fuzzed as a function of bytes: each says of any bytes what must hold, and whether they were taken.

mod certificates;
mod configurations;
mod emails;
mod events;
mod forwarded;
mod heads;
mod ids;
mod letters;
mod link_keys;
mod names;
mod page_tokens;
mod password_files;
mod passwords;
mod replies;
mod tokens;

use std::path::Path;
use std::sync::LazyLock;

/// One thing that parses what a stranger sends.
pub(crate) struct Target {
    /// Its name, and the name of its directory of seeds.
    pub(crate) name: &'static str,
    /// Rounds in CI, as many as take about a second.
    pub(crate) rounds: u64,
    /// Reads its seeds.
    pub(crate) seeds: fn(&str) -> Vec<Vec<u8>>,
    /// Fails unless what must hold of the bytes does; answers whether they were taken for what they are.
    pub(crate) holds: fn(&[u8]) -> bool,
}

/// All of them.
pub(crate) const ALL: [Target; 15] = [
    Target { name: "emails", rounds: 20_000, seeds: files, holds: emails::holds },
    Target { name: "names", rounds: 20_000, seeds: files, holds: names::holds },
    Target { name: "ids", rounds: 20_000, seeds: files, holds: ids::holds },
    Target { name: "tokens", rounds: 10_000, seeds: files, holds: tokens::holds },
    Target { name: "page_tokens", rounds: 10_000, seeds: files, holds: page_tokens::holds },
    Target { name: "heads", rounds: 20_000, seeds: files, holds: heads::holds },
    Target { name: "forwarded", rounds: 5000, seeds: files, holds: forwarded::holds },
    Target { name: "certificates", rounds: 10_000, seeds: files, holds: certificates::holds },
    Target { name: "configurations", rounds: 600, seeds: files, holds: configurations::holds },
    Target { name: "password_files", rounds: 600, seeds: files, holds: password_files::holds },
    Target { name: "passwords", rounds: 600, seeds: files, holds: passwords::holds },
    Target { name: "letters", rounds: 600, seeds: files, holds: letters::holds },
    Target { name: "replies", rounds: 500, seeds: files, holds: replies::holds },
    Target { name: "events", rounds: 50_000, seeds: events::seeds, holds: events::holds },
    Target { name: "link_keys", rounds: 1000, seeds: files, holds: link_keys::holds },
];

/// The files of a target's directory, in the order of their names; what ends in `.hex` is written in digits, for people to read.
fn files(name: &str) -> Vec<Vec<u8>> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(name);
    let entries = std::fs::read_dir(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).expect("a seed");
        if path.extension().is_some_and(|extension| extension == "hex") { digits(&bytes) } else { bytes }
    };
    paths.iter().map(read).collect()
}

/// The bytes that hexadecimal digits stand for, whatever else stands between them.
fn digits(text: &[u8]) -> Vec<u8> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = text.iter().filter_map(digit).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A directory for files that are written anew in each round.
fn directory() -> &'static Path {
    static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));
    DIRECTORY.path()
}
