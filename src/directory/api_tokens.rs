//! Personal tokens in memory.

use std::sync::Arc;

use super::{Directory, Used, View};
use crate::domain::clock::Timestamp;
use crate::domain::event::ApiTokenState;
use crate::domain::id::{AccountId, ApiTokenId, UserId};
use crate::domain::policy::Standing;
use crate::domain::token::TokenDigest;

/// When a token that was never used was last used.
const NEVER: Timestamp = Timestamp::from_micros(i64::MIN);

/// A personal token, as authentication and checks need it; one that was ended isn't in the directory at all.
#[derive(Clone, Debug)]
pub struct ApiToken {
    /// Which.
    pub id: ApiTokenId,
    /// Whose.
    pub user: UserId,
    /// The one account that it opens.
    pub account: AccountId,
    /// The standing whose permissions it has at most; none for all that its owner has.
    pub cap: Option<Standing>,
    /// When it stops counting.
    pub expires: Timestamp,
    used: Arc<Used>,
}

impl ApiToken {
    pub(super) fn new(
        (id, user, account): (ApiTokenId, UserId, AccountId),
        cap: Option<Standing>,
        expires: Timestamp,
        last_used: Option<Timestamp>,
    ) -> Self {
        Self { id, user, account, cap, expires, used: Used::at(last_used.unwrap_or(NEVER)) }
    }

    /// When it was last used, if ever.
    #[must_use]
    pub fn last_used(&self) -> Option<Timestamp> {
        Some(self.used.last()).filter(|last| *last != NEVER)
    }

    /// Notes that it is used now.
    pub fn touch(&self, now: Timestamp) {
        self.used.touch(now);
    }

    /// Notes that its use up to a moment was written down.
    pub fn written(&self, at: Timestamp) {
        self.used.written(at);
    }
}

/// By what checks are answered; when it was used isn't part of that.
impl PartialEq for ApiToken {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.user, self.account, self.cap, self.expires)
            == (other.id, other.user, other.account, other.cap, other.expires)
    }
}

impl View {
    /// The personal token that counts at a moment.
    #[must_use]
    pub fn api_token(&self, token: &TokenDigest, now: Timestamp) -> Option<&ApiToken> {
        self.api_tokens.get(token).filter(|token| now < token.expires)
    }

    /// Every personal token that counts at a moment.
    pub fn api_tokens(&self, now: Timestamp) -> impl Iterator<Item = &ApiToken> {
        self.api_tokens.values().filter(move |token| now < token.expires)
    }

    pub(super) fn insert_api_token(&mut self, state: &ApiTokenState) {
        let made = ApiToken::new((state.api_token, state.user, state.account), state.cap, state.expires, None);
        self.api_tokens.insert(state.token, made);
    }
}

impl Directory {
    /// When a personal token was last used, though it has expired.
    #[must_use]
    pub fn api_token_used(&self, token: &TokenDigest) -> Option<Timestamp> {
        self.view().api_tokens.get(token).and_then(ApiToken::last_used)
    }

    /// The personal tokens that were used since that was last written down, with when.
    #[must_use]
    pub fn used_api_tokens(&self) -> Vec<(ApiToken, Timestamp)> {
        let view = self.snapshot();
        view.api_tokens.values().filter_map(|token| Some((token.clone(), token.used.unwritten()?))).collect()
    }

    /// Forgets personal tokens that expired before a moment, which no event says. Only the writer's thread may call it.
    pub fn forget_api_tokens(&self, before: Timestamp) {
        let present = self.present.load();
        let gone = present.api_tokens.iter().filter(|(_, token)| token.expires < before).map(|(digest, _)| *digest);
        let gone: Vec<_> = gone.collect();
        if gone.is_empty() {
            return;
        }
        let mut next = View::clone(&present);
        for digest in &gone {
            next.api_tokens.remove(digest);
        }
        self.present.store(Arc::new(next));
    }
}
