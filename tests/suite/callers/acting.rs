//! Services that act for people, with `x-act-as`.

use user_management::proto::{self, Privilege};

use super::whose;
use crate::client::{Client, Identified, metadata, reason};
use crate::site::{Person, Site};

/// A site with the accounts acme and other: Ann is an Admin of acme, Rita a reader of both, Eve a member of other alone.
struct Cast {
    site: Site,
    ann: Person,
    rita: Person,
    eve: Person,
    /// Every scope that is about users, in every account.
    service: String,
    /// The same, bound to acme.
    bound: String,
}

impl Cast {
    async fn meet() -> Self {
        let site = Site::start().await;
        site.account("acme").await;
        site.account("other").await;
        let ann = site.member("acme", "Ann@acme.test", Privilege::Admin, &[]).await;
        let rita = site.member("acme", "rita@acme.test", Privilege::ReadOnly, &[]).await;
        site.join("other", &rita, Privilege::ReadOnly, &[]).await;
        let eve = site.member("other", "eve@evil.test", Privilege::Normal, &[]).await;
        let scopes = ["users.read", "users.write", "users.act_as"];
        let service = site.service("service", &scopes, "").await;
        let bound = site.service("bound", &scopes, "acme").await;
        Self { site, ann, rita, eve, service, bound }
    }

    async fn acting(&self, token: &str, headers: &[&str]) -> Client {
        let identified = headers.iter().fold(Identified::by(token), |all, header| all.with("x-act-as", header));
        Client::new(self.site.tcp_channel().await, identified)
    }
}

#[tokio::test]
async fn a_person_is_named_by_id_or_by_the_address_that_they_hold() {
    let cast = Cast::meet().await;
    for name in [cast.ann.id.as_str(), "Ann@acme.test", "ann@ACME.test"] {
        assert_eq!(whose(&mut cast.acting(&cast.service, &[name]).await).await, cast.ann.id, "{name}");
    }
}

#[tokio::test]
async fn a_header_that_is_malformed_or_sent_twice_or_by_somebody_who_may_not_is_refused() {
    let cast = Cast::meet().await;
    let ann = cast.ann.id.as_str();
    for headers in [&[ann, ann][..], &[ann, "rita@acme.test"], &[""], &["ann"], &["usr_none"], &["inv_none"]] {
        assert_eq!(whose(&mut cast.acting(&cast.service, headers).await).await, "ACT_AS_INVALID", "{headers:?}");
    }
    let without = cast.site.service("without", &["users.read", "users.write"], "").await;
    for token in [&without, &cast.ann.token] {
        assert_eq!(whose(&mut cast.acting(token, &[ann]).await).await, "ACT_AS_INVALID");
    }
    let header = Identified::default().with("x-act-as", ann);
    for channel in [cast.site.tcp_channel().await, cast.site.socket_channel().await] {
        assert_eq!(whose(&mut Client::new(channel, header.clone())).await, "ACT_AS_INVALID", "nobody, and the operator");
    }
}

#[tokio::test]
async fn a_bound_service_acts_for_members_of_its_account_and_can_not_tell_others_from_nobody() {
    let cast = Cast::meet().await;
    let mut heard = Vec::new();
    for other in [cast.eve.id.as_str(), &cast.eve.email, "none@evil.test"] {
        let mut client = cast.acting(&cast.bound, &[other]).await;
        let refusal = client.identity.get_me(proto::GetMeRequest {}).await.expect_err("refused");
        heard.push((refusal.code(), reason(&refusal), refusal.message().to_owned(), metadata(&refusal, "scope")));
    }
    assert!(heard.iter().all(|refusal| *refusal == heard[0]), "{heard:#?}");
    assert_eq!(heard[0].1, "ACCESS_DENIED");

    let mut rita = cast.acting(&cast.bound, &[&cast.rita.id]).await;
    let me = rita.identity.get_me(proto::GetMeRequest {}).await.expect("a member").into_inner();
    let accounts: Vec<_> = me.memberships.iter().map(|member| member.account.as_str()).collect();
    assert_eq!(accounts, ["acme"], "it is told of its account alone");
    let request = proto::GetAccountRequest { account: "other".to_owned() };
    let refusal = rita.users.get_account(request).await.expect_err("another account");
    assert_eq!(reason(&refusal), "ACCESS_DENIED");
    let listed = rita.users.list_accounts(proto::ListAccountsRequest::default()).await.expect("listed").into_inner();
    assert_eq!(listed.accounts.len(), 1);
}

#[tokio::test]
async fn what_is_done_for_a_person_takes_both_rights_and_is_recorded_as_both() {
    let cast = Cast::meet().await;
    let invite = |account: &str| proto::InviteUserRequest {
        account: account.to_owned(),
        email: "new@acme.test".to_owned(),
        privilege: Privilege::Normal.into(),
        ..Default::default()
    };
    let mut for_rita = cast.acting(&cast.service, &[&cast.rita.id]).await;
    let refusal = for_rita.users.invite_user(invite("acme")).await.expect_err("a reader");
    assert_eq!(reason(&refusal), "ACCESS_DENIED");
    let reads = cast.site.service("reads", &["users.read", "users.act_as"], "").await;
    let refusal = cast.acting(&reads, &[&cast.ann.id]).await.users.invite_user(invite("acme")).await.expect_err("no scope");
    assert_eq!((reason(&refusal).as_str(), metadata(&refusal, "scope").as_str()), ("SCOPE_MISSING", "users.write"));
    let mut for_ann = cast.acting(&cast.service, &[&cast.ann.id]).await;
    let refusal = for_ann.users.invite_user(invite("other")).await.expect_err("not hers");
    assert_eq!(reason(&refusal), "ACCESS_DENIED");
    for_ann.users.invite_user(invite("acme")).await.expect("both may");
    let request = proto::ListEventsRequest { account: "acme".to_owned(), page_size: 1, ..Default::default() };
    let events = cast.site.operator().await.operations.list_events(request).await.expect("listed").into_inner().events;
    let event = events.first().expect("an event");
    assert_eq!(event.on_behalf_of, cast.ann.id, "{event:?}");
    assert!(format!("{:?}", event.actor).contains("svc_"), "{event:?}");
}

#[tokio::test]
async fn nobody_is_an_operator_by_x_act_as() {
    let cast = Cast::meet().await;
    let request = proto::SetSuperAdminRequest { user: cast.ann.id.clone(), super_admin: true, ..Default::default() };
    cast.site.operator().await.operations.set_super_admin(request).await.expect("the operator may");
    let mut for_ann = cast.acting(&cast.service, &[&cast.ann.id]).await;
    let request = proto::CreateAccountRequest { name: "new".to_owned(), ..Default::default() };
    assert_eq!(reason(&for_ann.users.create_account(request).await.expect_err("refused")), "OPERATOR_REQUIRED");
    let info = for_ann.operations.get_server_info(proto::GetServerInfoRequest {}).await.expect("answered").into_inner();
    assert_eq!((info.data_dir.as_str(), info.mail_queue), ("", None));
}
