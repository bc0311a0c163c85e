//! Refused for what was caused already.

use user_management::proto::{self, ErrorReason, Privilege};

use super::Refused;
use crate::site::Site;

pub(super) async fn refused() -> Refused {
    let limits = "limits.sign_in_failures_per_peer = 1\nlimits.mails_per_peer = 1\nlimits.invitations_per_account = 1";
    let site = Site::with(&format!("signup = 'open'\n{limits}")).await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    as_ann.invite("bob@acme.test", Privilege::Normal, &[]).await.expect("invited");
    let mut nobody = site.nobody().await;
    let reset = proto::RequestPasswordResetRequest { email: ann.email };
    let guess = proto::SignInRequest { email: "none@acme.test".to_owned(), password: "a guess".to_owned() };
    nobody.identity.sign_in(guess.clone()).await.expect_err("wrong");
    vec![
        (ErrorReason::TriesExhausted, nobody.identity.sign_in(guess).await.expect_err("refused")),
        (ErrorReason::RequestsExhausted, nobody.identity.request_password_reset(reset).await.expect_err("refused")),
        (ErrorReason::InvitationsExhausted, as_ann.invite("cy@acme.test", Privilege::Normal, &[]).await.expect_err("refused")),
    ]
}
