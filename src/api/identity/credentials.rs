//! What a person calls with: personal tokens and sessions.

use secrecy::ExposeSecret as _;

use crate::api::fields::Fields;
use crate::api::{Api, convert};
use crate::app::api_tokens::NewApiToken;
use crate::app::caller::Caller;
use crate::domain::error::Error;
use crate::proto;
use crate::store::requests::Terms;

pub(super) async fn create_api_token(
    api: &Api,
    caller: Caller,
    mut request: proto::CreateApiTokenRequest,
) -> Result<proto::CreateApiTokenResponse, Error> {
    let person = api.app.in_person(&caller)?;
    let account = api.app.own_account(&person, &request.account)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "CreateApiToken", &id, &request, request.validate_only);
    let name = fields.name(&request.name);
    let cap = fields.cap(request.cap.as_ref());
    let expires = fields.token_expire_time(request.expire_time, api.app.now());
    let (Some(terms), Some(name), Some(cap), Some(expires)) = (terms, name, cap, expires) else {
        return Err(fields.refusal());
    };
    let made = api.app.create_api_token(person, NewApiToken { account, name, cap, expires }, terms).await?;
    Ok(proto::CreateApiTokenResponse {
        api_token: Some(convert::api_token(&api.app, made.api_token)),
        token: made.token.map(|token| token.expose_secret().to_owned()).unwrap_or_default(),
        secret_already_shown: made.already_shown,
    })
}

pub(super) async fn list_api_tokens(
    api: &Api,
    caller: Caller,
    request: proto::ListApiTokensRequest,
) -> Result<proto::ListApiTokensResponse, Error> {
    let person = api.app.in_person(&caller)?;
    let mut fields = Fields::default();
    let Some(page) = fields.page(request.page_size, request.page_token) else { return Err(fields.refusal()) };
    let page = api.app.api_tokens(&person, &page).await?;
    let api_tokens = page.entries.into_iter().map(|token| convert::api_token(&api.app, token)).collect();
    Ok(proto::ListApiTokensResponse { api_tokens, next_page_token: page.next })
}

pub(super) async fn revoke_api_token(
    api: &Api,
    caller: Caller,
    mut request: proto::RevokeApiTokenRequest,
) -> Result<proto::RevokeApiTokenResponse, Error> {
    let person = api.app.in_person(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "RevokeApiToken", &id, &request, request.validate_only);
    let token = fields.id("api_token", &request.api_token);
    let (Some(terms), Some(token)) = (terms, token) else { return Err(fields.refusal()) };
    let token = api.app.revoke_api_token(person, token, terms).await?;
    Ok(proto::RevokeApiTokenResponse { api_token: Some(convert::api_token(&api.app, token)) })
}

pub(super) fn list_sessions(
    api: &Api,
    caller: &Caller,
    request: proto::ListSessionsRequest,
) -> Result<proto::ListSessionsResponse, Error> {
    let person = api.app.in_person(caller)?;
    let mut fields = Fields::default();
    let Some(page) = fields.page(request.page_size, request.page_token) else { return Err(fields.refusal()) };
    let page = api.app.sessions(&person, &page)?;
    let sessions = page.entries.iter().map(|session| convert::session(session, person.signed_in.session)).collect();
    Ok(proto::ListSessionsResponse { sessions, next_page_token: page.next })
}

pub(super) async fn revoke_session(
    api: &Api,
    caller: Caller,
    request: proto::RevokeSessionRequest,
) -> Result<proto::RevokeSessionResponse, Error> {
    let person = api.app.in_person(&caller)?;
    let mut fields = Fields::default();
    let Some(session) = fields.id("session", &request.session) else { return Err(fields.refusal()) };
    let terms = Terms { key: None, validate_only: request.validate_only };
    api.app.revoke_session(person, session, terms).await?;
    Ok(proto::RevokeSessionResponse {})
}
