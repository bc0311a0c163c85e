//! Bearer tokens, and the links of mails.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use user_management::domain::clock::Timestamp;
use user_management::domain::token::{Bearer, LinkKey, LinkKeys, LinkKind, LinkToken};

const NOW: Timestamp = Timestamp::from_micros(0);

pub(super) fn holds(bytes: &[u8]) -> bool {
    made(bytes);
    let text = &*String::from_utf8_lossy(bytes);
    [bearer(text, bytes), link(text)].contains(&true)
}

fn bearer(text: &str, bytes: &[u8]) -> bool {
    let Some(kind) = Bearer::of(text) else { return false };
    let body = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix()).expect("the prefix of its kind")).expect("base64");
    let random: [u8; 32] = body[..32].try_into().expect("256 bits");
    assert_eq!(kind.token(random).expose_secret(), text, "a token has one spelling");
    assert_eq!(Bearer::of(&bent(text, bytes)), None, "one other character is no token");
    true
}

/// What a link's token says is what its bytes say, and there is one spelling of it.
fn link(text: &str) -> bool {
    let Some(token) = LinkToken::parse(&SecretString::from(text)) else { return false };
    let body = URL_SAFE_NO_PAD.decode(text.trim()).expect("base64");
    assert_eq!(URL_SAFE_NO_PAD.encode(&body), text.trim());
    assert_eq!((token.kind() as u8, &token.object()[..]), (body[0], &body[5..21]));
    let key = LinkKeys::new(LinkKey::new(u32::from_be_bytes(body[1..5].try_into().expect("four")), [7; 32]), Vec::new());
    assert!(!token.is_of(&key, &[9; 16], NOW), "nobody guesses a MAC");
    true
}

/// A link that was made of what the bytes give counts, and with one other character it doesn't.
fn made(bytes: &[u8]) {
    let at = |position: usize| bytes.get(position).copied().unwrap_or_default();
    let kind =
        [LinkKind::Confirmation, LinkKind::Invitation, LinkKind::Password, LinkKind::AddressChange][usize::from(at(0) % 4)];
    let (object, nonce) = (std::array::from_fn(|position| at(position + 1)), std::array::from_fn(|position| at(position + 17)));
    let keys = LinkKeys::new(LinkKey::new(u32::from(at(33)), [at(34); 32]), Vec::new());
    let text = keys.current().derive(kind, object, &nonce);
    let counts = |text: &str| {
        let token = LinkToken::parse(&SecretString::from(text));
        token.is_some_and(|token| token.kind() == kind && token.object() == object && token.is_of(&keys, &nonce, NOW))
    };
    assert!(counts(text.expose_secret()) && counts(&format!(" {}\r\n", text.expose_secret())));
    assert!(!counts(&bent(text.expose_secret(), bytes)), "one other character is no link");
    let mut other = nonce;
    other[usize::from(at(35) % 16)] ^= 1;
    assert!(!LinkToken::parse(&text).expect("a token").is_of(&keys, &other, NOW), "of another nonce");
}

/// A text with one character exchanged for another that tokens are made of.
fn bent(text: &str, bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let sum = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut bent = text.as_bytes().to_vec();
    let at = sum % bent.len();
    let others: Vec<u8> = LETTERS.iter().copied().filter(|letter| *letter != bent[at]).collect();
    bent[at] = others[sum / 97 % others.len()];
    String::from_utf8(bent).expect("tokens are ASCII")
}
