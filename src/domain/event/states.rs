//! What things are like after a change, and how each is laid out in the canonical bytes.

mod api_tokens;
mod logins;

use serde::{Deserialize, Serialize};

use super::bytes::{Reader, Writer};
use super::{Hash, Malformed, Personal};
use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::id::{AccountId, AddressId, Epoch, InvitationId, MailId, ServiceId, UserId};
use crate::domain::invitation::Stored;
use crate::domain::policy::Standing;
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;
use crate::domain::scope::ScopeSet;
use crate::domain::token::TokenDigest;
pub use api_tokens::ApiTokenState;
pub use logins::{EmailChangeState, ErasedState, LoginLinkState, LoginState, SessionState, UserState};

/// What a thing is like after a change: laid out in the canonical bytes, always in this order.
pub(super) trait State: Sized {
    fn write(&self, to: &mut Writer);

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed>;

    /// The account that it belongs to.
    fn account(&self) -> Option<AccountId> {
        None
    }

    /// The user or address that its personal values are about.
    fn person(&self) -> Option<[u8; 16]> {
        None
    }
}

/// The data as a whole after a change: which history it is, and the edition that it is served as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataState {
    /// Which history.
    pub epoch: Epoch,
    /// The edition.
    pub edition: Edition,
}

impl State for DataState {
    fn write(&self, to: &mut Writer) {
        to.id("epoch", &self.epoch);
        to.u8("edition", self.edition.code());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let epoch = Epoch::from_bytes(from.array()?);
        Ok(Self { epoch, edition: Edition::from_code(from.u8()?.into()).ok_or(Malformed)? })
    }
}

/// The key that links are made with from here on. Nothing of the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkKeyState {
    /// Its number, which its links name.
    pub number: u32,
    /// Until when links of keys before count; none if they ended.
    pub former_until: Option<Timestamp>,
}

impl State for LinkKeyState {
    fn write(&self, to: &mut Writer) {
        to.u32("number", self.number);
        to.option("former_until", self.former_until.as_ref(), |to, until| to.time("former_until", *until));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { number: from.u32()?, former_until: from.option(|from| from.i64().map(Timestamp::from_micros))? })
    }
}

/// History without its beginning: the events up to one were dropped, but for the last about each thing that is there.
///
/// It is itself part of the chain, so that a head kept elsewhere proves it, and what is left begins where it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrimState {
    /// The number of the last event of what was trimmed.
    pub until: u64,
    /// Its hash, which the first event that is left stands on.
    pub hash: Hash,
    /// Its time.
    pub time: Timestamp,
    /// How many events went with this trim.
    pub dropped: u64,
    /// How many are kept of all that was ever trimmed, each being the last about a thing.
    pub kept: u64,
    /// SHA-256 of their hashes in the order of their numbers.
    pub kept_digest: Hash,
}

impl State for TrimState {
    fn write(&self, to: &mut Writer) {
        to.u64("until", self.until);
        to.array("until_hash", &self.hash);
        to.time("until_time", self.time);
        to.u64("dropped", self.dropped);
        to.u64("kept", self.kept);
        to.array("kept_digest", &self.kept_digest);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            until: from.u64()?,
            hash: from.array()?,
            time: read_time(from)?,
            dropped: from.u64()?,
            kept: from.u64()?,
            kept_digest: from.array()?,
        })
    }
}

/// A mail that somebody changed the fate of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailState {
    /// Which.
    pub mail: MailId,
    /// The invitation whose link it carries.
    pub invitation: Option<InvitationId>,
}

impl State for MailState {
    fn write(&self, to: &mut Writer) {
        to.id("mail", &self.mail);
        to.option("invitation", self.invitation.as_ref(), |to, invitation| to.id("invitation", invitation));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mail = MailId::from_bytes(from.array()?);
        Ok(Self { mail, invitation: from.option(|from| from.array().map(InvitationId::from_bytes))? })
    }
}

/// An account after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Which.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// What people read.
    pub display_name: String,
    /// Its time zone.
    pub timezone: String,
    /// Whether it is closed.
    pub closed: bool,
}

impl State for AccountState {
    fn write(&self, to: &mut Writer) {
        to.id("account", &self.account);
        to.text("name", &self.name);
        to.text("display_name", &self.display_name);
        to.text("timezone", &self.timezone);
        to.u8("closed", self.closed.into());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            account: AccountId::from_bytes(from.array()?),
            name: from.text()?,
            display_name: from.text()?,
            timezone: from.text()?,
            closed: read_bool(from)?,
        })
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }
}

/// Who stands behind an invitation: who last created, edited or resent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grantor {
    /// The user, if one granted or a service acted for one.
    pub user: Option<UserId>,
    /// The service, if one granted. Neither: the operator.
    pub service: Option<ServiceId>,
}

/// An invitation after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationState {
    /// Which.
    pub invitation: InvitationId,
    /// Into which account.
    pub account: AccountId,
    /// The invited address.
    pub address: AddressId,
    /// The address as it was typed.
    pub email: Personal,
    /// The column offered.
    pub standing: Standing,
    /// What is stored of its state.
    pub state: Stored,
    /// Who stands behind it.
    pub grantor: Grantor,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// How many mails were asked for.
    pub send_count: u32,
    /// Who answered it.
    pub answered_by: Option<UserId>,
}

impl State for InvitationState {
    fn write(&self, to: &mut Writer) {
        to.id("invitation", &self.invitation);
        to.id("account", &self.account);
        to.id("address", &self.address);
        to.personal("email", &self.email);
        write_standing(to, self.standing);
        to.u8("state", self.state.code());
        to.option("grantor_user", self.grantor.user.as_ref(), |to, user| to.id("grantor_user", user));
        to.option("grantor_service", self.grantor.service.as_ref(), |to, service| to.id("grantor_service", service));
        to.option("expires", self.expires.as_ref(), |to, time| to.time("expires", *time));
        to.u32("send_count", self.send_count);
        to.option("answered_by", self.answered_by.as_ref(), |to, user| to.id("answered_by", user));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            invitation: InvitationId::from_bytes(from.array()?),
            account: AccountId::from_bytes(from.array()?),
            address: AddressId::from_bytes(from.array()?),
            email: from.personal()?,
            standing: read_standing(from)?,
            state: Stored::from_code(from.u8()?.into()).ok_or(Malformed)?,
            grantor: Grantor {
                user: from.option(|from| from.array().map(UserId::from_bytes))?,
                service: from.option(|from| from.array().map(ServiceId::from_bytes))?,
            },
            expires: from.option(read_time)?,
            send_count: from.u32()?,
            answered_by: from.option(|from| from.array().map(UserId::from_bytes))?,
        })
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }

    fn person(&self) -> Option<[u8; 16]> {
        Some(*self.address.as_bytes())
    }
}

/// A membership after a change; the kind says whether it still is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberState {
    /// In which account.
    pub account: AccountId,
    /// Who.
    pub user: UserId,
    /// Where they stand, or last stood.
    pub standing: Standing,
    /// When they joined.
    pub joined: Timestamp,
    /// By which invitation.
    pub invitation: Option<InvitationId>,
}

impl State for MemberState {
    fn write(&self, to: &mut Writer) {
        to.id("account", &self.account);
        to.id("user", &self.user);
        write_standing(to, self.standing);
        to.time("joined", self.joined);
        to.option("invitation", self.invitation.as_ref(), |to, invitation| to.id("invitation", invitation));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            account: AccountId::from_bytes(from.array()?),
            user: UserId::from_bytes(from.array()?),
            standing: read_standing(from)?,
            joined: read_time(from)?,
            invitation: from.option(|from| from.array().map(InvitationId::from_bytes))?,
        })
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }
}

/// A service after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// Which.
    pub service: ServiceId,
    /// Its name.
    pub name: String,
    /// What it may call.
    pub scopes: ScopeSet,
    /// The account that it is bound to.
    pub account: Option<AccountId>,
    /// What its token is known by, if it has one.
    pub token: Option<TokenDigest>,
    /// The name in its client certificate, if it has one.
    pub certificate: Option<String>,
    /// When it stops counting.
    pub expires: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl State for ServiceState {
    fn write(&self, to: &mut Writer) {
        to.id("service", &self.service);
        to.text("name", &self.name);
        to.u32("scopes", self.scopes.bits());
        to.option("account", self.account.as_ref(), |to, account| to.id("account", account));
        to.option("token", self.token.as_ref(), |to, token| to.array("token", token.as_bytes()));
        to.option("certificate", self.certificate.as_ref(), |to, name| to.text("certificate", name));
        to.option("expires", self.expires.as_ref(), |to, time| to.time("expires", *time));
        to.u8("revoked", self.revoked.into());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            service: ServiceId::from_bytes(from.array()?),
            name: from.text()?,
            scopes: ScopeSet::from_bits(from.u32()?.into()).ok_or(Malformed)?,
            account: from.option(|from| from.array().map(AccountId::from_bytes))?,
            token: from.option(|from| from.array().map(TokenDigest::from_bytes))?,
            certificate: from.option(Reader::text)?,
            expires: from.option(read_time)?,
            revoked: read_bool(from)?,
        })
    }

    fn account(&self) -> Option<AccountId> {
        self.account
    }
}

fn read_time(from: &mut Reader<'_>) -> Result<Timestamp, Malformed> {
    from.i64().map(Timestamp::from_micros)
}

fn read_bool(from: &mut Reader<'_>) -> Result<bool, Malformed> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

fn write_standing(to: &mut Writer, standing: Standing) {
    to.u8("privilege", standing.privilege.code());
    to.u8("roles", standing.roles.bits());
}

fn read_standing(from: &mut Reader<'_>) -> Result<Standing, Malformed> {
    Ok(Standing {
        privilege: Privilege::from_code(from.u8()?.into()).ok_or(Malformed)?,
        roles: RoleSet::from_bits(from.u8()?.into()).ok_or(Malformed)?,
    })
}
