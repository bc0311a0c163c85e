//! Who takes the steps: people with sessions, a service, the operator; one service for all plays, and an account for each.

use std::collections::BTreeMap;

use tonic::Status;
use user_management::proto::{self, Privilege};

use super::steps::{By, Who};
use crate::client::Client;
use crate::site::{Person, Site};

const INSIDE: &str = "signup = \"open\"\nedition = \"inside\"";
const SAAS: &str = "signup = \"open\"\nedition = \"saas\"";

/// A session is made anew before it was idle for as long as ends it.
const STALE: i64 = 11 * 60 * 60 * 1_000_000;

pub(super) struct Cast {
    pub(super) site: Site,
    people: BTreeMap<&'static str, Person>,
    /// Connected callers, with when they signed in.
    clients: BTreeMap<&'static str, (Client, i64)>,
    tool: String,
    tool_token: String,
    plays: u32,
    saas: bool,
}

impl Cast {
    pub(super) async fn meet() -> Self {
        let site = Site::with(INSIDE).await;
        let mut people = BTreeMap::new();
        for name in ["ann", "bea", "cy", "dee"] {
            people.insert(name, site.person(&format!("{name}@acme.test")).await);
        }
        let (tool, tool_token, clients) = (String::new(), String::new(), BTreeMap::new());
        Self { site, people, clients, tool, tool_token, plays: 0, saas: false }
    }

    /// Sets the stage for a play: an open account on Inside with ann and bea as its Admins, and a service.
    pub(super) async fn begin(&mut self) -> String {
        self.plays += 1;
        if self.saas {
            self.switch_to(false).await;
        }
        let account = format!("play-{}", self.plays);
        self.site.account(&account).await;
        for name in ["ann", "bea"] {
            let (account, email) = (account.clone(), self.people[name].email.clone());
            let privilege = Privilege::Admin.into();
            let invite = proto::InviteUserRequest { account, email, privilege, return_link: true, ..Default::default() };
            let invited = self.operator().await.users.invite_user(invite).await.expect("the operator may").into_inner();
            let invitation = invited.invitation.expect("an invitation").id;
            let accept = proto::AcceptInvitationRequest { invitation, ..Default::default() };
            self.person(name).await.identity.accept_invitation(accept).await.expect("it is theirs");
        }
        let scopes = ["users.write", "users.act_as"].map(str::to_owned).to_vec();
        let create = proto::CreateServiceRequest { name: account.clone(), scopes, ..Default::default() };
        let made = self.operator().await.operations.create_service(create).await.expect("the operator may").into_inner();
        (self.tool, self.tool_token) = (made.service.expect("a service").id, made.token);
        self.clients.retain(|name, _| !name.starts_with("tool"));
        account
    }

    pub(super) const fn email(who: Who) -> &'static str {
        match who {
            Who::Cy => "cy@acme.test",
            Who::Dee => "dee@acme.test",
        }
    }

    pub(super) fn id_of(&self, name: &str) -> &str {
        &self.people[name].id
    }

    /// The service's id.
    pub(super) fn tool(&self) -> &str {
        &self.tool
    }

    pub(super) async fn operator(&mut self) -> Client {
        if !self.clients.contains_key("operator") {
            self.clients.insert("operator", (self.site.operator().await, i64::MAX));
        }
        self.clients["operator"].0.clone()
    }

    pub(super) async fn manager(&mut self, by: By) -> Client {
        let (name, act_as) = match by {
            By::Operator => return self.operator().await,
            By::Ann => return self.person("ann").await,
            By::Bea => return self.person("bea").await,
            By::Tool => ("tool", None),
            By::ToolForAnn => ("tool for ann", Some(self.people["ann"].id.clone())),
        };
        if !self.clients.contains_key(name) {
            let client = match act_as {
                Some(user) => self.site.acting(&self.tool_token, &user).await,
                None => self.site.bearer(&self.tool_token).await,
            };
            self.clients.insert(name, (client, i64::MAX));
        }
        self.clients[name].0.clone()
    }

    pub(super) async fn invited(&mut self, who: Who) -> Client {
        self.person(match who {
            Who::Cy => "cy",
            Who::Dee => "dee",
        })
        .await
    }

    async fn person(&mut self, name: &'static str) -> Client {
        let now = self.site.clock.now().as_micros();
        if let Some((client, since)) = self.clients.get(name)
            && now - since < STALE
        {
            return client.clone();
        }
        let session = self.site.sign_in(&self.people[name].email).await;
        let client = self.site.bearer(&session.token).await;
        self.clients.insert(name, (client.clone(), now));
        client
    }

    pub(super) async fn let_ann_manage(&mut self, account: &str, manages: bool) -> Result<(), Status> {
        let privilege = if manages { Privilege::Admin } else { Privilege::Normal }.into();
        let (account, user) = (account.to_owned(), self.people["ann"].id.clone());
        let request = proto::ChangePrivilegeRequest { account, user, privilege, ..Default::default() };
        self.operator().await.users.change_privilege(request).await.map(drop)
    }

    pub(super) async fn open_account(&mut self, account: &str, open: bool) -> Result<(), Status> {
        let account = account.to_owned();
        if open {
            let request = proto::ReopenAccountRequest { account, ..Default::default() };
            return self.operator().await.users.reopen_account(request).await.map(drop);
        }
        let request = proto::CloseAccountRequest { account, ..Default::default() };
        self.operator().await.users.close_account(request).await.map(drop)
    }

    pub(super) async fn revoke_tool(&mut self) -> Result<(), Status> {
        let request = proto::RevokeServiceRequest { service: self.tool.clone(), ..Default::default() };
        self.operator().await.operations.revoke_service(request).await.map(drop)
    }

    /// Starts the service with an edition.
    pub(super) async fn switch_to(&mut self, saas: bool) {
        if self.saas != saas {
            self.clients.clear();
            self.site.restart(Some(if saas { SAAS } else { INSIDE })).await;
            self.saas = saas;
        }
    }
}
