//! Refused for what the request says.

use tonic::Request;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;
use user_management::proto::{self, ErrorReason};

use super::Refused;
use crate::site::Site;

pub(super) async fn refused() -> Refused {
    let site = Site::start().await;
    site.account("acme").await;
    let mut operator = site.operator().await;
    let misshapen = proto::CreateAccountRequest { name: "Not A Name".to_owned(), ..Default::default() };
    let page = proto::ListAccountsRequest { page_token: "nothing".to_owned(), ..Default::default() };
    let once = proto::CreateAccountRequest {
        name: "once".to_owned(),
        request_id: "7b1a6f0e-5a53-4be4-8a4c-5a7f4b2f8a11".to_owned(),
        ..Default::default()
    };
    let other = proto::CreateAccountRequest { name: "other".to_owned(), ..once.clone() };
    operator.users.create_account(once).await.expect("created");
    vec![
        (ErrorReason::FieldsInvalid, operator.users.create_account(misshapen).await.expect_err("refused")),
        (ErrorReason::PageTokenInvalid, operator.users.list_accounts(page).await.expect_err("refused")),
        (ErrorReason::RequestIdReused, operator.users.create_account(other).await.expect_err("refused")),
        (ErrorReason::Protocol, unknown_method(&site).await),
        (ErrorReason::Protocol, over_the_limit(&site).await),
    ]
}

async fn unknown_method(site: &Site) -> tonic::Status {
    let mut client = Grpc::new(site.tcp_channel().await);
    client.ready().await.expect("connected");
    let path = http::uri::PathAndQuery::from_static("/circonus.usermanagement.v1.UserManagement/Guess");
    let codec = ProstCodec::<proto::GetAccountRequest, proto::GetAccountResponse>::default();
    client.unary(Request::new(proto::GetAccountRequest::default()), path, codec).await.expect_err("refused")
}

async fn over_the_limit(site: &Site) -> tonic::Status {
    let request = proto::CreateAccountRequest { name: "a".repeat(2 * 1024 * 1024), ..Default::default() };
    site.operator().await.users.create_account(request).await.expect_err("refused")
}
