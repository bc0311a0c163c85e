//! Lists that are read from a file or from standard input: one entry a line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::Path;

use super::Failure;
use super::screen::note;
use crate::domain::email::Email;

/// Bytes of a list at most: more than 16,000 of the longest addresses. Something larger is another file than was meant.
const LARGEST: u64 = 4 << 20;

/// Bytes of a line at most: longer than any address, and a thousand of them fit into one call.
const LONGEST: usize = 1000;

/// One entry, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) place: String,
    pub(super) text: String,
}

/// Reads the entries of a file, or of standard input for `-`. Blank lines and lines that begin with `#` are none.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    if is_stdin && std::io::stdin().is_terminal() {
        note("reading one entry a line from the terminal, until Ctrl-D");
    }
    let mut bytes = Vec::new();
    let read = if is_stdin {
        std::io::stdin().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    let faulty = |what: String| Failure::Input(vec![format!("{name}: {what}")]);
    read.map_err(|error| faulty(format!("can't be read: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(faulty(format!("is larger than {} MiB, so it is no list", LARGEST >> 20)));
    }
    let entries = parse(&name, &bytes).map_err(Failure::Input)?;
    if entries.is_empty() {
        return Err(faulty("holds no entry".to_owned()));
    }
    Ok(entries)
}

/// The entries of a list, or all that is wrong with its lines. A byte order mark and line ends of other systems are taken.
fn parse(name: &str, bytes: &[u8]) -> Result<Vec<Entry>, Vec<String>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1_usize..) {
        let place = format!("{name}, line {number}");
        match std::str::from_utf8(line).map(str::trim) {
            Err(_) => wrong.push(format!("{place}: isn't UTF-8")),
            Ok(text) if text.len() > LONGEST => wrong.push(format!("{place}: is longer than {LONGEST} bytes")),
            Ok(text) if text.is_empty() || text.starts_with('#') => {}
            Ok(text) => entries.push(Entry { place, text: text.to_owned() }),
        }
    }
    if wrong.is_empty() { Ok(entries) } else { Err(wrong) }
}

/// What is wrong with a list in which each person may stand once: a line for each who stands again. Addresses are the same by the rule that the
/// server has.
pub(super) fn repeated<'a>(whom: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let (mut first, mut wrong) = (BTreeMap::new(), Vec::new());
    for (place, who) in whom {
        let folded = Email::parse(who).map_or_else(|_| who.to_ascii_lowercase(), |email| email.folded().to_owned());
        if let Some(before) = first.get(&folded) {
            wrong.push(format!("{place}: {who} was named before, at {before}"));
        } else {
            first.insert(folded, place);
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<(String, String)> {
        let entries = parse("list", text.as_bytes()).expect("a list");
        entries.into_iter().map(|entry| (entry.place, entry.text)).collect()
    }

    fn entry(line: usize, text: &str) -> (String, String) {
        (format!("list, line {line}"), text.to_owned())
    }

    #[test]
    fn blank_lines_and_comments_are_no_entries_but_count_as_lines() {
        assert_eq!(places("# who\n\n  a@x.test\t\n   # not yet\n\nb@x.test"), [entry(3, "a@x.test"), entry(6, "b@x.test")]);
        assert_eq!(places("a@x.test # b"), [entry(1, "a@x.test # b")], "a comment has its line alone");
        assert!(places("").is_empty() && places("\n \n#\n").is_empty());
    }

    #[test]
    fn lists_of_other_systems_are_read() {
        assert_eq!(places("\u{feff}a@x.test\r\nb@x.test\r\n"), [entry(1, "a@x.test"), entry(2, "b@x.test")]);
    }

    #[test]
    fn every_line_that_can_not_be_read_is_named() {
        let long = "x".repeat(LONGEST);
        assert_eq!(places(&long).len(), 1);
        let bytes = [b"a@x.test\n\xff\xfeb\n" as &[u8], long.as_bytes(), b"y\n"].concat();
        assert_eq!(
            parse("list", &bytes).expect_err("refused"),
            ["list, line 2: isn't UTF-8", "list, line 3: is longer than 1000 bytes"]
        );
    }

    #[test]
    fn who_stands_twice_is_named_with_both_places_however_the_address_is_spelt() {
        let whom =
            [("1", "Ann@bücher.test"), ("2", "bob@x.test"), ("3", "ann@xn--bcher-kva.test"), ("4", "usr_1"), ("5", "no one")];
        assert_eq!(
            repeated(whom.into_iter().chain([("6", "usr_1"), ("7", "a+nn@bücher.test")])),
            ["3: ann@xn--bcher-kva.test was named before, at 1", "6: usr_1 was named before, at 4"]
        );
    }
}
