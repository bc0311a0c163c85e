//! A site, and who calls it.

use prost_reflect::MethodDescriptor;
use tonic::transport::Channel;
use user_management::proto::{self, Privilege, Role};

use crate::client::Identified;
use crate::mutator::Dice;
use crate::site::{PASSWORD, Person, Site};

/// Every scope.
const ALL: [&str; 6] = ["users.read", "users.write", "users.act_as", "access.check", "access.watch", "operations.read"];

/// What sites differ in. Without limits calls come further; with those that there are, the limits themselves are reached.
const SETTINGS: [&str; 3] = [UNLIMITED, "signup = \"open\"", "signup = \"invited\"\nedition = \"saas\""];

const UNLIMITED: &str = "signup = \"open\"\nlimits.sign_in_failures_per_address = 0\nlimits.sign_in_failures_per_peer = 0\n\
    limits.sign_in_failures_per_device = 0\nlimits.link_uses_per_peer = 0\nlimits.mails_per_peer = 0\n\
    limits.mails_per_recipient_hour = 0\nlimits.mails_per_recipient_day = 0\nlimits.address_changes_per_user = 0\n\
    limits.api_tokens_per_user = 0";

/// Somebody who calls, on a connection of their own.
pub(super) struct Caller {
    pub(super) name: &'static str,
    pub(super) channel: Channel,
    pub(super) token: Option<String>,
    pub(super) acts_for: Option<String>,
    /// Whose session it is, to sign in again once it has ended.
    email: Option<String>,
}

impl Caller {
    /// Signs in again whose session has ended, if their login is still there.
    pub(super) async fn come_back(&mut self, site: &Site) {
        let Some(email) = self.email.clone() else { return };
        let request = proto::SignInRequest { email, password: PASSWORD.to_owned() };
        if let Ok(answer) = site.nobody().await.identity.sign_in(request).await {
            self.token = Some(answer.into_inner().session_token);
        }
    }
}

/// A site with everybody who calls it.
pub(super) struct Stage {
    pub(super) site: Site,
    pub(super) callers: Vec<Caller>,
    /// What they know of: the ids, addresses and names of what there is.
    pub(super) known: Vec<(&'static str, String)>,
    /// Whether no mail can be written any more, so that there is always one to retry.
    pub(super) loses_mail: bool,
}

impl Stage {
    /// Sets one up; each is a little different from the one before.
    pub(super) async fn set(number: u32) -> Self {
        let site = Site::with(SETTINGS[number as usize % SETTINGS.len()]).await;
        for name in ["acme", "other"] {
            site.account(name).await;
        }
        let mut known = vec![("name", "acme".to_owned()), ("name", "other".to_owned())];
        let mut people = Vec::new();
        for (name, privilege, roles) in [
            ("ann", Privilege::Admin, &[][..]),
            ("norma", Privilege::Normal, &[]),
            ("rob", Privilege::ReadOnly, &[Role::Admin]),
            ("sue", Privilege::Normal, &[]),
        ] {
            people.push(member(&site, &format!("{name}@acme.test"), privilege, roles).await);
        }
        let [ann, norma, rob, sue] = &people[..] else { unreachable!("four people") };
        let eve = invited_elsewhere(&site).await;
        let mut operator = site.operator().await;
        let request = proto::SetSuperAdminRequest { user: sue.id.clone(), super_admin: true, ..Default::default() };
        operator.operations.set_super_admin(request).await.expect("the operator may");
        let request = proto::InviteUserRequest {
            account: "acme".to_owned(),
            email: eve.email.clone(),
            privilege: Privilege::Admin.into(),
            ..Default::default()
        };
        let invited = operator.users.invite_user(request).await.expect("the operator may").into_inner().invitation;
        known.push(("id", invited.expect("an invitation").id));
        let request =
            proto::CreateApiTokenRequest { account: "acme".to_owned(), name: "backup".to_owned(), ..Default::default() };
        let api_token =
            site.bearer(&ann.token).await.identity.create_api_token(request).await.expect("a member may").into_inner().token;
        let (all, bound) = (site.service("all", &ALL, "").await, site.service("bound", &ALL, "acme").await);
        let mut callers = vec![
            Caller { name: "the operator", channel: site.socket_channel().await, token: None, acts_for: None, email: None },
            Caller { name: "nobody", channel: site.tcp_channel().await, token: None, acts_for: None, email: None },
        ];
        for (name, person) in [
            ("an Admin", ann),
            ("a Normal member", norma),
            ("a Read-Only member with the role Admin", rob),
            ("a super-admin", sue),
            ("a stranger", &eve),
        ] {
            let (token, email) = (Some(person.token.clone()), Some(person.email.clone()));
            callers.push(Caller { name, channel: site.tcp_channel().await, token, acts_for: None, email });
        }
        for (name, token, acts_for) in [
            ("a personal token", &api_token, None),
            ("a service", &all, None),
            ("a service of acme", &bound, None),
            ("a service for an Admin", &all, Some(ann.id.clone())),
        ] {
            let token = Some(token.clone());
            callers.push(Caller { name, channel: site.tcp_channel().await, token, acts_for, email: None });
        }
        for person in people.iter().chain([&eve]) {
            known.extend([("id", person.id.clone()), ("email", person.email.clone()), ("token", person.token.clone())]);
        }
        known.extend([all, bound, api_token].map(|token| ("token", token)));
        let loses_mail = number % 4 == 3;
        if loses_mail {
            site.mails_settled().await;
            std::fs::remove_dir_all(site.mail_dir()).expect("the mails are there");
        }
        Self { site, callers, known, loses_mail }
    }

    /// One of the callers: as often one who may have what an RPC does as any.
    pub(super) fn pick(&self, dice: &mut Dice, method: &MethodDescriptor) -> usize {
        let all = dice.below(self.callers.len());
        if dice.once_in(2) {
            return all;
        }
        let in_person = method.parent_service().name() == "Identity";
        let may = |caller: &Caller| {
            if in_person { caller.email.is_some() } else { ["the operator", "an Admin", "a service"].contains(&caller.name) }
        };
        let fitting: Vec<usize> = (0..).zip(&self.callers).filter(|(_, caller)| may(caller)).map(|(at, _)| at).collect();
        *dice.pick(&fitting)
    }

    /// The operator, for looking at what became of it.
    pub(super) async fn operator(&self) -> crate::client::Client {
        crate::client::Client::new(self.site.socket_channel().await, Identified::default())
    }
}

/// A member of acme with a session, whatever the site takes to sign up.
async fn member(site: &Site, email: &str, privilege: Privilege, roles: &[Role]) -> Person {
    let in_saas = site.app().edition() == user_management::domain::edition::Edition::Saas;
    let roles = if in_saas { &[] } else { roles };
    let (_, token) = site.invited("acme", email, privilege, roles).await;
    let person = site.person(email).await;
    let request = proto::AcceptInvitationRequest { token, ..Default::default() };
    site.bearer(&person.token).await.identity.accept_invitation(request).await.expect("it is theirs");
    person
}

/// Somebody who is no member of acme.
async fn invited_elsewhere(site: &Site) -> Person {
    site.invited("other", "eve@evil.test", Privilege::Normal, &[]).await;
    site.person("eve@evil.test").await
}
