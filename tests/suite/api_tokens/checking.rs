//! `CheckAccess.token`: a tool that was shown a token asks what its holder may do.

use user_management::proto::{self, AccessReason, Permission, Privilege, Role};

use super::{DAY, asked, cap};
use crate::acme::ACME;
use crate::client::{Client, reason, violations};
use crate::site::Site;

fn question(account: &str, token: &str, permission: Permission) -> proto::CheckAccessRequest {
    proto::CheckAccessRequest {
        account: account.to_owned(),
        token: token.to_owned(),
        permission: permission.into(),
        ..Default::default()
    }
}

async fn checked(client: &mut Client, account: &str, token: &str, permission: Permission) -> proto::CheckAccessResponse {
    client.access.check_access(question(account, token, permission)).await.expect("answered").into_inner()
}

#[tokio::test]
async fn a_check_of_a_token_says_whose_it_is_until_when_and_why() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    let tool = site.service("tool", &["access.check"], ACME).await;
    let token = site.api_token(&bob, ACME, Some(cap(Privilege::ReadOnly, &[Role::Trending]))).await;
    let shown = site.bearer(&bob.token).await.api_tokens().await.remove(0);
    for mut asking in [site.operator().await, site.bearer(&tool).await, site.bearer(&ann.token).await] {
        let view = checked(&mut asking, ACME, &token, Permission::View).await;
        assert_eq!((view.allowed, view.user.as_str(), view.token_expire_time), (true, bob.id.as_str(), shown.expire_time));
        let respond = checked(&mut asking, ACME, &token, Permission::RespondToAlerts).await;
        assert_eq!((respond.allowed, respond.reason()), (false, AccessReason::TokenCapped));
        assert_eq!((respond.via.len(), respond.would_be_allowed_with.len()), (0, 0));
        let graphs = checked(&mut asking, ACME, &token, Permission::ModifyGraphs).await;
        assert_eq!(graphs.reason(), AccessReason::RoleMissing, "its owner lacks it");
        assert_eq!(graphs.would_be_allowed_with.len(), 1, "with Trending bob and the token could");
        let checks = checked(&mut asking, ACME, &token, Permission::ModifyChecks).await;
        assert_eq!(
            (checks.reason(), checks.would_be_allowed_with.len()),
            (AccessReason::RoleMissing, 0),
            "the cap would be in the way"
        );
    }
}

#[tokio::test]
async fn unknown_expired_and_revoked_tokens_and_those_of_other_accounts_are_answered_alike() {
    let site = Site::start().await;
    for account in [ACME, "other"] {
        site.account(account).await;
    }
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.join("other", &ann, Privilege::Admin, &[]).await;
    let tools = [site.service("all", &["access.check"], "").await, site.service("bound", &["access.check"], ACME).await];
    let mut as_ann = site.bearer(&ann.token).await;
    let expired = as_ann.create_api_token(asked(ACME)).await.expect("made").token;
    site.clock.advance(90 * DAY);
    let ann = site.sign_in(&ann.email).await;
    let elsewhere = site.api_token(&ann, "other", None).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let gone = as_ann.create_api_token(asked(ACME)).await.expect("made");
    as_ann.revoke_api_token(&gone.api_token.expect("what was made").id).await.expect("it is hers");
    let revoked = gone.token;
    let unknown = revoked.replace("pat_", "pat_A");
    let revision = Some(site.app().view().seq());
    let tokens =
        [expired, elsewhere, revoked, unknown, "pat_".to_owned(), "no token".to_owned(), ann.token.clone(), tools[0].clone()];
    for mut asking in [site.operator().await, as_ann, site.bearer(&tools[0]).await, site.bearer(&tools[1]).await] {
        for token in &tokens {
            let answer = checked(&mut asking, ACME, token, Permission::View).await;
            assert_eq!(answer.revision.as_ref().map(|revision| revision.seq), revision);
            let denied = proto::CheckAccessResponse {
                reason: AccessReason::TokenInvalid.into(),
                revision: answer.revision.clone(),
                ..Default::default()
            };
            assert_eq!(answer, denied);
        }
    }
}

#[tokio::test]
async fn asking_about_a_token_takes_what_asking_about_others_takes() {
    let site = Site::start().await;
    site.account(ACME).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let eve = site.person("eve@evil.test").await;
    let tool = site.service("tool", &["users.read"], "").await;
    let token = site.api_token(&bob, ACME, None).await;
    for (asking, why) in
        [(&bob.token, "ACCESS_DENIED"), (&eve.token, "ACCESS_DENIED"), (&token, "ACCESS_DENIED"), (&tool, "SCOPE_MISSING")]
    {
        for shown in [token.as_str(), "pat_none"] {
            let refused = site.bearer(asking).await.access.check_access(question(ACME, shown, Permission::View)).await;
            assert_eq!(reason(&refused.expect_err("refused")), why);
        }
    }
    let both = proto::CheckAccessRequest { user: bob.id.clone(), ..question(ACME, &token, Permission::View) };
    let refused = site.operator().await.access.check_access(both).await.expect_err("one of them");
    assert_eq!(violations(&refused), ["token"]);
    let nowhere = checked(&mut site.operator().await, "nowhere", &token, Permission::View).await;
    assert_eq!(nowhere.reason(), AccessReason::UnknownAccount);
}

#[tokio::test]
async fn a_check_of_a_token_waits_for_no_database() {
    let site = Site::start().await;
    site.account(ACME).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let token = site.api_token(&bob, ACME, None).await;
    let mut operator = site.operator().await;
    // every connection that reads is taken
    let mut busy = Vec::new();
    while let Ok(Ok(connection)) = tokio::time::timeout(std::time::Duration::from_millis(200), site.app().store().read()).await {
        busy.push(connection);
    }
    assert!(!busy.is_empty());
    assert!(checked(&mut operator, ACME, &token, Permission::ModifyGraphs).await.allowed);
    drop(busy);
}
