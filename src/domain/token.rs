//! Tokens: bearer tokens that are shown once, and links in mails that are derived and never stored.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::clock::Timestamp;

/// What kind of caller a bearer token makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A person's session.
    Session,
    /// A personal token: what its owner may do in one account, for a program of theirs.
    Personal,
    /// A service.
    Service,
}

/// What a token looks like.
pub const FORM: &str = "ses_, pat_ or svc_ and 48 characters, of which the last are a checksum";

impl Bearer {
    /// Characters of a token: its prefix, and 36 bytes as base64url.
    pub const LENGTH: usize = 4 + 48;

    const ALL: [Self; 3] = [Self::Session, Self::Personal, Self::Service];

    /// What its tokens begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "ses_",
            Self::Personal => "pat_",
            Self::Service => "svc_",
        }
    }

    /// Makes a token of 256 random bits, with a checksum behind them so that a leaked one is told from chance.
    #[must_use]
    pub fn token(self, random: [u8; 32]) -> SecretString {
        let mut body = random.to_vec();
        body.extend_from_slice(&self.checksum(&random));
        SecretString::from(format!("{}{}", self.prefix(), URL_SAFE_NO_PAD.encode(body)))
    }

    fn checksum(self, random: &[u8]) -> [u8; 4] {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::new().chain_update(self.prefix()).chain_update(random).finalize());
        [a, b, c, d]
    }

    /// Says what kind a well-formed token is of; whether it counts is for the directory to say.
    #[must_use]
    pub fn of(token: &str) -> Option<Self> {
        let kind = Self::ALL.into_iter().find(|kind| token.starts_with(kind.prefix()))?;
        let body = URL_SAFE_NO_PAD.decode(token.strip_prefix(kind.prefix())?).ok()?;
        let (random, checksum) = body.split_at_checked(32)?;
        (kind.checksum(random) == checksum).then_some(kind)
    }
}

/// SHA-256 of a bearer token: what is stored and looked up. The token has 256 random bits, so the digest tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Takes the bytes that `as_bytes` gave.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes that are stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest")
    }
}

/// What a link in a mail is for. Its code is part of every token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// Confirms the address of a sign-up.
    Confirmation = 1,
    /// Shows an invitation.
    Invitation = 2,
    /// Sets a login's password.
    Password = 3,
    /// Changes a login's address.
    AddressChange = 4,
}

impl LinkKind {
    const ALL: [Self; 4] = [Self::Confirmation, Self::Invitation, Self::Password, Self::AddressChange];

    /// What to open in a browser: a page of the site. The token stands behind `#`: a fragment reaches no server's log and no Referer.
    #[must_use]
    pub fn url(self, site: &str, token: &str) -> String {
        let page = match self {
            Self::Confirmation => "confirm",
            Self::Invitation => "invitation",
            Self::Password => "reset-password",
            Self::AddressChange => "confirm-address",
        };
        format!("{site}/{page}#token={token}")
    }
}

/// What makes one link differ from the next of the same object: stored in its row, new with each resend.
pub type Nonce = [u8; 16];

/// The key that links are derived with, under the number that their tokens name.
#[derive(Clone)]
pub struct LinkKey {
    number: u32,
    secret: [u8; 32],
}

impl LinkKey {
    /// Takes a key of 256 random bits.
    #[must_use]
    pub const fn new(number: u32, secret: [u8; 32]) -> Self {
        Self { number, secret }
    }

    /// The number that its tokens name.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The secret, for the file that keeps it.
    #[must_use]
    pub const fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// What tells this key from any other, and nothing about it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::new().chain_update("link key").chain_update(self.number.to_be_bytes()).chain_update(self.secret).finalize().into()
    }

    /// The token of an object's link: the same as long as key and nonce are.
    #[must_use]
    pub fn derive(&self, kind: LinkKind, object: [u8; 16], nonce: &Nonce) -> SecretString {
        let mut bytes = vec![kind as u8];
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&object);
        bytes.extend_from_slice(&self.mac(kind, object, nonce));
        SecretString::from(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// HMAC-SHA-256 over (kind, object, nonce), each behind its length.
    fn mac(&self, kind: LinkKind, object: [u8; 16], nonce: &Nonce) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).unwrap_or_else(|_| unreachable!("any key length will do"));
        for part in [&[kind as u8][..], &object[..], &nonce[..]] {
            mac.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// The key that links are made with, and those before it, whose links still count until a moment.
#[derive(Clone)]
pub struct LinkKeys {
    current: LinkKey,
    former: Vec<(LinkKey, Timestamp)>,
}

impl LinkKeys {
    /// Takes the key that links are made with, and former ones with the end of each.
    #[must_use]
    pub const fn new(current: LinkKey, former: Vec<(LinkKey, Timestamp)>) -> Self {
        Self { current, former }
    }

    /// The key that links are made with.
    #[must_use]
    pub const fn current(&self) -> &LinkKey {
        &self.current
    }

    /// The former keys and the end of each.
    #[must_use]
    pub fn former(&self) -> &[(LinkKey, Timestamp)] {
        &self.former
    }

    /// These with another key to make links with. Those before count until `former_until`, or their own earlier end, or not at all.
    #[must_use]
    pub fn rotated(self, secret: [u8; 32], now: Timestamp, former_until: Option<Timestamp>) -> Self {
        let current = LinkKey::new(self.current.number.wrapping_add(1), secret);
        let former = former_until.map_or_else(Vec::new, |until| {
            let before = self.former.into_iter().map(|(key, end)| (key, end.min(until)));
            before.filter(|(_, end)| *end > now).chain([(self.current, until)]).collect()
        });
        Self { current, former }
    }

    /// The key of a number, if its links count.
    fn numbered(&self, number: u32, now: Timestamp) -> Option<&LinkKey> {
        let former = self.former.iter().filter(|(_, end)| *end > now).map(|(key, _)| key);
        [&self.current].into_iter().chain(former).find(|key| key.number == number)
    }
}

/// A token from a mail, taken apart. It counts only against an open row of its kind, by `is_of`.
pub struct LinkToken {
    kind: LinkKind,
    key: u32,
    object: [u8; 16],
    mac: [u8; 32],
}

impl LinkToken {
    /// Takes apart what somebody sent, spaces around it forgiven.
    #[must_use]
    pub fn parse(text: &SecretString) -> Option<Self> {
        let bytes: [u8; 53] = URL_SAFE_NO_PAD.decode(text.expose_secret().trim()).ok()?.try_into().ok()?;
        let (kind, rest) = bytes.split_first()?;
        let (key, rest) = rest.split_first_chunk::<4>()?;
        let (object, mac) = rest.split_first_chunk::<16>()?;
        let kind = LinkKind::ALL.into_iter().find(|known| *known as u8 == *kind)?;
        Some(Self { kind, key: u32::from_be_bytes(*key), object: *object, mac: mac.try_into().ok()? })
    }

    /// What it is for.
    #[must_use]
    pub const fn kind(&self) -> LinkKind {
        self.kind
    }

    /// The row that it names.
    #[must_use]
    pub const fn object(&self) -> [u8; 16] {
        self.object
    }

    /// Whether a key that counts now made it for the row with this nonce; in constant time.
    #[must_use]
    pub fn is_of(&self, keys: &LinkKeys, nonce: &Nonce, now: Timestamp) -> bool {
        keys.numbered(self.key, now).is_some_and(|key| key.mac(self.kind, self.object, nonce).ct_eq(&self.mac).into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_micros(0);

    #[test]
    fn a_bearer_token_tells_its_kind_and_a_mistyped_one_is_none() {
        for kind in Bearer::ALL {
            let token = kind.token([9; 32]);
            assert_eq!(Bearer::of(token.expose_secret()), Some(kind));
            for other in Bearer::ALL.into_iter().filter(|other| *other != kind).map(Bearer::prefix).chain(["tok_"]) {
                assert_eq!(Bearer::of(&token.expose_secret().replace(kind.prefix(), other)), None);
            }
            let mut mistyped = token.expose_secret().to_owned();
            mistyped.replace_range(8..9, if &mistyped[8..9] == "A" { "B" } else { "A" });
            assert_eq!(Bearer::of(&mistyped), None);
        }
    }

    #[test]
    fn a_leaked_token_is_found_by_its_form_and_told_from_chance_as_the_readme_says() {
        for kind in Bearer::ALL {
            let token = kind.token([7; 32]);
            let text = token.expose_secret();
            let rest = text.strip_prefix(kind.prefix()).expect("its prefix");
            assert!(rest.len() == 48 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, rest).expect("base64url");
            let (random, checksum) = bytes.split_at(32);
            assert_eq!(checksum, &Sha256::digest([kind.prefix().as_bytes(), random].concat())[..4]);
        }
    }

    #[test]
    fn a_link_counts_for_its_kind_object_nonce_and_key_alone() {
        let key = LinkKey::new(1, [1; 32]);
        let only = |number, secret| LinkKeys::new(LinkKey::new(number, secret), Vec::new());
        let text = key.derive(LinkKind::Invitation, [2; 16], &[3; 16]);
        let token = LinkToken::parse(&text).expect("well-formed");
        assert!(token.is_of(&only(1, [1; 32]), &[3; 16], NOW));
        assert!(!token.is_of(&only(1, [1; 32]), &[4; 16], NOW), "a resent invitation has another nonce");
        assert!(!token.is_of(&only(2, [1; 32]), &[3; 16], NOW));
        assert!(!token.is_of(&only(1, [2; 32]), &[3; 16], NOW));
        let confirmation = LinkToken::parse(&key.derive(LinkKind::Confirmation, [2; 16], &[3; 16])).expect("well-formed");
        assert_ne!(confirmation.mac, token.mac);
    }

    #[test]
    fn links_of_a_former_key_count_until_its_end_which_no_later_rotation_puts_off() {
        let day = |days: u64| NOW.plus(Duration::from_hours(24 * days));
        let made_by =
            |keys: &LinkKeys| LinkToken::parse(&keys.current().derive(LinkKind::Invitation, [2; 16], &[3; 16])).expect("one");
        let first = LinkKeys::new(LinkKey::new(1, [1; 32]), Vec::new());
        let second = first.clone().rotated([2; 32], NOW, Some(day(7)));
        let third = second.clone().rotated([3; 32], day(2), Some(day(9)));
        let (by_first, by_second) = (made_by(&first), made_by(&second));
        assert_eq!(third.current().number(), 3);
        for (token, keys, until) in [(&by_first, &second, 7), (&by_first, &third, 7), (&by_second, &third, 9)] {
            assert!(token.is_of(keys, &[3; 16], day(until).minus(Duration::from_micros(1))));
            assert!(!token.is_of(keys, &[3; 16], day(until)));
        }
        let at_once = third.rotated([4; 32], day(3), None);
        assert!(at_once.former().is_empty() && !by_second.is_of(&at_once, &[3; 16], day(3)));
        assert_ne!(first.current().digest(), LinkKey::new(2, [1; 32]).digest());
    }

    proptest! {
        #[test]
        fn whatever_is_sent_as_a_token_is_parsed_or_refused(text in "\\PC{0,120}") {
            let _ = Bearer::of(&text);
            let _ = LinkToken::parse(&SecretString::from(text));
        }
    }
}
