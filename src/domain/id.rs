//! Identities: UUIDv7, shown with a prefix that says of what.

use uuid::Uuid;

use super::clock::Timestamp;

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `{prefix}` followed by 32 lowercase hexadecimal digits")]
pub struct InvalidId {
    prefix: &'static str,
}

fn parse(text: &str, prefix: &'static str) -> Result<Uuid, InvalidId> {
    let digits = text.strip_prefix(prefix).filter(|digits| digits.len() == 32);
    let lowercase = |digits: &&str| digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    digits.filter(lowercase).and_then(|digits| Uuid::try_parse(digits).ok()).ok_or(InvalidId { prefix })
}

/// Any id.
pub trait Id: std::fmt::Display {
    /// The 16 bytes that are stored and hashed.
    fn bytes(&self) -> &[u8; 16];
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// What its text begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Makes a new id from the moment and random bits.
            #[must_use]
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// Takes the 16 bytes that `as_bytes` gave.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes that are stored and hashed.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl Id for $name {
            fn bytes(&self) -> &[u8; 16] {
                self.as_bytes()
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text, Self::PREFIX).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}{}", Self::PREFIX, self.0.as_simple())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    )*};
}

ids! {
    /// An account. Clients know accounts by name; this stays inside.
    AccountId = "acc_";
    /// An address, from its first mention until its person is erased.
    AddressId = "adr_";
    /// The data of one server: a restored copy becomes another.
    Epoch = "epo_";
    /// One event.
    EventId = "evt_";
    /// An invitation, however often it is resent.
    InvitationId = "inv_";
    /// A link that sets a login's password or changes its address.
    LoginLinkId = "lnk_";
    /// A personal token.
    ApiTokenId = "tok_";
    /// One mail of the outbox.
    MailId = "mail_";
    /// A service that calls.
    ServiceId = "svc_";
    /// A session of a signed-in user.
    SessionId = "sid_";
    /// One attempt to sign up.
    SignUpId = "sup_";
    /// One request, as its errors and log lines show it.
    TraceId = "trc_";
    /// A user.
    UserId = "usr_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_sorts_by_its_moment() {
        let early = UserId::new(Timestamp::from_micros(1_000_000), [255; 10]);
        let late = UserId::new(Timestamp::from_micros(1_001_000), [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
    }

    #[test]
    fn another_prefix_case_or_length_is_no_id() {
        let id = UserId::new(Timestamp::from_micros(0), [7; 10]).to_string();
        let invitation = id.replace("usr_", "inv_");
        for text in ["", "usr_", &id[4..], &invitation, &id.to_uppercase(), &format!("{id}0"), &format!(" {id}")] {
            assert!(text.parse::<UserId>().is_err(), "{text}");
        }
    }
}
