//! A person's own login: another password, another address, another name.

use secrecy::SecretString;

use crate::api::fields::Fields;
use crate::api::{Api, convert};
use crate::app::caller::Caller;
use crate::domain::error::Error;
use crate::domain::password::Password;
use crate::proto;

pub(super) async fn request_password_reset(
    api: &Api,
    caller: Caller,
    request: proto::RequestPasswordResetRequest,
) -> Result<proto::RequestPasswordResetResponse, Error> {
    api.app.anyone(&caller)?;
    let mut fields = Fields::default();
    let Some(email) = fields.email(&request.email) else { return Err(fields.refusal()) };
    api.app.request_password_reset(&caller, email).await?;
    Ok(proto::RequestPasswordResetResponse {})
}

pub(super) async fn reset_password(
    api: &Api,
    caller: Caller,
    request: proto::ResetPasswordRequest,
) -> Result<proto::ResetPasswordResponse, Error> {
    api.app.anyone(&caller)?;
    let mut fields = Fields::default();
    if request.token.is_empty() {
        fields.violate("token", &"must not be empty");
    }
    // whose name and address it must not be made of is known once the link is
    fields.take("password", api.app.choose_password(&request.password, &[]));
    fields.check()?;
    let user = api.app.reset_password(&caller, SecretString::from(request.token), &request.password).await?;
    Ok(proto::ResetPasswordResponse { user: Some(convert::user(&api.app, &user)) })
}

pub(super) async fn update_me(
    api: &Api,
    caller: Caller,
    mut request: proto::UpdateMeRequest,
) -> Result<proto::UpdateMeResponse, Error> {
    let person = api.app.in_person(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "UpdateMe", &id, &request, request.validate_only);
    let etag = fields.etag(&request.etag);
    let name = request.display_name.map(|name| fields.display_name(&name));
    let (Some(terms), Some(etag), None | Some(Some(_))) = (terms, etag, &name) else { return Err(fields.refusal()) };
    let user = api.app.update_me(person, name.flatten(), etag, terms).await?;
    Ok(proto::UpdateMeResponse { user: Some(convert::user(&api.app, &user)) })
}

pub(super) async fn change_password(
    api: &Api,
    caller: Caller,
    request: proto::ChangePasswordRequest,
) -> Result<proto::ChangePasswordResponse, Error> {
    let person = api.app.in_person(&caller)?;
    let mut fields = Fields::default();
    if request.password.is_empty() {
        fields.violate("password", &"must not be empty");
    }
    fields.take("new_password", api.app.choose_password(&request.new_password, &[]));
    fields.check()?;
    api.app.change_password(&caller, person, Password::typed(&request.password), &request.new_password).await?;
    Ok(proto::ChangePasswordResponse {})
}

pub(super) async fn change_email(
    api: &Api,
    caller: Caller,
    request: proto::ChangeEmailRequest,
) -> Result<proto::ChangeEmailResponse, Error> {
    let person = api.app.in_person(&caller)?;
    let mut fields = Fields::default();
    let email = fields.email(&request.email);
    if request.password.is_empty() {
        fields.violate("password", &"must not be empty");
    }
    let Some(email) = email else { return Err(fields.refusal()) };
    fields.check()?;
    let expires = api.app.change_email(&caller, person, email, Password::typed(&request.password)).await?;
    Ok(proto::ChangeEmailResponse { expire_time: Some(convert::time(expires)) })
}
