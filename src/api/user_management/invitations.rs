//! Invitations: making and finding them, and what becomes of them before they are answered.

use crate::api::fields::Fields;
use crate::api::{Api, convert, status};
use crate::app::admission::{Needs, Sees};
use crate::app::caller::Caller;
use crate::app::invitations::{Filter, Invited, Invitee};
use crate::app::returned::HandOver;
use crate::domain::error::Error;
use crate::domain::policy::Standing;
use crate::proto;
use crate::proto::invite_result::Outcome;

/// Entries of a batch at most.
const MOST: usize = 1000;

pub(super) async fn get(
    api: &Api,
    caller: Caller,
    request: proto::GetInvitationRequest,
) -> Result<proto::GetInvitationResponse, Error> {
    let reader = api.app.admit(&caller, &request.account, Needs::READ)?;
    let mut fields = Fields::after(reader.violation());
    let Some(id) = fields.id("invitation", &request.invitation) else { return Err(fields.refusal()) };
    let shown = api.app.invitation(&reader, id).await?;
    let sees = reader.sees(&api.app);
    Ok(proto::GetInvitationResponse { invitation: Some(convert::invitation(&api.app, &shown, sees)) })
}

pub(super) async fn list(
    api: &Api,
    caller: Caller,
    request: proto::ListInvitationsRequest,
) -> Result<proto::ListInvitationsResponse, Error> {
    let reader = api.app.admit(&caller, &request.account, Needs::READ)?;
    let mut fields = Fields::after(reader.violation());
    let states = fields.codes("states", &request.states, 5);
    let deliveries = fields.codes("delivery_states", &request.delivery_states, 5);
    let prefix = fields.email_prefix(&request.email_prefix);
    let page = fields.page(request.page_size, request.page_token);
    let (Some(states), Some(deliveries), Some(prefix), Some(page)) = (states, deliveries, prefix, page) else {
        return Err(fields.refusal());
    };
    let filter = Filter { states, deliveries, held: request.held, prefix };
    let page = api.app.invitations(&reader, filter, &page).await?;
    let sees = reader.sees(&api.app);
    let invitations = page.entries.iter().map(|shown| convert::invitation(&api.app, shown, sees)).collect();
    Ok(proto::ListInvitationsResponse { invitations, next_page_token: page.next })
}

pub(super) async fn invite(
    api: &Api,
    caller: Caller,
    mut request: proto::InviteUserRequest,
) -> Result<proto::InviteUserResponse, Error> {
    let manager = api.app.admit(&caller, &request.account, Needs::MANAGE)?;
    let sees = manager.sees(&api.app);
    let mut fields = Fields::after(manager.violation());
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "InviteUser", &id, &request, request.validate_only);
    let email = fields.email(&request.email);
    let privilege = fields.privilege(request.privilege);
    let roles = fields.roles(&request.roles);
    let (Some(terms), Some(email), Some(privilege), Some(roles)) = (terms, email, privilege, roles) else {
        return Err(fields.refusal());
    };
    let grant = Standing { privilege, roles };
    let invited = api.app.invite(manager, email, grant, HandOver::asked(request.return_link), terms).await?;
    let (invitation, link, secret_already_shown) = told(api, invited, sees);
    Ok(proto::InviteUserResponse { invitation, link, secret_already_shown })
}

pub(super) async fn invite_all(
    api: &Api,
    caller: Caller,
    mut request: proto::BatchInviteUsersRequest,
) -> Result<proto::BatchInviteUsersResponse, Error> {
    let manager = api.app.admit(&caller, &request.account, Needs::MANAGE)?;
    let sees = manager.sees(&api.app);
    let mut fields = Fields::after(manager.violation());
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "BatchInviteUsers", &id, &request, request.validate_only);
    fields.entries("invitees", request.invitees.len(), MOST);
    let Some(terms) = terms else { return Err(fields.refusal()) };
    fields.check()?;
    // what is wrong with one entry is told in its place
    let mut invitees = Vec::with_capacity(request.invitees.len());
    let parse = |entry| invitee(entry).map(|invitee| invitees.push(invitee));
    let parsed: Vec<Result<(), Error>> = request.invitees.iter().map(parse).collect();
    let (results, secret_already_shown) =
        api.app.invite_all(manager, invitees, HandOver::asked(request.return_link), terms).await?;
    let mut results = results.into_iter();
    let result = |parsed: Result<(), Error>| {
        let outcome = match parsed {
            Ok(()) => results.next().unwrap_or_else(|| Err(Error::internal("a result is missing"))),
            Err(malformed) => Err(malformed),
        };
        match outcome {
            Ok(invited) => {
                let (invitation, link, _) = told(api, invited, sees);
                proto::InviteResult { outcome: invitation.map(Outcome::Invitation), link }
            }
            Err(error) => proto::InviteResult { outcome: Some(Outcome::Error(status::of_entry(&error))), link: None },
        }
    };
    let results = parsed.into_iter().map(result).collect();
    Ok(proto::BatchInviteUsersResponse { results, secret_already_shown: secret_already_shown && request.return_link })
}

fn invitee(entry: &proto::Invitee) -> Result<Invitee, Error> {
    let mut fields = Fields::default();
    let email = fields.email(&entry.email);
    let privilege = fields.privilege(entry.privilege);
    let roles = fields.roles(&entry.roles);
    let (Some(email), Some(privilege), Some(roles)) = (email, privilege, roles) else { return Err(fields.refusal()) };
    Ok(Invitee { email, grant: Standing { privilege, roles } })
}

pub(super) async fn update(
    api: &Api,
    caller: Caller,
    mut request: proto::UpdateInvitationRequest,
) -> Result<proto::UpdateInvitationResponse, Error> {
    let manager = api.app.admit(&caller, &request.account, Needs::MANAGE)?;
    let sees = manager.sees(&api.app);
    let mut fields = Fields::after(manager.violation());
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "UpdateInvitation", &id, &request, request.validate_only);
    let invitation = fields.id("invitation", &request.invitation);
    let privilege = fields.privilege(request.privilege);
    let roles = fields.roles(&request.roles);
    let etag = fields.etag(&request.etag);
    let (Some(terms), Some(invitation), Some(privilege), Some(roles), Some(etag)) = (terms, invitation, privilege, roles, etag)
    else {
        return Err(fields.refusal());
    };
    let shown = api.app.update_invitation(manager, invitation, Standing { privilege, roles }, etag, terms).await?;
    Ok(proto::UpdateInvitationResponse { invitation: Some(convert::invitation(&api.app, &shown, sees)) })
}

pub(super) async fn resend(
    api: &Api,
    caller: Caller,
    mut request: proto::ResendInvitationRequest,
) -> Result<proto::ResendInvitationResponse, Error> {
    let manager = api.app.admit(&caller, &request.account, Needs::MANAGE)?;
    let sees = manager.sees(&api.app);
    let mut fields = Fields::after(manager.violation());
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "ResendInvitation", &id, &request, request.validate_only);
    let invitation = fields.id("invitation", &request.invitation);
    let etag = fields.etag(&request.etag);
    let (Some(terms), Some(invitation), Some(etag)) = (terms, invitation, etag) else { return Err(fields.refusal()) };
    let invited = api.app.resend_invitation(manager, invitation, etag, HandOver::asked(request.return_link), terms).await?;
    let (invitation, link, secret_already_shown) = told(api, invited, sees);
    Ok(proto::ResendInvitationResponse { invitation, link, secret_already_shown })
}

pub(super) async fn withdraw(
    api: &Api,
    caller: Caller,
    mut request: proto::WithdrawInvitationRequest,
) -> Result<proto::WithdrawInvitationResponse, Error> {
    let manager = api.app.admit(&caller, &request.account, Needs::MANAGE)?;
    let sees = manager.sees(&api.app);
    let mut fields = Fields::after(manager.violation());
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "WithdrawInvitation", &id, &request, request.validate_only);
    let invitation = fields.id("invitation", &request.invitation);
    let etag = fields.etag(&request.etag);
    let (Some(terms), Some(invitation), Some(etag)) = (terms, invitation, etag) else { return Err(fields.refusal()) };
    let shown = api.app.withdraw_invitation(manager, invitation, etag, terms).await?;
    Ok(proto::WithdrawInvitationResponse { invitation: Some(convert::invitation(&api.app, &shown, sees)) })
}

fn told(api: &Api, invited: Invited, sees: Sees) -> (Option<proto::Invitation>, Option<proto::ReturnedLink>, bool) {
    let (link, already_shown) = convert::returned(&api.app, invited.returned);
    (Some(convert::invitation(&api.app, &invited.shown, sees)), link, already_shown)
}
