//! Making tokens: once, with a mail to the owner; and the lists of tokens and sessions.

use user_management::domain::token::Bearer;
use user_management::proto::{self, EventKind, Privilege, Role};

use super::{asked, cap};
use crate::acme::ACME;
use crate::client::{reason, violations};
use crate::site::Site;

const ID: &str = "7b1a6f0e-5a53-4be4-8a4c-5a7f4b2f8a11";

#[tokio::test]
async fn a_new_token_is_shown_once_and_told_to_its_owner_by_mail() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let seq = site.app().view().seq();
    let mut as_ann = site.bearer(&ann.token).await;
    let request = proto::CreateApiTokenRequest {
        name: " Nightly backup ".to_owned(),
        cap: Some(cap(Privilege::ReadOnly, &[Role::Data])),
        ..asked(ACME)
    };
    let made = as_ann.create_api_token(request).await.expect("made");
    let shown = made.api_token.expect("what was made");
    assert_eq!((shown.name.as_str(), shown.account.as_str(), shown.revoked), ("Nightly backup", ACME, false));
    assert_eq!(shown.cap, Some(cap(Privilege::ReadOnly, &[Role::Data])));
    assert_eq!(Bearer::of(&made.token), Some(Bearer::Personal), "prefix and checksum tell a leaked one from chance");
    assert_eq!(as_ann.api_tokens().await, std::slice::from_ref(&shown));
    site.mails_settled().await;
    let mails = site.mails_to(&ann.email);
    let mail = mails.iter().filter(|mail| mail.contains("Subject: A personal token for acme was made")).collect::<Vec<_>>();
    assert_eq!(mail.len(), 1, "{mails:#?}");
    assert!(mail[0].contains("Nightly backup") && !mail[0].contains(&made.token));
    let events = site.operator().await.events_after(seq).await;
    let [event] = &events[..] else { panic!("one change: {events:#?}") };
    assert_eq!((event.kind(), event.subject.as_str(), event.user.as_str()), (EventKind::ApiTokenCreated, &*shown.id, &*ann.id));
    assert_eq!(
        (event.display_name.as_str(), event.privilege(), event.expire_time),
        ("Nightly backup", Privilege::ReadOnly, shown.expire_time)
    );
    for path in std::fs::read_dir(site.data_dir()).expect("readable").map(|entry| entry.expect("an entry").path()) {
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(made.token.len()).any(|window| window == made.token.as_bytes()), "{}", path.display());
    }
}

#[tokio::test]
async fn a_retry_makes_no_second_token_and_shows_no_secret_again() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let cap = Some(cap(Privilege::Normal, &[Role::Data]));
    let request = proto::CreateApiTokenRequest { request_id: ID.to_owned(), cap, ..asked(ACME) };
    let first = site.bearer(&ann.token).await.create_api_token(request.clone()).await.expect("made");
    assert!(first.token.starts_with("pat_") && !first.secret_already_shown);
    let seq = site.app().view().seq();
    for _ in 0..2 {
        let again = site.bearer(&ann.token).await.create_api_token(request.clone()).await.expect("replayed");
        assert_eq!((again.token.as_str(), again.secret_already_shown, &again.api_token), ("", true, &first.api_token));
        assert_eq!(site.app().view().seq(), seq);
        site.restart(None).await;
    }
    site.restart(Some("edition = \"saas\"\nsignup = \"open\"")).await;
    let again =
        site.bearer(&ann.token).await.create_api_token(request.clone()).await.expect("the roles are off now, and weren't");
    assert_eq!((again.secret_already_shown, &again.api_token), (true, &first.api_token));
    let other = proto::CreateApiTokenRequest { name: "other".to_owned(), ..request };
    let refused = site.bearer(&ann.token).await.create_api_token(other).await.expect_err("other content");
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    let api_token = first.api_token.expect("what was made").id;
    let revoke = proto::RevokeApiTokenRequest { api_token, request_id: ID.to_owned(), ..Default::default() };
    let mut as_ann = site.bearer(&ann.token).await;
    let revoked = as_ann.identity.revoke_api_token(revoke.clone()).await.expect("revoked").into_inner();
    assert_eq!(as_ann.identity.revoke_api_token(revoke).await.expect("replayed").into_inner(), revoked);
    site.mails_settled().await;
    assert_eq!(site.mails_to(&ann.email).iter().filter(|mail| mail.contains("A personal token for")).count(), 1);
}

#[tokio::test]
async fn the_same_request_id_by_a_token_and_its_owner_is_unrelated() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let token = site.api_token(&ann, ACME, None).await;
    let request = |email: &str| proto::InviteUserRequest {
        account: ACME.to_owned(),
        email: email.to_owned(),
        privilege: Privilege::Normal.into(),
        request_id: ID.to_owned(),
        ..Default::default()
    };
    let mut ids = Vec::new();
    for (bearer, email) in [(&ann.token, "one@acme.test"), (&token, "two@acme.test")] {
        let mut client = site.bearer(bearer).await;
        for _ in 0..2 {
            let answer = client.users.invite_user(request(email)).await.expect("invited, or replayed").into_inner();
            ids.push(answer.invitation.expect("an invitation").id);
        }
    }
    assert_eq!((&ids[0], &ids[2]), (&ids[1], &ids[3]));
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn a_rehearsal_makes_and_ends_no_token() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let token = site.api_token(&ann, ACME, None).await;
    site.mails_settled().await;
    let (mut as_ann, seq) = (site.bearer(&ann.token).await, site.app().view().seq());
    let rehearsed = proto::CreateApiTokenRequest { validate_only: true, request_id: ID.to_owned(), ..asked(ACME) };
    let made = as_ann.create_api_token(rehearsed.clone()).await.expect("as it would be");
    assert!(made.token.is_empty() && !made.secret_already_shown && made.api_token.is_some());
    let id = as_ann.api_tokens().await.remove(0).id;
    let revoke = proto::RevokeApiTokenRequest { api_token: id, validate_only: true, ..Default::default() };
    assert!(as_ann.identity.revoke_api_token(revoke).await.expect("as it would be").into_inner().api_token.expect("it").revoked);
    assert!(site.holds(&token, ACME).await);
    site.mails_settled().await;
    assert_eq!((site.app().view().seq(), as_ann.api_tokens().await.len()), (seq, 1));
    let refused = as_ann.create_api_token(proto::CreateApiTokenRequest { account: "nowhere".to_owned(), ..rehearsed }).await;
    assert_eq!(reason(&refused.expect_err("refused")), "ACCESS_DENIED");
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_new_token_is_told_at_once() {
    let site = Site::with("edition = \"saas\"\nsignup = \"open\"").await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let wrong = proto::CreateApiTokenRequest {
        account: ACME.to_owned(),
        name: "see evil.example".to_owned(),
        cap: Some(proto::ApiTokenCap { privilege: 0, roles: vec![0] }),
        expire_time: Some(prost_types::Timestamp::default()),
        request_id: "none".to_owned(),
        validate_only: false,
    };
    let refused = as_ann.create_api_token(wrong).await.expect_err("refused");
    assert_eq!(violations(&refused), ["request_id", "name", "cap.privilege", "cap.roles[0]", "expire_time"]);
    let off = proto::CreateApiTokenRequest { cap: Some(cap(Privilege::Normal, &[Role::Data])), ..asked(ACME) };
    assert_eq!(reason(&as_ann.create_api_token(off).await.expect_err("refused")), "ROLE_OFF_IN_EDITION");
}

#[tokio::test]
async fn tokens_and_sessions_are_listed_in_pages_that_are_their_owners_alone() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.account("other").await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.join("other", &ann, Privilege::Normal, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    site.api_token(&bob, ACME, None).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let mut made = Vec::new();
    for account in [ACME, "other", ACME, "other", ACME] {
        site.clock.advance(std::time::Duration::from_millis(1));
        made.push(as_ann.create_api_token(asked(account)).await.expect("made").api_token.expect("what was made"));
        site.sign_in(&ann.email).await;
    }
    let (mut tokens, mut sessions, mut next) = (Vec::new(), Vec::new(), (String::new(), String::new()));
    for size in [2, 2, 1] {
        let request = proto::ListApiTokensRequest { page_size: 2, page_token: next.0 };
        let page = as_ann.identity.list_api_tokens(request).await.expect("hers").into_inner();
        let request = proto::ListSessionsRequest { page_size: 2, page_token: next.1 };
        let begun = as_ann.identity.list_sessions(request).await.expect("hers").into_inner();
        assert_eq!((page.api_tokens.len(), begun.sessions.len()), (size, 2));
        tokens.extend(page.api_tokens);
        sessions.extend(begun.sessions);
        next = (page.next_page_token, begun.next_page_token);
    }
    assert_eq!((tokens, next), (made, (String::new(), String::new())));
    assert_eq!(sessions.len(), 6);
    let request = proto::ListApiTokensRequest { page_size: 2, ..Default::default() };
    let page_token = as_ann.identity.list_api_tokens(request).await.expect("hers").into_inner().next_page_token;
    let request = proto::ListApiTokensRequest { page_token, ..Default::default() };
    let refused = site.bearer(&bob.token).await.identity.list_api_tokens(request).await.expect_err("ann's page");
    assert_eq!(reason(&refused), "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn sessions_are_listed_with_their_times_and_ended_one_by_one() {
    let mut site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let eve = site.person("eve@evil.test").await;
    site.clock.advance(std::time::Duration::from_hours(1));
    let phone = site.sign_in(&ann.email).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let listed = as_ann.sessions().await;
    let [here, there] = &listed[..] else { panic!("two sessions: {listed:#?}") };
    assert_eq!((here.current, there.current), (true, false));
    let seconds = |time: &Option<prost_types::Timestamp>| time.as_ref().expect("a time").seconds;
    assert_eq!(seconds(&here.last_used_time) - seconds(&here.create_time), 3600);
    assert_eq!(seconds(&there.expire_time) - seconds(&there.create_time), 30 * 24 * 3600);
    let bytes: Vec<u8> = listed.iter().flat_map(prost::Message::encode_to_vec).collect();
    assert!([&ann.token, &phone.token].iter().all(|token| !bytes.windows(token.len()).any(|part| part == token.as_bytes())));
    let mut heard = std::collections::BTreeSet::new();
    for session in [there.id.clone(), format!("sid_{}", "0".repeat(32))] {
        let request = proto::RevokeSessionRequest { session, ..Default::default() };
        let refused = site.bearer(&eve.token).await.identity.revoke_session(request).await.expect_err("not eve's");
        heard.insert((refused.message().to_owned(), reason(&refused)));
    }
    assert_eq!(heard.len(), 1, "{heard:?}");
    let seq = site.app().view().seq();
    for _ in 0..2 {
        let request = proto::RevokeSessionRequest { session: there.id.clone(), ..Default::default() };
        as_ann.identity.revoke_session(request).await.expect("it is hers");
    }
    let events = site.operator().await.events_after(seq).await;
    let [event] = &events[..] else { panic!("once: {events:#?}") };
    assert_eq!((event.kind(), event.subject.as_str(), event.session.as_str()), (EventKind::SessionEnded, &*there.id, &*here.id));
    for _ in 0..2 {
        assert!(site.counts(&ann).await && !site.counts(&phone).await);
        assert_eq!(site.bearer(&ann.token).await.sessions().await.len(), 1);
        site.restart(None).await;
    }
    site.clock.advance(std::time::Duration::from_hours(12));
    let again = site.sign_in(&ann.email).await;
    let listed = site.bearer(&again.token).await.sessions().await;
    assert_eq!(listed.iter().map(|session| session.current).collect::<Vec<_>>(), [true], "an idle one doesn't count any more");
}
