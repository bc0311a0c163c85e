//! Tokens by their text: what is known of one that leaked is neither its id nor whose it is.

use super::App;
use super::admission::Operator;
use super::{api_tokens, services, sessions};
use crate::domain::error::Error;
use crate::domain::id::{SessionId, UserId};
use crate::domain::token::{Bearer, TokenDigest};
use crate::store::api_tokens::ApiToken;
use crate::store::requests::{Terms, once};
use crate::store::services::Service;
use crate::store::users::{self, User};
use crate::store::{self, Tx};

/// A token of the right form, of which nothing is kept but what it is known by.
pub struct Shown {
    kind: Bearer,
    digest: TokenDigest,
}

impl Shown {
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

impl App {
    /// Ends whatever a token is of; doing it again changes nothing.
    pub async fn revoke_token(&self, operator: Operator, token: Shown, terms: Terms) -> Result<Credential, Error> {
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                once(tx, &terms, async |tx| match find(tx, &token).await? {
                    Credential::Session(session, _) => sessions::end(tx, session).await,
                    Credential::ApiToken(token, _) => {
                        let ended = store::api_tokens::end(tx, token.id).await?;
                        api_tokens::record_ended(tx, ended.as_slice()).await
                    }
                    Credential::Service(service) => services::end(tx, service.id).await,
                })
                .await?;
                find(tx, &token).await
            })
            .await
    }
}

async fn find(tx: &mut Tx, token: &Shown) -> Result<Credential, Error> {
    let found = match token.kind {
        Bearer::Session => {
            let id = store::sessions::of_token(tx, token.digest).await?.ok_or(Error::TokenNotFound)?;
            let session = store::sessions::by_id(tx, id).await?.ok_or(Error::TokenNotFound)?;
            Credential::Session(id, owner(tx, session.user).await?)
        }
        Bearer::Personal => {
            let token = store::api_tokens::by_digest(tx.sql(), token.digest).await?.ok_or(Error::TokenNotFound)?;
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
