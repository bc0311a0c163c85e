//! Invitations into an account, by state, delivery, what holds them, and address.

use std::time::Duration;

use tonic::Status;
use user_management::proto::{self, DeliveryState, InvitationState, ListInvitationsRequest, Privilege};

use super::{refused_for, walk};
use crate::acme::ACME;
use crate::client::Client;
use crate::site::Site;

async fn page(client: &mut Client, query: &ListInvitationsRequest) -> Result<(Vec<proto::Invitation>, String), Status> {
    let answer = client.users.list_invitations(query.clone()).await?.into_inner();
    Ok((answer.invitations, answer.next_page_token))
}

async fn listed(client: &mut Client, query: &ListInvitationsRequest) -> Vec<String> {
    let invitations =
        walk(2, async |page_token| page(client, &ListInvitationsRequest { page_size: 2, page_token, ..query.clone() }).await);
    invitations.await.iter().map(|each| each.email.split('@').next().expect("a local part").to_owned()).collect()
}

fn all() -> ListInvitationsRequest {
    ListInvitationsRequest { account: ACME.to_owned(), ..Default::default() }
}

fn in_states(states: &[InvitationState]) -> ListInvitationsRequest {
    ListInvitationsRequest { states: states.iter().map(|state| (*state).into()).collect(), ..all() }
}

fn delivered(states: &[DeliveryState]) -> ListInvitationsRequest {
    ListInvitationsRequest { delivery_states: states.iter().map(|state| (*state).into()).collect(), ..all() }
}

/// Invitations in every state: `old` expired, `gone` withdrawn, `no` ignored, `yes` accepted, `ann`, `anna` and `held` pending, the last
/// by somebody who is no Admin any more; `anna`'s mail failed.
async fn cast() -> Site {
    let site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "adm@acme.test", Privilege::Admin, &[]).await;
    let demoted = site.member(ACME, "dem@acme.test", Privilege::Admin, &[]).await;
    site.underneath("update invitations set state = 4 where state = 2").await;
    site.underneath("delete from mails").await;
    site.underneath("delete from invitations").await;
    let mut operator = site.operator().await;
    operator.invite("old@acme.test", Privilege::Normal, &[]).await.expect("invited");
    site.mails_settled().await;
    site.clock.advance(Duration::from_hours(8 * 24));
    let (no, yes) = (site.person("no@acme.test").await, site.person("yes@acme.test").await);
    let gone = operator.invite("gone@acme.test", Privilege::Normal, &[]).await.expect("invited");
    for name in ["no", "yes", "Ann", "anna"] {
        site.clock.advance(Duration::from_secs(1));
        site.mails_settled().await;
        operator.invite(&format!("{name}@acme.test"), Privilege::Normal, &[]).await.expect("invited");
    }
    site.clock.advance(Duration::from_secs(1));
    let again = site.sign_in(&demoted.email).await;
    site.bearer(&again.token).await.invite("held@acme.test", Privilege::Normal, &[]).await.expect("invited");
    operator.move_to(&demoted.email, Privilege::Normal).await.expect("moved");
    site.mails_settled().await;
    operator.withdraw(&gone.id).await.expect("withdrawn");
    let invited = operator.invited().await;
    let id = |name: &str| invited.iter().find(|each| each.email.starts_with(name)).expect("invited").id.clone();
    site.bearer(&no.token).await.ignore_named(&id("no@")).await.expect("ignored");
    site.bearer(&yes.token).await.accept_named(&id("yes@")).await.expect("accepted");
    site.underneath("update mails set state = 4 where recipient = 'anna@acme.test'").await;
    site
}

#[tokio::test]
async fn invitations_are_found_by_each_filter_and_by_several_at_once() {
    use InvitationState::{Accepted, Expired, Ignored, Pending, Withdrawn};
    let site = cast().await;
    let mut operator = site.operator().await;
    let held = |is| ListInvitationsRequest { held: Some(is), ..all() };
    let prefix = |email_prefix: &str| ListInvitationsRequest { email_prefix: email_prefix.to_owned(), ..all() };
    let every = in_states(&[Pending, Accepted, Ignored, Withdrawn, Expired]);
    for (query, expected) in [
        (all(), &["held", "anna", "Ann", "old"][..]),
        (every.clone(), &["held", "anna", "Ann", "yes", "no", "gone", "old"]),
        (in_states(&[Pending]), &["held", "anna", "Ann"]),
        (in_states(&[Expired]), &["old"]),
        (in_states(&[Accepted, Withdrawn]), &["yes", "gone"]),
        (in_states(&[Ignored, Expired]), &["no", "old"]),
        (delivered(&[DeliveryState::Failed]), &["anna"]),
        (delivered(&[DeliveryState::Sent]), &["held", "Ann", "old"]),
        (delivered(&[DeliveryState::Failed, DeliveryState::Sent]), &["held", "anna", "Ann", "old"]),
        (delivered(&[DeliveryState::Queued]), &[]),
        (held(true), &["held"]),
        (held(false), &["anna", "Ann", "old"]),
        (prefix("aN"), &["Ann", "anna"]),
        (prefix("ann@"), &["Ann"]),
        (prefix("yes"), &[]),
        (ListInvitationsRequest { email_prefix: "yes".to_owned(), ..every.clone() }, &["yes"]),
        (ListInvitationsRequest { held: Some(false), ..in_states(&[Pending]) }, &["anna", "Ann"]),
        (ListInvitationsRequest { held: Some(true), ..delivered(&[DeliveryState::Failed]) }, &[]),
        (
            ListInvitationsRequest { held: Some(false), email_prefix: "a".to_owned(), ..delivered(&[DeliveryState::Sent]) },
            &["Ann"],
        ),
        (ListInvitationsRequest { email_prefix: "o".to_owned(), ..in_states(&[Expired]) }, &["old"]),
        (ListInvitationsRequest { email_prefix: "o".to_owned(), ..in_states(&[Pending]) }, &[]),
    ] {
        assert_eq!(listed(&mut operator, &query).await, expected, "{query:?}");
    }
}

#[tokio::test]
async fn several_invitations_of_one_address_stand_next_to_each_other() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    for name in ["b", "a", "b", "b", "c"] {
        let email = format!("{name}@acme.test");
        if let Some(before) = operator.invited().await.iter().find(|each| each.email == email) {
            operator.withdraw(&before.id).await.expect("withdrawn");
        }
        operator.invite(&email, Privilege::Normal, &[]).await.expect("invited");
    }
    let states = [InvitationState::Pending, InvitationState::Withdrawn];
    for prefix in ["a", "b", "b@acme.test"] {
        let query = ListInvitationsRequest { email_prefix: prefix.to_owned(), ..in_states(&states) };
        let expected = if prefix == "a" { &["a"][..] } else { &["b", "b", "b"] };
        assert_eq!(listed(&mut operator, &query).await, expected, "{prefix}");
    }
}

#[tokio::test]
async fn a_sent_mail_is_found_as_sent_and_a_new_one_as_the_invitations_own() {
    let site = Site::with("signup = \"open\"\nmail.transport = \"directory\"").await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    std::fs::create_dir_all(site.data_dir()).expect("there");
    let invitation = operator.invite("ann@acme.test", Privilege::Normal, &[]).await.expect("invited");
    site.mails_settled().await;
    assert_eq!(listed(&mut operator, &delivered(&[DeliveryState::Sent])).await, ["ann"]);
    std::fs::remove_dir_all(site.mail_dir()).expect("mails are there");
    operator.resend(&invitation.id).await.expect("resent");
    site.mails_settled().await;
    let waiting = [DeliveryState::Queued, DeliveryState::Sending];
    assert_eq!(operator.invitation(&invitation.id).await.delivery.expect("a mail").state(), DeliveryState::Queued);
    assert_eq!(listed(&mut operator, &delivered(&waiting)).await, ["ann"]);
    assert!(listed(&mut operator, &delivered(&[DeliveryState::Sent])).await.is_empty());
}

#[tokio::test]
async fn a_token_of_invitations_belongs_to_its_filters_and_unknown_values_are_refused() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    for name in ["a", "ab"] {
        operator.invite(&format!("{name}@acme.test"), Privilege::Normal, &[]).await.expect("invited");
    }
    site.mails_settled().await;
    let queries = [
        all(),
        in_states(&[InvitationState::Pending]),
        delivered(&[DeliveryState::Sent]),
        ListInvitationsRequest { held: Some(false), ..all() },
        ListInvitationsRequest { email_prefix: "a".to_owned(), ..all() },
    ];
    for (position, query) in queries.iter().enumerate() {
        let asked = ListInvitationsRequest { page_size: 1, ..query.clone() };
        let (_, page_token) = page(&mut operator, &asked).await.expect("listed");
        assert!(!page_token.is_empty(), "{query:?}");
        for (other, of) in queries.iter().enumerate() {
            match page(&mut operator, &ListInvitationsRequest { page_token: page_token.clone(), ..of.clone() }).await {
                Ok(_) => assert_eq!(position, other, "{query:?} {of:?}"),
                refused => assert_eq!(refused_for(refused), ["page_token"]),
            }
        }
    }
    let wrong = ListInvitationsRequest { states: vec![6], delivery_states: vec![0], email_prefix: "@@ü".to_owned(), ..all() };
    assert_eq!(refused_for(page(&mut operator, &wrong).await), ["states[0]", "delivery_states[0]", "email_prefix"]);
}
