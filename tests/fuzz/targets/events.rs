//! The bytes of events.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use user_management::domain::event::{Event, Part, Value};

/// One event of every kind, with all that is optional and without: the ones that were reviewed.
pub(super) fn seeds(_: &str) -> Vec<Vec<u8>> {
    let reviewed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/events.txt");
    let text = std::fs::read_to_string(reviewed).expect("the reviewed bytes");
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("  ") {
            Some(digits) if !digits.starts_with("hash") => {
                seeds.last_mut().expect("a head").extend(super::digits(digits.as_bytes()));
            }
            Some(_) => {}
            None => seeds.push(Vec::new()),
        }
    }
    seeds.retain(|seed| !seed.is_empty());
    seeds
}

pub(super) fn holds(bytes: &[u8]) -> bool {
    let Ok(event) = Event::decode(bytes, Vec::new()) else { return false };
    let encoded = event.encode();
    assert_eq!(encoded.bytes, bytes, "an event has one spelling");
    assert_eq!(encoded.hash, <[u8; 32]>::from(Sha256::digest(bytes)));
    assert!(
        encoded.personal.iter().all(|personal| personal.known.is_none() && personal.is_whole()),
        "what isn't there isn't made up"
    );
    let told: usize = event.parts().iter().map(size).sum();
    assert_eq!(told, bytes.len(), "its parts are all of it");
    for less in [&bytes[..bytes.len() - 1], &bytes[1..]] {
        assert!(Event::decode(less, Vec::new()).is_err(), "cut off");
    }
    assert!(Event::decode(&[bytes, &[0]].concat(), Vec::new()).is_err(), "with more behind it");
    true
}

fn size(part: &Part) -> usize {
    match &part.value {
        Value::Integer(size, _) => usize::from(*size),
        Value::Time(_) => 8,
        Value::Option(_) => 1,
        Value::Id(_) => 16,
        Value::Bytes(bytes) => bytes.len(),
        Value::Text(text) => 4 + text.len(),
        Value::Personal(_) => 32,
    }
}
