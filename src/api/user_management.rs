//! `UserManagement`: the table of its RPCs; the handlers stand in a file for each noun.

mod accounts;
mod invitations;
mod members;
mod users;

use tonic::{Request, Response, Status};

use super::Api;
use crate::proto;
use crate::proto::user_management_server::UserManagement;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl UserManagement for Api {
    async fn create_account(&self, request: Request<proto::CreateAccountRequest>) -> Answer<proto::CreateAccountResponse> {
        self.answer(request, |caller, request| accounts::create(self, caller, request)).await
    }

    async fn get_account(&self, request: Request<proto::GetAccountRequest>) -> Answer<proto::GetAccountResponse> {
        self.answer(request, |caller, request| accounts::get(self, caller, request)).await
    }

    async fn list_accounts(&self, request: Request<proto::ListAccountsRequest>) -> Answer<proto::ListAccountsResponse> {
        self.answer(request, |caller, request| accounts::list(self, caller, request)).await
    }

    async fn update_account(&self, request: Request<proto::UpdateAccountRequest>) -> Answer<proto::UpdateAccountResponse> {
        self.answer(request, |caller, request| accounts::update(self, caller, request)).await
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
        self.answer(request, |caller, request| invitations::get(self, caller, request)).await
    }

    async fn list_invitations(&self, request: Request<proto::ListInvitationsRequest>) -> Answer<proto::ListInvitationsResponse> {
        self.answer(request, |caller, request| invitations::list(self, caller, request)).await
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
        self.answer(request, |caller, request| members::get(self, caller, request)).await
    }

    async fn list_members(&self, request: Request<proto::ListMembersRequest>) -> Answer<proto::ListMembersResponse> {
        self.answer(request, |caller, request| members::list(self, caller, request)).await
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
