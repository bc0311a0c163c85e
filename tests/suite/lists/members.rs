//! Members of an account, by column, role, activity and address.

use std::time::Duration;

use tonic::Status;
use user_management::proto::{self, ListMembersRequest, Privilege, Role};

use super::{refused_for, walk};
use crate::acme::ACME;
use crate::client::Client;
use crate::site::Site;

async fn page(client: &mut Client, query: &ListMembersRequest) -> Result<(Vec<proto::Member>, String), Status> {
    let answer = client.users.list_members(query.clone()).await?.into_inner();
    Ok((answer.members, answer.next_page_token))
}

async fn listed(client: &mut Client, query: &ListMembersRequest) -> Vec<String> {
    let members =
        walk(2, async |page_token| page(client, &ListMembersRequest { page_size: 2, page_token, ..query.clone() }).await);
    members.await.into_iter().map(|member| member.display_name).collect()
}

fn all() -> ListMembersRequest {
    ListMembersRequest { account: ACME.to_owned(), ..Default::default() }
}

fn in_columns(columns: &[Privilege]) -> ListMembersRequest {
    ListMembersRequest { privileges: columns.iter().map(|column| (*column).into()).collect(), ..all() }
}

fn with_role(role: Role) -> ListMembersRequest {
    ListMembersRequest { role: role.into(), ..all() }
}

async fn cast() -> Site {
    let site = Site::start().await;
    site.account(ACME).await;
    site.account("other").await;
    for (name, privilege, roles) in [
        ("zoe", Privilege::Admin, &[][..]),
        ("ann", Privilege::Normal, &[Role::Alerts]),
        ("anna", Privilege::ReadOnly, &[Role::Alerts, Role::Trending]),
        ("max", Privilege::Normal, &[Role::Admin]),
        ("ben", Privilege::ReadOnly, &[]),
    ] {
        let person = site.member(ACME, &format!("{name}@acme.test"), privilege, roles).await;
        if name == "max" {
            site.join("other", &person, Privilege::Admin, &[Role::Data]).await;
        }
        site.clock.advance(Duration::from_secs(1));
    }
    site.underneath("update users set active = 0 where email in ('anna@acme.test', 'ben@acme.test')").await;
    site
}

#[tokio::test]
async fn members_are_found_by_each_filter_and_by_several_at_once() {
    use Privilege::{Admin, Normal, ReadOnly};
    let site = cast().await;
    let mut operator = site.operator().await;
    let active = |is| ListMembersRequest { active: Some(is), ..all() };
    let prefix = |email_prefix: &str| ListMembersRequest { email_prefix: email_prefix.to_owned(), ..all() };
    for (query, expected) in [
        (all(), &["zoe", "ann", "anna", "max", "ben"][..]),
        (in_columns(&[Admin]), &["zoe"]),
        (in_columns(&[Normal, ReadOnly]), &["ann", "anna", "max", "ben"]),
        (in_columns(&[Admin, Normal, ReadOnly, Admin]), &["zoe", "ann", "anna", "max", "ben"]),
        (with_role(Role::Alerts), &["ann", "anna"]),
        (with_role(Role::Admin), &["max"]),
        (with_role(Role::Data), &[]),
        (active(true), &["zoe", "ann", "max"]),
        (active(false), &["anna", "ben"]),
        (prefix("An"), &["ann", "anna"]),
        (prefix("b"), &["ben"]),
        (ListMembersRequest { active: Some(false), ..in_columns(&[ReadOnly]) }, &["anna", "ben"]),
        (ListMembersRequest { active: Some(false), ..with_role(Role::Alerts) }, &["anna"]),
        (ListMembersRequest { role: Role::Alerts.into(), ..in_columns(&[Normal]) }, &["ann"]),
        (ListMembersRequest { active: Some(true), ..prefix("a") }, &["ann"]),
        (ListMembersRequest { active: Some(false), email_prefix: "a".to_owned(), ..with_role(Role::Trending) }, &["anna"]),
        (ListMembersRequest { email_prefix: "m".to_owned(), ..in_columns(&[ReadOnly]) }, &[]),
    ] {
        assert_eq!(listed(&mut operator, &query).await, expected, "{query:?}");
    }
}

#[tokio::test]
async fn what_a_filter_goes_by_is_what_the_member_is_like_now() {
    let site = cast().await;
    let mut operator = site.operator().await;
    operator.move_to("ann@acme.test", Privilege::ReadOnly).await.expect("moved");
    assert_eq!(listed(&mut operator, &in_columns(&[Privilege::ReadOnly])).await, ["ann", "anna", "ben"]);
    assert_eq!(listed(&mut operator, &with_role(Role::Alerts)).await, ["anna"]);
    operator.assign("ben@acme.test", &[Role::Data]).await.expect("assigned");
    assert_eq!(listed(&mut operator, &with_role(Role::Data)).await, ["ben"]);
    site.underneath("update users set active = 1 where email = 'ben@acme.test'").await;
    assert_eq!(listed(&mut operator, &ListMembersRequest { active: Some(true), ..with_role(Role::Data) }).await, ["ben"]);
    site.underneath("update addresses set folded = 'new@acme.test' where folded = 'ben@acme.test'").await;
    assert_eq!(listed(&mut operator, &ListMembersRequest { email_prefix: "n".to_owned(), ..all() }).await, ["ben"]);
}

#[tokio::test]
async fn a_token_of_members_belongs_to_its_filters_and_unknown_values_are_refused() {
    let site = cast().await;
    let mut operator = site.operator().await;
    let queries = [
        all(),
        in_columns(&[Privilege::Normal]),
        in_columns(&[Privilege::ReadOnly]),
        with_role(Role::Alerts),
        ListMembersRequest { active: Some(true), ..all() },
        ListMembersRequest { active: Some(false), ..all() },
        ListMembersRequest { email_prefix: "a".to_owned(), ..all() },
        ListMembersRequest { email_prefix: "an".to_owned(), ..all() },
    ];
    for (position, query) in queries.iter().enumerate() {
        let (_, page_token) = page(&mut operator, &ListMembersRequest { page_size: 1, ..query.clone() }).await.expect("listed");
        assert!(!page_token.is_empty(), "{query:?}");
        for (other, of) in queries.iter().enumerate() {
            let asked = ListMembersRequest { page_token: page_token.clone(), ..of.clone() };
            match page(&mut operator, &asked).await {
                Ok(_) => assert_eq!(position, other, "{query:?} {of:?}"),
                refused => assert_eq!(refused_for(refused), ["page_token"]),
            }
        }
    }
    let wrong = ListMembersRequest { privileges: vec![1, 0, 4], role: 5, email_prefix: "ä".to_owned(), ..all() };
    assert_eq!(refused_for(page(&mut operator, &wrong).await), ["privileges[1]", "privileges[2]", "role", "email_prefix"]);
}
