//! Accounts.

use crate::api::fields::Fields;
use crate::api::{Api, convert};
use crate::app::accounts::{AccountUpdate, NewAccount};
use crate::app::admission::Needs;
use crate::app::caller::Caller;
use crate::domain::error::Error;
use crate::domain::name::{DisplayName, Timezone};
use crate::proto;
use crate::store::accounts::Which;

pub(super) async fn create(
    api: &Api,
    caller: Caller,
    mut request: proto::CreateAccountRequest,
) -> Result<proto::CreateAccountResponse, Error> {
    let operator = api.app.operator(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "CreateAccount", &id, &request, request.validate_only);
    let name = fields.slug("name", &request.name);
    let display_name = match (request.display_name.is_empty(), &name) {
        (true, Some(name)) => DisplayName::parse(name.as_str()).ok(),
        (true, None) => None,
        (false, _) => fields.display_name(&request.display_name),
    };
    let timezone = if request.timezone.is_empty() { Some(Timezone::utc()) } else { fields.timezone(&request.timezone) };
    let (Some(terms), Some(name), Some(display_name), Some(timezone)) = (terms, name, display_name, timezone) else {
        return Err(fields.refusal());
    };
    let account = api.app.create_account(operator, NewAccount { name, display_name, timezone }, terms).await?;
    Ok(proto::CreateAccountResponse { account: Some(convert::account(&api.app, &account)) })
}

pub(super) async fn get(
    api: &Api,
    caller: Caller,
    request: proto::GetAccountRequest,
) -> Result<proto::GetAccountResponse, Error> {
    let reader = api.app.admit(&caller, &request.account, Needs::READ)?;
    let account = api.app.account(&reader).await?;
    Ok(proto::GetAccountResponse { account: Some(convert::account(&api.app, &account)) })
}

pub(super) async fn list(
    api: &Api,
    caller: Caller,
    request: proto::ListAccountsRequest,
) -> Result<proto::ListAccountsResponse, Error> {
    let listing = api.app.listing(&caller)?;
    let mut fields = Fields::default();
    let prefix = fields.name_prefix(request.name_prefix);
    let page = fields.page(request.page_size, request.page_token);
    let (Some(prefix), Some(page)) = (prefix, page) else { return Err(fields.refusal()) };
    let which = Which { closed: request.closed, admin_missing: request.admin_missing };
    let page = api.app.accounts(listing, which, &prefix, &page).await?;
    let accounts = page.entries.iter().map(|account| convert::account(&api.app, account)).collect();
    Ok(proto::ListAccountsResponse { accounts, next_page_token: page.next })
}

pub(super) async fn update(
    api: &Api,
    caller: Caller,
    mut request: proto::UpdateAccountRequest,
) -> Result<proto::UpdateAccountResponse, Error> {
    let manager = api.app.admit(&caller, &request.account, Needs::MANAGE)?;
    let mut fields = Fields::after(manager.violation());
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "UpdateAccount", &id, &request, request.validate_only);
    let etag = fields.etag(&request.etag);
    let display_name = request.display_name.map(|name| fields.display_name(&name));
    let timezone = request.timezone.map(|zone| fields.timezone(&zone));
    let (Some(terms), Some(etag), None | Some(Some(_)), None | Some(Some(_))) = (terms, etag, &display_name, &timezone) else {
        return Err(fields.refusal());
    };
    let update = AccountUpdate { display_name: display_name.flatten(), timezone: timezone.flatten(), etag };
    let account = api.app.update_account(manager, update, terms).await?;
    Ok(proto::UpdateAccountResponse { account: Some(convert::account(&api.app, &account)) })
}

pub(super) async fn close(
    api: &Api,
    caller: Caller,
    mut request: proto::CloseAccountRequest,
) -> Result<proto::CloseAccountResponse, Error> {
    let operator = api.app.operator(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "CloseAccount", &id, &request, request.validate_only);
    let name = fields.slug("account", &request.account);
    let etag = fields.etag(&request.etag);
    let (Some(terms), Some(name), Some(etag)) = (terms, name, etag) else { return Err(fields.refusal()) };
    let account = api.app.set_closed(operator, name, true, etag, terms).await?;
    Ok(proto::CloseAccountResponse { account: Some(convert::account(&api.app, &account)) })
}

pub(super) async fn reopen(
    api: &Api,
    caller: Caller,
    mut request: proto::ReopenAccountRequest,
) -> Result<proto::ReopenAccountResponse, Error> {
    let operator = api.app.operator(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "ReopenAccount", &id, &request, request.validate_only);
    let name = fields.slug("account", &request.account);
    let etag = fields.etag(&request.etag);
    let (Some(terms), Some(name), Some(etag)) = (terms, name, etag) else { return Err(fields.refusal()) };
    let account = api.app.set_closed(operator, name, false, etag, terms).await?;
    Ok(proto::ReopenAccountResponse { account: Some(convert::account(&api.app, &account)) })
}
