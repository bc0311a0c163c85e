//! How values of the domain stand in the database: ids and digests as blobs, times and codes of enums as integers.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Sqlite, Type};

use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::id::{
    AccountId, AddressId, ApiTokenId, Epoch, EventId, InvitationId, LoginLinkId, MailId, ServiceId, SessionId, SignUpId, UserId,
};
use crate::domain::invitation::Stored;
use crate::domain::login::LinkPurpose;
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;
use crate::domain::scope::ScopeSet;
use crate::domain::token::TokenDigest;

macro_rules! blobs {
    ($($name:ty),*) => {$(
        impl Type<Sqlite> for $name {
            fn type_info() -> SqliteTypeInfo {
                <[u8] as Type<Sqlite>>::type_info()
            }

            fn compatible(info: &SqliteTypeInfo) -> bool {
                <[u8] as Type<Sqlite>>::compatible(info)
            }
        }

        impl Encode<'_, Sqlite> for $name {
            fn encode_by_ref(&self, arguments: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
                <&[u8] as Encode<Sqlite>>::encode_by_ref(&&self.as_bytes()[..], arguments)
            }
        }

        impl<'r> Decode<'r, Sqlite> for $name {
            fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
                Ok(Self::from_bytes(<&[u8] as Decode<Sqlite>>::decode(value)?.try_into()?))
            }
        }
    )*};
}

macro_rules! integers {
    ($($name:ty: $to:expr, $from:expr;)*) => {$(
        impl Type<Sqlite> for $name {
            fn type_info() -> SqliteTypeInfo {
                <i64 as Type<Sqlite>>::type_info()
            }

            fn compatible(info: &SqliteTypeInfo) -> bool {
                <i64 as Type<Sqlite>>::compatible(info)
            }
        }

        impl Encode<'_, Sqlite> for $name {
            fn encode_by_ref(&self, arguments: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
                let to: fn($name) -> i64 = $to;
                <i64 as Encode<Sqlite>>::encode_by_ref(&to(*self), arguments)
            }
        }

        impl<'r> Decode<'r, Sqlite> for $name {
            fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
                let from: fn(i64) -> Option<$name> = $from;
                let code = <i64 as Decode<Sqlite>>::decode(value)?;
                from(code).ok_or_else(|| format!("{code} is no {}", stringify!($name)).into())
            }
        }
    )*};
}

blobs!(
    AccountId,
    AddressId,
    ApiTokenId,
    Epoch,
    EventId,
    InvitationId,
    LoginLinkId,
    MailId,
    ServiceId,
    SessionId,
    SignUpId,
    UserId,
    TokenDigest
);

integers! {
    Timestamp: Timestamp::as_micros, |micros| Some(Timestamp::from_micros(micros));
    Edition: |edition| edition.code().into(), Edition::from_code;
    Privilege: |privilege| privilege.code().into(), Privilege::from_code;
    RoleSet: |roles| roles.bits().into(), RoleSet::from_bits;
    ScopeSet: |scopes| scopes.bits().into(), ScopeSet::from_bits;
    LinkPurpose: |purpose| purpose.code().into(), LinkPurpose::from_code;
    Stored: |state| state.code().into(), Stored::from_code;
}
