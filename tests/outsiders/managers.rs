//! Managers of an account, for whom an address with a login elsewhere is like one without.

use prost::Message as _;
use user_management::proto::{self, Privilege};

use crate::client::Identified;
use crate::ledger::{Cost, Ledger};
use crate::raw::{Heard, heard, method, request};
use crate::site::Site;

#[tokio::test]
async fn a_manager_can_not_tell_by_what_a_call_costs_whether_an_address_has_a_login() {
    let mut ledger = Ledger::open().await;
    let site = Site::start().await;
    site.account("acme").await;
    site.account("other").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    site.member("other", "login@evil.test", Privilege::Admin, &[]).await;
    site.invited("other", "inone@evil.test", Privilege::Normal, &[]).await;
    site.person("solo1@evil.test").await;
    site.mails_settled().await;
    let scopes = ["users.read", "users.write", "access.check"];
    let callers = [Identified::by(&ann.token), Identified::by(&site.service("bound", &scopes, "acme").await)];
    let channel = site.tcp_channel().await;
    for who in &callers {
        for rpc in ["GetMember", "CheckAccess", "ListPermissions", "RemoveMember", "ChangePrivilege", "AssignRoles"] {
            let mut first: Option<(Heard, Cost)> = None;
            for email in ["nonee@evil.test", "login@evil.test", "inone@evil.test", "solo1@evil.test"] {
                let method = method(rpc);
                let mut bytes = request(&method, &[("account", "acme"), ("user", email)]);
                // `privilege` of a move, `permission` of a check
                let number = ["privilege", "permission"].iter().find_map(|name| method.input().get_field_by_name(name));
                if let Some(field) = number {
                    bytes.extend([u8::try_from(field.number() << 3).expect("a small number"), 2]);
                }
                let (mut heard, cost) = heard(&mut ledger, &channel, who, &method, &bytes).await;
                heard.status = heard.status.replace(email, "…");
                for (_, value) in &mut heard.headers {
                    *value = if value.contains('@') || value.len() > 100 { value.len().to_string() } else { value.clone() };
                }
                let first = first.get_or_insert_with(|| (heard.clone(), cost.clone()));
                assert_eq!(&(heard, cost), first, "{rpc} of {email}");
            }
        }
    }
}

#[tokio::test]
async fn inviting_an_address_with_a_login_costs_what_one_without_does() {
    let mut ledger = Ledger::open().await;
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    site.person("login@evil.test").await;
    site.mails_settled().await;
    let (who, channel, method) = (Identified::by(&ann.token), site.tcp_channel().await, method("InviteUser"));
    let mut costs = Vec::new();
    for email in ["first@evil.test", "nonee@evil.test", "login@evil.test"] {
        let mut bytes = request(&method, &[("account", "acme"), ("email", email)]);
        let privilege = method.input().get_field_by_name("privilege").expect("a field").number();
        bytes.extend([u8::try_from(privilege << 3).expect("a small number"), 2]);
        let (heard, cost) = heard(&mut ledger, &channel, &who, &method, &bytes).await;
        assert_eq!(heard.status, "OK");
        costs.push((heard.message.len(), cost));
    }
    assert_eq!(costs[1].1.writes, [true]);
    assert_eq!(costs[1], costs[2]);
}

#[tokio::test]
async fn a_batch_with_an_address_that_has_a_login_costs_what_one_without_does() {
    let mut ledger = Ledger::open().await;
    let site = Site::start().await;
    site.account("acme").await;
    site.account("other").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member("acme", "bob@acme.test", Privilege::Normal, &[]).await;
    site.member("other", "login@evil.test", Privilege::Admin, &[]).await;
    site.person("solo1@evil.test").await;
    site.mails_settled().await;
    let (who, channel) = (Identified::by(&ann.token), site.tcp_channel().await);
    let mut outcomes = Vec::new();
    for email in ["first@evil.test", "nonee@evil.test", "login@evil.test", "solo1@evil.test"] {
        // beside one that is refused
        let invitee =
            |email: &str| proto::Invitee { email: email.to_owned(), privilege: Privilege::Normal.into(), ..Default::default() };
        let invitees = vec![invitee(email), invitee(&bob.email)];
        let request = proto::BatchInviteUsersRequest { account: "acme".to_owned(), invitees, ..Default::default() };
        let bytes = request.encode_to_vec();
        let (heard, cost) = heard(&mut ledger, &channel, &who, &method("BatchInviteUsers"), &bytes).await;
        assert_eq!((heard.status.as_str(), &cost.writes[..]), ("OK", &[true][..]));
        outcomes.push((heard.message.len(), cost));
        site.mails_settled().await;
    }
    assert!(outcomes[2..].iter().all(|each| *each == outcomes[1]), "{outcomes:#?}");

    let mut first: Option<(Heard, Cost)> = None;
    for email in ["nonee@evil.test", "login@evil.test", "solo1@evil.test"] {
        let remove = |user: &str| proto::MemberUpdate {
            user: user.to_owned(),
            change: Some(proto::member_update::Change::Remove(true)),
            ..Default::default()
        };
        let updates = vec![remove(email), remove(&bob.id)];
        let request = proto::BatchUpdateMembersRequest { account: "acme".to_owned(), updates, ..Default::default() };
        let bytes = request.encode_to_vec();
        let (mut heard, cost) = heard(&mut ledger, &channel, &who, &method("BatchUpdateMembers"), &bytes).await;
        assert_ne!(heard.status, "OK");
        heard.status = heard.status.replace(email, "…");
        for (_, value) in &mut heard.headers {
            *value = if value.contains('@') || value.len() > 100 { value.len().to_string() } else { value.clone() };
        }
        let first = first.get_or_insert_with(|| (heard.clone(), cost.clone()));
        assert_eq!(&(heard, cost), first, "{email}");
    }
}
