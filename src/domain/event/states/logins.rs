//! People, their sessions, and the links that change a login.

use super::{State, read_bool, read_time};
use crate::domain::clock::Timestamp;
use crate::domain::event::bytes::{Reader, Writer};
use crate::domain::event::{Malformed, Personal};
use crate::domain::id::{AddressId, LoginLinkId, SessionId, UserId};
use crate::domain::login::LinkPurpose;
use crate::domain::token::TokenDigest;

/// A user after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserState {
    /// Who.
    pub user: UserId,
    /// Their confirmed address.
    pub address: AddressId,
    /// The address as it was typed.
    pub email: Personal,
    /// What they are called.
    pub display_name: Personal,
    /// Whether they may sign in and have permissions.
    pub active: bool,
    /// Whether they are judged as an Admin everywhere.
    pub super_admin: bool,
}

impl State for UserState {
    fn write(&self, to: &mut Writer) {
        to.id("user", &self.user);
        to.id("address", &self.address);
        to.personal("email", &self.email);
        to.personal("display_name", &self.display_name);
        to.u8("active", self.active.into());
        to.u8("super_admin", self.super_admin.into());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            user: UserId::from_bytes(from.array()?),
            address: AddressId::from_bytes(from.array()?),
            email: from.personal()?,
            display_name: from.personal()?,
            active: read_bool(from)?,
            super_admin: read_bool(from)?,
        })
    }

    fn person(&self) -> Option<[u8; 16]> {
        Some(*self.user.as_bytes())
    }
}

/// A user after their address changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailChangeState {
    /// The user, with the new address.
    pub user: UserState,
    /// The address that they held before.
    pub former: AddressId,
    /// The one session that goes on.
    pub kept: Option<SessionId>,
}

impl State for EmailChangeState {
    fn write(&self, to: &mut Writer) {
        self.user.write(to);
        to.id("former", &self.former);
        to.option("kept", self.kept.as_ref(), |to, session| to.id("kept", session));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            user: UserState::read(from)?,
            former: AddressId::from_bytes(from.array()?),
            kept: from.option(|from| from.array().map(SessionId::from_bytes))?,
        })
    }

    fn person(&self) -> Option<[u8; 16]> {
        Some(*self.user.user.as_bytes())
    }
}

/// A login whose sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginState {
    /// Whose.
    pub user: UserId,
    /// The one session that goes on.
    pub kept: Option<SessionId>,
}

impl State for LoginState {
    fn write(&self, to: &mut Writer) {
        to.id("user", &self.user);
        to.option("kept", self.kept.as_ref(), |to, session| to.id("kept", session));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let user = UserId::from_bytes(from.array()?);
        Ok(Self { user, kept: from.option(|from| from.array().map(SessionId::from_bytes))? })
    }

    fn person(&self) -> Option<[u8; 16]> {
        Some(*self.user.as_bytes())
    }
}

/// A person whose address and name are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasedState {
    /// Who it was.
    pub user: UserId,
    /// The address that they held, which nobody can read any more.
    pub address: AddressId,
}

impl State for ErasedState {
    fn write(&self, to: &mut Writer) {
        to.id("user", &self.user);
        to.id("address", &self.address);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { user: UserId::from_bytes(from.array()?), address: AddressId::from_bytes(from.array()?) })
    }
}

/// A link that changes a login, as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginLinkState {
    /// Which.
    pub link: LoginLinkId,
    /// Whose login.
    pub user: UserId,
    /// What it does.
    pub purpose: LinkPurpose,
    /// The new address, where it changes the address.
    pub email: Option<Personal>,
    /// When it ends.
    pub expires: Timestamp,
    /// It was answered to the caller instead of being mailed.
    pub returned: bool,
}

impl State for LoginLinkState {
    fn write(&self, to: &mut Writer) {
        to.id("link", &self.link);
        to.id("user", &self.user);
        to.u8("purpose", self.purpose as u8);
        to.option("email", self.email.as_ref(), |to, value| to.personal("email", value));
        to.time("expires", self.expires);
        to.u8("returned", self.returned.into());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            link: LoginLinkId::from_bytes(from.array()?),
            user: UserId::from_bytes(from.array()?),
            purpose: LinkPurpose::from_code(from.u8()?.into()).ok_or(Malformed)?,
            email: from.option(Reader::personal)?,
            expires: read_time(from)?,
            returned: read_bool(from)?,
        })
    }

    fn person(&self) -> Option<[u8; 16]> {
        Some(*self.user.as_bytes())
    }
}

/// A session after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// Which.
    pub session: SessionId,
    /// Whose.
    pub user: UserId,
    /// What its token is known by.
    pub token: TokenDigest,
    /// When the password was typed.
    pub authenticated: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
}

impl State for SessionState {
    fn write(&self, to: &mut Writer) {
        to.id("session", &self.session);
        to.id("user", &self.user);
        to.array("token", self.token.as_bytes());
        to.time("authenticated", self.authenticated);
        to.time("expires", self.expires);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            session: SessionId::from_bytes(from.array()?),
            user: UserId::from_bytes(from.array()?),
            token: TokenDigest::from_bytes(from.array()?),
            authenticated: read_time(from)?,
            expires: read_time(from)?,
        })
    }
}
