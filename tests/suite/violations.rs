//! Malformed requests: everything that is wrong is said at once, and before anything is looked up.

use http::uri::PathAndQuery;
use prost::Message as _;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;
use user_management::proto::{self, Privilege};

use crate::acme::ACME;
use crate::client::{metadata, reason, violations};
use crate::site::Site;

#[tokio::test]
async fn five_bad_fields_of_one_request_are_named_in_one_answer() {
    let site = Site::start().await;
    let mut operator = site.operator().await;
    let request = proto::InviteUserRequest {
        account: "Not A Name".to_owned(),
        email: "not an address".to_owned(),
        privilege: 99,
        roles: vec![99, 1, 0],
        request_id: "not a uuid".to_owned(),
        ..Default::default()
    };
    let refused = operator.users.invite_user(request).await.expect_err("refused");
    assert_eq!(reason(&refused), "FIELDS_INVALID");
    assert_eq!(violations(&refused), ["account", "request_id", "email", "privilege", "roles[0]", "roles[2]"]);
    let details = refused.get_error_details();
    for violation in &details.bad_request().expect("a BadRequest").field_violations {
        assert!(violation.description.starts_with("must "), "{violation:?} says what it must be");
        assert!(refused.message().contains(&violation.field), "{} names {}", refused.message(), violation.field);
    }

    let request = proto::CreateServiceRequest {
        name: "-".to_owned(),
        scopes: vec!["users.read".to_owned(), "everything".to_owned()],
        account: "Not A Name".to_owned(),
        expire_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        certificate_name: "*.site.test".to_owned(),
        request_id: "not a uuid".to_owned(),
        validate_only: false,
    };
    let refused = operator.operations.create_service(request).await.expect_err("refused");
    let named = ["request_id", "name", "scopes[1]", "account", "certificate_name", "expire_time"];
    assert_eq!(violations(&refused), named);

    let request = proto::SignUpRequest {
        email: "ann@acme".to_owned(),
        password: "short".to_owned(),
        display_name: "see http://evil.test".to_owned(),
    };
    let refused = site.nobody().await.identity.sign_up(request).await.expect_err("refused");
    assert_eq!(violations(&refused), ["email", "password", "display_name"]);
}

#[tokio::test]
async fn the_unspecified_value_of_an_enum_is_never_taken() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    let refused = operator.invite("ann@acme.test", Privilege::Unspecified, &[]).await.expect_err("refused");
    assert_eq!(violations(&refused), ["privilege"]);
    let refused = operator.invite("ann@acme.test", Privilege::Normal, &[proto::Role::Unspecified]).await.expect_err("refused");
    assert_eq!(violations(&refused), ["roles[0]"]);
    let request = proto::ListInvitationsRequest { account: ACME.to_owned(), states: vec![0], ..Default::default() };
    assert_eq!(violations(&operator.users.list_invitations(request).await.expect_err("refused")), ["states[0]"]);
    let request = proto::CheckAccessRequest {
        account: ACME.to_owned(),
        user: "ann@acme.test".to_owned(),
        permission: 0,
        ..Default::default()
    };
    assert_eq!(violations(&operator.access.check_access(request).await.expect_err("refused")), ["permission"]);
}

#[tokio::test]
async fn what_is_not_there_is_said_after_what_is_malformed() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    let mut request = proto::ChangePrivilegeRequest {
        account: "nowhere".to_owned(),
        user: "nobody@acme.test".to_owned(),
        privilege: 99,
        ..Default::default()
    };
    let refused = operator.users.change_privilege(request.clone()).await.expect_err("refused");
    assert_eq!(violations(&refused), ["privilege"]);
    request.privilege = Privilege::Normal.into();
    let refused = operator.users.change_privilege(request.clone()).await.expect_err("refused");
    assert_eq!(reason(&refused), "ACCOUNT_NOT_FOUND");
    request.account = ACME.to_owned();
    let refused = operator.users.change_privilege(request).await.expect_err("refused");
    assert_eq!(reason(&refused), "MEMBER_NOT_FOUND");
}

#[tokio::test]
async fn an_invitation_is_named_by_its_token_or_its_id_and_not_by_both() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let mut as_ann = site.bearer(&ann.token).await;
    let id = format!("inv_{}", "0".repeat(32));
    for (token, invitation) in [("", ""), ("token", id.as_str())] {
        let (token, invitation) = (token.to_owned(), invitation.to_owned());
        let request = proto::IgnoreInvitationRequest { token, invitation, ..Default::default() };
        assert_eq!(violations(&as_ann.identity.ignore_invitation(request).await.expect_err("refused")), ["token"]);
    }
}

#[tokio::test]
async fn lists_are_bounded_so_that_a_request_can_not_be_made_of_repetitions() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    let sixteen = [proto::Role::Data; 16];
    operator.invite("ann@acme.test", Privilege::Normal, &sixteen).await.expect("repetitions are one");
    let refused = operator.invite("bob@acme.test", Privilege::Normal, &[proto::Role::Data; 17]).await.expect_err("refused");
    assert_eq!(violations(&refused), ["roles"]);
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_its_callers_mistake_and_no_fault_of_the_server() {
    let site = Site::start().await;
    let mut client = tonic::client::Grpc::new(site.tcp_channel().await);
    client.ready().await.expect("connected");
    let path = PathAndQuery::from_static("/circonus.usermanagement.v1.UserManagement/GetAccount");
    // a number where the name of an account is a text
    let request = Request::new(proto::ExportEventsRequest { from_seq: 7, page_size: 0 });
    let codec = tonic_prost::ProstCodec::<_, proto::GetAccountResponse>::default();
    let refused = client.unary(request, path, codec).await.expect_err("refused");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "PROTOCOL"));
}

#[tokio::test]
async fn a_message_may_have_as_many_bytes_as_are_configured_and_not_one_more() {
    const MOST: usize = 1024;
    let site = Site::with(&format!("signup = \"open\"\nlimits.message_bytes = {MOST}")).await;
    let of = |bytes: usize| {
        // the field's number, and its length in two bytes
        let request = proto::GetAccountRequest { account: "x".repeat(bytes - 3) };
        assert_eq!(request.encoded_len(), bytes);
        request
    };
    for mut client in [site.operator().await, site.nobody().await] {
        let read = client.users.get_account(of(MOST)).await.expect_err("no account is called so");
        assert_ne!(reason(&read), "PROTOCOL", "it is read");
        let refused = client.users.get_account(of(MOST + 1)).await.expect_err("too long");
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "PROTOCOL"));
    }
}

#[tokio::test]
async fn of_hundreds_of_wrong_entries_as_many_are_told_as_fit_into_headers() {
    let site = Site::start().await;
    let head = proto::HistoryHead { seq: 1, ..Default::default() };
    let request = proto::VerifyEventsRequest { heads: vec![head; 1000] };
    let refused = site.operator().await.operations.verify_events(request).await.expect_err("refused");
    assert_eq!((reason(&refused).as_str(), metadata(&refused, "more").as_str()), ("FIELDS_INVALID", "980"));
    assert_eq!(violations(&refused).len(), 20);
    assert!(refused.message().ends_with("; and 980 more"), "{}", refused.message());
    assert!(refused.message().len() + refused.details().len() * 4 / 3 < 8192, "common clients take 8 KiB");
}
