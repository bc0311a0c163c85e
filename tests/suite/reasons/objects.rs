//! Refused for what isn't there, or is there already.

use user_management::proto::{self, ErrorReason, Privilege};

use super::Refused;
use crate::site::{NOBODYS_TOKEN, Site};

pub(super) async fn refused() -> Refused {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    site.invited("acme", "bob@acme.test", Privilege::Normal, &[]).await;
    site.service("tool", &["users.read"], "").await;
    let mut operator = site.operator().await;
    let digits = "0".repeat(32);
    let account = proto::GetAccountRequest { account: "nowhere".to_owned() };
    let user = proto::SetSuperAdminRequest { user: "nobody@acme.test".to_owned(), ..Default::default() };
    let service = proto::RevokeServiceRequest { service: format!("svc_{digits}"), ..Default::default() };
    let leaked = proto::RevokeTokenRequest { token: NOBODYS_TOKEN.to_owned(), ..Default::default() };
    let mail = proto::RetryMailRequest { mail: format!("mail_{digits}"), ..Default::default() };
    let taken = proto::CreateAccountRequest { name: "acme".to_owned(), ..Default::default() };
    let scopes = vec!["users.read".to_owned()];
    let namesake = proto::CreateServiceRequest { name: "tool".to_owned(), scopes, ..Default::default() };
    vec![
        (ErrorReason::AccountNotFound, operator.users.get_account(account).await.expect_err("refused")),
        (ErrorReason::MemberNotFound, operator.member("nobody@acme.test").await.expect_err("refused")),
        (ErrorReason::MemberNotFound, operator.remove("nobody@acme.test").await.expect_err("refused")),
        (ErrorReason::UserNotFound, operator.operations.set_super_admin(user).await.expect_err("refused")),
        (ErrorReason::InvitationNotFound, operator.withdraw(&format!("inv_{digits}")).await.expect_err("refused")),
        (ErrorReason::ServiceNotFound, operator.operations.revoke_service(service).await.expect_err("refused")),
        (ErrorReason::TokenNotFound, operator.operations.revoke_token(leaked).await.expect_err("refused")),
        (ErrorReason::MailNotFound, operator.operations.retry_mail(mail).await.expect_err("refused")),
        (ErrorReason::LinkInvalid, operator.preview("AgAAAAEBkyJ3vgB7").await.expect_err("refused")),
        (ErrorReason::AccountExists, operator.users.create_account(taken).await.expect_err("refused")),
        (ErrorReason::InvitationExists, operator.invite("bob@acme.test", Privilege::Normal, &[]).await.expect_err("refused")),
        (ErrorReason::MemberExists, operator.invite(&ann.email, Privilege::Normal, &[]).await.expect_err("refused")),
        (ErrorReason::UserExists, operator.create_user(&ann.email, false).await.expect_err("refused")),
        (ErrorReason::ServiceExists, operator.operations.create_service(namesake).await.expect_err("refused")),
    ]
}
