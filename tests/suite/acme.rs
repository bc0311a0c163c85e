//! What callers do in the account `acme`, in short.

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tonic::{Response, Status};
use user_management::proto::{self, Privilege, Role};

use crate::client::{Client, Identified};
use crate::site::Site;

/// The account.
pub(crate) const ACME: &str = "acme";

fn codes(roles: &[Role]) -> Vec<i32> {
    roles.iter().map(|role| (*role).into()).collect()
}

impl Client {
    pub(crate) async fn invite(&mut self, email: &str, to: Privilege, roles: &[Role]) -> Result<proto::Invitation, Status> {
        let request = proto::InviteUserRequest {
            account: ACME.to_owned(),
            email: email.to_owned(),
            privilege: to.into(),
            roles: codes(roles),
            ..Default::default()
        };
        self.users.invite_user(request).await.map(|answer| answer.into_inner().invitation.expect("an invitation"))
    }

    pub(crate) async fn resend(&mut self, id: &str) -> Result<proto::Invitation, Status> {
        let request =
            proto::ResendInvitationRequest { account: ACME.to_owned(), invitation: id.to_owned(), ..Default::default() };
        self.users.resend_invitation(request).await.map(|answer| answer.into_inner().invitation.expect("an invitation"))
    }

    pub(crate) async fn withdraw(&mut self, id: &str) -> Result<proto::Invitation, Status> {
        let request =
            proto::WithdrawInvitationRequest { account: ACME.to_owned(), invitation: id.to_owned(), ..Default::default() };
        self.users.withdraw_invitation(request).await.map(|answer| answer.into_inner().invitation.expect("an invitation"))
    }

    pub(crate) async fn invitation(&mut self, id: &str) -> proto::Invitation {
        let request = proto::GetInvitationRequest { account: ACME.to_owned(), invitation: id.to_owned() };
        let answer = self.users.get_invitation(request).await.expect("the invitation is there").into_inner();
        answer.invitation.expect("an invitation")
    }

    /// "Invited Users".
    pub(crate) async fn invited(&mut self) -> Vec<proto::Invitation> {
        let request = proto::ListInvitationsRequest { account: ACME.to_owned(), ..Default::default() };
        self.users.list_invitations(request).await.expect("listed").into_inner().invitations
    }

    pub(crate) async fn preview(&mut self, token: &str) -> Result<proto::InvitationPreview, Status> {
        let request = proto::PreviewInvitationRequest { token: token.to_owned() };
        self.identity.preview_invitation(request).await.map(|answer| answer.into_inner().invitation.expect("a preview"))
    }

    /// Accepts by the token of a mail.
    pub(crate) async fn accept(&mut self, token: &str) -> Result<proto::AcceptInvitationResponse, Status> {
        let request = proto::AcceptInvitationRequest { token: token.to_owned(), ..Default::default() };
        self.identity.accept_invitation(request).await.map(Response::into_inner)
    }

    /// Accepts by an invitation's id.
    pub(crate) async fn accept_named(&mut self, id: &str) -> Result<proto::AcceptInvitationResponse, Status> {
        let request = proto::AcceptInvitationRequest { invitation: id.to_owned(), ..Default::default() };
        self.identity.accept_invitation(request).await.map(Response::into_inner)
    }

    /// Ignores by an invitation's id.
    pub(crate) async fn ignore_named(&mut self, id: &str) -> Result<proto::InvitationPreview, Status> {
        let request = proto::IgnoreInvitationRequest { invitation: id.to_owned(), ..Default::default() };
        self.identity.ignore_invitation(request).await.map(|answer| answer.into_inner().invitation.expect("a preview"))
    }

    pub(crate) async fn move_to(&mut self, user: &str, to: Privilege) -> Result<proto::ChangePrivilegeResponse, Status> {
        let request = proto::ChangePrivilegeRequest {
            account: ACME.to_owned(),
            user: user.to_owned(),
            privilege: to.into(),
            ..Default::default()
        };
        self.users.change_privilege(request).await.map(Response::into_inner)
    }

    pub(crate) async fn assign(&mut self, user: &str, roles: &[Role]) -> Result<proto::AssignRolesResponse, Status> {
        let request = proto::AssignRolesRequest {
            account: ACME.to_owned(),
            user: user.to_owned(),
            roles: codes(roles),
            ..Default::default()
        };
        self.users.assign_roles(request).await.map(Response::into_inner)
    }

    pub(crate) async fn remove(&mut self, user: &str) -> Result<proto::RemoveMemberResponse, Status> {
        let request = proto::RemoveMemberRequest { account: ACME.to_owned(), user: user.to_owned(), ..Default::default() };
        self.users.remove_member(request).await.map(Response::into_inner)
    }

    pub(crate) async fn leave(&mut self) -> Result<(), Status> {
        let request = proto::LeaveAccountRequest { account: ACME.to_owned(), ..Default::default() };
        self.identity.leave_account(request).await.map(|_| ())
    }

    pub(crate) async fn member(&mut self, user: &str) -> Result<proto::Member, Status> {
        let request = proto::GetMemberRequest { account: ACME.to_owned(), user: user.to_owned() };
        self.users.get_member(request).await.map(|answer| answer.into_inner().member.expect("a member"))
    }

    pub(crate) async fn members(&mut self) -> Vec<proto::Member> {
        let request = proto::ListMembersRequest { account: ACME.to_owned(), ..Default::default() };
        self.users.list_members(request).await.expect("listed").into_inner().members
    }

    pub(crate) async fn account(&mut self) -> proto::Account {
        let request = proto::GetAccountRequest { account: ACME.to_owned() };
        self.users.get_account(request).await.expect("the account is there").into_inner().account.expect("an account")
    }

    /// What happened since the event of a number, oldest first: at most as many as fit on one page.
    pub(crate) async fn events_after(&mut self, seq: u64) -> Vec<proto::Event> {
        let request = proto::ListEventsRequest { page_size: 1000, ..Default::default() };
        let mut events = self.operations.list_events(request).await.expect("listed").into_inner().events;
        events.retain(|event| event.seq > seq);
        events.reverse();
        events
    }

    /// What a walk over all of history finds.
    pub(crate) async fn verified(&mut self) -> proto::VerifyEventsResponse {
        self.operations.verify_events(proto::VerifyEventsRequest::default()).await.expect("read").into_inner()
    }

    /// The number of the last event.
    pub(crate) async fn last_event(&mut self) -> u64 {
        let request = proto::ListEventsRequest { page_size: 1, ..Default::default() };
        let events = self.operations.list_events(request).await.expect("listed").into_inner().events;
        events.first().expect("history has a beginning").seq
    }
}

impl Site {
    /// A service that acts for somebody, over TCP.
    pub(crate) async fn acting(&self, token: &str, user: &str) -> Client {
        Client::new(self.tcp_channel().await, Identified::by(token).with("x-act-as", user))
    }

    /// A connection of the test's own to the database, which minds no reference between tables.
    pub(crate) async fn database(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.data_dir().join("user-management.db")).foreign_keys(false);
        SqliteConnection::connect_with(&options).await.expect("the database opens")
    }

    /// Changes rows underneath the service, as no call could.
    pub(crate) async fn underneath(&self, sql: &'static str) {
        let done = sqlx::raw_sql(sql).execute(&mut self.database().await).await.expect("the statement runs");
        assert!(done.rows_affected() > 0, "nothing was changed by {sql}");
    }
}

/// What changes of members did to permissions: gained, lost.
pub(crate) fn effect(effects: &[proto::Effect]) -> (Vec<proto::Permission>, Vec<proto::Permission>) {
    let [effect] = effects else { panic!("effects on others: {effects:?}") };
    (effect.gained().collect(), effect.lost().collect())
}
