//! Personal tokens: what people give programs of theirs, so that those can do in one account what their owner may there, or less.
//!
//! A token lives with a membership: it is made by a member for their account, and ends in the transaction that ends the membership, takes
//! the login away or sets its password by a link. Nothing brings it back. Each that ends is an event of its own, and by that the directory
//! knows.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::App;
use super::admission::InPerson;
use super::page::{Page, PageRequest, Query};
use crate::directory::Directory;
use crate::domain::clock::Timestamp;
use crate::domain::error::{Error, Takes};
use crate::domain::event::Change;
use crate::domain::id::{AccountId, ApiTokenId, MailId};
use crate::domain::name::{DisplayName, Slug};
use crate::domain::policy::Standing;
use crate::domain::token::{Bearer, TokenDigest};
use crate::store::api_tokens::{self, ApiToken};
use crate::store::mails::{self, About, Kind, Owed};
use crate::store::requests::{Terms, once};
use crate::store::{self, Tx, accounts, members, users};

/// How long a token counts when its owner doesn't say.
pub const LIFETIME: Duration = Duration::from_hours(90 * 24);

/// How long one counts at most.
pub const LONGEST: Duration = Duration::from_hours(365 * 24);

/// A new token.
pub struct NewApiToken {
    /// The account that it is to open.
    pub account: AccountId,
    /// What its owner calls it.
    pub name: DisplayName,
    /// The standing whose permissions it has at most; none for all that its owner has.
    pub cap: Option<Standing>,
    /// When it stops counting.
    pub expires: Option<Timestamp>,
}

/// A token that was made.
pub struct Made {
    /// What was made.
    pub api_token: ApiToken,
    /// The token, shown once; none for a retry or a rehearsal.
    pub token: Option<SecretString>,
    /// This is a retry of a call whose answer carried the token.
    pub already_shown: bool,
}

impl App {
    /// The account of a name that a person is a member of. One that isn't there, or isn't theirs, is the same to everybody.
    pub fn own_account(&self, person: &InPerson, account: &str) -> Result<AccountId, Error> {
        let view = self.directory.view();
        let found = view.account_named(account).filter(|account| view.standing(*account, person.signed_in.user).is_some());
        found.ok_or(Error::AccessDenied(Takes::Oneself))
    }

    /// Makes a token for a member, and tells them by mail.
    pub async fn create_api_token(&self, person: InPerson, new: NewApiToken, terms: Terms) -> Result<Made, Error> {
        let roles = new.cap.map_or(Ok(()), |cap| self.check_roles(cap.roles));
        let token = Bearer::Personal.token(store::random()?);
        let digest = TokenDigest::of(token.expose_secret());
        let rehearsed = terms.validate_only;
        let quota = self.api_tokens_of(person.signed_in.user);
        let (api_token, replayed) = self
            .store
            .write(person.origin(), async move |tx| {
                person.confirm(tx).await?;
                let work = async |tx: &mut Tx| {
                    roles?;
                    quota.spend(tx, 1).await?;
                    make(tx, &person, &new, digest).await
                };
                let made = once(tx, &terms, work).await?;
                Ok((load(tx, made.outcome).await?, made.replayed))
            })
            .await?;
        Ok(Made { api_token, token: (!replayed && !rehearsed).then_some(token), already_shown: replayed })
    }

    /// Lists a person's tokens that weren't ended, in the order in which they were made.
    pub async fn api_tokens(&self, person: &InPerson, page: &PageRequest) -> Result<Page<ApiToken>, Error> {
        let user = person.signed_in.user;
        let query = Query::of("api tokens").with(user.as_bytes());
        let after = ApiTokenId::from_bytes(query.after(page)?.unwrap_or([0; 16]));
        let mut entries = api_tokens::page(&mut *self.store.read().await?, user, after, Query::limit(page)).await?;
        for token in &mut entries {
            // what isn't written down yet is in memory
            token.last_used = token.last_used.max(self.directory.api_token_used(&token.token));
        }
        Ok(query.page(page, entries, |token| token.id.as_bytes().to_vec()))
    }

    /// Ends a token of a person's at once; doing it again changes nothing.
    pub async fn revoke_api_token(&self, person: InPerson, id: ApiTokenId, terms: Terms) -> Result<ApiToken, Error> {
        let directory = Arc::clone(&self.directory);
        self.store
            .write(person.origin(), async move |tx| {
                person.confirm(tx).await?;
                once(tx, &terms, async |tx| {
                    let found = api_tokens::by_id(tx.sql(), id).await?;
                    // somebody else's is like one that isn't there
                    let found = found.filter(|found| found.user == person.signed_in.user);
                    end(tx, &directory, &found.ok_or(Error::AccessDenied(Takes::Oneself))?).await.map(drop)
                })
                .await?;
                load(tx, id).await
            })
            .await
    }
}

/// Makes a token of a member's and owes the mail that tells of it.
async fn make(tx: &mut Tx, person: &InPerson, new: &NewApiToken, digest: TokenDigest) -> Result<ApiTokenId, Error> {
    let user = users::by_id(tx.sql(), person.signed_in.user).await?.filter(|user| user.active);
    let user = user.ok_or(Error::CredentialsInvalid)?;
    if members::find(tx.sql(), new.account, user.id).await?.is_none() {
        return Err(Error::AccessDenied(Takes::Oneself));
    }
    let account = accounts::by_id(tx.sql(), new.account).await?;
    let account = account.ok_or_else(|| Error::internal("a member's account isn't in the store"))?;
    if account.closed {
        return Err(Error::AccountClosed(Slug::parse(&account.name).map_err(Error::internal)?));
    }
    let now = tx.now();
    let token = ApiToken {
        id: ApiTokenId::new(now, tx.random()?),
        user: user.id,
        account: account.id,
        name: new.name.as_str().to_owned(),
        token: digest,
        cap: new.cap,
        created: now,
        last_used: None,
        expires: new.expires.unwrap_or(now.plus(LIFETIME)),
        ended: None,
    };
    api_tokens::insert(tx, &token).await?;
    let state = token.state(tx)?;
    tx.record(Change::ApiTokenCreated(state)).await?;
    let mail = MailId::new(now, tx.random()?);
    let about = About::ApiToken(token.id, user.id);
    mails::owe(tx, mail, Owed { kind: Kind::ApiTokenCreated, about, address: user.address, recipient: &user.email }).await?;
    Ok(token.id)
}

/// Ends a token and writes down when it was last used, which is in memory; false if it was ended before.
pub(super) async fn end(tx: &mut Tx, directory: &Directory, token: &ApiToken) -> Result<bool, Error> {
    if let Some(used) = directory.api_token_used(&token.token) {
        api_tokens::touch(tx, &[(token.id, used)]).await?;
    }
    let ended = api_tokens::end(tx, token.id).await?;
    record_ended(tx, ended.as_slice()).await?;
    Ok(ended.is_some())
}

/// Records that tokens ended.
pub(super) async fn record_ended(tx: &mut Tx, ended: &[ApiToken]) -> Result<(), Error> {
    if ended.is_empty() {
        return Ok(());
    }
    let changes: Result<Vec<_>, Error> = ended.iter().map(|token| token.state(tx).map(Change::ApiTokenEnded)).collect();
    tx.record_all(changes?).await
}

async fn load(tx: &mut Tx, id: ApiTokenId) -> Result<ApiToken, Error> {
    // who revokes one and asks for it again after it was forgotten hears what they would of one that never was
    api_tokens::by_id(tx.sql(), id).await?.ok_or(Error::AccessDenied(Takes::Oneself))
}
