//! Tokens that leaked, which whoever finds them knows by their text alone.

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
        for again in [retried, request(token)] {
            assert_eq!(revoked(&mut operator, again).await.as_ref(), Ok(&answer), "{event:?}");
        }
        assert_eq!(operator.last_event().await, seen, "{event:?}: again changes nothing");
        assert_eq!(answer, proto::RevokeTokenResponse { credential: ended(as_it_would_be.credential), ..answer.clone() });
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

/// A credential as it is when it has ended.
fn ended(credential: Option<Credential>) -> Option<Credential> {
    credential.map(|credential| match credential {
        Credential::Session(session) => Credential::Session(session),
        Credential::ApiToken(token) => Credential::ApiToken(proto::ApiToken { revoked: true, ..token }),
        Credential::Service(service) => Credential::Service(proto::Service { revoked: true, ..service }),
    })
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
        assert!(refused.message().len() < 200 && !refused.message().contains(&personal[4..]), "{refused}");
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
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    assert_eq!(site.operator().await.last_event().await, seen + 1);
}
