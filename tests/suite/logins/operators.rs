//! Logins that operators make, open and take away.

use user_management::proto::{self, AccessReason, EventKind, Permission, Privilege};

use super::OTHER;
use crate::acme::ACME;
use crate::client::{metadata, reason};
use crate::site::{PASSWORD, Site};

#[tokio::test]
async fn a_login_that_an_operator_makes_gets_its_first_password_by_the_mailed_link() {
    let site = Site::start().await;
    let mut operator = site.operator().await;
    let made = operator.create_user("Ann@acme.test", false).await.expect("the operator may");
    let user = made.user.expect("a user");
    assert!(made.link.is_none() && user.active && user.email == "Ann@acme.test");
    assert_eq!(site.try_sign_in("ann@acme.test", "").await.err(), Some("FIELDS_INVALID".to_owned()));
    assert_eq!(site.try_sign_in("ann@acme.test", PASSWORD).await.err(), Some("SIGN_IN_FAILED".to_owned()));
    let token = site.mailed_token("ann@acme.test").await;
    assert_eq!(site.nobody().await.reset(&token, PASSWORD).await.expect("set").id, user.id);
    site.try_sign_in("ann@acme.test", PASSWORD).await.expect("signed in");
    let refused = operator.create_user("ann@acme.test", false).await.expect_err("there is one");
    assert_eq!((reason(&refused), metadata(&refused, "user")), ("USER_EXISTS".to_owned(), user.id));
}

#[tokio::test]
async fn a_returned_link_is_answered_once_is_not_mailed_and_is_on_record() {
    let site = Site::start().await;
    let mut operator = site.operator().await;
    let request = proto::CreateUserRequest {
        email: "ann@acme.test".to_owned(),
        display_name: "Ann".to_owned(),
        return_link: true,
        request_id: "7b1a6f0e-5a53-4be4-8a4c-5a7f4b2f8a11".to_owned(),
        ..Default::default()
    };
    let made = operator.users.create_user(request.clone()).await.expect("the operator may").into_inner();
    let link = made.link.expect("a link");
    assert_eq!(link.url, format!("http://localhost:7080/reset-password#token={}", link.token));
    let again = operator.users.create_user(request).await.expect("replayed").into_inner();
    assert!(again.link.is_none() && again.secret_already_shown && again.user == made.user);
    site.mails_settled().await;
    assert_eq!(site.mails_to("ann@acme.test").len(), 0);
    let recorded = operator.events_after(0).await.into_iter().rfind(|event| event.kind() == EventKind::LoginLinkMade);
    let recorded = recorded.expect("recorded");
    assert!(recorded.link_returned && recorded.link_purpose() == proto::LinkPurpose::SetPassword);
    site.nobody().await.reset(&link.token, PASSWORD).await.expect("set");
}

#[tokio::test]
async fn an_operator_has_a_reset_link_sent_that_leaves_the_password_until_it_is_used() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let request = proto::SendPasswordResetRequest { user: ann.email.clone(), ..Default::default() };
    site.operator().await.users.send_password_reset(request).await.expect("the operator may");
    let token = site.mailed_token("ann@acme.test").await;
    assert!(site.counts(&ann).await);
    site.try_sign_in(&ann.email, PASSWORD).await.expect("by the old one still");
    site.nobody().await.reset(&token, OTHER).await.expect("set");
    assert!(!site.counts(&ann).await);
}

#[tokio::test]
async fn a_deactivated_login_opens_nothing_and_reactivating_it_revives_no_session_and_no_link() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    site.nobody().await.request_reset(&bob.email).await;
    let reset = site.mailed_token(&bob.email).await;
    site.bearer(&bob.token).await.change_email("bob@new.test", PASSWORD).await.expect("a link is on its way");
    let change = site.mailed_token("bob@new.test").await;
    let mut operator = site.operator().await;
    let answer = operator.deactivate(&bob.email, false).await.expect("the operator may");
    assert!(!answer.user.expect("a user").active);
    let [effect] = &answer.effects[..] else { panic!("one account: {:?}", answer.effects) };
    assert_eq!((effect.account.as_str(), effect.user.as_str(), effect.lost.len()), (ACME, bob.id.as_str(), 7));
    assert_eq!(operator.deactivate(&bob.id, false).await.expect("again").effects.len(), 0);

    let check = |user: &str| proto::CheckAccessRequest {
        account: ACME.to_owned(),
        user: user.to_owned(),
        permission: Permission::View.into(),
        ..Default::default()
    };
    let checked = operator.access.check_access(check(&bob.id)).await.expect("answered").into_inner();
    assert_eq!(checked.reason(), AccessReason::Deactivated);
    for active in [false, true] {
        if active {
            assert!(operator.reactivate(&bob.id).await.expect("the operator may").active);
        }
        assert!(!site.counts(&bob).await, "active: {active}");
        let mut nobody = site.nobody().await;
        assert_eq!(reason(&nobody.reset(&reset, OTHER).await.expect_err("ended")), "LINK_EXPIRED");
        assert_eq!(reason(&nobody.confirm(&change, PASSWORD).await.expect_err("ended")), "LINK_EXPIRED");
        assert_eq!(site.try_sign_in(&bob.email, PASSWORD).await.is_ok(), active);
    }
    let checked = operator.access.check_access(check(&bob.id)).await.expect("answered").into_inner();
    assert_eq!(checked.reason(), AccessReason::Granted, "the membership counts again");
}

#[tokio::test]
async fn an_account_is_left_without_an_admin_only_by_an_operator_who_says_so() {
    let site = Site::start().await;
    for name in ["acme", "beta", "gamma"] {
        site.account(name).await;
    }
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    site.join("beta", &ann, Privilege::Normal, &[proto::Role::Admin]).await;
    site.join("gamma", &ann, Privilege::Admin, &[]).await;
    site.member("gamma", "bob@acme.test", Privilege::Admin, &[]).await;
    let mut operator = site.operator().await;
    let before = operator.last_event().await;
    let refusals = [
        operator.deactivate(&ann.id, false).await.expect_err("refused"),
        operator.delete(&ann.id, false).await.expect_err("refused"),
    ];
    for refused in refusals {
        assert_eq!((reason(&refused), metadata(&refused, "accounts")), ("LAST_ADMIN".to_owned(), "acme,beta".to_owned()));
    }
    assert_eq!(operator.last_event().await, before);
    assert!(site.counts(&ann).await);
    let answer = operator.deactivate(&ann.id, true).await.expect("acknowledged");
    assert_eq!(answer.accounts_without_admin, ["acme", "beta"]);
    assert!(operator.account().await.admin_missing);
    let missing = proto::ListAccountsRequest { admin_missing: Some(true), ..Default::default() };
    let listed = operator.users.list_accounts(missing).await.expect("listed").into_inner().accounts;
    assert_eq!(listed.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(), ["acme", "beta"]);
    let info = operator.operations.get_server_info(proto::GetServerInfoRequest {}).await.expect("answered").into_inner();
    assert_eq!(info.accounts_without_admin, 2);
    let events = operator.events_after(before).await;
    let left: Vec<_> = events.iter().filter(|event| event.kind() == EventKind::AccountLeftWithoutAdmin).collect();
    assert_eq!(left.iter().map(|event| event.account.as_str()).collect::<Vec<_>>(), ["acme", "beta"]);
    operator.reactivate(&ann.id).await.expect("the operator may");
    assert!(!operator.account().await.admin_missing, "she is back");
}

#[tokio::test]
async fn two_operators_who_deactivate_the_two_admins_at_once_leave_one() {
    for _ in 0..20 {
        let site = Site::start().await;
        site.account(ACME).await;
        let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
        let bob = site.member(ACME, "bob@acme.test", Privilege::Admin, &[]).await;
        let (mut one, mut other) = (site.operator().await, site.operator().await);
        let (first, second) = tokio::join!(one.deactivate(&ann.id, false), other.deactivate(&bob.id, false));
        let refused = match (first, second) {
            (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
            (first, second) => panic!("one of the two: {first:?} {second:?}"),
        };
        assert_eq!(reason(&refused), "LAST_ADMIN");
        assert!(!one.account().await.admin_missing);
    }
}

#[tokio::test]
async fn sessions_end_when_an_operator_revokes_them_or_takes_the_super_admin_mark() {
    let site = Site::start().await;
    let sue = site.person("sue@site.test").await;
    let mut operator = site.operator().await;
    let request = proto::RevokeSessionsRequest { user: sue.email.clone(), ..Default::default() };
    operator.users.revoke_sessions(request).await.expect("the operator may");
    assert!(!site.counts(&sue).await);
    let mark = |super_admin| proto::SetSuperAdminRequest { user: sue.id.clone(), super_admin, ..Default::default() };
    let sue = site.sign_in(&sue.email).await;
    operator.operations.set_super_admin(mark(true)).await.expect("the operator may");
    assert!(site.counts(&sue).await);
    operator.operations.set_super_admin(mark(false)).await.expect("the operator may");
    assert!(!site.counts(&sue).await);
    site.mails_settled().await;
    let told = site.mails_to(&sue.email).concat();
    assert!(told.contains("You are a Circonus super-admin now") && told.contains("You are no Circonus super-admin any more"));
}

#[tokio::test]
async fn a_login_that_is_given_back_gives_what_its_memberships_open_and_the_answer_says_so() {
    let site = Site::start().await;
    for name in ["beta", "acme", "closed"] {
        site.account(name).await;
    }
    let bob = site.member("acme", "bob@acme.test", Privilege::ReadOnly, &[]).await;
    site.join("beta", &bob, Privilege::ReadOnly, &[proto::Role::Admin]).await;
    site.join("closed", &bob, Privilege::Normal, &[]).await;
    let mut operator = site.operator().await;
    let close = proto::CloseAccountRequest { account: "closed".to_owned(), ..Default::default() };
    operator.users.close_account(close).await.expect("the operator may");
    let lost = operator.deactivate(&bob.id, true).await.expect("the operator may").effects;
    let reactivate = |validate_only| proto::ReactivateUserRequest { user: bob.id.clone(), validate_only, ..Default::default() };
    let rehearsed = operator.users.reactivate_user(reactivate(true)).await.expect("the operator may").into_inner();
    assert!(!site.counts(&bob).await);
    let given = operator.users.reactivate_user(reactivate(false)).await.expect("the operator may").into_inner();
    assert_eq!(rehearsed.effects, given.effects);
    let told = |effect: &proto::Effect| (effect.account.clone(), effect.gained().collect::<Vec<_>>());
    let view = Permission::View;
    assert_eq!(
        given.effects.iter().map(told).collect::<Vec<_>>(),
        [
            ("acme".to_owned(), vec![view]),
            ("beta".to_owned(), vec![view, Permission::ManageUsers]),
            ("closed".to_owned(), vec![])
        ]
    );
    assert!(given.effects.iter().all(|effect| effect.user == bob.id && effect.lost.is_empty()));
    let turned = lost.into_iter().map(|effect| proto::Effect { gained: effect.lost, lost: effect.gained, ..effect });
    assert_eq!(turned.collect::<Vec<_>>(), given.effects, "what was lost is back");
    let again = operator.users.reactivate_user(reactivate(false)).await.expect("the operator may").into_inner();
    assert_eq!((again.effects.len(), again.other_accounts, given.other_accounts), (0, 0, 0));
}

#[tokio::test]
async fn what_touches_a_super_admin_tells_their_accounts_and_counts_the_other_open_ones() {
    let mut site = Site::start().await;
    for name in ["acme", "beta", "gamma", "closed", "shut"] {
        site.account(name).await;
    }
    let sue = site.member("acme", "sue@site.test", Privilege::ReadOnly, &[]).await;
    site.join("closed", &sue, Privilege::Normal, &[]).await;
    let mut operator = site.operator().await;
    for name in ["closed", "shut", "gamma"] {
        let close = proto::CloseAccountRequest { account: name.to_owned(), ..Default::default() };
        operator.users.close_account(close).await.expect("the operator may");
    }
    let reopen = proto::ReopenAccountRequest { account: "gamma".to_owned(), ..Default::default() };
    operator.users.reopen_account(reopen).await.expect("the operator may");
    // gained and lost in acme and in the closed account, and how many others: beta and gamma
    let (everything, others, work) = (8, 2, 7);
    let told = |effects: &[proto::Effect], other_accounts: i64| {
        let counts = effects.iter().map(|effect| (effect.account.clone(), effect.gained.len(), effect.lost.len()));
        (counts.collect::<Vec<_>>(), other_accounts)
    };
    let in_acme = |gained, lost| vec![("acme".to_owned(), gained, lost), ("closed".to_owned(), 0, 0)];
    let mark = async |super_admin| {
        let request = proto::SetSuperAdminRequest { user: sue.id.clone(), super_admin, ..Default::default() };
        let answer = site.operator().await.operations.set_super_admin(request).await.expect("the operator may").into_inner();
        told(&answer.effects, answer.other_accounts)
    };
    assert_eq!(mark(true).await, (in_acme(work, 0), others));
    assert_eq!(mark(true).await, (vec![], 0), "marked so already");
    let taken = operator.deactivate(&sue.id, false).await.expect("the operator may");
    assert_eq!(told(&taken.effects, taken.other_accounts), (in_acme(0, everything), others));
    assert_eq!(mark(false).await, (in_acme(0, 0), 0), "a deactivated login had nothing to lose");
    assert_eq!(mark(true).await, (in_acme(0, 0), 0), "and gains nothing");
    let reactivate = proto::ReactivateUserRequest { user: sue.id.clone(), ..Default::default() };
    let given = operator.users.reactivate_user(reactivate).await.expect("the operator may").into_inner();
    assert_eq!(told(&given.effects, given.other_accounts), (in_acme(everything, 0), others));
    assert_eq!(mark(false).await, (in_acme(0, work), others));
    assert_eq!(mark(true).await, (in_acme(work, 0), others));
    let deleted = operator.delete(&sue.id, false).await.expect("the operator may");
    assert_eq!(told(&deleted.effects, deleted.other_accounts), (in_acme(0, everything), others));
    let tom = site.member("acme", "tom@site.test", Privilege::Normal, &[]).await;
    site.restart(None).await;
    let request = proto::SetSuperAdminRequest { user: tom.id, super_admin: true, ..Default::default() };
    let answer = site.operator().await.operations.set_super_admin(request).await.expect("the operator may").into_inner();
    assert_eq!(answer.other_accounts, others, "counted anew from the database");
}

#[tokio::test]
async fn a_closed_account_grants_nothing_holds_its_invitations_and_gives_all_back_when_it_is_reopened() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let (invitation, token) = site.invited(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let bob = site.person("bob@acme.test").await;
    let mut operator = site.operator().await;
    let close = proto::CloseAccountRequest { account: ACME.to_owned(), ..Default::default() };
    for _ in 0..2 {
        let closed = operator.users.close_account(close.clone()).await.expect("the operator may").into_inner();
        assert!(closed.account.expect("an account").closed);
    }
    let refused = site.bearer(&ann.token).await.invite("cy@acme.test", Privilege::Normal, &[]).await.expect_err("refused");
    assert_eq!(reason(&refused), "ACCESS_DENIED");
    assert_eq!(reason(&operator.invite("cy@acme.test", Privilege::Normal, &[]).await.expect_err("refused")), "ACCOUNT_CLOSED");
    let mut as_bob = site.bearer(&bob.token).await;
    let refused = as_bob.accept(&token).await.expect_err("held");
    assert_eq!(
        (reason(&refused), metadata(&refused, "held_reason")),
        ("INVITATION_HELD".to_owned(), "HELD_REASON_ACCOUNT_CLOSED".to_owned())
    );
    let stale = proto::ReopenAccountRequest { account: ACME.to_owned(), etag: "stale".to_owned(), ..Default::default() };
    assert_eq!(reason(&operator.users.reopen_account(stale).await.expect_err("refused")), "ETAG_MISMATCH");
    let reopen = proto::ReopenAccountRequest { account: ACME.to_owned(), ..Default::default() };
    operator.users.reopen_account(reopen).await.expect("the operator may");
    as_bob.accept(&token).await.expect("open again");
    assert_eq!(operator.invitation(&invitation.id).await.state(), proto::InvitationState::Accepted);
    let again = proto::CreateAccountRequest { name: ACME.to_owned(), ..Default::default() };
    assert_eq!(reason(&operator.users.create_account(again).await.expect_err("refused")), "ACCOUNT_EXISTS");
    let kinds: Vec<_> = operator.events_after(0).await.iter().map(proto::Event::kind).collect();
    let of = |kind| kinds.iter().filter(|each| **each == kind).count();
    assert_eq!((of(EventKind::AccountClosed), of(EventKind::AccountReopened)), (1, 1));
}
