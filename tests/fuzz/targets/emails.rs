//! Addresses, and the beginnings of some.

use lettre::message::Mailbox;
use user_management::domain::email::{Email, EmailPrefix};

pub(super) fn holds(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    prefix(&text);
    let Ok(email) = Email::parse(&text) else { return false };
    assert_eq!(email.as_typed(), text, "kept as typed");
    let folded = email.folded();
    assert!(folded.len() <= 254 && folded.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()), "{folded}");
    let (local, domain) = folded.split_once('@').expect("an address has an @");
    assert!(!domain.contains('@') && (1..=64).contains(&local.len()), "{folded}");
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    assert!(!dots && !local.starts_with('-') && !local.contains(['"', '(', '<', ',', ';', ':', '\\']), "{folded}");
    assert!(domain.split('.').count() > 1 && domain.split('.').all(|label| (1..=63).contains(&label.len())), "{folded}");
    assert!(domain.parse::<std::net::IpAddr>().is_err(), "{folded}");
    for same in [folded.to_owned(), folded.to_ascii_uppercase(), email.mailbox(), text.to_ascii_uppercase()] {
        let again = Email::parse(&same).unwrap_or_else(|error| panic!("{same}: {error}"));
        assert_eq!(again.folded(), folded, "{same} is the same address");
    }
    let mailbox: Mailbox = email.mailbox().parse().expect("what is taken can be sent to");
    assert_eq!(mailbox.email.to_string(), email.mailbox());
    let begun = folded.len() * usize::from(bytes[0]) / 256 + 1;
    for beginning in [&folded[..begun], &*text] {
        let Ok(prefix) = EmailPrefix::parse(beginning) else {
            assert!(beginning.len() > 254 || !beginning.is_ascii(), "{beginning:?} begins an address");
            continue;
        };
        assert!(prefix.begins(&text) && prefix.first() <= folded && folded < prefix.end().as_str(), "{beginning:?}");
    }
    true
}

/// What is taken as the beginning of addresses could begin one, and is the same when it is read again.
fn prefix(text: &str) {
    let Ok(prefix) = EmailPrefix::parse(text) else { return };
    let first = prefix.first();
    assert!((1..=254).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_graphic()), "{first:?}");
    assert_eq!(EmailPrefix::parse(first).as_ref().map(EmailPrefix::first), Ok(first));
}
