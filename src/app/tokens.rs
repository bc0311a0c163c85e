//! Tokens by their text: what is known of one that leaked is neither its id nor whose it is.

use std::sync::Arc;

use super::App;
use super::admission::Operator;
use super::{api_tokens, services, sessions};
use crate::directory::Directory;
use crate::domain::error::Error;
use crate::domain::id::{SessionId, UserId};
use crate::domain::token::{Bearer, TokenDigest};
use crate::store::api_tokens::ApiToken;
use crate::store::requests::{Terms, once};
use crate::store::services::Service;
use crate::store::users::{self, User};
use crate::store::{self, Tx};

/// A token of the right form, of which nothing is kept but what it is known by.
#[derive(Clone, Copy)]
pub struct Presented {
    kind: Bearer,
    digest: TokenDigest,
}

impl Presented {
    /// Takes a token as it was shown; whether it counts isn't looked at.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        Bearer::of(token).map(|kind| Self { kind, digest: TokenDigest::of(token) })
    }
}

/// What a token is of.
pub enum Credential {
    /// A person's session.
    Session(SessionId, User),
    /// A personal token.
    ApiToken(ApiToken, User),
    /// A service.
    Service(Service),
}

/// A token that was ended.
pub struct Revoked {
    /// What it is of.
    pub credential: Credential,
    /// It counted until this call ended it; else it had been ended before, or its time was over.
    pub was_live: bool,
}

impl App {
    /// Ends whatever a token is of; doing it again changes nothing.
    pub async fn revoke_token(&self, operator: Operator, token: Presented, terms: Terms) -> Result<Revoked, Error> {
        let (counts, directory) = (self.counts(token), Arc::clone(&self.directory));
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| Ok(end(tx, &directory, token).await? && counts)).await?;
                Ok(Revoked { credential: find(tx, token).await?, was_live: done.outcome })
            })
            .await
    }

    /// Whether a token counts now, which may end by time alone.
    fn counts(&self, token: Presented) -> bool {
        let (view, digest) = (self.directory.view(), &token.digest);
        match token.kind {
            Bearer::Session => view.session(digest).is_some_and(|session| session.counts(self.clock.now(), self.session.idle)),
            Bearer::Personal => view.api_token(digest, self.now()).is_some(),
            Bearer::Service => view.service_of_token(digest).is_some_and(|service| service.counts(self.now())),
        }
    }
}

/// Ends it; false if it was ended before.
async fn end(tx: &mut Tx, directory: &Directory, token: Presented) -> Result<bool, Error> {
    match find(tx, token).await? {
        Credential::Session(session, _) => sessions::end(tx, session).await,
        Credential::ApiToken(token, _) => api_tokens::end(tx, directory, &token).await,
        Credential::Service(service) => services::end(tx, service.id).await,
    }
}

async fn find(tx: &mut Tx, token: Presented) -> Result<Credential, Error> {
    let found = match token.kind {
        Bearer::Session => {
            let id = store::sessions::of_token(tx, token.digest).await?.ok_or(Error::TokenNotFound)?;
            let session = store::sessions::by_id(tx, id).await?.ok_or(Error::TokenNotFound)?;
            Credential::Session(id, owner(tx, session.user).await?)
        }
        Bearer::Personal => {
            let id = store::api_tokens::of_token(tx.sql(), token.digest).await?.ok_or(Error::TokenNotFound)?;
            let token = store::api_tokens::by_id(tx.sql(), id).await?.ok_or(Error::TokenNotFound)?;
            let owner = owner(tx, token.user).await?;
            Credential::ApiToken(token, owner)
        }
        Bearer::Service => {
            let id = store::services::of_token(tx.sql(), token.digest).await?.ok_or(Error::TokenNotFound)?;
            Credential::Service(services::load(tx, id).await?)
        }
    };
    Ok(found)
}

/// Whose a token is; those of somebody who was deleted went with them.
async fn owner(tx: &mut Tx, user: UserId) -> Result<User, Error> {
    users::by_id(tx.sql(), user).await?.ok_or(Error::TokenNotFound)
}
