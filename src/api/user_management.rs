//! `UserManagement`: accounts, members, invitations, users.

mod accounts;
mod invitations;
mod members;
mod users;

use tonic::{Request, Response, Status};

use super::fields::Fields;
use super::{Api, convert};
use crate::app::accounts::{AccountUpdate, NewAccount};
use crate::app::admission::Needs;
use crate::app::invitations::Filter;
use crate::domain::name::{DisplayName, Timezone};
use crate::proto;
use crate::proto::user_management_server::UserManagement;
use crate::store::accounts::Which as WhichAccounts;
use crate::store::members::Which as WhichMembers;

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
            let which = WhichAccounts { closed: request.closed, admin_missing: request.admin_missing };
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
        self.answer(request, |caller, request| invitations::invite(self, caller, request)).await
    }

    async fn batch_invite_users(
        &self,
        request: Request<proto::BatchInviteUsersRequest>,
    ) -> Answer<proto::BatchInviteUsersResponse> {
        self.answer(request, |caller, request| invitations::invite_all(self, caller, request)).await
    }

    async fn update_invitation(
        &self,
        request: Request<proto::UpdateInvitationRequest>,
    ) -> Answer<proto::UpdateInvitationResponse> {
        self.answer(request, |caller, request| invitations::update(self, caller, request)).await
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
        self.answer(request, |caller, request| invitations::resend(self, caller, request)).await
    }

    async fn withdraw_invitation(
        &self,
        request: Request<proto::WithdrawInvitationRequest>,
    ) -> Answer<proto::WithdrawInvitationResponse> {
        self.answer(request, |caller, request| invitations::withdraw(self, caller, request)).await
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
            let which = WhichMembers { privileges, role, active: request.active };
            let page = self.app.members(&reader, which, prefix, &page).await?;
            let members = page.entries.iter().map(|member| convert::member(&self.app, member)).collect();
            Ok(proto::ListMembersResponse { members, next_page_token: page.next })
        })
        .await
    }

    async fn get_user(&self, request: Request<proto::GetUserRequest>) -> Answer<proto::GetUserResponse> {
        self.answer(request, |caller, request| users::get(self, caller, request)).await
    }

    async fn list_users(&self, request: Request<proto::ListUsersRequest>) -> Answer<proto::ListUsersResponse> {
        self.answer(request, |caller, request| users::list(self, caller, request)).await
    }

    async fn change_privilege(&self, request: Request<proto::ChangePrivilegeRequest>) -> Answer<proto::ChangePrivilegeResponse> {
        self.answer(request, |caller, request| members::change_privilege(self, caller, request)).await
    }

    async fn assign_roles(&self, request: Request<proto::AssignRolesRequest>) -> Answer<proto::AssignRolesResponse> {
        self.answer(request, |caller, request| members::assign_roles(self, caller, request)).await
    }

    async fn remove_member(&self, request: Request<proto::RemoveMemberRequest>) -> Answer<proto::RemoveMemberResponse> {
        self.answer(request, |caller, request| members::remove(self, caller, request)).await
    }

    async fn batch_update_members(
        &self,
        request: Request<proto::BatchUpdateMembersRequest>,
    ) -> Answer<proto::BatchUpdateMembersResponse> {
        self.answer(request, |caller, request| members::update_all(self, caller, request)).await
    }

    async fn close_account(&self, request: Request<proto::CloseAccountRequest>) -> Answer<proto::CloseAccountResponse> {
        self.answer(request, |caller, request| accounts::close(self, caller, request)).await
    }

    async fn reopen_account(&self, request: Request<proto::ReopenAccountRequest>) -> Answer<proto::ReopenAccountResponse> {
        self.answer(request, |caller, request| accounts::reopen(self, caller, request)).await
    }

    async fn create_user(&self, request: Request<proto::CreateUserRequest>) -> Answer<proto::CreateUserResponse> {
        self.answer(request, |caller, request| users::create(self, caller, request)).await
    }

    async fn send_password_reset(
        &self,
        request: Request<proto::SendPasswordResetRequest>,
    ) -> Answer<proto::SendPasswordResetResponse> {
        self.answer(request, |caller, request| users::send_password_reset(self, caller, request)).await
    }

    async fn deactivate_user(&self, request: Request<proto::DeactivateUserRequest>) -> Answer<proto::DeactivateUserResponse> {
        self.answer(request, |caller, request| users::deactivate(self, caller, request)).await
    }

    async fn reactivate_user(&self, request: Request<proto::ReactivateUserRequest>) -> Answer<proto::ReactivateUserResponse> {
        self.answer(request, |caller, request| users::reactivate(self, caller, request)).await
    }

    async fn delete_user(&self, request: Request<proto::DeleteUserRequest>) -> Answer<proto::DeleteUserResponse> {
        self.answer(request, |caller, request| users::delete(self, caller, request)).await
    }

    async fn revoke_sessions(&self, request: Request<proto::RevokeSessionsRequest>) -> Answer<proto::RevokeSessionsResponse> {
        self.answer(request, |caller, request| users::revoke_sessions(self, caller, request)).await
    }
}
