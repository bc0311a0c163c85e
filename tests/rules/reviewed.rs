//! Comparison with a file that people have reviewed.

use std::fmt::Write as _;
use std::path::Path;

/// The folder of the tests that this is compiled into: each keeps its reviewed files beside it.
const FOLDER: &str = concat!("tests/", env!("CARGO_CRATE_NAME"));

/// Fails, naming the first lines that differ, unless the file in the tests' folder holds exactly this text.
pub(super) fn assert_reviewed(file: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join(file);
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        std::fs::write(&path, actual).expect("the reviewed file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).expect("the reviewed file is there; UPDATE_EXPECT=1 makes it");
    assert!(
        expected == actual,
        "{FOLDER}/{file} says otherwise:\n{}\nIf the change is meant: UPDATE_EXPECT=1 cargo test --test {}, then review it.",
        difference(&expected, actual),
        env!("CARGO_CRATE_NAME")
    );
}

/// The lines that differ, by position, the first 20 of them.
fn difference(expected: &str, actual: &str) -> String {
    let (mut old, mut new) = (expected.lines(), actual.lines());
    let mut shown = String::new();
    let mut differing = 0;
    for number in 1.. {
        let pair = (old.next(), new.next());
        if pair == (None, None) {
            break;
        }
        if pair.0 != pair.1 {
            differing += 1;
            if differing <= 20 {
                let _ = writeln!(shown, "line {number}\n  - {}\n  + {}", pair.0.unwrap_or("(end)"), pair.1.unwrap_or("(end)"));
            }
        }
    }
    let _ = write!(shown, "{differing} lines differ");
    shown
}

#[test]
fn a_difference_names_the_line_and_both_versions_of_it() {
    let shown = difference("same\nold\n", "same\nnew\nmore\n");
    assert_eq!(shown, "line 2\n  - old\n  + new\nline 3\n  - (end)\n  + more\n2 lines differ");
}
