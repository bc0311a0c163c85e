//! `request_id`: what makes a retry safe.

use std::time::Duration;

use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use tonic::Response;
use user_management::proto::{self, Privilege, Role};

use crate::acme::ACME;
use crate::client::{Client, Identified, reason, violations};
use crate::matrix::call::{call, methods};
use crate::site::Site;

const ID: &str = "7b1a6f0e-5a53-4be4-8a4c-5a7f4b2f8a11";

fn invite(email: &str) -> proto::InviteUserRequest {
    proto::InviteUserRequest {
        account: ACME.to_owned(),
        email: email.to_owned(),
        privilege: Privilege::Normal.into(),
        request_id: ID.to_owned(),
        ..Default::default()
    }
}

async fn invited(client: &mut Client, email: &str) -> Result<proto::Invitation, tonic::Status> {
    let answer = client.users.invite_user(invite(email)).await;
    answer.map(|answer| answer.into_inner().invitation.expect("an invitation"))
}

#[tokio::test]
async fn the_same_request_again_answers_the_same_object_and_does_nothing_even_after_a_restart() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    let first = invited(&mut operator, "bob@acme.test").await.expect("invited");
    let last = operator.last_event().await;
    for round in 0..2 {
        let mut operator = site.operator().await;
        let again = invited(&mut operator, "bob@acme.test").await.expect("replayed");
        assert_eq!((&again.id, again.send_count, &again.etag), (&first.id, 1, &first.etag), "round {round}");
        assert_eq!(operator.last_event().await, last);
        site.mails_settled().await;
        assert_eq!(site.mails_to("bob@acme.test").len(), 1);
        site.restart(None).await;
    }
}

#[tokio::test]
async fn a_retry_shows_the_object_as_it_is_now_and_what_the_first_call_did_to_permissions() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let request = proto::RemoveMemberRequest {
        account: ACME.to_owned(),
        user: bob.email.clone(),
        request_id: ID.to_owned(),
        ..Default::default()
    };
    let first = as_ann.users.remove_member(request.clone()).await.expect("removed").into_inner();
    assert!(!first.effects[0].lost.is_empty());
    let again = as_ann.users.remove_member(request).await.expect("replayed").into_inner();
    assert_eq!(again, first);
    // a retry must not remove them once more
    let (back, _) = site.invited(ACME, &bob.email, Privilege::Normal, &[]).await;
    site.bearer(&bob.token).await.accept_named(&back.id).await.expect("back");
    let request = proto::RemoveMemberRequest {
        account: ACME.to_owned(),
        user: bob.email.clone(),
        request_id: ID.to_owned(),
        ..Default::default()
    };
    as_ann.users.remove_member(request).await.expect("replayed");
    as_ann.member(&bob.id).await.expect("still a member");
}

#[tokio::test]
async fn a_retry_of_what_an_older_release_did_is_answered_with_what_it_kept() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let mut operator = site.operator().await;
    let (user, request_id) = (ann.id.clone(), ID.to_owned());
    let mark = proto::SetSuperAdminRequest {
        user: user.clone(),
        super_admin: true,
        request_id: request_id.clone(),
        ..Default::default()
    };
    let take = proto::DeactivateUserRequest {
        user: user.clone(),
        leave_without_admin: true,
        request_id: request_id.clone(),
        ..Default::default()
    };
    let give = proto::ReactivateUserRequest { user, request_id, ..Default::default() };
    let marked = operator.operations.set_super_admin(mark.clone()).await.expect("marked").into_inner();
    let taken = operator.users.deactivate_user(take.clone()).await.expect("taken").into_inner();
    let given = operator.users.reactivate_user(give.clone()).await.expect("given").into_inner();
    assert_eq!((marked.effects.len(), taken.effects.len(), given.effects.len()), (1, 1, 1));
    // as 0.1.0 kept them: the user alone, and what was taken without the number of other accounts
    site.underneath(
        "update requests set outcome = json_quote(outcome ->> '$.user') where rpc in ('ReactivateUser', 'SetSuperAdmin')",
    )
    .await;
    site.underneath("update requests set outcome = json_remove(outcome, '$.other_accounts') where rpc = 'DeactivateUser'").await;
    let (last, bare) = (operator.last_event().await, ann.id.trim_start_matches("usr_"));
    let mut database = site.database().await;
    let kept: Vec<String> =
        sqlx::query_scalar("select replace(outcome, '-', '') from requests where rpc in ('ReactivateUser', 'SetSuperAdmin')")
            .fetch_all(&mut database)
            .await
            .expect("read");
    assert_eq!(kept, [format!("\"{bare}\""), format!("\"{bare}\"")]);
    let marked_again = operator.operations.set_super_admin(mark).await.expect("replayed").into_inner();
    let given_again = operator.users.reactivate_user(give).await.expect("replayed").into_inner();
    assert_eq!((marked_again.effects.len(), given_again.effects.len()), (0, 0), "none were kept");
    let users = [marked_again.user, given_again.user].map(|user| user.expect("a user").id);
    assert_eq!(users, [ann.id.clone(), ann.id]);
    let taken_again = operator.users.deactivate_user(take).await.expect("replayed").into_inner();
    assert_eq!((taken_again.effects, taken_again.accounts_without_admin), (taken.effects, taken.accounts_without_admin));
    assert_eq!(operator.last_event().await, last, "nothing was done again");
}

#[tokio::test]
async fn what_an_older_release_revoked_is_answered_though_it_kept_nothing_of_it() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.api_token(&ann, ACME, None).await;
    site.service("tool", &["users.read"], "").await;
    let (mut operator, mut as_ann) = (site.operator().await, site.bearer(&ann.token).await);
    let services = operator.operations.list_services(proto::ListServicesRequest::default()).await.expect("the operator may");
    let service = services.into_inner().services[0].id.clone();
    let service = proto::RevokeServiceRequest { service, request_id: ID.to_owned(), ..Default::default() };
    let tokens = as_ann.identity.list_api_tokens(proto::ListApiTokensRequest::default()).await.expect("hers").into_inner();
    let api_token = tokens.api_tokens[0].id.clone();
    let api_token = proto::RevokeApiTokenRequest { api_token, request_id: ID.to_owned(), ..Default::default() };
    let ended = operator.operations.revoke_service(service.clone()).await.expect("ended").into_inner();
    let hers = as_ann.identity.revoke_api_token(api_token.clone()).await.expect("ended").into_inner();
    site.underneath("update requests set outcome = 'null' where rpc in ('RevokeService', 'RevokeApiToken')").await;
    assert_eq!(operator.operations.revoke_service(service).await.expect("replayed").into_inner(), ended);
    assert_eq!(as_ann.identity.revoke_api_token(api_token).await.expect("replayed").into_inner(), hers);
}

#[tokio::test]
async fn a_used_id_with_other_content_is_refused_and_names_the_field() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    invited(&mut operator, "bob@acme.test").await.expect("invited");
    let refused = invited(&mut operator, "cy@acme.test").await.expect_err("refused");
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    assert_eq!(violations(&refused), ["request_id"]);
    let mut changed = invite("bob@acme.test");
    changed.roles = vec![Role::Data.into()];
    let refused = operator.users.invite_user(changed).await.expect_err("refused");
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    assert_eq!(operator.invited().await.len(), 1);
}

#[tokio::test]
async fn the_same_id_of_another_caller_or_for_another_rpc_is_unrelated() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let service = site.service("tool", &["users.write", "users.act_as"], "").await;
    let mut callers =
        [site.operator().await, site.bearer(&ann.token).await, site.bearer(&service).await, site.acting(&service, &ann.id).await];
    let mut ids = Vec::new();
    for (number, caller) in callers.iter_mut().enumerate() {
        ids.push(invited(caller, &format!("{number}@acme.test")).await.expect("invited").id);
    }
    for (number, caller) in callers.iter_mut().enumerate() {
        assert_eq!(invited(caller, &format!("{number}@acme.test")).await.expect("replayed").id, ids[number]);
    }
    let request = proto::WithdrawInvitationRequest {
        account: ACME.to_owned(),
        invitation: ids[0].clone(),
        request_id: ID.to_owned(),
        ..Default::default()
    };
    callers[0].users.withdraw_invitation(request).await.expect("another RPC");
}

#[tokio::test]
async fn a_refusal_is_not_kept() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (pending, _) = site.invited(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let mut operator = site.operator().await;
    let refused = invited(&mut operator, "bob@acme.test").await.expect_err("refused");
    assert_eq!(reason(&refused), "INVITATION_EXISTS");
    operator.withdraw(&pending.id).await.expect("withdrawn");
    let made = invited(&mut operator, "bob@acme.test").await.expect("the same request, now possible");
    assert_ne!(made.id, pending.id);
}

#[tokio::test]
async fn a_retry_never_shows_a_secret_again() {
    let site = Site::start().await;
    let mut operator = site.operator().await;
    let request = |certificate: &str, id: &str| proto::CreateServiceRequest {
        name: if certificate.is_empty() { "by-token" } else { "by-certificate" }.to_owned(),
        scopes: vec!["access.check".to_owned()],
        certificate_name: certificate.to_owned(),
        request_id: id.to_owned(),
        ..Default::default()
    };
    let first = operator.operations.create_service(request("", ID)).await.expect("created").into_inner();
    assert!(first.token.starts_with("svc_") && !first.secret_already_shown);
    let again = operator.operations.create_service(request("", ID)).await.expect("replayed").into_inner();
    assert_eq!((again.token.as_str(), again.secret_already_shown, again.service), ("", true, first.service));
    let other = "0f0f0f0f-5a53-4be4-8a4c-5a7f4b2f8a11";
    for _ in 0..2 {
        let answer = operator.operations.create_service(request("tool.site.test", other)).await.expect("created").into_inner();
        assert!(answer.token.is_empty() && !answer.secret_already_shown, "there was none to show");
    }
    let mut database = site.database().await;
    let kept: Vec<String> = sqlx::query_scalar("select outcome from requests").fetch_all(&mut database).await.expect("read");
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|outcome| !outcome.contains(&first.token)));
}

#[tokio::test]
async fn an_id_is_forgotten_after_a_day_and_not_before() {
    let site = Site::start().await;
    let mut operator = site.operator().await;
    let request =
        |name: &str| proto::CreateAccountRequest { name: name.to_owned(), request_id: ID.to_owned(), ..Default::default() };
    operator.users.create_account(request("first")).await.expect("created");
    site.clock.advance(Duration::from_hours(24));
    site.app().purge().await;
    let refused = operator.users.create_account(request("second")).await.expect_err("refused");
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    site.clock.advance(Duration::from_secs(1));
    site.app().purge().await;
    operator.users.create_account(request("second")).await.expect("the id is new again");
}

#[tokio::test]
async fn a_right_is_judged_before_an_answer_is_repeated() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.member(ACME, "bea@acme.test", Privilege::Admin, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    invited(&mut as_ann, "bob@acme.test").await.expect("invited");
    site.operator().await.move_to(&ann.id, Privilege::Normal).await.expect("moved");
    let refused = invited(&mut as_ann, "bob@acme.test").await.expect_err("refused");
    assert_eq!(reason(&refused), "ACCESS_DENIED");
}

/// Whether a call changes something: reads and lists don't.
fn changes(method: &MethodDescriptor) -> bool {
    !["Get", "List", "Verify", "Export", "Preview"].iter().any(|verb| method.name().starts_with(verb))
}

#[tokio::test]
async fn every_call_that_changes_something_takes_a_request_id_and_refuses_a_malformed_one() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut seen = 0;
    for method in methods() {
        if !["UserManagement", "Operations"].contains(&method.parent_service().name()) || !changes(&method) {
            continue;
        }
        seen += 1;
        let field = method.input().get_field_by_name("request_id");
        let field = field.unwrap_or_else(|| panic!("{} takes no request_id", method.name()));
        let mut request = DynamicMessage::new(method.input());
        request.set_field(&field, Value::String("not a uuid".to_owned()));
        if let Some(account) = method.input().get_field_by_name("account").filter(|_| method.name() != "CreateService") {
            request.set_field(&account, Value::String(ACME.to_owned()));
        }
        let refused = call(site.socket_channel().await, Identified::default(), &method, &request.encode_to_vec()).await;
        let refused = refused.expect_err("refused");
        assert_eq!(reason(&refused), "FIELDS_INVALID", "{}", method.name());
        assert!(violations(&refused).contains(&"request_id".to_owned()), "{}: {refused:?}", method.name());
    }
    assert!(seen >= 12, "the contract has these: {seen}");
}

#[tokio::test]
async fn what_the_edition_has_off_now_is_still_answered_as_it_was_done() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::ReadOnly, &[]).await;
    let request = proto::AssignRolesRequest {
        account: ACME.to_owned(),
        user: bob.id,
        roles: vec![Role::Data.into()],
        request_id: ID.to_owned(),
        ..Default::default()
    };
    let first = site.operator().await.users.assign_roles(request.clone()).await.map(Response::into_inner).expect("assigned");
    site.restart(Some("edition = \"saas\"\nsignup = \"open\"")).await;
    let again = site.operator().await.users.assign_roles(request).await.map(Response::into_inner).expect("replayed");
    assert_eq!(again.effects, first.effects, "the role is off now, and was assigned when it could be");
}

#[tokio::test]
async fn a_retry_that_comes_after_the_end_of_what_was_made_is_answered_like_any_other() {
    let site = Site::start().await;
    let mut operator = site.operator().await;
    let end = site.clock.now().plus(Duration::from_mins(1)).as_micros() / 1_000_000;
    let request = proto::CreateServiceRequest {
        name: "brief".to_owned(),
        scopes: vec!["access.check".to_owned()],
        expire_time: Some(prost_types::Timestamp { seconds: end, nanos: 0 }),
        request_id: ID.to_owned(),
        ..Default::default()
    };
    let first = operator.operations.create_service(request.clone()).await.expect("created").into_inner();
    site.clock.advance(Duration::from_mins(1));
    let again = operator.operations.create_service(request.clone()).await.expect("replayed").into_inner();
    assert_eq!((again.service, again.secret_already_shown), (first.service, true));
    let other = proto::CreateServiceRequest { name: "late".to_owned(), request_id: String::new(), ..request };
    let refused = operator.operations.create_service(other).await.expect_err("its end has passed");
    assert_eq!(violations(&refused), ["expire_time"]);
}
