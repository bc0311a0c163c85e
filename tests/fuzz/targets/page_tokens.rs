//! The tokens of pages.

use user_management::app::page::{PageRequest, PageSize, Query};

pub(super) fn holds(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (of, key) = bytes.split_at(bytes.len() / 2);
    let query = || Query::of("members").with_text(&String::from_utf8_lossy(of));
    let token = query().token(key);
    assert_eq!(read(&query(), &token), Some(key.to_vec()), "a token reads back");
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{token}");
    assert_eq!(read(&query().with_choice(Some(true)), &token), None, "of another query");
    let sum = bytes.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut bent = token.clone().into_bytes();
    let at = sum % bent.len();
    bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(read(&query(), &String::from_utf8(bent).expect("ASCII")), None, "bent");
    assert_eq!(read(&query(), &token[..at]), if at == 0 { Some(Vec::new()) } else { None }, "cut off");
    let key = read(&query(), &text);
    assert!(key.is_none() || text.is_empty(), "nobody guesses a token: {text}");
    PageSize::of(i32::from_be_bytes(std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())))
        .is_some_and(|size| (1..=1000).contains(&size.rows()))
}

/// The key that a token names; empty for the first page, none for a refusal.
fn read(query: &Query, token: &str) -> Option<Vec<u8>> {
    let size = PageSize::of(0).expect("the default");
    query.after_text(&PageRequest { size, token: token.to_owned() }).ok().map(Option::unwrap_or_default)
}
