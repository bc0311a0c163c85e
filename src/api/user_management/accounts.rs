//! Closing accounts and opening them again.

use crate::api::fields::Fields;
use crate::api::{Api, convert};
use crate::app::caller::Caller;
use crate::domain::error::Error;
use crate::proto;

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
