//! Tokens: bearer tokens that are shown once, and links in mails that are derived and never stored.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

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

impl Bearer {
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

    /// Whether this key made it for the row with this nonce; in constant time.
    #[must_use]
    pub fn is_of(&self, key: &LinkKey, nonce: &Nonce) -> bool {
        self.key == key.number && bool::from(key.mac(self.kind, self.object, nonce).ct_eq(&self.mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    fn a_link_counts_for_its_kind_object_nonce_and_key_alone() {
        let key = LinkKey::new(1, [1; 32]);
        let text = key.derive(LinkKind::Invitation, [2; 16], &[3; 16]);
        let token = LinkToken::parse(&text).expect("well-formed");
        assert!(token.is_of(&key, &[3; 16]));
        assert!(!token.is_of(&key, &[4; 16]), "a resent invitation has another nonce");
        assert!(!token.is_of(&LinkKey::new(2, [1; 32]), &[3; 16]));
        assert!(!token.is_of(&LinkKey::new(1, [2; 32]), &[3; 16]));
        let confirmation = LinkToken::parse(&key.derive(LinkKind::Confirmation, [2; 16], &[3; 16])).expect("well-formed");
        assert_ne!(confirmation.mac, token.mac);
    }

    proptest! {
        #[test]
        fn whatever_is_sent_as_a_token_is_parsed_or_refused(text in "\\PC{0,120}") {
            let _ = Bearer::of(&text);
            let _ = LinkToken::parse(&SecretString::from(text));
        }
    }
}
