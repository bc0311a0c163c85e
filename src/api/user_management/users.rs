//! Users: finding them, and their logins as operators make, open and take them away.

use crate::api::fields::Fields;
use crate::api::{Api, convert};
use crate::app::caller::Caller;
use crate::app::returned::HandOver;
use crate::app::users::Linked;
use crate::domain::error::Error;
use crate::proto;
use crate::store::users::Which;

pub(super) async fn get(api: &Api, caller: Caller, request: proto::GetUserRequest) -> Result<proto::GetUserResponse, Error> {
    let seeing = api.app.seeing(&caller)?;
    let mut fields = Fields::default();
    let Some(user) = fields.user(&request.user) else {
        // what is nobody is somebody else for a person, who hears the same of both
        seeing.everybody()?;
        return Err(fields.refusal());
    };
    let user = api.app.user(seeing, &user).await?;
    Ok(proto::GetUserResponse { user: Some(convert::user(&api.app, &user)) })
}

pub(super) async fn list(api: &Api, caller: Caller, request: proto::ListUsersRequest) -> Result<proto::ListUsersResponse, Error> {
    let seeing = api.app.seeing(&caller)?;
    let mut fields = Fields::default();
    let prefix = fields.email_prefix(&request.email_prefix);
    let page = fields.page(request.page_size, request.page_token);
    let (Some(prefix), Some(page)) = (prefix, page) else { return Err(fields.refusal()) };
    let which = Which { active: request.active, super_admin: request.super_admin };
    let page = api.app.users(seeing, which, prefix, &page).await?;
    let users = page.entries.iter().map(|user| convert::user(&api.app, user)).collect();
    Ok(proto::ListUsersResponse { users, next_page_token: page.next })
}

pub(super) async fn create(
    api: &Api,
    caller: Caller,
    mut request: proto::CreateUserRequest,
) -> Result<proto::CreateUserResponse, Error> {
    let operator = api.app.operator(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "CreateUser", &id, &request, request.validate_only);
    let email = fields.email(&request.email);
    let name = fields.display_name(&request.display_name);
    let (Some(terms), Some(email), Some(name)) = (terms, email, name) else { return Err(fields.refusal()) };
    let Linked { user, returned } =
        api.app.create_user(operator, email, name, HandOver::asked(request.return_link), terms).await?;
    let user = Some(convert::user(&api.app, &user));
    let (link, secret_already_shown) = convert::returned(&api.app, returned);
    Ok(proto::CreateUserResponse { user, link, secret_already_shown })
}

pub(super) async fn send_password_reset(
    api: &Api,
    caller: Caller,
    mut request: proto::SendPasswordResetRequest,
) -> Result<proto::SendPasswordResetResponse, Error> {
    let operator = api.app.operator(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "SendPasswordReset", &id, &request, request.validate_only);
    let user = fields.user(&request.user);
    let (Some(terms), Some(user)) = (terms, user) else { return Err(fields.refusal()) };
    let Linked { user, returned } =
        api.app.send_password_reset(operator, user, HandOver::asked(request.return_link), terms).await?;
    let user = Some(convert::user(&api.app, &user));
    let (link, secret_already_shown) = convert::returned(&api.app, returned);
    Ok(proto::SendPasswordResetResponse { user, link, secret_already_shown })
}

pub(super) async fn deactivate(
    api: &Api,
    caller: Caller,
    mut request: proto::DeactivateUserRequest,
) -> Result<proto::DeactivateUserResponse, Error> {
    let operator = api.app.operator(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "DeactivateUser", &id, &request, request.validate_only);
    let user = fields.user(&request.user);
    let (Some(terms), Some(user)) = (terms, user) else { return Err(fields.refusal()) };
    let (user, change) = api.app.deactivate_user(operator, user, request.leave_without_admin, terms).await?;
    let user = Some(convert::user(&api.app, &user));
    let (effects, other_accounts) = convert::login_effects(&api.app, &change);
    let accounts_without_admin = change.left_without_admin;
    Ok(proto::DeactivateUserResponse { user, effects, accounts_without_admin, other_accounts })
}

pub(super) async fn reactivate(
    api: &Api,
    caller: Caller,
    mut request: proto::ReactivateUserRequest,
) -> Result<proto::ReactivateUserResponse, Error> {
    let operator = api.app.operator(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "ReactivateUser", &id, &request, request.validate_only);
    let user = fields.user(&request.user);
    let (Some(terms), Some(user)) = (terms, user) else { return Err(fields.refusal()) };
    let (user, change) = api.app.reactivate_user(operator, user, terms).await?;
    let user = Some(convert::user(&api.app, &user));
    let (effects, other_accounts) = convert::login_effects(&api.app, &change);
    Ok(proto::ReactivateUserResponse { user, effects, other_accounts })
}

pub(super) async fn delete(
    api: &Api,
    caller: Caller,
    mut request: proto::DeleteUserRequest,
) -> Result<proto::DeleteUserResponse, Error> {
    let operator = api.app.operator(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "DeleteUser", &id, &request, request.validate_only);
    let user = fields.user(&request.user);
    let (Some(terms), Some(user)) = (terms, user) else { return Err(fields.refusal()) };
    let change = api.app.delete_user(operator, user, request.leave_without_admin, terms).await?;
    let (user, accounts_without_admin) = (change.user.to_string(), change.left_without_admin.clone());
    let (effects, other_accounts) = convert::login_effects(&api.app, &change);
    Ok(proto::DeleteUserResponse { user, effects, accounts_without_admin, other_accounts })
}

pub(super) async fn revoke_sessions(
    api: &Api,
    caller: Caller,
    mut request: proto::RevokeSessionsRequest,
) -> Result<proto::RevokeSessionsResponse, Error> {
    let operator = api.app.operator(&caller)?;
    let mut fields = Fields::default();
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "RevokeSessions", &id, &request, request.validate_only);
    let user = fields.user(&request.user);
    let (Some(terms), Some(user)) = (terms, user) else { return Err(fields.refusal()) };
    let user = api.app.revoke_sessions(operator, user, terms).await?;
    Ok(proto::RevokeSessionsResponse { user: Some(convert::user(&api.app, &user)) })
}
