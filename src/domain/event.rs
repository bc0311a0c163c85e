//! Events: the one record of a change. The audit log, the watch stream and the directory are three readings of it.
//!
//! # The canonical bytes, version 1
//!
//! Integers are big-endian, texts are UTF-8 behind a 32-bit length, an option is one byte 0 or 1 and then the value:
//!
//! ```text
//! u8 version = 1 · u64 seq · [16] event id · i64 time (µs since 1970, UTC) · actor · option [16] on behalf of (user)
//! · option [32] client address (digest) · u8 door · [16] trace id · u16 kind · the state after, by kind · [32] hash of the event before
//! ```
//!
//! An actor is one byte, 1 server, 2 anonymous, 3 operator and the uid (u32), 4 user and its id, an option of the session's id and one byte 1 if
//! by an operator's right, 5 service and its id. A user who acted by a personal token has its id in the place of the session's, and the byte is 2.
//!
//! The hash of an event is SHA-256 of these bytes; the first event stands on 32 zero bytes and names the epoch, which binds the chain to its
//! data. A personal value (address, name, client
//! address) stands in them as SHA-256(salt ‖ value) with 16 random bytes of salt; value and salt are kept beside the event, in the
//! order in which the digests stand, until its person is erased. Hashed history can't be re-shaped: a new layout is a new version beside
//! this one, and a new kind is a new number.

mod bytes;
mod change;
mod states;
mod subject;

use sha2::{Digest as _, Sha256};

use super::clock::Timestamp;
use super::id::{ApiTokenId, EventId, ServiceId, SessionId, TraceId, UserId};
pub use bytes::{Part, Value};
use bytes::{Reader, Writer};
pub use change::Change;
pub use states::{
    AccountState, ApiTokenState, DataState, EmailChangeState, ErasedState, Grantor, InvitationState, LinkKeyState,
    LoginLinkState, LoginState, MailState, MemberState, ServiceState, SessionState, TrimState, UserState,
};
pub use subject::Subject;

/// The version of the layout that is written.
const VERSION: u8 = 1;

/// By what right a user acted: by that of a personal token.
const BY_TOKEN: u8 = 2;

/// SHA-256 of an event's bytes.
pub type Hash = [u8; 32];

/// Bytes that are no event of a known version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no event of a known version")]
pub struct Malformed;

/// A value about a person: its digest is part of history, the value itself can be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personal {
    /// SHA-256(salt ‖ value).
    pub digest: [u8; 32],
    /// The value and its salt, until they are erased.
    pub known: Option<Salted>,
}

/// A personal value with what makes its digest unguessable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salted {
    /// Random.
    pub salt: [u8; 16],
    /// The value.
    pub value: String,
}

impl Personal {
    /// Takes a value under a fresh salt.
    #[must_use]
    pub fn new(value: &str, salt: [u8; 16]) -> Self {
        let digest = Sha256::new().chain_update(salt).chain_update(value).finalize().into();
        Self { digest, known: Some(Salted { salt, value: value.to_owned() }) }
    }

    /// The value; empty once it was erased.
    #[must_use]
    pub fn value(&self) -> &str {
        self.known.as_ref().map_or("", |known| known.value.as_str())
    }

    /// Whether the value beside the event is the one that was hashed; an erased one can't be wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.known.as_ref().is_none_or(|known| Self::new(&known.value, known.salt).digest == self.digest)
    }
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The server itself.
    Server,
    /// Nobody who is known: someone who signs up.
    Anonymous,
    /// The operator, by the uid on the operators' socket.
    Operator(u32),
    /// A user.
    User {
        /// Who.
        user: UserId,
        /// By which session; none for the act that makes one.
        session: Option<SessionId>,
        /// By the right of an operator, as a super-admin, rather than by a permission in the account.
        as_operator: bool,
    },
    /// A user, by a personal token.
    ApiToken {
        /// Whose it is.
        user: UserId,
        /// By which token.
        token: ApiTokenId,
    },
    /// A service.
    Service(ServiceId),
}

/// The door that a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// None: the server did it of itself.
    Inside = 0,
    /// TCP.
    Tcp = 1,
    /// The operators' socket.
    OperatorsSocket = 2,
    /// The tools' socket.
    ToolsSocket = 3,
}

impl Door {
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match from.u8()? {
            0 => Self::Inside,
            1 => Self::Tcp,
            2 => Self::OperatorsSocket,
            3 => Self::ToolsSocket,
            _ => return Err(Malformed),
        })
    }
}

/// Who did something, for whom, from where: what a request brings to each of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who did it.
    pub actor: Actor,
    /// The user for whom a service acted.
    pub on_behalf_of: Option<UserId>,
    /// The client's network address, for callers who have one.
    pub client: Option<String>,
    /// The door that the request came through.
    pub door: Door,
    /// The request.
    pub trace: TraceId,
}

/// One change, in its place in history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// 1 for the first, without gaps.
    pub seq: u64,
    /// Its identity.
    pub id: EventId,
    /// When; never earlier than the event before.
    pub time: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// The user for whom a service acted.
    pub on_behalf_of: Option<UserId>,
    /// The client's network address.
    pub client: Option<Personal>,
    /// The door that the request came through.
    pub door: Door,
    /// The request.
    pub trace: TraceId,
    /// What happened.
    pub change: Change,
    /// The hash of the event before.
    pub previous: Hash,
}

/// An event as it is stored.
pub struct Encoded {
    /// The canonical bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub hash: Hash,
    /// The personal values, in the order of their digests.
    pub personal: Vec<Personal>,
}

impl Event {
    /// Lays it out.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        let Writer { bytes, personal, .. } = self.write(Writer::default());
        let hash = Sha256::digest(&bytes).into();
        Encoded { bytes, hash, personal }
    }

    /// Tells its canonical bytes part by part.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.write(Writer { parts: Some(Vec::new()), ..Writer::default() }).parts.unwrap_or_default()
    }

    fn write(&self, mut to: Writer) -> Writer {
        to.u8("version", VERSION);
        to.u64("seq", self.seq);
        to.id("id", &self.id);
        to.time("time", self.time);
        self.actor.write(&mut to);
        to.option("on_behalf_of", self.on_behalf_of.as_ref(), |to, user| to.id("on_behalf_of", user));
        to.option("client", self.client.as_ref(), |to, client| to.personal("client", client));
        to.u8("door", self.door as u8);
        to.id("trace", &self.trace);
        to.u16("kind", self.change.kind());
        self.change.write(&mut to);
        to.array("previous_hash", &self.previous);
        to
    }

    /// Reads one back, with the personal values that are still there, by slot.
    pub fn decode(bytes: &[u8], personal: Vec<Option<Salted>>) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes, personal);
        if from.u8()? != VERSION {
            return Err(Malformed);
        }
        let seq = from.u64()?;
        let id = EventId::from_bytes(from.array()?);
        let time = Timestamp::from_micros(from.i64()?);
        let actor = Actor::read(&mut from)?;
        let on_behalf_of = from.option(|from| from.array().map(UserId::from_bytes))?;
        let client = from.option(Reader::personal)?;
        let door = Door::read(&mut from)?;
        let trace = TraceId::from_bytes(from.array()?);
        let kind = from.u16()?;
        let change = Change::read(kind, &mut from)?;
        let previous = from.array()?;
        from.end()?;
        Ok(Self { seq, id, time, actor, on_behalf_of, client, door, trace, change, previous })
    }
}

impl Actor {
    fn write(self, to: &mut Writer) {
        match self {
            Self::Server => to.u8("actor", 1),
            Self::Anonymous => to.u8("actor", 2),
            Self::Operator(uid) => {
                to.u8("actor", 3);
                to.u32("actor_uid", uid);
            }
            Self::User { user, session, as_operator } => {
                to.u8("actor", 4);
                to.id("actor_user", &user);
                to.option("actor_session", session.as_ref(), |to, session| to.id("actor_session", session));
                to.u8("actor_right", as_operator.into());
            }
            Self::ApiToken { user, token } => {
                to.u8("actor", 4);
                to.id("actor_user", &user);
                to.option("actor_api_token", Some(&token), |to, token| to.id("actor_api_token", token));
                to.u8("actor_right", BY_TOKEN);
            }
            Self::Service(service) => {
                to.u8("actor", 5);
                to.id("actor_service", &service);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match from.u8()? {
            1 => Self::Server,
            2 => Self::Anonymous,
            3 => Self::Operator(from.u32()?),
            4 => {
                let user = UserId::from_bytes(from.array()?);
                let by = from.option(Reader::array)?;
                match (from.u8()?, by) {
                    (right @ (0 | 1), by) => Self::User { user, session: by.map(SessionId::from_bytes), as_operator: right == 1 },
                    (BY_TOKEN, Some(token)) => Self::ApiToken { user, token: ApiTokenId::from_bytes(token) },
                    _ => return Err(Malformed),
                }
            }
            5 => Self::Service(ServiceId::from_bytes(from.array()?)),
            _ => return Err(Malformed),
        })
    }
}
