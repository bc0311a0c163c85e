//! The rows of the matrix, each with a request that is good: what is refused is refused for its caller.

use prost::Message as _;
use user_management::proto::{self, Permission, Privilege, Role};

use super::kinds::Kind;
use super::stage::Stage;
use crate::site::{NOBODYS_TOKEN, PASSWORD};

/// RPCs, with what tells rows of the same one apart. `SignOut` must be the last: it ends its caller's session.
pub(super) const ROWS: [(&str, &str); 85] = [
    ("CreateAccount", ""),
    ("GetAccount", ""),
    ("GetAccount", "that isn't there"),
    ("ListAccounts", ""),
    ("UpdateAccount", ""),
    ("CloseAccount", ""),
    ("ReopenAccount", ""),
    ("InviteUser", ""),
    ("InviteUser", "where there is no account"),
    ("BatchInviteUsers", ""),
    ("UpdateInvitation", ""),
    ("GetInvitation", ""),
    ("GetInvitation", "of another account"),
    ("ListInvitations", ""),
    ("ResendInvitation", ""),
    ("WithdrawInvitation", ""),
    ("GetMember", ""),
    ("GetMember", "who is none"),
    ("ListMembers", ""),
    ("GetUser", "of the caller"),
    ("GetUser", "of somebody else"),
    ("GetUser", "who is none"),
    ("ListUsers", ""),
    ("ChangePrivilege", ""),
    ("AssignRoles", ""),
    ("RemoveMember", ""),
    ("BatchUpdateMembers", ""),
    ("CreateUser", ""),
    ("SendPasswordReset", ""),
    ("DeactivateUser", ""),
    ("ReactivateUser", ""),
    ("DeleteUser", ""),
    ("RevokeSessions", ""),
    ("CheckAccess", "of the caller"),
    ("CheckAccess", "of another member"),
    ("CheckAccess", "of nobody with a login"),
    ("CheckAccess", "where there is no account"),
    ("CheckAccess", "of a token"),
    ("CheckAccess", "of a token that is none"),
    ("ListPermissions", "of the caller"),
    ("ListPermissions", "of another member"),
    ("GetAccessModel", ""),
    ("SignUp", ""),
    ("ConfirmEmail", ""),
    ("ResendConfirmation", ""),
    ("RequestPasswordReset", ""),
    ("ResetPassword", ""),
    ("SignIn", ""),
    ("GetMe", ""),
    ("UpdateMe", ""),
    ("ChangePassword", ""),
    ("ChangeEmail", ""),
    ("PreviewInvitation", ""),
    ("ListMyInvitations", ""),
    ("AcceptInvitation", "of the caller"),
    ("AcceptInvitation", "of somebody else"),
    ("IgnoreInvitation", "of the caller"),
    ("IgnoreInvitation", "of somebody else"),
    ("LeaveAccount", ""),
    ("LeaveAccount", "that isn't there"),
    ("CreateApiToken", ""),
    ("CreateApiToken", "where there is no account"),
    ("ListApiTokens", ""),
    ("RevokeApiToken", ""),
    ("RevokeApiToken", "of somebody else"),
    ("ListSessions", ""),
    ("RevokeSession", ""),
    ("RevokeSession", "of somebody else"),
    ("GetServerInfo", ""),
    ("CreateService", ""),
    ("ListServices", ""),
    ("RevokeService", ""),
    ("RevokeService", "that isn't there"),
    ("RevokeToken", ""),
    ("RevokeToken", "that isn't there"),
    ("ListEvents", "of acme"),
    ("ListEvents", "of all accounts"),
    ("VerifyEvents", ""),
    ("ExportEvents", ""),
    ("ListMail", ""),
    ("RetryMail", ""),
    ("PreviewEdition", ""),
    ("SetSuperAdmin", ""),
    ("RotateLinkKey", ""),
    ("SignOut", ""),
];

/// The request of a row, for a caller; what it needs is made, or put back, first.
pub(super) async fn request(stage: &Stage, caller: &Kind, row: (&str, &str)) -> Vec<u8> {
    match row.0 {
        "CreateAccount" | "GetAccount" | "ListAccounts" | "UpdateAccount" => of_accounts(stage, row),
        "CloseAccount" | "ReopenAccount" => of_closing(stage, row).await,
        "InviteUser" | "GetInvitation" | "ListInvitations" | "ResendInvitation" | "WithdrawInvitation" => {
            of_invitations(stage, row).await
        }
        "BatchInviteUsers" | "UpdateInvitation" | "BatchUpdateMembers" => of_batches(stage, row).await,
        "GetMember" | "ListMembers" | "ChangePrivilege" | "AssignRoles" | "RemoveMember" => of_members(stage, row).await,
        "CreateUser" | "SendPasswordReset" | "DeactivateUser" | "ReactivateUser" | "DeleteUser" | "RevokeSessions" => {
            of_users(stage, row).await
        }
        "GetUser" | "ListUsers" => of_finding(stage, caller, row),
        "CheckAccess" | "ListPermissions" => of_access(stage, row),
        "SignUp" | "ConfirmEmail" | "ResendConfirmation" | "SignIn" | "PreviewInvitation" => of_anyone(stage, row),
        "RequestPasswordReset" | "ResetPassword" | "UpdateMe" | "ChangePassword" | "ChangeEmail" => of_logins(stage, row).await,
        "AcceptInvitation" | "IgnoreInvitation" | "LeaveAccount" => of_answers(stage, caller, row).await,
        "CreateApiToken" | "ListApiTokens" | "RevokeApiToken" | "ListSessions" | "RevokeSession" => {
            of_credentials(stage, caller, row).await
        }
        // requests without fields
        "GetAccessModel" | "GetMe" | "ListMyInvitations" | "SignOut" | "GetServerInfo" | "VerifyEvents" | "ExportEvents"
        | "PreviewEdition" => Vec::new(),
        _ => of_operations(stage, row).await,
    }
}

fn acme() -> String {
    "acme".to_owned()
}

fn of_accounts(stage: &Stage, row: (&str, &str)) -> Vec<u8> {
    let fresh = stage.fresh();
    match row {
        ("CreateAccount", _) => proto::CreateAccountRequest { name: fresh, ..Default::default() }.encode_to_vec(),
        ("GetAccount", "") => proto::GetAccountRequest { account: acme() }.encode_to_vec(),
        ("GetAccount", _) => proto::GetAccountRequest { account: fresh }.encode_to_vec(),
        ("ListAccounts", _) => proto::ListAccountsRequest::default().encode_to_vec(),
        _ => proto::UpdateAccountRequest { account: acme(), display_name: Some(fresh), ..Default::default() }.encode_to_vec(),
    }
}

async fn of_closing(stage: &Stage, row: (&str, &str)) -> Vec<u8> {
    let account = stage.fresh();
    let request = proto::CreateAccountRequest { name: account.clone(), ..Default::default() };
    stage.operator.clone().users.create_account(request).await.expect("the operator may");
    let close = proto::CloseAccountRequest { account: account.clone(), ..Default::default() };
    if row.0 == "CloseAccount" {
        return close.encode_to_vec();
    }
    stage.operator.clone().users.close_account(close).await.expect("the operator may");
    proto::ReopenAccountRequest { account, ..Default::default() }.encode_to_vec()
}

async fn of_users(stage: &Stage, row: (&str, &str)) -> Vec<u8> {
    let email = format!("{}@acme.test", stage.fresh());
    if row.0 == "CreateUser" {
        return proto::CreateUserRequest { email, display_name: "Made".to_owned(), ..Default::default() }.encode_to_vec();
    }
    let user = stage.made_member(&email).await;
    match row.0 {
        "SendPasswordReset" => proto::SendPasswordResetRequest { user, ..Default::default() }.encode_to_vec(),
        "DeactivateUser" => proto::DeactivateUserRequest { user, ..Default::default() }.encode_to_vec(),
        "ReactivateUser" => {
            let request = proto::DeactivateUserRequest { user: user.clone(), ..Default::default() };
            stage.operator.clone().users.deactivate_user(request).await.expect("the operator may");
            proto::ReactivateUserRequest { user, ..Default::default() }.encode_to_vec()
        }
        "DeleteUser" => proto::DeleteUserRequest { user, ..Default::default() }.encode_to_vec(),
        _ => proto::RevokeSessionsRequest { user, ..Default::default() }.encode_to_vec(),
    }
}

async fn of_logins(stage: &Stage, row: (&str, &str)) -> Vec<u8> {
    let password = PASSWORD.to_owned();
    match row.0 {
        "RequestPasswordReset" => proto::RequestPasswordResetRequest { email: stage.member.email.clone() }.encode_to_vec(),
        "ResetPassword" => {
            let (_, token) = stage.made_user(&format!("{}@acme.test", stage.fresh())).await;
            proto::ResetPasswordRequest { token, password }.encode_to_vec()
        }
        "UpdateMe" => proto::UpdateMeRequest { display_name: Some(stage.fresh()), ..Default::default() }.encode_to_vec(),
        "ChangePassword" => proto::ChangePasswordRequest { new_password: password.clone(), password }.encode_to_vec(),
        _ => proto::ChangeEmailRequest { email: format!("{}@acme.test", stage.fresh()), password }.encode_to_vec(),
    }
}

async fn of_invitations(stage: &Stage, row: (&str, &str)) -> Vec<u8> {
    let account = acme();
    match row {
        ("InviteUser", where_to) => proto::InviteUserRequest {
            account: if where_to.is_empty() { account } else { stage.fresh() },
            email: format!("{}@acme.test", stage.fresh()),
            privilege: Privilege::Normal.into(),
            ..Default::default()
        }
        .encode_to_vec(),
        ("GetInvitation", "") => proto::GetInvitationRequest { account, invitation: stage.invitation.clone() }.encode_to_vec(),
        ("GetInvitation", _) => {
            proto::GetInvitationRequest { account, invitation: stage.invitation_elsewhere.clone() }.encode_to_vec()
        }
        ("ListInvitations", _) => proto::ListInvitationsRequest { account, ..Default::default() }.encode_to_vec(),
        ("ResendInvitation", _) => {
            let invitation = stage.fresh_invitation().await;
            proto::ResendInvitationRequest { account, invitation, ..Default::default() }.encode_to_vec()
        }
        _ => {
            let invitation = stage.fresh_invitation().await;
            proto::WithdrawInvitationRequest { account, invitation, ..Default::default() }.encode_to_vec()
        }
    }
}

async fn of_batches(stage: &Stage, row: (&str, &str)) -> Vec<u8> {
    let (account, privilege) = (acme(), Privilege::ReadOnly.into());
    match row.0 {
        "BatchInviteUsers" => {
            let invitees = vec![proto::Invitee { email: format!("{}@acme.test", stage.fresh()), privilege, roles: Vec::new() }];
            proto::BatchInviteUsersRequest { account, invitees, ..Default::default() }.encode_to_vec()
        }
        "UpdateInvitation" => {
            let invitation = stage.fresh_invitation().await;
            proto::UpdateInvitationRequest { account, invitation, privilege, ..Default::default() }.encode_to_vec()
        }
        _ => {
            stage.put_back_member().await;
            let change = Some(proto::member_update::Change::Move(proto::MoveMember { privilege, keep_roles: false }));
            let updates = vec![proto::MemberUpdate { user: stage.member.id.clone(), change, ..Default::default() }];
            proto::BatchUpdateMembersRequest { account, updates, ..Default::default() }.encode_to_vec()
        }
    }
}

async fn of_members(stage: &Stage, row: (&str, &str)) -> Vec<u8> {
    let (account, user) = (acme(), stage.member.id.clone());
    stage.put_back_member().await;
    match row {
        ("GetMember", "") => proto::GetMemberRequest { account, user }.encode_to_vec(),
        ("GetMember", _) => proto::GetMemberRequest { account, user: stage.stranger.email.clone() }.encode_to_vec(),
        ("ListMembers", _) => proto::ListMembersRequest { account, ..Default::default() }.encode_to_vec(),
        ("ChangePrivilege", _) => {
            let privilege = Privilege::ReadOnly.into();
            proto::ChangePrivilegeRequest { account, user, privilege, ..Default::default() }.encode_to_vec()
        }
        ("AssignRoles", _) => {
            let roles = vec![Role::Alerts.into()];
            proto::AssignRolesRequest { account, user, roles, ..Default::default() }.encode_to_vec()
        }
        _ => proto::RemoveMemberRequest { account, user, ..Default::default() }.encode_to_vec(),
    }
}

fn of_finding(stage: &Stage, caller: &Kind, row: (&str, &str)) -> Vec<u8> {
    // somebody has to be meant by callers who are no person
    let own = caller.person.as_ref().unwrap_or(&stage.member).id.clone();
    let user = match row.1 {
        "of the caller" => own,
        "of somebody else" => stage.stranger_to(caller).id.clone(),
        _ => "none@acme.test".to_owned(),
    };
    if row.0 == "ListUsers" {
        return proto::ListUsersRequest::default().encode_to_vec();
    }
    proto::GetUserRequest { user }.encode_to_vec()
}

fn of_access(stage: &Stage, row: (&str, &str)) -> Vec<u8> {
    let account = if row.1 == "where there is no account" { stage.fresh() } else { acme() };
    let user = match row.1 {
        "of the caller" => String::new(),
        "of nobody with a login" => "none@acme.test".to_owned(),
        _ => stage.member.email.clone(),
    };
    let permission = Permission::ModifyGraphs.into();
    let token = match row.1 {
        "of a token" => stage.api_token.clone(),
        "of a token that is none" => stage.api_token.replace("pat_", "pat_A"),
        _ => String::new(),
    };
    if !token.is_empty() {
        return proto::CheckAccessRequest { account, token, permission, ..Default::default() }.encode_to_vec();
    }
    if row.0 == "ListPermissions" {
        return proto::ListPermissionsRequest { account, user }.encode_to_vec();
    }
    proto::CheckAccessRequest { account, user, permission, ..Default::default() }.encode_to_vec()
}

fn of_anyone(stage: &Stage, row: (&str, &str)) -> Vec<u8> {
    let password = PASSWORD.to_owned();
    match row.0 {
        "SignUp" => {
            let name = stage.fresh();
            proto::SignUpRequest { email: format!("{name}@acme.test"), password, display_name: name }.encode_to_vec()
        }
        "ConfirmEmail" => proto::ConfirmEmailRequest { token: stage.confirmation_token.clone(), password }.encode_to_vec(),
        "ResendConfirmation" => proto::ResendConfirmationRequest { email: "con@acme.test".to_owned() }.encode_to_vec(),
        "SignIn" => proto::SignInRequest { email: stage.member.email.clone(), password }.encode_to_vec(),
        _ => proto::PreviewInvitationRequest { token: stage.invitation_token.clone() }.encode_to_vec(),
    }
}

async fn of_answers(stage: &Stage, caller: &Kind, row: (&str, &str)) -> Vec<u8> {
    // somebody has to be meant by callers who are no person
    let own = row.1 == "of the caller";
    let invited = caller.person.as_ref().filter(|_| own).unwrap_or(&stage.member);
    match (row, &caller.person) {
        (("AcceptInvitation", _), _) => {
            let (_, invitation) = stage.invitation_of(invited).await;
            proto::AcceptInvitationRequest { invitation, ..Default::default() }.encode_to_vec()
        }
        (("IgnoreInvitation", _), _) => {
            let (_, invitation) = stage.invitation_of(invited).await;
            proto::IgnoreInvitationRequest { invitation, ..Default::default() }.encode_to_vec()
        }
        ((_, ""), Some(person)) => {
            proto::LeaveAccountRequest { account: stage.account_of(person).await, ..Default::default() }.encode_to_vec()
        }
        ((_, ""), None) => proto::LeaveAccountRequest { account: acme(), ..Default::default() }.encode_to_vec(),
        _ => proto::LeaveAccountRequest { account: stage.fresh(), ..Default::default() }.encode_to_vec(),
    }
}

async fn of_credentials(stage: &Stage, caller: &Kind, row: (&str, &str)) -> Vec<u8> {
    // somebody has to be meant by callers who are no person
    let own = caller.person.as_ref().unwrap_or(&stage.member);
    let meant = if row.1 == "of somebody else" { stage.stranger_to(caller) } else { own };
    match row {
        ("CreateApiToken", "") => api_token(acme(), stage.fresh()).encode_to_vec(),
        ("CreateApiToken", _) => api_token(stage.fresh(), stage.fresh()).encode_to_vec(),
        ("ListApiTokens", _) => proto::ListApiTokensRequest::default().encode_to_vec(),
        ("ListSessions", _) => proto::ListSessionsRequest::default().encode_to_vec(),
        ("RevokeApiToken", _) => {
            let request = api_token(stage.account_of(meant).await, stage.fresh());
            let session = stage.site.sign_in(&meant.email).await;
            let made = stage.site.bearer(&session.token).await.identity.create_api_token(request).await.expect("a member may");
            let api_token = made.into_inner().api_token.expect("what was made").id;
            proto::RevokeApiTokenRequest { api_token, ..Default::default() }.encode_to_vec()
        }
        _ => {
            let begun = stage.site.sign_in(&meant.email).await;
            let listed =
                stage.site.bearer(&begun.token).await.identity.list_sessions(proto::ListSessionsRequest::default()).await;
            let sessions = listed.expect("a person may").into_inner().sessions;
            let session = sessions.into_iter().find(|session| session.current).expect("the one that asks").id;
            proto::RevokeSessionRequest { session, ..Default::default() }.encode_to_vec()
        }
    }
}

fn api_token(account: String, name: String) -> proto::CreateApiTokenRequest {
    proto::CreateApiTokenRequest { account, name, ..Default::default() }
}

async fn of_operations(stage: &Stage, row: (&str, &str)) -> Vec<u8> {
    match row {
        ("CreateService", _) => {
            let scopes = vec!["users.read".to_owned()];
            proto::CreateServiceRequest { name: stage.fresh(), scopes, ..Default::default() }.encode_to_vec()
        }
        ("ListServices", _) => proto::ListServicesRequest::default().encode_to_vec(),
        ("RevokeService", "") => {
            proto::RevokeServiceRequest { service: stage.fresh_service().await, ..Default::default() }.encode_to_vec()
        }
        ("RevokeService", _) => {
            let service = stage.member.id.replace("usr_", "svc_");
            proto::RevokeServiceRequest { service, ..Default::default() }.encode_to_vec()
        }
        ("RevokeToken", "") => {
            let token = stage.site.service(&stage.fresh(), &["users.read"], "").await;
            proto::RevokeTokenRequest { token, ..Default::default() }.encode_to_vec()
        }
        ("RevokeToken", _) => proto::RevokeTokenRequest { token: NOBODYS_TOKEN.to_owned(), ..Default::default() }.encode_to_vec(),
        ("ListEvents", "of acme") => proto::ListEventsRequest { account: acme(), ..Default::default() }.encode_to_vec(),
        ("ListEvents", _) => proto::ListEventsRequest::default().encode_to_vec(),
        ("ListMail", _) => proto::ListMailRequest::default().encode_to_vec(),
        ("RetryMail", _) => proto::RetryMailRequest { mail: stage.waiting_mail().await, ..Default::default() }.encode_to_vec(),
        ("RotateLinkKey", _) => proto::RotateLinkKeyRequest::default().encode_to_vec(),
        ("SetSuperAdmin", _) => {
            stage.put_back_member().await;
            let user = stage.member.id.clone();
            proto::SetSuperAdminRequest { user, super_admin: true, ..Default::default() }.encode_to_vec()
        }
        _ => panic!("{} has no request here", row.0),
    }
}
