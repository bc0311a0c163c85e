//! Invitations to addresses of domains that only look like one of the account's.

use std::time::Duration;

use user_management::proto::AddressWarning::{self, LooksLike, MixedScript};
use user_management::proto::invite_result::Outcome;
use user_management::proto::{self, Invitation, Privilege};

use crate::acme::ACME;
use crate::client::Client;
use crate::site::{PASSWORD, Person, Site};

/// `acme.test` with a Cyrillic а.
const CYRILLIC: &str = "bob@\u{430}cme.test";

/// Looks like `acme.test` in many a typeface.
const R_N: &str = "bob@acrne.test";

async fn with_ann() -> (Site, Person, Client) {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let manager = site.bearer(&ann.token).await;
    (site, ann, manager)
}

fn told(invitation: &Invitation) -> (Vec<AddressWarning>, &str) {
    (invitation.warnings().collect(), &invitation.looks_like)
}

async fn inviting(manager: &mut Client, email: &str) -> (Vec<AddressWarning>, String) {
    let invitation = manager.invite(email, Privilege::Normal, &[]).await.unwrap_or_else(|refused| panic!("{email}: {refused}"));
    let (warnings, looks_like) = told(&invitation);
    (warnings, looks_like.to_owned())
}

#[tokio::test]
async fn an_address_is_flagged_that_only_looks_like_one_of_a_members_domain() {
    let (_site, _, mut manager) = with_ann().await;
    for (email, warnings, looks_like) in [
        (CYRILLIC, vec![MixedScript, LooksLike], "acme.test"),
        ("bob@\u{3b1}cme.test", vec![MixedScript, LooksLike], "acme.test"),
        (R_N, vec![LooksLike], "acme.test"),
        ("bob@\u{430}ther.example", vec![MixedScript], ""),
        ("bob@ACME.test", vec![], ""),
        ("bob@acme.example", vec![], ""),
        ("bob@b\u{fc}cher.example", vec![], ""),
        ("bob@\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.test", vec![], ""),
        ("bob@\u{30c8}\u{30e8}\u{30bf}cars.example", vec![], ""),
    ] {
        assert_eq!(inviting(&mut manager, email).await, (warnings, looks_like.to_owned()), "{email}");
    }
}

/// Of inviting the address that looks like one of the account's.
fn rehearsal() -> proto::InviteUserRequest {
    proto::InviteUserRequest {
        account: ACME.to_owned(),
        email: CYRILLIC.to_owned(),
        privilege: Privilege::Normal.into(),
        validate_only: true,
        ..Default::default()
    }
}

#[tokio::test]
async fn every_answer_that_shows_the_invitation_to_who_manages_tells_it() {
    let (site, _, mut manager) = with_ann().await;
    let mut shown = Vec::new();
    shown.extend(manager.users.invite_user(rehearsal()).await.expect("rehearsed").into_inner().invitation);
    let invitee = proto::Invitee { email: CYRILLIC.to_owned(), privilege: Privilege::Normal.into(), ..Default::default() };
    let batch = proto::BatchInviteUsersRequest { account: ACME.to_owned(), invitees: vec![invitee], ..Default::default() };
    let results = manager.users.batch_invite_users(batch).await.expect("invited").into_inner().results;
    let Some(Outcome::Invitation(invitation)) = results.into_iter().next().and_then(|result| result.outcome) else {
        panic!("not invited")
    };
    let id = invitation.id.clone();
    shown.push(invitation);
    let update = proto::UpdateInvitationRequest {
        account: ACME.to_owned(),
        invitation: id.clone(),
        privilege: Privilege::ReadOnly.into(),
        ..Default::default()
    };
    shown.extend(manager.users.update_invitation(update).await.expect("changed").into_inner().invitation);
    shown.push(manager.resend(&id).await.expect("sent again"));
    shown.push(manager.invitation(&id).await);
    shown.extend(manager.invited().await);
    shown.push(site.operator().await.invitation(&id).await);
    assert_eq!(shown.len(), 7);
    for invitation in &shown {
        assert_eq!(told(invitation), (vec![MixedScript, LooksLike], "acme.test"));
    }
    // who may only look, and who looks at what was taken back, is told nothing
    let reader = site.member(ACME, "rea@acme.test", Privilege::ReadOnly, &[]).await;
    assert_eq!(told(&site.bearer(&reader.token).await.invitation(&id).await), (vec![], ""));
    assert_eq!(told(&manager.withdraw(&id).await.expect("withdrawn")), (vec![], ""));
}

#[tokio::test]
async fn services_that_may_not_read_are_not_told_which_domains_there_are() {
    let (site, _, _) = with_ann().await;
    for (name, scopes, expected) in [
        ("writes", &["users.write"][..], (vec![MixedScript], "")),
        ("reads-too", &["users.read", "users.write"], (vec![MixedScript, LooksLike], "acme.test")),
    ] {
        let token = site.service(name, scopes, "").await;
        let answer = site.bearer(&token).await.users.invite_user(rehearsal()).await.expect("rehearsed").into_inner();
        assert_eq!(told(&answer.invitation.expect("an invitation")), expected, "{name}");
    }
}

#[tokio::test]
async fn another_accounts_domains_are_told_to_nobody() {
    let (site, _, _) = with_ann().await;
    site.account("other").await;
    let eve = site.member("other", "eve@evil.test", Privilege::Admin, &[]).await;
    let request = proto::InviteUserRequest {
        account: "other".to_owned(),
        email: R_N.to_owned(),
        privilege: Privilege::Normal.into(),
        ..Default::default()
    };
    let invited = site.bearer(&eve.token).await.users.invite_user(request).await.expect("invited").into_inner();
    assert_eq!(told(&invited.invitation.expect("an invitation")), (vec![], ""));
}

#[tokio::test]
async fn invitations_are_held_against_each_other_where_no_member_vouches_for_a_domain() {
    let (site, _, mut manager) = with_ann().await;
    assert_eq!(inviting(&mut manager, "bob@rnail.example").await.1, "");
    // what is made later is listed as newer
    site.clock.advance(Duration::from_millis(1));
    assert_eq!(inviting(&mut manager, "cy@mail.example").await.1, "rnail.example");
    let listed = manager.invited().await;
    let alike: Vec<_> = listed.iter().map(|each| (each.email.as_str(), each.looks_like.as_str())).collect();
    assert_eq!(alike, [("cy@mail.example", "rnail.example"), ("bob@rnail.example", "mail.example")]);
    manager.withdraw(&listed[0].id).await.expect("withdrawn");
    assert_eq!(manager.invitation(&listed[1].id).await.looks_like, "");
    // whoever is invited by a look-alike doesn't make the members' own domain look bad
    inviting(&mut manager, R_N).await;
    assert_eq!(inviting(&mut manager, "dan@acme.test").await, (vec![], String::new()));
}

#[tokio::test]
async fn a_look_alike_that_got_in_does_not_make_the_domain_of_more_members_look_bad() {
    let (site, _, mut manager) = with_ann().await;
    site.member(ACME, "bea@acme.test", Privilege::Normal, &[]).await;
    site.member(ACME, R_N, Privilege::Normal, &[]).await;
    assert_eq!(inviting(&mut manager, "dan@acme.test").await, (vec![], String::new()));
    assert_eq!(inviting(&mut manager, "dan@acrne.test").await, (vec![LooksLike], "acme.test".to_owned()));
    // as many on both sides: either may be the stranger
    site.member(ACME, "eve@acrne.test", Privilege::Normal, &[]).await;
    assert_eq!(inviting(&mut manager, "fay@acme.test").await, (vec![LooksLike], "acrne.test".to_owned()));
}

#[tokio::test]
async fn of_many_spellings_the_one_that_most_members_have_is_told() {
    let (site, _, mut manager) = with_ann().await;
    site.member(ACME, "bea@acrne.test", Privilege::Normal, &[]).await;
    site.member(ACME, "bob@acrne.test", Privilege::Normal, &[]).await;
    for spelling in ["\u{430}cme.test", "acm\u{435}.test", "\u{430}cm\u{435}.test", "a\u{441}me.test", "a\u{441}m\u{435}.test"] {
        inviting(&mut manager, &format!("cy@{spelling}")).await;
    }
    assert_eq!(inviting(&mut manager, "dan@\u{430}\u{441}me.test").await.1, "acrne.test");
}

#[tokio::test]
async fn what_a_domain_looks_like_follows_members_who_join_leave_and_move() {
    let (mut site, ann, mut manager) = with_ann().await;
    let cy = site.member(ACME, "cy@works.test", Privilege::Normal, &[]).await;
    let invitation = manager.invite("bob@w\u{43e}rks.test", Privilege::Normal, &[]).await.expect("invited");
    assert_eq!(invitation.looks_like, "works.test");
    let mut as_cy = site.bearer(&cy.token).await;
    as_cy.change_email("cy@moved.test", PASSWORD).await.expect("a link is on its way");
    let token = site.mailed_token("cy@moved.test").await;
    site.nobody().await.confirm(&token, PASSWORD).await.expect("moved");
    assert_eq!(manager.invitation(&invitation.id).await.looks_like, "");
    let other = manager.invite("bob@rnoved.test", Privilege::Normal, &[]).await.expect("invited");
    assert_eq!(other.looks_like, "moved.test");
    site.restart(None).await;
    let mut manager = site.bearer(&ann.token).await;
    assert_eq!(manager.invitation(&other.id).await.looks_like, "moved.test", "after a restart too");
    manager.remove(&cy.id).await.expect("removed");
    assert_eq!(manager.invitation(&other.id).await.looks_like, "");
}

#[tokio::test]
async fn the_command_line_warns() {
    let (site, _, _) = with_ann().await;
    let sent = site.operate(&format!("invite send acme {CYRILLIC} --privilege normal")).await;
    let notes: Vec<&str> = sent.err.lines().collect();
    assert_eq!(
        notes,
        [
            format!("user-management: warning: the domain of {CYRILLIC} mixes letters of several scripts"),
            format!("user-management: warning: the domain of {CYRILLIC} isn't acme.test, it only looks like it"),
        ]
    );
    let many = site.operate("invite send acme bob@acrne.test cy@acme.test --privilege normal").await.done();
    assert!(many.contains("pending, looks-like acme.test\n"), "{many}");
    let listed = site.operate("invite list acme").await.done();
    assert!(listed.contains("pending, mixed-script, looks-like acme.test"), "{listed}");
    assert_eq!(listed.matches("looks-like").count(), 2, "{listed}");
}
