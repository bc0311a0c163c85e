//! What the calls are about: accounts, people and invitations, made anew or put back before each call that changes them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use user_management::proto::{self, Privilege};

use super::kinds::Kind;
use crate::client::Client;
use crate::site::{PASSWORD, Person, Site};

/// A service with the account acme, whose members and invitations the calls are about.
pub(super) struct Stage {
    pub(super) site: Site,
    pub(super) operator: Client,
    pub(super) tools_socket: PathBuf,
    /// The one Admin of acme.
    pub(super) admin: Person,
    /// A Normal member of acme, whom the calls are about.
    pub(super) member: Person,
    /// Somebody with a login who is no member of acme.
    pub(super) stranger: Person,
    /// A personal token of the Admin's, for acme.
    pub(super) api_token: String,
    /// A pending invitation to acme.
    pub(super) invitation: String,
    /// The token of its mail.
    pub(super) invitation_token: String,
    /// A pending invitation to another account.
    pub(super) invitation_elsewhere: String,
    /// The token of a confirmation mail.
    pub(super) confirmation_token: String,
    count: AtomicU32,
    /// Holds the socket for as long as the service runs.
    _directory: TempDir,
}

impl Stage {
    pub(super) async fn set() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let tools_socket = directory.path().join("tools.sock");
        let site = Site::with(&format!("signup = \"open\"\ngrpc.tools_socket = '{}'", tools_socket.display())).await;
        site.account("acme").await;
        site.account("other").await;
        let admin = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
        let member = site.member("acme", "tom@acme.test", Privilege::Normal, &[]).await;
        let stranger = site.person("eve@evil.test").await;
        let api_token = site.api_token(&admin, "acme", None).await;
        let (invitation, invitation_token) = site.invited("acme", "ivy@acme.test", Privilege::Normal, &[]).await;
        let (elsewhere, _) = site.invited("other", "ivy@acme.test", Privilege::Normal, &[]).await;
        let request = proto::SignUpRequest {
            email: "con@acme.test".to_owned(),
            password: PASSWORD.to_owned(),
            display_name: "Con".to_owned(),
        };
        site.nobody().await.identity.sign_up(request).await.expect("anybody may sign up");
        let confirmation_token = site.mailed_token("con@acme.test").await;
        Self {
            operator: site.operator().await,
            site,
            tools_socket,
            admin,
            member,
            stranger,
            api_token,
            invitation: invitation.id,
            invitation_token,
            invitation_elsewhere: elsewhere.id,
            confirmation_token,
            count: AtomicU32::new(0),
            _directory: directory,
        }
    }

    /// From here on no mail can be written, so that there is always one to retry.
    pub(super) fn lose_mail(&self) {
        std::fs::remove_dir_all(self.site.mail_dir()).expect("the mails are there");
    }

    /// A name that was never used. Time goes on by a little, so that what is made later is listed as newer.
    pub(super) fn fresh(&self) -> String {
        self.site.clock.advance(Duration::from_millis(1));
        format!("fresh-{}", self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// A new pending invitation to acme.
    pub(super) async fn fresh_invitation(&self) -> String {
        self.invite("acme", &format!("{}@acme.test", self.fresh())).await
    }

    /// A new pending invitation of somebody to a new account.
    pub(super) async fn invitation_of(&self, person: &Person) -> (String, String) {
        let name = self.fresh();
        let request = proto::CreateAccountRequest { name: name.clone(), ..Default::default() };
        self.operator.clone().users.create_account(request).await.expect("the operator may");
        let invitation = self.invite(&name, &person.email).await;
        (name, invitation)
    }

    /// A new account that somebody is a member of.
    pub(super) async fn account_of(&self, person: &Person) -> String {
        let (account, invitation) = self.invitation_of(person).await;
        let request = proto::AcceptInvitationRequest { invitation, ..Default::default() };
        let session = self.site.sign_in(&person.email).await;
        self.site.bearer(&session.token).await.identity.accept_invitation(request).await.expect("it is theirs");
        account
    }

    /// Puts the member back to where they stood: a Normal member of acme without roles, and no super-admin.
    pub(super) async fn put_back_member(&self) {
        let mut operator = self.operator.clone();
        let user = self.member.id.clone();
        let request = proto::SetSuperAdminRequest { user: user.clone(), ..Default::default() };
        operator.operations.set_super_admin(request).await.expect("the operator may");
        let privilege = Privilege::Normal.into();
        let account = "acme".to_owned();
        let request = proto::ChangePrivilegeRequest { account, user, privilege, ..Default::default() };
        if operator.users.change_privilege(request).await.is_err() {
            let invitation = self.invite("acme", &self.member.email).await;
            let session = self.site.sign_in(&self.member.email).await;
            let request = proto::AcceptInvitationRequest { invitation, ..Default::default() };
            self.site.bearer(&session.token).await.identity.accept_invitation(request).await.expect("it is theirs");
        }
    }

    /// A new login that an operator made, and the token that sets its password.
    pub(super) async fn made_user(&self, email: &str) -> (String, String) {
        let made = self.operator.clone().create_user(email, true).await.expect("the operator may");
        (made.user.expect("a user").id, made.link.expect("a link").token)
    }

    /// A new login that is a member of a new account.
    pub(super) async fn made_member(&self, email: &str) -> String {
        let (_, token) = self.made_user(email).await;
        self.site.nobody().await.reset(&token, PASSWORD).await.expect("the link sets the password");
        let member = self.site.sign_in(email).await;
        self.account_of(&member).await;
        member.id
    }

    /// Somebody with a login who isn't the caller.
    pub(super) fn stranger_to(&self, caller: &Kind) -> &Person {
        let is_stranger = caller.person.as_ref().is_some_and(|person| person.id == self.stranger.id);
        if is_stranger { &self.member } else { &self.stranger }
    }

    /// A new service.
    pub(super) async fn fresh_service(&self) -> String {
        let scopes = vec!["users.read".to_owned()];
        let request = proto::CreateServiceRequest { name: self.fresh(), scopes, ..Default::default() };
        let made = self.operator.clone().operations.create_service(request).await.expect("the operator may").into_inner();
        made.service.expect("a service").id
    }

    /// A mail that waits for its next attempt.
    pub(super) async fn waiting_mail(&self) -> String {
        self.fresh_invitation().await;
        self.site.mails_settled().await;
        let request = proto::ListMailRequest { page_size: 1, ..Default::default() };
        let mails = self.operator.clone().operations.list_mail(request).await.expect("the operator may").into_inner().mails;
        mails.first().expect("a mail").id.clone()
    }

    async fn invite(&self, account: &str, email: &str) -> String {
        let request = proto::InviteUserRequest {
            account: account.to_owned(),
            email: email.to_owned(),
            privilege: Privilege::Normal.into(),
            ..Default::default()
        };
        let answer = self.operator.clone().users.invite_user(request).await.expect("the operator may").into_inner();
        answer.invitation.expect("an invitation").id
    }
}
