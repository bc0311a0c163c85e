//! Tokens that leaked, which whoever finds them knows by their text alone.

use std::time::Duration;

use user_management::proto::revoke_token_response::Credential;
use user_management::proto::{self, EventKind, Privilege};

use super::whose;
use crate::acme::ACME;
use crate::client::{Client, reason};
use crate::site::{NOBODYS_TOKEN, Site};

fn request(token: &str) -> proto::RevokeTokenRequest {
    proto::RevokeTokenRequest { token: token.to_owned(), ..Default::default() }
}

async fn revoked(client: &mut Client, request: proto::RevokeTokenRequest) -> Result<proto::RevokeTokenResponse, String> {
    client.operations.revoke_token(request).await.map(tonic::Response::into_inner).map_err(|refused| reason(&refused))
}

#[tokio::test]
async fn a_token_of_any_kind_ends_by_its_text_once_for_all_and_is_told_by_what_it_was() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let personal = site.api_token_named(&ann, ACME, "nightly").await;
    let service = site.service("tool", &["users.read"], ACME).await;
    for (token, who, event) in [
        (&personal, ann.id.as_str(), EventKind::ApiTokenEnded),
        (&ann.token, &ann.id, EventKind::SessionEnded),
        (&service, "service", EventKind::ServiceRevoked),
    ] {
        let mut operator = site.operator().await;
        let mut seen = operator.last_event().await;
        assert_eq!(whose(&mut site.bearer(token).await).await, who, "{event:?}");
        let rehearsed = proto::RevokeTokenRequest { validate_only: true, ..request(token) };
        let as_it_would_be = revoked(&mut operator, rehearsed).await.expect("the operator may");
        assert_eq!(whose(&mut site.bearer(token).await).await, who, "{event:?}: a rehearsal ends nothing");
        assert_eq!(operator.last_event().await, seen);

        let request_id = format!("7b1a6f0e-5a53-4be4-8a4c-{seen:012}");
        let retried = proto::RevokeTokenRequest { request_id, ..request(token) };
        let answer = revoked(&mut operator, retried.clone()).await.expect("the operator may");
        let events = operator.events_after(seen).await;
        assert_eq!(events.iter().map(proto::Event::kind).collect::<Vec<_>>(), [event]);
        seen += 1;
        assert!(answer.was_live && is_ended(answer.credential.as_ref()), "{answer:?}");
        assert_eq!(as_it_would_be, answer, "{event:?}");
        assert_eq!(revoked(&mut operator, retried).await.as_ref(), Ok(&answer), "{event:?}: a retry hears the same");
        let again = revoked(&mut operator, request(token)).await;
        assert_eq!(again, Ok(proto::RevokeTokenResponse { was_live: false, ..answer.clone() }), "{event:?}");
        assert_eq!(operator.last_event().await, seen, "{event:?}: again changes nothing");
        match answer.credential.expect("told") {
            Credential::Session(session) => assert!(session.starts_with("sid_") && session == events[0].subject, "{session}"),
            Credential::ApiToken(told) => {
                assert_eq!((told.id, told.name.as_str(), told.account.as_str()), (events[0].subject.clone(), "nightly", ACME));
            }
            Credential::Service(told) => assert_eq!((told.id, told.name), (events[0].subject.clone(), "tool".to_owned())),
        }
        assert_eq!(answer.user.map(|user| user.id), (who != "service").then(|| ann.id.clone()), "{event:?}");
        for after in ["at once", "after a restart"] {
            assert_eq!(whose(&mut site.bearer(token).await).await, "CREDENTIALS_INVALID", "{event:?} {after}");
            site.directory_is_the_database(&format!("{event:?} {after}")).await;
            site.restart(None).await;
        }
    }
    assert_eq!(site.operator().await.verified().await.first_broken, 0);
}

fn is_ended(credential: Option<&Credential>) -> bool {
    match credential.expect("told") {
        Credential::Session(_) => true,
        Credential::ApiToken(token) => token.revoked,
        Credential::Service(service) => service.revoked,
    }
}

#[tokio::test]
async fn whoever_ends_a_token_hears_when_it_was_last_used_and_whether_it_still_counted() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    let (used, unused) = (site.api_token_named(&ann, ACME, "used").await, site.api_token_named(&ann, ACME, "unused").await);
    let (by_owner, over) = (site.api_token_named(&ann, ACME, "hers").await, site.service("tool", &["users.read"], "").await);
    site.clock.advance(Duration::from_hours(1));
    for token in [&used, &by_owner] {
        site.bearer(token).await.me().await.expect("it counts");
    }
    let mut operator = site.operator().await;
    let at = |answer: &proto::RevokeTokenResponse| match answer.credential.as_ref().expect("told") {
        Credential::ApiToken(token) => token.last_used_time.map(|time| time.seconds),
        other => panic!("{other:?}"),
    };
    let hour = site.clock.now().as_micros() / 1_000_000;
    for (token, time) in [(&used, Some(hour)), (&unused, None)] {
        for validate_only in [true, false] {
            let asked = proto::RevokeTokenRequest { validate_only, ..request(token) };
            let answer = revoked(&mut operator, asked).await.expect("the operator may");
            assert_eq!((at(&answer), answer.was_live), (time, true));
        }
        let again = revoked(&mut operator, request(token)).await.expect("the operator may");
        assert_eq!((at(&again), again.was_live), (time, false), "it is written down with the end");
    }
    let mut person = site.bearer(&ann.token).await;
    let hers = person.identity.list_api_tokens(proto::ListApiTokensRequest::default()).await.expect("hers").into_inner();
    let hers = proto::RevokeApiTokenRequest { api_token: hers.api_tokens[0].id.clone(), ..Default::default() };
    let ended = person.identity.revoke_api_token(hers).await.expect("hers").into_inner().api_token.expect("a token");
    assert_eq!(ended.last_used_time.map(|time| time.seconds), Some(hour));

    // a session that ended by being idle, and a service that was revoked by its id, count no more
    site.clock.advance(Duration::from_hours(13));
    let services = operator.operations.list_services(proto::ListServicesRequest::default()).await.expect("the operator may");
    let service = services.into_inner().services[0].id.clone();
    let revoke = proto::RevokeServiceRequest { service, ..Default::default() };
    operator.operations.revoke_service(revoke).await.expect("revoked");
    for token in [&ann.token, &over] {
        assert!(!revoked(&mut operator, request(token)).await.expect("the operator may").was_live);
    }
}

#[tokio::test]
async fn what_is_no_token_is_told_from_one_that_nobody_has() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    let personal = site.api_token_named(&ann, ACME, "nightly").await;
    let mut operator = site.operator().await;
    assert_eq!(revoked(&mut operator, request(NOBODYS_TOKEN)).await, Err("TOKEN_NOT_FOUND".to_owned()));
    let (spaced, longer, other) = (format!(" {personal}"), format!("{personal}A"), personal.replace("pat_", "ses_"));
    let huge = personal.repeat(10_000);
    for text in ["", "pat_", &personal[..51], &spaced, &longer, &other, &personal.to_uppercase(), &huge, "Bearer x"] {
        let refused = operator.operations.revoke_token(request(text)).await.expect_err("refused");
        assert_eq!(reason(&refused), "FIELDS_INVALID", "{} characters", text.len());
        let said = format!("{refused:?}");
        assert!(text.len() < 20 || !said.contains(&text.trim()[..20]), "{said}");
    }
    assert_eq!(whose(&mut site.bearer(&personal).await).await, ann.id);
    site.operator().await.delete(&ann.id, true).await.expect("the operator may");
    assert_eq!(revoked(&mut operator, request(&personal)).await, Err("TOKEN_NOT_FOUND".to_owned()), "it went with its owner");
}

#[tokio::test]
async fn of_those_who_end_a_token_at_once_one_is_recorded() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    let personal = site.api_token_named(&ann, ACME, "nightly").await;
    let seen = site.operator().await.last_event().await;
    let at_once = (0..8).map(|_| async {
        let mut operator = site.operator().await;
        revoked(&mut operator, request(&personal)).await.expect("the operator may")
    });
    let answers = futures_util::future::join_all(at_once).await;
    assert_eq!(answers.iter().filter(|answer| answer.was_live).count(), 1, "{answers:?}");
    assert_eq!(site.operator().await.last_event().await, seen + 1);
}
