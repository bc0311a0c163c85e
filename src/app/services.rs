//! Services: internal tools that call.

use secrecy::{ExposeSecret as _, SecretString};

use super::App;
use super::admission::{Operator, Reader};
use super::page::{Page, PageRequest, Query};
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::Change;
use crate::domain::id::ServiceId;
use crate::domain::name::Slug;
use crate::domain::scope::ScopeSet;
use crate::domain::token::{Bearer, TokenDigest};
use crate::store::requests::{Terms, once};
use crate::store::services::{self, Service};
use crate::store::{self, Tx};

/// What an end that has passed is refused with.
pub const NOT_IN_THE_FUTURE: &str = "must be in the future";

/// A new service.
pub struct NewService {
    /// Its name.
    pub name: Slug,
    /// What it may call.
    pub scopes: ScopeSet,
    /// The account to bind it to.
    pub account: Option<Slug>,
    /// When it stops counting.
    pub expires: Option<Timestamp>,
    /// The name in its client certificate, instead of a token.
    pub certificate: Option<String>,
}

/// A service that was made.
pub struct Made {
    /// The service.
    pub service: Service,
    /// Its token, shown once; none with a certificate or for a retry.
    pub token: Option<SecretString>,
    /// This is a retry of a call whose answer carried the token.
    pub already_shown: bool,
}

impl App {
    /// Creates a service with a token, or with the name of a certificate.
    pub async fn create_service(&self, operator: Operator, new: NewService, terms: Terms) -> Result<Made, Error> {
        let account = match &new.account {
            None => None,
            Some(name) => {
                let found = self.directory.view().account_named(name.as_str());
                Some(found.ok_or_else(|| Error::AccountNotFound(name.to_string()))?)
            }
        };
        // a rehearsal makes no token, so it answers none
        let answers = !terms.validate_only;
        let token = Bearer::Service.token(store::random()?);
        let digest = new.certificate.is_none().then(|| TokenDigest::of(token.expose_secret()));
        let (service, replayed) = self
            .store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let made = once(tx, &terms, async |tx| {
                    if new.expires.is_some_and(|expires| expires <= tx.now()) {
                        return Err(Error::field("expire_time", &NOT_IN_THE_FUTURE));
                    }
                    if let Some(taken) = services::namesake(tx.sql(), new.name.as_str(), new.certificate.as_deref()).await? {
                        return Err(Error::ServiceExists(taken));
                    }
                    let service = Service {
                        id: ServiceId::new(tx.now(), tx.random()?),
                        name: new.name.to_string(),
                        scopes: new.scopes,
                        account,
                        account_name: None,
                        token: digest,
                        certificate: new.certificate,
                        created: tx.now(),
                        expires: new.expires,
                        revoked: false,
                        version: tx.next_version(),
                    };
                    services::insert(tx, &service).await?;
                    tx.record(Change::ServiceCreated(service.state())).await?;
                    Ok(service.id)
                })
                .await?;
                Ok((load(tx, made.outcome).await?, made.replayed))
            })
            .await?;
        let has_token = answers && service.token.is_some();
        Ok(Made { service, token: (has_token && !replayed).then_some(token), already_shown: has_token && replayed })
    }

    /// Ends a service at once; doing it again changes nothing.
    pub async fn revoke_service(&self, operator: Operator, id: ServiceId, terms: Terms) -> Result<Service, Error> {
        self.store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                once(tx, &terms, async |tx| end(tx, id).await.map(drop)).await?;
                load(tx, id).await
            })
            .await
    }

    /// Lists services in the order in which they were created.
    pub async fn services(&self, _reader: &Reader, page: &PageRequest) -> Result<Page<Service>, Error> {
        let query = Query::of("services");
        let after = ServiceId::from_bytes(query.after(page)?.unwrap_or([0; 16]));
        let entries = services::page(&mut *self.store.read().await?, after, Query::limit(page)).await?;
        Ok(query.page(page, entries, |service| service.id.as_bytes().to_vec()))
    }
}

/// Ends a service; false if it was ended before.
pub(super) async fn end(tx: &mut Tx, id: ServiceId) -> Result<bool, Error> {
    let mut service = load(tx, id).await?;
    if service.revoked {
        return Ok(false);
    }
    service.revoked = true;
    service.version = tx.next_version();
    services::revoke(tx, &service).await?;
    tx.record(Change::ServiceRevoked(service.state())).await?;
    Ok(true)
}

pub(super) async fn load(tx: &mut Tx, id: ServiceId) -> Result<Service, Error> {
    services::by_id(tx.sql(), id).await?.ok_or_else(|| Error::ServiceNotFound(id.to_string()))
}
