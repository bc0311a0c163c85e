//! The kinds of callers, each on a connection of its own.

use std::time::Duration;

use tonic::transport::Channel;
use user_management::proto::{self, Privilege, Role};

use super::stage::Stage;
use crate::client::Identified;
use crate::site::{Person, connect_unix};

/// Every scope.
const ALL: [&str; 6] = ["users.read", "users.write", "users.act_as", "access.check", "access.watch", "operations.read"];

/// Every scope but acting for people.
const ALL_BUT_ACTING: [&str; 5] = ["users.read", "users.write", "access.check", "access.watch", "operations.read"];

/// One kind of caller.
pub(super) struct Kind {
    /// The column's head.
    pub(super) key: &'static str,
    /// What a reviewer reads of it.
    pub(super) about: &'static str,
    pub(super) channel: Channel,
    pub(super) identified: Identified,
    /// The person whose session it is, for calls that are about the caller themself.
    pub(super) person: Option<Person>,
    /// How long after the column before it calls.
    pub(super) after: Duration,
}

impl Kind {
    pub(super) fn new(key: &'static str, about: &'static str, channel: Channel, identified: Identified) -> Self {
        Self { key, about, channel, identified, person: None, after: Duration::ZERO }
    }

    pub(super) fn of(mut self, person: Person) -> Self {
        self.person = Some(person);
        self
    }

    fn after(mut self, wait: Duration) -> Self {
        self.after = wait;
        self
    }
}

/// A part of the document: callers who are read side by side.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) kinds: Vec<&'static str>,
}

/// All kinds, in the order in which they call: time goes on towards the end.
pub(super) async fn cast(stage: &Stage) -> (Vec<Kind>, Vec<Group>) {
    let mut kinds = doors(stage).await;
    kinds.extend(services(stage).await);
    let (tokens, expired) = api_tokens(stage).await;
    kinds.extend(tokens);
    kinds.extend(people(stage).await);
    kinds.push(expired);
    let groups = vec![
        Group {
            title: "Doors, and credentials that don't count",
            kinds: vec!["nobody", "operator", "proxied", "tools", "garbage", "ses+act-as", "expired", "revoked"],
        },
        Group {
            title: "People, in sessions of their own",
            kinds: vec!["admin", "normal", "read-only", "role-admin", "stranger", "super", "super+16m"],
        },
        Group {
            title: "Services, by token",
            kinds: vec!["svc", "svc-watch", "svc-acme", "svc-other", "as-admin", "as-stranger"],
        },
        Group {
            title: "Personal tokens",
            kinds: vec!["pat", "pat-capped", "pat-other", "pat-super", "pat+act-as", "pat-expired", "pat-revoked"],
        },
    ];
    (kinds, groups)
}

async fn doors(stage: &Stage) -> Vec<Kind> {
    let site = &stage.site;
    let ann = site.sign_in(&stage.admin.email).await;
    let none = Identified::default;
    let proxied = none().with("x-forwarded-for", "192.0.2.1");
    let tools = connect_unix(&stage.tools_socket).await;
    vec![
        Kind::new("nobody", "no credentials, over TCP", site.tcp_channel().await, none()),
        Kind::new("operator", "the service's own uid on `grpc.socket`", site.socket_channel().await, none()),
        Kind::new("proxied", "the same with an `x-forwarded-for` header", site.socket_channel().await, proxied),
        Kind::new("tools", "the same uid on `grpc.tools_socket`, where it means nothing", tools, none()),
        Kind::new(
            "garbage",
            "the operator's uid with a bearer token that is none",
            site.socket_channel().await,
            Identified::by("ses_none"),
        ),
        Kind::new(
            "ses+act-as",
            "an Admin's session that sends `x-act-as`",
            site.tcp_channel().await,
            Identified::by(&ann.token).with("x-act-as", &stage.member.id),
        ),
        Kind::new(
            "revoked",
            "a service with every scope, revoked",
            site.tcp_channel().await,
            Identified::by(&revoked(stage).await),
        ),
    ]
}

/// The token of a service that was revoked.
async fn revoked(stage: &Stage) -> String {
    let mut operator = stage.operator.clone();
    let scopes = ALL.map(str::to_owned).to_vec();
    let request = proto::CreateServiceRequest { name: "revoked".to_owned(), scopes, ..Default::default() };
    let made = operator.operations.create_service(request).await.expect("the operator may").into_inner();
    let service = made.service.expect("a service").id;
    let request = proto::RevokeServiceRequest { service, ..Default::default() };
    operator.operations.revoke_service(request).await.expect("the operator may");
    made.token
}

async fn services(stage: &Stage) -> Vec<Kind> {
    let site = &stage.site;
    let all = site.service("all", &ALL, "").await;
    let watch = site.service("watch", &["access.watch"], "").await;
    let bound = site.service("bound", &ALL_BUT_ACTING, "acme").await;
    let elsewhere = site.service("elsewhere", &ALL, "other").await;
    let acting = |person: &Person| Identified::by(&all).with("x-act-as", &person.id);
    vec![
        Kind::new("svc", "every scope, every account", site.tcp_channel().await, Identified::by(&all)),
        Kind::new("svc-watch", "scope `access.watch` alone", site.tcp_channel().await, Identified::by(&watch)),
        Kind::new("svc-acme", "bound to acme, every scope but `users.act_as`", site.tcp_channel().await, Identified::by(&bound)),
        Kind::new("svc-other", "bound to another account, every scope", site.tcp_channel().await, Identified::by(&elsewhere)),
        Kind::new("as-admin", "the first one with `x-act-as`: acme's Admin", site.tcp_channel().await, acting(&stage.admin)),
        Kind::new(
            "as-stranger",
            "the first one with `x-act-as`: the stranger",
            site.tcp_channel().await,
            acting(&stage.stranger),
        ),
    ]
}

/// Holders of personal tokens, and one whose token has expired by the time that the last calls are made.
async fn api_tokens(stage: &Stage) -> (Vec<Kind>, Kind) {
    let site = &stage.site;
    let owner = site.member("acme", "pia@acme.test", Privilege::Admin, &[]).await;
    site.join("other", &owner, Privilege::Admin, &[]).await;
    let marked = site.member("acme", "sam@site.test", Privilege::Normal, &[]).await;
    let request = proto::SetSuperAdminRequest { user: marked.id.clone(), super_admin: true, ..Default::default() };
    stage.operator.clone().operations.set_super_admin(request).await.expect("the operator may");
    let cap = proto::ApiTokenCap { privilege: Privilege::ReadOnly.into(), roles: Vec::new() };
    let whole = site.api_token(&owner, "acme", None).await;
    let (capped, other) = (site.api_token(&owner, "acme", Some(cap)).await, site.api_token(&owner, "other", None).await);
    let of_marked = site.api_token(&marked, "acme", None).await;
    let mut as_owner = site.bearer(&owner.token).await;
    let hour = site.clock.now().plus(Duration::from_hours(1)).as_micros() / 1_000_000;
    let expire_time = Some(prost_types::Timestamp { seconds: hour, nanos: 0 });
    let (account, name) = ("acme".to_owned(), "short-lived".to_owned());
    let request = proto::CreateApiTokenRequest { account, name, expire_time, ..Default::default() };
    let short = as_owner.identity.create_api_token(request.clone()).await.expect("a member may").into_inner().token;
    let gone = as_owner.identity.create_api_token(request).await.expect("a member may").into_inner();
    let api_token = gone.api_token.expect("what was made").id;
    let request = proto::RevokeApiTokenRequest { api_token, ..Default::default() };
    as_owner.identity.revoke_api_token(request).await.expect("it is theirs");
    let kind = async |key, about, token: &str| Kind::new(key, about, site.tcp_channel().await, Identified::by(token));
    let acting = Identified::by(&whole).with("x-act-as", &stage.member.id);
    let kinds = vec![
        kind("pat", "an Admin's for acme", &whole).await,
        kind("pat-capped", "the same Admin's for acme, with the cap Read-Only", &capped).await,
        kind("pat-other", "the same Admin's for another account that they are an Admin of", &other).await,
        kind("pat-super", "a super-admin's for acme, who is a Normal member there", &of_marked).await,
        Kind::new("pat+act-as", "the first one with `x-act-as`", site.tcp_channel().await, acting),
        kind("pat-revoked", "the Admin's for acme, revoked", &gone.token).await,
    ];
    (kinds, kind("pat-expired", "the Admin's for acme, expired", &short).await)
}

async fn people(stage: &Stage) -> Vec<Kind> {
    let site = &stage.site;
    let normal = site.member("acme", "norma@acme.test", Privilege::Normal, &[]).await;
    let reader = site.member("acme", "rita@acme.test", Privilege::ReadOnly, &[]).await;
    let role = site.member("acme", "rob@acme.test", Privilege::Normal, &[Role::Admin]).await;
    // each is somebody of their own: who changes their password ends their other sessions
    let (mark, later) = (site.person("sue@site.test").await, site.person("lou@site.test").await);
    for person in [&mark, &later] {
        let request = proto::SetSuperAdminRequest { user: person.id.clone(), super_admin: true, ..Default::default() };
        stage.operator.clone().operations.set_super_admin(request).await.expect("the operator may");
    }
    let forgotten = site.member("acme", "fay@acme.test", Privilege::Admin, &[]).await;
    let (admin, stranger) = (stage.admin.clone(), stage.stranger.clone());
    let session = async |key, about, person: Person| {
        Kind::new(key, about, site.tcp_channel().await, Identified::by(&person.token)).of(person)
    };
    let expired = Kind::new(
        "expired",
        "an Admin's session, unused for 12 hours",
        site.tcp_channel().await,
        Identified::by(&forgotten.token),
    );
    vec![
        session("admin", "an Admin of acme", admin).await,
        session("normal", "a Normal member of acme", normal).await,
        session("read-only", "a Read-Only member of acme", reader).await,
        session("role-admin", "a Normal member of acme with the role Admin", role).await,
        session("stranger", "somebody with a login who is no member of acme", stranger).await,
        session("super", "a super-admin whose password was just typed", mark).await,
        session("super+16m", "the super-admin, 16 minutes after typing it", later).await.after(Duration::from_mins(16)),
        expired.after(Duration::from_hours(12)),
    ]
}
