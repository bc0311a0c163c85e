//! Personal tokens.

use super::{State, read_bool, read_standing, read_time, write_standing};
use crate::domain::clock::Timestamp;
use crate::domain::event::bytes::{Reader, Writer};
use crate::domain::event::{Malformed, Personal};
use crate::domain::id::{AccountId, ApiTokenId, UserId};
use crate::domain::policy::Standing;
use crate::domain::token::TokenDigest;

/// A personal token after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenState {
    /// Which.
    pub api_token: ApiTokenId,
    /// Whose.
    pub user: UserId,
    /// The one account that it opens.
    pub account: AccountId,
    /// What its owner calls it: words of theirs, and so a personal value.
    pub name: Personal,
    /// What it is known by.
    pub token: TokenDigest,
    /// The standing whose permissions it has at most, if it has less than its owner.
    pub cap: Option<Standing>,
    /// When it stops counting.
    pub expires: Timestamp,
    /// Whether it was ended before that.
    pub ended: bool,
}

impl State for ApiTokenState {
    fn write(&self, to: &mut Writer) {
        to.id("api_token", &self.api_token);
        to.id("user", &self.user);
        to.id("account", &self.account);
        to.personal("name", &self.name);
        to.array("token", self.token.as_bytes());
        to.option("cap", self.cap.as_ref(), |to, cap| write_standing(to, *cap));
        to.time("expires", self.expires);
        to.u8("ended", self.ended.into());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            api_token: ApiTokenId::from_bytes(from.array()?),
            user: UserId::from_bytes(from.array()?),
            account: AccountId::from_bytes(from.array()?),
            name: from.personal()?,
            token: TokenDigest::from_bytes(from.array()?),
            cap: from.option(read_standing)?,
            expires: read_time(from)?,
            ended: read_bool(from)?,
        })
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }

    fn person(&self) -> Option<[u8; 16]> {
        Some(*self.user.as_bytes())
    }
}
