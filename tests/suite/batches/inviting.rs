//! `BatchInviteUsers`: each address as it would be invited alone.

use std::time::Duration;

use tonic::{Code, Response, Status};
use user_management::proto::invite_result::Outcome;
use user_management::proto::{self, ErrorReason, EventKind, InvitationState, Privilege, Role};

use crate::acme::ACME;
use crate::client::{Client, reason, violations};
use crate::site::Site;

fn invitee(email: &str, roles: &[Role]) -> proto::Invitee {
    let roles = roles.iter().map(|role| (*role).into()).collect();
    proto::Invitee { email: email.to_owned(), privilege: Privilege::Normal.into(), roles }
}

fn request(invitees: Vec<proto::Invitee>) -> proto::BatchInviteUsersRequest {
    proto::BatchInviteUsersRequest { account: ACME.to_owned(), invitees, ..Default::default() }
}

async fn invite(client: &mut Client, request: proto::BatchInviteUsersRequest) -> Result<proto::BatchInviteUsersResponse, Status> {
    client.users.batch_invite_users(request).await.map(Response::into_inner)
}

fn outcomes(results: Vec<proto::InviteResult>) -> Vec<Result<proto::Invitation, proto::EntryError>> {
    let outcome = |result: proto::InviteResult| match result.outcome.expect("an outcome") {
        Outcome::Invitation(invitation) => Ok(invitation),
        Outcome::Error(error) => Err(error),
    };
    results.into_iter().map(outcome).collect()
}

#[tokio::test]
async fn each_address_has_its_own_result_in_its_place_and_one_that_fails_hinders_none() {
    let site = Site::with("signup = \"open\"").await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let eve = site.person("eve@evil.test").await;
    let (expired, _) = site.invited(ACME, "old@acme.test", Privilege::ReadOnly, &[]).await;
    site.clock.advance(Duration::from_hours(8 * 24));
    let ann = site.sign_in(&ann.email).await;
    let (pending, _) = site.invited(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let mut operator = site.operator().await;
    let before = operator.last_event().await;
    let answer = invite(
        &mut as_ann,
        request(vec![
            invitee("New.One@acme.test", &[Role::Data]),
            invitee("no address", &[]),
            invitee("Bob@acme.test", &[]),
            invitee(&ann.email, &[]),
            invitee("new.one@ACME.test", &[]),
            invitee("Old@acme.test", &[Role::Alerts]),
            invitee(&eve.email, &[]),
        ]),
    );
    let results = outcomes(answer.await.expect("answered").results);
    assert_eq!(results.len(), 7);
    let first = results[0].as_ref().expect("invited");
    assert_eq!(
        (first.email.as_str(), first.state(), first.roles().collect::<Vec<_>>()),
        ("New.One@acme.test", InvitationState::Pending, vec![Role::Data])
    );
    assert_eq!((first.granted_by.as_str(), first.send_count), (ann.id.as_str(), 1));
    let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let told: Vec<_> = refused.iter().map(|error| (error.reason(), error.code)).collect();
    assert_eq!(
        told,
        [
            (ErrorReason::FieldsInvalid, i32::from(Code::InvalidArgument)),
            (ErrorReason::InvitationExists, i32::from(Code::AlreadyExists)),
            (ErrorReason::MemberExists, i32::from(Code::AlreadyExists)),
            (ErrorReason::InvitationExists, i32::from(Code::AlreadyExists)),
        ]
    );
    assert_eq!(refused[0].metadata["fields"], "email");
    assert_eq!(refused[1].metadata["invitation"], pending.id);
    assert_eq!(refused[3].metadata["invitation"], first.id, "by the entry before");
    let renewed = results[5].as_ref().expect("renewed");
    assert_eq!(
        (renewed.id.as_str(), renewed.privilege(), renewed.state()),
        (expired.id.as_str(), Privilege::Normal, InvitationState::Pending)
    );
    assert!(results[6].is_ok());
    let events = operator.events_after(before).await;
    let kinds: Vec<_> = events.iter().map(proto::Event::kind).collect();
    assert_eq!(kinds, [EventKind::InvitationCreated, EventKind::InvitationRenewed, EventKind::InvitationCreated]);
    for (event, invitation) in events.iter().zip([first, renewed]) {
        assert_eq!((event.subject.as_str(), event.email.as_str()), (invitation.id.as_str(), invitation.email.as_str()));
        let shown = operator.invitation(&invitation.id).await;
        assert_eq!(shown.etag, invitation.etag, "the event that changed it is the one its etag names");
        assert!(shown.etag.ends_with(&format!("-{:x}", event.seq)), "{} {}", shown.etag, event.seq);
    }
    let prefixed =
        proto::ListInvitationsRequest { account: ACME.to_owned(), email_prefix: "new.".to_owned(), ..Default::default() };
    let found = operator.users.list_invitations(prefixed).await.expect("listed").into_inner().invitations;
    assert_eq!(found.iter().map(|each| each.id.as_str()).collect::<Vec<_>>(), [first.id.as_str()], "found by its address");
    // each is what a single call would have made: it has its mail and can be accepted
    let token = site.mailed_token(&eve.email).await;
    let eve = site.sign_in(&eve.email).await;
    site.bearer(&eve.token).await.accept(&token).await.expect("it is hers");
    assert_eq!(site.operator().await.verified().await.first_broken, 0);
}

#[tokio::test]
async fn a_thousand_are_invited_at_once_and_a_retry_answers_the_same() {
    let site = Site::start().await;
    site.account(ACME).await;
    let invitees = (0..1000).map(|number| invitee(&format!("user-{number}@acme.test"), &[])).collect();
    let request_id = "7b1a6f0e-5a53-4be4-8a4c-5a7f4b2f8a11".to_owned();
    let request = proto::BatchInviteUsersRequest { request_id, ..request(invitees) };
    let mut operator = site.operator().await;
    let ids = |answer: proto::BatchInviteUsersResponse| -> Vec<String> {
        outcomes(answer.results).into_iter().map(|result| result.expect("invited").id).collect()
    };
    let first = ids(invite(&mut operator, request.clone()).await.expect("answered"));
    let last = operator.last_event().await;
    let again = ids(invite(&mut operator, request).await.expect("replayed"));
    assert_eq!((first.len(), first == again, operator.last_event().await), (1000, true, last));
}

#[tokio::test]
async fn too_many_none_at_all_or_a_closed_account_are_refused_as_a_whole() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    for count in [0, 1001] {
        let invitees = (0..count).map(|number| invitee(&format!("user-{number}@acme.test"), &[])).collect();
        let refused = invite(&mut operator, request(invitees)).await.expect_err("refused");
        assert_eq!(violations(&refused), ["invitees"]);
    }
    let close = proto::CloseAccountRequest { account: ACME.to_owned(), ..Default::default() };
    operator.users.close_account(close).await.expect("the operator may");
    let refused = invite(&mut operator, request(vec![invitee("bob@acme.test", &[])])).await.expect_err("refused");
    assert_eq!(reason(&refused), "ACCOUNT_CLOSED");
}

#[tokio::test]
async fn a_rehearsed_batch_tells_every_result_and_sends_nothing() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    let before = operator.last_event().await;
    let rehearsal = proto::BatchInviteUsersRequest { validate_only: true, ..request(vec![invitee("bob@acme.test", &[])]) };
    let results = outcomes(invite(&mut operator, rehearsal).await.expect("answered").results);
    assert!(results[0].is_ok());
    site.mails_settled().await;
    assert_eq!((operator.last_event().await, site.mails_to("bob@acme.test").len()), (before, 0));
}

#[tokio::test]
async fn returned_links_are_answered_once_and_recorded_instead_of_being_mailed() {
    let site = Site::start().await;
    site.account(ACME).await;
    let bob = site.person("bob@acme.test").await;
    site.mails_settled().await;
    let mails = site.mails_to("bob@acme.test").len();
    let mut operator = site.operator().await;
    let request_id = "7b1a6f0e-5a53-4be4-8a4c-5a7f4b2f8a11".to_owned();
    let invitees = vec![invitee("bob@acme.test", &[]), invitee("cy@acme.test", &[])];
    let request = proto::BatchInviteUsersRequest { return_link: true, request_id, ..request(invitees) };
    let first = invite(&mut operator, request.clone()).await.expect("answered");
    assert!(!first.secret_already_shown && first.results.iter().all(|result| result.link.is_some()));
    let again = invite(&mut operator, request).await.expect("replayed");
    assert!(again.secret_already_shown && again.results.iter().all(|result| result.link.is_none()));
    let single = proto::InviteUserRequest {
        account: ACME.to_owned(),
        email: "dee@acme.test".to_owned(),
        privilege: Privilege::Normal.into(),
        return_link: true,
        ..Default::default()
    };
    let made = operator.users.invite_user(single).await.expect("invited").into_inner();
    let (invitation, link) = (made.invitation.expect("an invitation"), made.link.expect("a link"));
    assert_eq!((invitation.send_count, invitation.delivery.is_none()), (0, true));
    assert_eq!(link.url, format!("http://localhost:7080/invitation#token={}", link.token));
    let resend = proto::ResendInvitationRequest {
        account: ACME.to_owned(),
        invitation: invitation.id,
        return_link: true,
        ..Default::default()
    };
    let newer = operator.users.resend_invitation(resend).await.expect("made anew").into_inner().link.expect("a link");
    assert_eq!(reason(&operator.preview(&link.token).await.expect_err("replaced")), "LINK_INVALID");
    operator.preview(&newer.token).await.expect("the newest counts");
    let kinds: Vec<_> = operator.events_after(0).await.iter().map(proto::Event::kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == EventKind::InvitationLinkReturned).count(), 4);
    site.mails_settled().await;
    assert_eq!(site.mails_to("bob@acme.test").len(), mails);
    let token = &first.results[0].link.as_ref().expect("a link").token;
    site.bearer(&bob.token).await.accept(token).await.expect("it is his");
}
