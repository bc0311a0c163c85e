//! Users, for those who may see them.

use tonic::Status;
use user_management::proto::{self, ListUsersRequest};

use super::{refused_for, walk};
use crate::client::{Client, reason};
use crate::site::Site;

/// The first parts of the addresses that a query shows, on pages of two.
async fn listed(client: &mut Client, query: &ListUsersRequest) -> Vec<String> {
    let users = walk(2, async |page_token| page(client, &ListUsersRequest { page_size: 2, page_token, ..query.clone() }).await);
    users.await.iter().map(|user| user.email.split('@').next().expect("a local part").to_owned()).collect()
}

async fn page(client: &mut Client, query: &ListUsersRequest) -> Result<(Vec<proto::User>, String), Status> {
    let answer = client.users.list_users(query.clone()).await?.into_inner();
    Ok((answer.users, answer.next_page_token))
}

async fn cast() -> Site {
    let site = Site::start().await;
    for name in ["zoe", "Ann", "anna", "max", "ben"] {
        site.confirmed(&format!("{name}@acme.test")).await;
        site.clock.advance(std::time::Duration::from_secs(1));
    }
    site.underneath("update users set active = 0 where email in ('max@acme.test', 'anna@acme.test')").await;
    site.underneath("update users set super_admin = 1 where email in ('anna@acme.test', 'zoe@acme.test')").await;
    site
}

#[tokio::test]
async fn users_are_found_by_each_filter_and_by_all_at_once() {
    let site = cast().await;
    let mut operator = site.operator().await;
    let all = ListUsersRequest::default();
    let (active, super_admin) = (
        |is| ListUsersRequest { active: Some(is), ..all.clone() },
        |is| ListUsersRequest { super_admin: Some(is), ..all.clone() },
    );
    let prefix = |email_prefix: &str| ListUsersRequest { email_prefix: email_prefix.to_owned(), ..all.clone() };
    for (query, expected) in [
        (all.clone(), &["zoe", "Ann", "anna", "max", "ben"][..]),
        (active(true), &["zoe", "Ann", "ben"]),
        (active(false), &["anna", "max"]),
        (super_admin(true), &["zoe", "anna"]),
        (super_admin(false), &["Ann", "max", "ben"]),
        (ListUsersRequest { super_admin: Some(true), ..active(false) }, &["anna"]),
        (prefix("AN"), &["Ann", "anna"]),
        (prefix("ann@"), &["Ann"]),
        (prefix("ann@acme.TEST"), &["Ann"]),
        (prefix("nn"), &[]),
        (ListUsersRequest { active: Some(true), ..prefix("a") }, &["Ann"]),
        (ListUsersRequest { active: Some(false), super_admin: Some(true), ..prefix("a") }, &["anna"]),
    ] {
        assert_eq!(listed(&mut operator, &query).await, expected, "{query:?}");
    }
    assert_eq!(listed(&mut operator, &prefix("")).await.len(), 5, "no prefix is no filter");
}

#[tokio::test]
async fn a_token_of_users_belongs_to_its_filters_and_a_prefix_begins_an_address() {
    let site = cast().await;
    let mut operator = site.operator().await;
    let all = ListUsersRequest { page_size: 1, ..Default::default() };
    let (_, page_token) = page(&mut operator, &all).await.expect("listed");
    let mut other = ListUsersRequest { page_token, ..all.clone() };
    page(&mut operator, &other).await.expect("the same query");
    other.active = Some(true);
    assert_eq!(refused_for(page(&mut operator, &other).await), ["page_token"]);
    let prefix = ListUsersRequest { email_prefix: "a".to_owned(), ..all.clone() };
    let (_, page_token) = page(&mut operator, &prefix).await.expect("listed");
    let other = ListUsersRequest { page_token, email_prefix: "an".to_owned(), ..all.clone() };
    assert_eq!(refused_for(page(&mut operator, &other).await), ["page_token"]);
    for wrong in ["ä", "a b", "a@b c"] {
        let query = ListUsersRequest { email_prefix: wrong.to_owned(), page_size: -1, ..all.clone() };
        assert_eq!(refused_for(page(&mut operator, &query).await), ["email_prefix", "page_size"], "{wrong}");
    }
}

#[tokio::test]
async fn a_person_sees_themself_alone_and_services_all_or_nobody() {
    let site = cast().await;
    let ben = site.sign_in("ben@acme.test").await;
    let mut as_ben = site.bearer(&ben.token).await;
    let get = |user: &str| proto::GetUserRequest { user: user.to_owned() };
    for name in [ben.id.as_str(), "BEN@acme.test"] {
        let found = as_ben.users.get_user(get(name)).await.expect("themself").into_inner().user.expect("a user");
        assert_eq!((found.id.as_str(), found.email.as_str(), found.active), (ben.id.as_str(), "ben@acme.test", true));
    }
    for other in ["ann@acme.test", "none@acme.test"] {
        assert_eq!(reason(&as_ben.users.get_user(get(other)).await.expect_err("refused")), "ACCESS_DENIED");
    }
    let all = ListUsersRequest::default();
    assert_eq!(listed(&mut as_ben, &all).await, ["ben"]);
    assert_eq!(listed(&mut as_ben, &ListUsersRequest { email_prefix: "be".to_owned(), ..all.clone() }).await, ["ben"]);
    assert!(listed(&mut as_ben, &ListUsersRequest { email_prefix: "a".to_owned(), ..all.clone() }).await.is_empty());
    assert!(listed(&mut as_ben, &ListUsersRequest { active: Some(false), ..all.clone() }).await.is_empty());
    let service = site.service("tool", &["users.read", "users.act_as"], "").await;
    assert_eq!(listed(&mut site.bearer(&service).await, &all).await.len(), 5);
    let missing = site.bearer(&service).await.users.get_user(get("none@acme.test")).await.expect_err("nobody");
    assert_eq!(reason(&missing), "USER_NOT_FOUND");
    assert_eq!(listed(&mut site.acting(&service, &ben.id).await, &all).await, ["ben"]);
    site.account("acme").await;
    let bound = site.service("bound", &["users.read"], "acme").await;
    assert_eq!(reason(&page(&mut site.bearer(&bound).await, &all).await.expect_err("refused")), "ACCESS_DENIED");
}
