//! The head of history: what is kept elsewhere, so that nobody can shorten history or write it anew unseen.

use super::event::Hash;
use super::id::Epoch;

/// The number and hash of an event, with the history that it belongs to. Written as `epo_…:<seq>:<hash>`, one word that is found again in
/// any line of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which history; none in what was written down without it.
    pub epoch: Option<Epoch>,
    /// The event's number.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(epoch) = self.epoch {
            write!(f, "{epoch}:")?;
        }
        write!(f, "{}:", self.seq)?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a text is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `<seq>:<hash>` or `epo_…:<seq>:<hash>`, the hash being 64 hexadecimal digits, in lower case")]
pub struct InvalidHead;

impl std::str::FromStr for Head {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let (before, hash) = text.rsplit_once(':').ok_or(InvalidHead)?;
        let (epoch, seq) = match before.split_once(':') {
            Some((epoch, seq)) => (Some(epoch.parse().map_err(|_| InvalidHead)?), seq),
            None => (None, before),
        };
        // no sign and no zeros before it, and no capitals in the hash: a head has one spelling
        let written = seq.bytes().all(|digit| digit.is_ascii_digit()) && !seq.starts_with('0');
        let seq = written.then(|| seq.parse().ok()).flatten().ok_or(InvalidHead)?;
        Ok(Self { epoch, seq, hash: parse_hash(hash).ok_or(InvalidHead)? })
    }
}

fn parse_hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// The heads that stand in a text, such as the lines of a log or an export: whatever is written as one with its epoch.
#[must_use]
pub fn heads_in(text: &str) -> Vec<Head> {
    let word = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == ':';
    // what stands before it without a space may be the end of a terminal's colour
    let head = |word: &str| word.get(word.find(Epoch::PREFIX)?..)?.trim_end_matches(':').parse().ok();
    text.split(|character| !word(character)).filter_map(head).collect()
}

/// In how history isn't as it was recorded, from what is found first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The event isn't there, though later ones are.
    Missing = 1,
    /// Its bytes, hash, columns or personal values aren't the ones that were recorded.
    Edited = 2,
    /// What stands in its place is another event of the same history.
    Moved = 3,
    /// It doesn't stand on the event before: one of the two was put in the place of another.
    Unlinked = 4,
    /// History ends before it, and it was there.
    Truncated = 5,
    /// It is whole and isn't the one that was written down elsewhere: this event or one before was written anew.
    Rewritten = 6,
    /// What was written down elsewhere is of another history.
    AnotherHistory = 7,
    /// What was kept of the events that were dropped before it isn't what was kept.
    Kept = 8,
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_head_reads_back_and_is_found_in_logs_of_any_form() {
        let epoch = Some(Epoch::from_bytes([7; 16]));
        let head = Head { epoch, seq: 42, hash: [0xab; 32] };
        assert_eq!(head.to_string().parse(), Ok(head));
        let bare = Head { epoch: None, ..head };
        assert_eq!(bare.to_string().parse(), Ok(bare));
        let mut log = format!("2026-11-24T12:00:00Z  INFO the head of history head\u{1b}[2m=\u{1b}[0m{head}\n");
        let _ = writeln!(log, "{{\"head\":\"{head}\",\"message\":\"epo_1:2:3\"}} {bare}");
        assert_eq!(heads_in(&log), [head, head]);
        for wrong in [
            "",
            "1",
            "0:00",
            "1:zz",
            &format!("0:{}", "0".repeat(64)),
            &format!("1:+{}", "0".repeat(63)),
            &format!("+{bare}"),
            &format!("0{bare}"),
            &format!("42:{}", "AB".repeat(32)),
        ] {
            assert_eq!(wrong.parse::<Head>(), Err(InvalidHead), "{wrong}");
        }
    }
}
