//! The file of the link keys.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use user_management::app::link_key::{self, LinkKeyError};
use user_management::domain::token::{LinkKey, LinkKeys};

pub(super) fn holds(bytes: &[u8]) -> bool {
    let directory = super::directory();
    let path = directory.join("link.key");
    let keys = match read(&path, bytes) {
        Ok(keys) => keys,
        Err(error) => {
            let told = error.to_string();
            let said = String::from_utf8_lossy(bytes);
            assert!(matches!(error, LinkKeyError::Malformed(_)) && !told.contains('\n'), "{told}");
            assert!(!said.split_whitespace().any(|word| word.len() > 16 && told.contains(word)), "{told} tells a key");
            return false;
        }
    };
    let numbers: Vec<u32> =
        [keys.current()].into_iter().chain(keys.former().iter().map(|(key, _)| key)).map(LinkKey::number).collect();
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len(), "links name their key by its number: {numbers:?}");
    let written = text(&keys);
    let again = read(&directory.join("again.key"), written.as_bytes()).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(text(&again), written);
    let lines = String::from_utf8_lossy(bytes).trim_end().lines().count();
    assert_eq!(lines, numbers.len(), "every line is a key");
    true
}

fn read(path: &Path, bytes: &[u8]) -> Result<LinkKeys, LinkKeyError> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).expect("made");
    file.write_all(bytes).expect("written");
    link_key::read(path)
}

/// The keys as the file has them.
fn text(keys: &LinkKeys) -> String {
    let mut text = String::new();
    let mut line = |key: &LinkKey, end: String| {
        let digits = key.secret().iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"));
        let _ = writeln!(text, "{} {digits}{end}", key.number());
    };
    line(keys.current(), String::new());
    for (key, end) in keys.former() {
        line(key, format!(" {end}"));
    }
    text
}
