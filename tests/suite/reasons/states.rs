//! Refused for the state that something is in.

use std::time::Duration;

use user_management::proto::{self, ErrorReason, Privilege, Role};

use super::Refused;
use crate::site::{PASSWORD, Site};

pub(super) async fn refused() -> Refused {
    let mut refused = of_members().await;
    refused.extend(of_invitations().await);
    refused.extend(of_sign_ups().await);
    refused.extend(of_logins().await);
    refused.push(of_the_link_key().await);
    refused
}

async fn of_logins() -> Refused {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let wrong = site.bearer(&ann.token).await.change_email("ann@new.test", "another one").await.expect_err("refused");
    let mut operator = site.operator().await;
    operator.deactivate(&ann.id, false).await.expect("the operator may");
    let request = proto::SendPasswordResetRequest { user: ann.id, ..Default::default() };
    let deactivated = operator.users.send_password_reset(request).await.expect_err("refused");
    vec![(ErrorReason::PasswordWrong, wrong), (ErrorReason::UserDeactivated, deactivated)]
}

async fn of_the_link_key() -> (ErrorReason, tonic::Status) {
    let site = Site::start().await;
    std::fs::remove_file(site.data_dir().join("link.key")).expect("removed");
    let request = proto::RotateLinkKeyRequest::default();
    (ErrorReason::LinkKeyFile, site.operator().await.operations.rotate_link_key(request).await.expect_err("refused"))
}

async fn of_members() -> Refused {
    let mut site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[Role::Admin]).await;
    let bob = site.member("acme", "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let stale = proto::RemoveMemberRequest {
        account: "acme".to_owned(),
        user: bob.id.clone(),
        etag: "stale".to_owned(),
        ..Default::default()
    };
    let mut refused = vec![
        (ErrorReason::LastAdmin, as_ann.leave().await.expect_err("refused")),
        (ErrorReason::RolesWiden, as_ann.assign(&bob.id, &[]).await.expect_err("refused")),
        (ErrorReason::SelfGrant, as_ann.assign(&ann.id, &[Role::Admin, Role::Data]).await.expect_err("refused")),
        (ErrorReason::EtagMismatch, as_ann.users.remove_member(stale).await.expect_err("refused")),
    ];
    site.restart(Some("signup = \"open\"\nedition = \"saas\"")).await;
    let mut operator = site.operator().await;
    refused.push((ErrorReason::RoleOffInEdition, operator.assign(&bob.id, &[Role::Data]).await.expect_err("refused")));
    let close = proto::CloseAccountRequest { account: "acme".to_owned(), ..Default::default() };
    operator.users.close_account(close).await.expect("the operator may");
    refused
        .push((ErrorReason::AccountClosed, operator.invite("cy@acme.test", Privilege::Normal, &[]).await.expect_err("refused")));
    refused
}

async fn of_invitations() -> Refused {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let (ignored, _) = site.invited("acme", "bob@acme.test", Privilege::Normal, &[]).await;
    let (withdrawn, _) = site.invited("acme", "cy@acme.test", Privilege::Normal, &[]).await;
    let bob = site.person("bob@acme.test").await;
    let mut as_bob = site.bearer(&bob.token).await;
    as_bob.ignore_named(&ignored.id).await.expect("ignored");
    let mut operator = site.operator().await;
    operator.withdraw(&withdrawn.id).await.expect("withdrawn");
    let mut refused = vec![
        (ErrorReason::InvitationAnswered, operator.resend(&ignored.id).await.expect_err("refused")),
        (ErrorReason::InvitationWithdrawn, operator.resend(&withdrawn.id).await.expect_err("refused")),
    ];
    let held = site.bearer(&ann.token).await.invite(&bob.email, Privilege::Normal, &[]).await.expect("invited");
    site.member("acme", "dee@acme.test", Privilege::Admin, &[]).await;
    operator.move_to(&ann.id, Privilege::Normal).await.expect("moved");
    refused.push((ErrorReason::InvitationHeld, as_bob.accept_named(&held.id).await.expect_err("refused")));
    site.clock.advance(Duration::from_hours(8 * 24));
    let mut as_bob = site.bearer(&site.sign_in(&bob.email).await.token).await;
    refused.push((ErrorReason::InvitationExpired, as_bob.accept_named(&held.id).await.expect_err("refused")));
    site.mails_settled().await;
    let mails = operator.operations.list_mail(proto::ListMailRequest::default()).await.expect("listed").into_inner().mails;
    let mail = mails.into_iter().next().expect("mails were sent").id;
    let sent = proto::RetryMailRequest { mail, ..Default::default() };
    refused.push((ErrorReason::MailNotRetryable, operator.operations.retry_mail(sent).await.expect_err("refused")));
    refused
}

async fn of_sign_ups() -> Refused {
    let mut site = Site::start().await;
    let mut nobody = site.nobody().await;
    let sign_up =
        proto::SignUpRequest { email: "ann@acme.test".to_owned(), password: PASSWORD.to_owned(), display_name: "Ann".to_owned() };
    nobody.identity.sign_up(sign_up.clone()).await.expect("anybody may sign up");
    let first = site.mailed_token("ann@acme.test").await;
    nobody.identity.sign_up(sign_up).await.expect("and again");
    let other = site.mailed_token("ann@acme.test").await;
    let confirm =
        |token: &str, password: &str| proto::ConfirmEmailRequest { token: token.to_owned(), password: password.to_owned() };
    let mismatch = nobody.identity.confirm_email(confirm(&first, "something else")).await.expect_err("refused");
    site.restart(Some("signup = \"closed\"")).await;
    let mut nobody = site.nobody().await;
    let closed = nobody.identity.confirm_email(confirm(&first, PASSWORD)).await.expect_err("refused");
    site.restart(Some("signup = \"open\"")).await;
    let mut nobody = site.nobody().await;
    nobody.identity.confirm_email(confirm(&first, PASSWORD)).await.expect("confirmed");
    let ended = nobody.identity.confirm_email(confirm(&other, PASSWORD)).await.expect_err("refused");
    // two confirmations at once may both find their attempt open: the one that comes second does
    site.underneath("update sign_ups set state = 1 where user is null").await;
    let second = nobody.identity.confirm_email(confirm(&other, PASSWORD)).await.expect_err("refused");
    vec![
        (ErrorReason::PasswordMismatch, mismatch),
        (ErrorReason::SignUpClosed, closed),
        (ErrorReason::LinkExpired, ended),
        (ErrorReason::LoginExists, second),
    ]
}
