//! `UserManagement`: accounts, members, invitations, users.

use tonic::{Request, Response, Status};

use super::fields::Fields;
use super::{Api, convert};
use crate::app::accounts::{AccountUpdate, NewAccount};
use crate::app::admission::Needs;
use crate::app::invitations::Filter;
use crate::app::members::{Assignment, Move};
use crate::domain::name::{DisplayName, Timezone};
use crate::domain::policy::Standing;
use crate::proto;
use crate::proto::user_management_server::UserManagement;
use crate::store::{accounts, members, users};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl UserManagement for Api {
    async fn create_account(&self, request: Request<proto::CreateAccountRequest>) -> Answer<proto::CreateAccountResponse> {
        self.answer(request, |caller, mut request| async move {
            let operator = self.app.operator(&caller)?;
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
            let account = self.app.create_account(operator, NewAccount { name, display_name, timezone }, terms).await?;
            Ok(proto::CreateAccountResponse { account: Some(convert::account(&self.app, &account)) })
        })
        .await
    }

    async fn get_account(&self, request: Request<proto::GetAccountRequest>) -> Answer<proto::GetAccountResponse> {
        self.answer(request, |caller, request| async move {
            let reader = self.app.admit(&caller, &request.account, Needs::READ)?;
            let account = self.app.account(&reader).await?;
            Ok(proto::GetAccountResponse { account: Some(convert::account(&self.app, &account)) })
        })
        .await
    }

    async fn list_accounts(&self, request: Request<proto::ListAccountsRequest>) -> Answer<proto::ListAccountsResponse> {
        self.answer(request, |caller, request| async move {
            let listing = self.app.listing(&caller)?;
            let mut fields = Fields::default();
            let prefix = fields.name_prefix(request.name_prefix);
            let page = fields.page(request.page_size, request.page_token);
            let (Some(prefix), Some(page)) = (prefix, page) else { return Err(fields.refusal()) };
            let which = accounts::Which { closed: request.closed, admin_missing: request.admin_missing };
            let page = self.app.accounts(listing, which, &prefix, &page).await?;
            let accounts = page.entries.iter().map(|account| convert::account(&self.app, account)).collect();
            Ok(proto::ListAccountsResponse { accounts, next_page_token: page.next })
        })
        .await
    }

    async fn update_account(&self, request: Request<proto::UpdateAccountRequest>) -> Answer<proto::UpdateAccountResponse> {
        self.answer(request, |caller, mut request| async move {
            let manager = self.app.admit(&caller, &request.account, Needs::MANAGE)?;
            let mut fields = Fields::after(manager.violation());
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "UpdateAccount", &id, &request, request.validate_only);
            let etag = fields.etag(&request.etag);
            let display_name = request.display_name.map(|name| fields.display_name(&name));
            let timezone = request.timezone.map(|zone| fields.timezone(&zone));
            let (Some(terms), Some(etag), None | Some(Some(_)), None | Some(Some(_))) = (terms, etag, &display_name, &timezone)
            else {
                return Err(fields.refusal());
            };
            let update = AccountUpdate { display_name: display_name.flatten(), timezone: timezone.flatten(), etag };
            let account = self.app.update_account(manager, update, terms).await?;
            Ok(proto::UpdateAccountResponse { account: Some(convert::account(&self.app, &account)) })
        })
        .await
    }

    async fn invite_user(&self, request: Request<proto::InviteUserRequest>) -> Answer<proto::InviteUserResponse> {
        self.answer(request, |caller, mut request| async move {
            let manager = self.app.admit(&caller, &request.account, Needs::MANAGE)?;
            let mut fields = Fields::after(manager.violation());
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "InviteUser", &id, &request, request.validate_only);
            let email = fields.email(&request.email);
            let privilege = fields.privilege(request.privilege);
            let roles = fields.roles(&request.roles);
            let (Some(terms), Some(email), Some(privilege), Some(roles)) = (terms, email, privilege, roles) else {
                return Err(fields.refusal());
            };
            let shown = self.app.invite(manager, email, Standing { privilege, roles }, terms).await?;
            Ok(proto::InviteUserResponse { invitation: Some(convert::invitation(&self.app, &shown, true)) })
        })
        .await
    }

    async fn get_invitation(&self, request: Request<proto::GetInvitationRequest>) -> Answer<proto::GetInvitationResponse> {
        self.answer(request, |caller, request| async move {
            let reader = self.app.admit(&caller, &request.account, Needs::READ)?;
            let mut fields = Fields::after(reader.violation());
            let Some(id) = fields.id("invitation", &request.invitation) else { return Err(fields.refusal()) };
            let shown = self.app.invitation(&reader, id).await?;
            let replies = reader.sees_replies(&self.app);
            Ok(proto::GetInvitationResponse { invitation: Some(convert::invitation(&self.app, &shown, replies)) })
        })
        .await
    }

    async fn list_invitations(&self, request: Request<proto::ListInvitationsRequest>) -> Answer<proto::ListInvitationsResponse> {
        self.answer(request, |caller, request| async move {
            let reader = self.app.admit(&caller, &request.account, Needs::READ)?;
            let mut fields = Fields::after(reader.violation());
            let states = fields.codes("states", &request.states, 5);
            let deliveries = fields.codes("delivery_states", &request.delivery_states, 5);
            let prefix = fields.email_prefix(&request.email_prefix);
            let page = fields.page(request.page_size, request.page_token);
            let (Some(states), Some(deliveries), Some(prefix), Some(page)) = (states, deliveries, prefix, page) else {
                return Err(fields.refusal());
            };
            let filter = Filter { states, deliveries, held: request.held, prefix };
            let page = self.app.invitations(&reader, filter, &page).await?;
            let replies = reader.sees_replies(&self.app);
            let invitations = page.entries.iter().map(|shown| convert::invitation(&self.app, shown, replies)).collect();
            Ok(proto::ListInvitationsResponse { invitations, next_page_token: page.next })
        })
        .await
    }

    async fn resend_invitation(
        &self,
        request: Request<proto::ResendInvitationRequest>,
    ) -> Answer<proto::ResendInvitationResponse> {
        self.answer(request, |caller, mut request| async move {
            let manager = self.app.admit(&caller, &request.account, Needs::MANAGE)?;
            let mut fields = Fields::after(manager.violation());
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "ResendInvitation", &id, &request, request.validate_only);
            let invitation = fields.id("invitation", &request.invitation);
            let etag = fields.etag(&request.etag);
            let (Some(terms), Some(invitation), Some(etag)) = (terms, invitation, etag) else { return Err(fields.refusal()) };
            let shown = self.app.resend_invitation(manager, invitation, etag, terms).await?;
            Ok(proto::ResendInvitationResponse { invitation: Some(convert::invitation(&self.app, &shown, true)) })
        })
        .await
    }

    async fn withdraw_invitation(
        &self,
        request: Request<proto::WithdrawInvitationRequest>,
    ) -> Answer<proto::WithdrawInvitationResponse> {
        self.answer(request, |caller, mut request| async move {
            let manager = self.app.admit(&caller, &request.account, Needs::MANAGE)?;
            let mut fields = Fields::after(manager.violation());
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "WithdrawInvitation", &id, &request, request.validate_only);
            let invitation = fields.id("invitation", &request.invitation);
            let etag = fields.etag(&request.etag);
            let (Some(terms), Some(invitation), Some(etag)) = (terms, invitation, etag) else { return Err(fields.refusal()) };
            let shown = self.app.withdraw_invitation(manager, invitation, etag, terms).await?;
            Ok(proto::WithdrawInvitationResponse { invitation: Some(convert::invitation(&self.app, &shown, true)) })
        })
        .await
    }

    async fn get_member(&self, request: Request<proto::GetMemberRequest>) -> Answer<proto::GetMemberResponse> {
        self.answer(request, |caller, request| async move {
            let reader = self.app.admit(&caller, &request.account, Needs::READ)?;
            let mut fields = Fields::after(reader.violation());
            let Some(user) = fields.user(&request.user) else { return Err(fields.refusal()) };
            let member = self.app.member(&reader, &user).await?;
            Ok(proto::GetMemberResponse { member: Some(convert::member(&self.app, &member)) })
        })
        .await
    }

    async fn list_members(&self, request: Request<proto::ListMembersRequest>) -> Answer<proto::ListMembersResponse> {
        self.answer(request, |caller, request| async move {
            let reader = self.app.admit(&caller, &request.account, Needs::READ)?;
            let mut fields = Fields::after(reader.violation());
            let privileges = fields.codes("privileges", &request.privileges, 3);
            let role = fields.role(request.role);
            let prefix = fields.email_prefix(&request.email_prefix);
            let page = fields.page(request.page_size, request.page_token);
            let (Some(privileges), Some(role), Some(prefix), Some(page)) = (privileges, role, prefix, page) else {
                return Err(fields.refusal());
            };
            let which = members::Which { privileges, role, active: request.active };
            let page = self.app.members(&reader, which, prefix, &page).await?;
            let members = page.entries.iter().map(|member| convert::member(&self.app, member)).collect();
            Ok(proto::ListMembersResponse { members, next_page_token: page.next })
        })
        .await
    }

    async fn get_user(&self, request: Request<proto::GetUserRequest>) -> Answer<proto::GetUserResponse> {
        self.answer(request, |caller, request| async move {
            let seeing = self.app.seeing(&caller)?;
            let mut fields = Fields::default();
            let Some(user) = fields.user(&request.user) else {
                // what is nobody is somebody else for a person, who hears the same of both
                seeing.everybody()?;
                return Err(fields.refusal());
            };
            let user = self.app.user(seeing, &user).await?;
            Ok(proto::GetUserResponse { user: Some(convert::user(&user)) })
        })
        .await
    }

    async fn list_users(&self, request: Request<proto::ListUsersRequest>) -> Answer<proto::ListUsersResponse> {
        self.answer(request, |caller, request| async move {
            let seeing = self.app.seeing(&caller)?;
            let mut fields = Fields::default();
            let prefix = fields.email_prefix(&request.email_prefix);
            let page = fields.page(request.page_size, request.page_token);
            let (Some(prefix), Some(page)) = (prefix, page) else { return Err(fields.refusal()) };
            let which = users::Which { active: request.active, super_admin: request.super_admin };
            let page = self.app.users(seeing, which, prefix, &page).await?;
            Ok(proto::ListUsersResponse { users: page.entries.iter().map(convert::user).collect(), next_page_token: page.next })
        })
        .await
    }

    async fn change_privilege(&self, request: Request<proto::ChangePrivilegeRequest>) -> Answer<proto::ChangePrivilegeResponse> {
        self.answer(request, |caller, mut request| async move {
            let manager = self.app.admit(&caller, &request.account, Needs::MANAGE)?;
            let mut fields = Fields::after(manager.violation());
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "ChangePrivilege", &id, &request, request.validate_only);
            let user = fields.user(&request.user);
            let privilege = fields.privilege(request.privilege);
            let etag = fields.etag(&request.etag);
            let (Some(terms), Some(user), Some(privilege), Some(etag)) = (terms, user, privilege, etag) else {
                return Err(fields.refusal());
            };
            let to = Move { user, privilege, keep_roles: request.keep_roles, etag };
            let changed = self.app.change_privilege(manager, to, terms).await?;
            let member = Some(convert::member(&self.app, &changed.member));
            Ok(proto::ChangePrivilegeResponse { member, effects: convert::effects(&changed) })
        })
        .await
    }

    async fn assign_roles(&self, request: Request<proto::AssignRolesRequest>) -> Answer<proto::AssignRolesResponse> {
        self.answer(request, |caller, mut request| async move {
            let manager = self.app.admit(&caller, &request.account, Needs::MANAGE)?;
            let mut fields = Fields::after(manager.violation());
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "AssignRoles", &id, &request, request.validate_only);
            let user = fields.user(&request.user);
            let roles = fields.roles(&request.roles);
            let etag = fields.etag(&request.etag);
            let (Some(terms), Some(user), Some(roles), Some(etag)) = (terms, user, roles, etag) else {
                return Err(fields.refusal());
            };
            let proto::AssignRolesRequest { allow_widening, clear_dormant, .. } = request;
            let to = Assignment { user, roles, allow_widening, clear_dormant, etag };
            let changed = self.app.assign_roles(manager, to, terms).await?;
            let member = Some(convert::member(&self.app, &changed.member));
            Ok(proto::AssignRolesResponse { member, effects: convert::effects(&changed) })
        })
        .await
    }

    async fn remove_member(&self, request: Request<proto::RemoveMemberRequest>) -> Answer<proto::RemoveMemberResponse> {
        self.answer(request, |caller, mut request| async move {
            let manager = self.app.admit(&caller, &request.account, Needs::MANAGE)?;
            let mut fields = Fields::after(manager.violation());
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "RemoveMember", &id, &request, request.validate_only);
            let user = fields.user(&request.user);
            let etag = fields.etag(&request.etag);
            let (Some(terms), Some(user), Some(etag)) = (terms, user, etag) else { return Err(fields.refusal()) };
            let changed = self.app.remove_member(manager, user, etag, terms).await?;
            let member = Some(convert::member(&self.app, &changed.member));
            Ok(proto::RemoveMemberResponse { effects: convert::effects(&changed), member })
        })
        .await
    }
}
