//! Heads of history, alone and in logs.

use user_management::domain::head::{Head, heads_in};

pub(super) fn holds(bytes: &[u8]) -> bool {
    let text = &*String::from_utf8_lossy(bytes);
    for found in heads_in(text) {
        assert!(found.epoch.is_some() && found.seq > 0, "{found}");
        assert_eq!(found.to_string().parse(), Ok(found));
    }
    let Ok(head) = text.parse::<Head>() else { return false };
    assert_eq!(head.to_string(), text.to_ascii_lowercase(), "a head has one spelling, but for the case of its hash");
    let log = format!("{{\"head\":\"{head}\"}}\nhead\u{1b}[2m=\u{1b}[0m{head}\n");
    assert_eq!(heads_in(&log), if head.epoch.is_some() { vec![head, head] } else { Vec::new() });
    true
}
