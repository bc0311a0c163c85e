//! The README's table of all limits: its numbers are those of the program. Those of keys are compared by `tests/clients/command_line.py`.

use std::fs;
use std::path::Path;

/// Each bound that is no key: the row that tells it, and where it is from.
const FIXED: [(&str, &[(&str, &str)]); 33] = [
    ("| fixed | 60 | minutes | `VerifyEvents`", &[("api/trace.rs", "const WALK: Duration = Duration::from_hours(1);")]),
    ("| fixed | 20 | at once | mails", &[("store/mails/owing.rs", "const WAITING: i64 = 20;")]),
    ("| fixed | 3 times the one above |", &[("app/limits/tries.rs", "const RESERVE: u32 = 3;")]),
    ("| fixed | 5 | passwords |", &[("app/sign_up.rs", "const TRIES: i64 = 5;"), ("app/logins.rs", "const TRIES: i64 = 5;")]),
    ("| fixed | 100 | at once | sessions of", &[("app/sessions.rs", "const MOST: usize = 100;")]),
    (
        "| fixed | 90, at most 365 | days |",
        &[("app/api_tokens.rs", "from_hours(90 * 24);"), ("app/api_tokens.rs", "from_hours(365 * 24);")],
    ),
    ("| fixed | 64 for each of `password.concurrent` |", &[("app/passwords.rs", "const WAITING: usize = 64;")]),
    ("| fixed | 16 for each of `password.concurrent` |", &[("app/passwords.rs", "const OF_ONE_PEER: usize = 16;")]),
    (
        "| fixed | 4096 | waiting | writes, of which 512",
        &[("store/writer.rs", "const QUEUE: usize = 4096;"), ("store/writer.rs", "const RESERVED: usize = QUEUE / 8;")],
    ),
    (
        "| fixed | 100, at most 1000 | entries |",
        &[("app/page.rs", "const DEFAULT: i64 = 100;"), ("app/page.rs", "const MOST: i64 = 1000;")],
    ),
    (
        "| fixed | 1000 | entries | one batch",
        &[
            ("api/user_management/members.rs", "const MOST: usize = 1000;"),
            ("api/user_management/invitations.rs", "const MOST: usize = 1000;"),
        ],
    ),
    ("| fixed | 1000 | entries | what `ListMyInvitations`", &[("app/answers.rs", "const MOST: i64 = 1000;")]),
    ("| fixed | 16 | entries |", &[("api/fields.rs", "const LIST: usize = 16;")]),
    (
        "| fixed | 10000 | heads |",
        &[("api/fields.rs", "const HEADS: usize = 10_000;"), ("cli/event.rs", "const HEADS: usize = 10_000;")],
    ),
    ("| fixed | 100 | rows |", &[("app/operations.rs", "const DIFFERENCES: usize = 100;")]),
    ("| fixed | 20 | fields |", &[("domain/error.rs", "pub const TOLD: usize = 20;")]),
    ("| fixed | 256 | characters | a password |", &[("domain/password.rs", "const MOST: usize = 256;")]),
    ("| fixed | 254 | bytes | an address |", &[("domain/email.rs", "ascii.len() > 254")]),
    ("| fixed | 80 | characters | a display name |", &[("domain/name.rs", "chars().count() > 80")]),
    ("| fixed | 63 | characters | the name", &[("domain/name.rs", "(2..=63).contains(&text.len())")]),
    ("| fixed | 8192 | bytes | header", &[("server/core.rs", "const HEADER_LIST_BYTES: u32 = 8 * 1024;")]),
    ("| fixed | 20 | calls |", &[("server/core.rs", "const PENDING_RESETS: usize = 20;")]),
    ("| fixed | 100 | streams |", &[("server/core.rs", "const OWN_RESETS: usize = 100;")]),
    (
        "| fixed | 1000 | a second | calls beyond",
        &[
            ("server/turns.rs", "const REFUSED: Duration = Duration::from_millis(1);"),
            ("server/turns.rs", "const FREE: Duration = Duration::from_millis(250);"),
            ("server/turns.rs", "const LONGEST: Duration = Duration::from_secs(1);"),
        ],
    ),
    (
        "| fixed | 500 | a second | connections that end",
        &[("server/turns.rs", "const ENDED: Duration = Duration::from_millis(2);")],
    ),
    ("| fixed | 4096 | bytes | one question", &[("server/reflection.rs", "const QUESTION_BYTES: usize = 4 * 1024;")]),
    ("| fixed | 64 | connections at once | the operators'", &[("server.rs", "const OPERATORS_CONNECTIONS: usize = 64;")]),
    (
        "| fixed | 8 | connections at once | the listener of metrics, each for 5 seconds |",
        &[
            ("metrics/endpoint.rs", "const CONNECTIONS: usize = 8;"),
            ("metrics/endpoint.rs", "const DEADLINE: Duration = Duration::from_secs(5);"),
        ],
    ),
    ("| fixed | 32 | proxies in a row |", &[("domain/peer.rs", "const MOST_HOPS: usize = 32;")]),
    ("| fixed | 1 MiB | a file |", &[("tls/files.rs", "const LARGEST: u64 = 1024 * 1024;")]),
    ("| fixed | 16 KiB | a file |", &[("app/link_key/file.rs", "const LONGEST: u64 = 16 * 1024;")]),
    ("| fixed | 4 MiB | a file |", &[("cli/input.rs", "const LARGEST: u64 = 4 << 20;")]),
    ("| fixed | 100000 | in memory |", &[("app/limits/buckets.rs", "const KEYS: usize = 100_000;")]),
];

#[test]
fn the_bounds_that_the_readme_calls_fixed_are_those_of_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    let (_, section) = readme.split_once("\n### All limits\n").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("another after it");
    for (row, places) in FIXED {
        assert_eq!(section.lines().filter(|line| line.starts_with(row)).count(), 1, "no row of its own begins with {row}");
        for (file, declared) in places {
            let source = fs::read_to_string(root.join("src").join(file)).expect(file);
            assert!(source.contains(declared), "{file} doesn't say `{declared}` any more: see to the README's row {row}");
        }
    }
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| fixed |")).collect();
    let unseen: Vec<_> = rows.iter().filter(|line| !FIXED.iter().any(|(row, _)| line.starts_with(row))).collect();
    assert!(unseen.is_empty(), "nothing says where these are from: {unseen:#?}");
    let mut columns = section.lines().filter(|line| line.starts_with('|')).map(|line| line.matches('|').count());
    assert!(columns.all(|columns| columns == 7), "a row lacks a reason, or what is answered");
}
