//! Refused for who calls.

use user_management::proto::{self, ErrorReason, Privilege};

use super::Refused;
use crate::client::{Client, Identified};
use crate::site::Site;

pub(super) async fn refused() -> Refused {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let eve = site.person("eve@evil.test").await;
    let (_, for_bob) = site.invited("acme", "bob@acme.test", Privilege::Normal, &[]).await;
    let reader = site.service("reader", &["users.read"], "").await;
    site.account("other").await;
    let bound = site.service("bound", &["users.read"], "other").await;

    let mut as_ann = site.bearer(&ann.token).await;
    let mut as_eve = site.bearer(&eve.token).await;
    let wrong = proto::SignInRequest { email: ann.email.clone(), password: "something else".to_owned() };
    let create = proto::CreateAccountRequest { name: "mine".to_owned(), ..Default::default() };
    let acting = Identified::by(&ann.token).with("x-act-as", &eve.id);
    let mut acting = Client::new(site.tcp_channel().await, acting);
    vec![
        (ErrorReason::CredentialsMissing, site.nobody().await.member(&ann.id).await.expect_err("refused")),
        (ErrorReason::CredentialsInvalid, site.bearer("ses_nonsense").await.member(&ann.id).await.expect_err("refused")),
        (ErrorReason::SignInFailed, site.nobody().await.identity.sign_in(wrong).await.expect_err("refused")),
        (ErrorReason::AccessDenied, as_eve.member(&ann.id).await.expect_err("refused")),
        (ErrorReason::AccessDenied, site.bearer(&bound).await.member(&ann.id).await.expect_err("refused")),
        (ErrorReason::ScopeMissing, site.bearer(&reader).await.remove(&ann.id).await.expect_err("refused")),
        (ErrorReason::OperatorRequired, as_ann.users.create_account(create).await.expect_err("refused")),
        (ErrorReason::SessionRequired, site.operator().await.identity.get_me(proto::GetMeRequest {}).await.expect_err("refused")),
        (ErrorReason::InvitationForAnotherAddress, as_eve.accept(&for_bob).await.expect_err("refused")),
        (ErrorReason::ActAsInvalid, acting.member(&ann.id).await.expect_err("refused")),
    ]
}
