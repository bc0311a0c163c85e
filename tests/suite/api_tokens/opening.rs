//! What a token opens: what its owner may do now and its cap opens too, in one account.

use user_management::proto::{self, EventKind, Permission, Privilege, Role};

use super::cap;
use crate::acme::{ACME, effect};
use crate::client::{Client, metadata, reason};
use crate::site::Site;

/// What a caller may do in acme, as `ListPermissions` says of the caller themself.
async fn permissions(client: &mut Client) -> Vec<Permission> {
    let request = proto::ListPermissionsRequest { account: ACME.to_owned(), ..Default::default() };
    let answer = client.access.list_permissions(request).await.expect("about the caller").into_inner();
    let listed: Vec<Permission> = answer.permissions().collect();
    for permission in (1..=8).filter_map(|code| Permission::try_from(code).ok()) {
        let request = proto::CheckAccessRequest { account: ACME.to_owned(), permission: permission.into(), ..Default::default() };
        let checked = client.access.check_access(request).await.expect("about the caller").into_inner();
        assert_eq!(checked.allowed, listed.contains(&permission), "{permission:?}");
    }
    listed
}

#[tokio::test]
async fn a_token_gives_what_its_owner_may_now_and_its_cap_opens_too() {
    use Permission::{ManageUsers, ModifyChecks, ModifyGraphs, ModifyTemplates, ModifyWorksheets, View};
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.member(ACME, "bea@acme.test", Privilege::Admin, &[]).await;
    let whole = site.api_token(&ann, ACME, None).await;
    let trending = site.api_token(&ann, ACME, Some(cap(Privilege::ReadOnly, &[Role::Trending]))).await;
    let manager = site.api_token(&ann, ACME, Some(cap(Privilege::ReadOnly, &[Role::Admin]))).await;
    let beyond = site.api_token(&ann, ACME, Some(cap(Privilege::Admin, &[]))).await;
    let [mut whole, mut trending, mut manager, mut beyond] =
        [site.bearer(&whole).await, site.bearer(&trending).await, site.bearer(&manager).await, site.bearer(&beyond).await];
    assert_eq!(permissions(&mut whole).await.len(), 8);
    assert_eq!(permissions(&mut trending).await, [View, ModifyGraphs, ModifyWorksheets]);
    assert_eq!(permissions(&mut manager).await, [View, ManageUsers]);
    let mut operator = site.operator().await;
    operator.assign(&ann.id, &[Role::Data]).await.expect("she manages users still, and changes no graphs");
    assert_eq!(permissions(&mut whole).await, [View, ManageUsers, ModifyChecks, ModifyTemplates]);
    assert_eq!(permissions(&mut trending).await, [View]);
    assert_eq!(permissions(&mut manager).await, [View, ManageUsers]);
    operator.move_to(&ann.id, Privilege::ReadOnly).await.expect("there is another Admin");
    for client in [&mut whole, &mut trending, &mut manager, &mut beyond] {
        assert_eq!(permissions(client).await, [View], "a cap gives nothing");
        assert_eq!(reason(&client.invite("new@acme.test", Privilege::Normal, &[]).await.expect_err("refused")), "ACCESS_DENIED");
    }
    operator.move_to(&ann.id, Privilege::Admin).await.expect("moved");
    manager.invite("new@acme.test", Privilege::Normal, &[]).await.expect("what its owner may counts now");
}

#[tokio::test]
async fn a_cap_narrows_what_is_read_and_changed_and_shown() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let (invitation, _) = site.invited(ACME, "ivy@acme.test", Privilege::Normal, &[]).await;
    let token = site.api_token(&ann, ACME, Some(cap(Privilege::Normal, &[]))).await;
    let mut client = site.bearer(&token).await;
    assert_eq!(client.members().await.len(), 2);
    assert_eq!(client.invitation(&invitation.id).await.delivery.expect("a delivery").last_reply, "", "that is for managers");
    for refused in [
        client.move_to(&bob.id, Privilege::ReadOnly).await.map(drop),
        client.withdraw(&invitation.id).await.map(drop),
        client.remove(&bob.id).await.map(drop),
        client.invite("new@acme.test", Privilege::Normal, &[]).await.map(drop),
    ] {
        let refused = refused.expect_err("the cap doesn't manage users");
        assert_eq!(
            (reason(&refused).as_str(), metadata(&refused, "permission").as_str()),
            ("ACCESS_DENIED", "PERMISSION_MANAGE_USERS")
        );
    }
    let about_bob = proto::CheckAccessRequest {
        account: ACME.to_owned(),
        user: bob.id.clone(),
        permission: Permission::View.into(),
        ..Default::default()
    };
    let refused = client.access.check_access(about_bob).await.expect_err("asking about others takes managing users");
    assert_eq!(reason(&refused), "ACCESS_DENIED");
}

#[tokio::test]
async fn history_says_by_which_token_somebody_acted() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let token = site.api_token(&ann, ACME, None).await;
    let id = site.bearer(&ann.token).await.api_tokens().await[0].id.clone();
    let seq = site.app().view().seq();
    let moved = site.bearer(&token).await.move_to(&bob.id, Privilege::ReadOnly).await.expect("ann may");
    assert_eq!(effect(&moved.effects).1.len(), 6);
    let events = site.operator().await.events_after(seq).await;
    let [event] = &events[..] else { panic!("one change: {events:#?}") };
    assert_eq!(
        (event.kind(), event.actor.as_str(), event.api_token.as_str()),
        (EventKind::MemberPrivilegeChanged, &*ann.id, &*id)
    );
    assert_eq!((event.session.as_str(), event.as_operator), ("", false));
    let by_ann = proto::ListEventsRequest { actor: ann.id.clone(), page_size: 1, ..Default::default() };
    let listed = site.operator().await.operations.list_events(by_ann).await.expect("listed").into_inner().events;
    assert_eq!(listed[0].seq, event.seq, "what her token did is found as hers");
    assert_eq!(site.operator().await.verified().await.first_broken, 0);
}

#[tokio::test]
async fn a_token_raises_nobody_to_more_than_its_owner_could() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let rob = site.member(ACME, "rob@acme.test", Privilege::ReadOnly, &[Role::Admin]).await;
    let token = site.api_token(&rob, ACME, None).await;
    for mut client in [site.bearer(&rob.token).await, site.bearer(&token).await] {
        let refused = client.move_to(&rob.id, Privilege::Admin).await.expect_err("only lower");
        assert_eq!(reason(&refused), "SELF_GRANT");
        let refused = client.invite(&rob.email, Privilege::Admin, &[]).await.expect_err("a member");
        assert_eq!(reason(&refused), "MEMBER_EXISTS");
    }
}

#[tokio::test]
async fn another_account_is_like_one_that_is_not_there() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.account("other").await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.join("other", &ann, Privilege::Admin, &[]).await;
    let mut client = site.bearer(&site.api_token(&ann, ACME, None).await).await;
    let mut heard = std::collections::BTreeSet::new();
    for account in ["other", "nowhere", "no such thing!"] {
        let account = account.to_owned();
        let refused = client.users.get_account(proto::GetAccountRequest { account: account.clone() }).await.expect_err("refused");
        heard.insert((refused.code() as i32, refused.message().to_owned(), reason(&refused)));
        let request = proto::ListPermissionsRequest { account, ..Default::default() };
        let refused = client.access.list_permissions(request).await.expect_err("refused");
        heard.insert((refused.code() as i32, refused.message().to_owned(), reason(&refused)));
    }
    assert_eq!(heard.len(), 1, "{heard:?}");
    let listed = client.users.list_accounts(proto::ListAccountsRequest::default()).await.expect("its own").into_inner().accounts;
    assert_eq!(listed.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(), [ACME]);
    let me = client.identity.get_me(proto::GetMeRequest {}).await.expect("whose it is").into_inner();
    assert_eq!(me.user.expect("a user").id, ann.id);
    assert_eq!(me.memberships.iter().map(|member| member.account.as_str()).collect::<Vec<_>>(), [ACME]);
}

#[tokio::test]
async fn a_super_admins_token_is_no_operators_and_gives_what_the_mark_gives_while_it_is_there() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.account("other").await;
    let sue = site.member(ACME, "sue@acme.test", Privilege::ReadOnly, &[]).await;
    let mut operator = site.operator().await;
    let mark = |super_admin| proto::SetSuperAdminRequest { user: sue.id.clone(), super_admin, ..Default::default() };
    operator.operations.set_super_admin(mark(true)).await.expect("the operator may");
    let token = site.api_token(&sue, ACME, None).await;
    let refused = site.bearer(&sue.token).await.create_api_token(super::asked("other")).await.expect_err("no member there");
    assert_eq!(reason(&refused), "ACCESS_DENIED");
    let mut client = site.bearer(&token).await;
    client.invite("new@acme.test", Privilege::Normal, &[]).await.expect("a super-admin may in every account");
    let refused = client.users.list_users(proto::ListUsersRequest::default()).await.expect_err("not by a token");
    assert_eq!(reason(&refused), "SESSION_REQUIRED");
    let refused = client.create_user("made@acme.test", false).await.expect_err("not by a token");
    assert_eq!(reason(&refused), "OPERATOR_REQUIRED");
    let account = proto::GetAccountRequest { account: "other".to_owned() };
    assert_eq!(reason(&client.users.get_account(account).await.expect_err("another account")), "ACCESS_DENIED");
    operator.operations.set_super_admin(mark(false)).await.expect("the operator may");
    assert!(site.holds(&token, ACME).await, "the token is the member's");
    let refused = client.invite("newer@acme.test", Privilege::Normal, &[]).await.expect_err("a Read-Only member's now");
    assert_eq!(reason(&refused), "ACCESS_DENIED");
}

#[tokio::test]
async fn in_a_closed_account_a_token_gives_nothing_until_it_is_opened_again() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let token = site.api_token(&ann, ACME, None).await;
    let mut operator = site.operator().await;
    let close = proto::CloseAccountRequest { account: ACME.to_owned(), ..Default::default() };
    operator.users.close_account(close).await.expect("the operator may");
    let mut client = site.bearer(&token).await;
    let account = || proto::GetAccountRequest { account: ACME.to_owned() };
    assert_eq!(reason(&client.users.get_account(account()).await.expect_err("closed")), "ACCESS_DENIED");
    let check =
        proto::CheckAccessRequest { account: ACME.to_owned(), token, permission: Permission::View.into(), ..Default::default() };
    let checked = operator.access.check_access(check).await.expect("answered").into_inner();
    assert_eq!((checked.allowed, checked.reason()), (false, proto::AccessReason::AccountClosed));
    let refused = site.bearer(&ann.token).await.create_api_token(super::asked(ACME)).await.expect_err("closed");
    assert_eq!(reason(&refused), "ACCOUNT_CLOSED");
    let reopen = proto::ReopenAccountRequest { account: ACME.to_owned(), ..Default::default() };
    operator.users.reopen_account(reopen).await.expect("the operator may");
    client.users.get_account(account()).await.expect("open again");
}

#[tokio::test]
async fn nobody_acts_for_others_by_a_token() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let token = site.api_token(&ann, ACME, None).await;
    for user in [&bob.id, &ann.id] {
        let refused = site.acting(&token, user).await.me().await.expect_err("refused");
        assert_eq!(reason(&refused), "ACT_AS_INVALID");
    }
}
