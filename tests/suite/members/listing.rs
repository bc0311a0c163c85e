//! The list of members, page by page.

use std::time::Duration;

use user_management::proto::{self, Privilege};

use crate::acme::ACME;
use crate::client::{Client, reason, violations};
use crate::site::Site;

async fn page(client: &mut Client, account: &str, size: i32, token: &str) -> Result<(Vec<String>, String), tonic::Status> {
    let request = proto::ListMembersRequest {
        account: account.to_owned(),
        page_size: size,
        page_token: token.to_owned(),
        ..Default::default()
    };
    let answer = client.users.list_members(request).await?.into_inner();
    let name = |member: &proto::Member| member.display_name.clone();
    Ok((answer.members.iter().map(name).collect(), answer.next_page_token))
}

/// Members by name, in this order.
async fn joined(site: &Site, names: &[&str]) {
    for name in names {
        site.member(ACME, &format!("{name}@acme.test"), Privilege::Normal, &[]).await;
        site.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn members_are_listed_in_the_order_in_which_they_joined() {
    let site = Site::start().await;
    site.account(ACME).await;
    joined(&site, &["zoe", "ann", "max"]).await;
    let mut operator = site.operator().await;
    assert_eq!(page(&mut operator, ACME, 0, "").await.expect("listed").0, ["zoe", "ann", "max"]);
    operator.remove("zoe@acme.test").await.expect("removed");
    let zoe = site.sign_in("zoe@acme.test").await;
    site.join(ACME, &zoe, Privilege::Normal, &[]).await;
    assert_eq!(page(&mut operator, ACME, 0, "").await.expect("listed").0, ["ann", "max", "zoe"]);
}

#[tokio::test]
async fn pages_neither_repeat_nor_miss_anybody_while_others_come_and_go() {
    let site = Site::start().await;
    site.account(ACME).await;
    joined(&site, &["a", "b", "c", "d", "e"]).await;
    let mut operator = site.operator().await;
    let (first, token) = page(&mut operator, ACME, 2, "").await.expect("listed");
    assert_eq!(first, ["a", "b"]);
    // one that was seen, the one that the token stands on, and one that comes: no offset survives that
    operator.remove("a@acme.test").await.expect("removed");
    operator.remove("b@acme.test").await.expect("removed");
    operator.remove("d@acme.test").await.expect("removed");
    joined(&site, &["f"]).await;
    operator.move_to("c@acme.test", Privilege::ReadOnly).await.expect("moved");
    let (second, token) = page(&mut operator, ACME, 2, &token).await.expect("listed");
    assert_eq!(second, ["c", "e"]);
    let (third, token) = page(&mut operator, ACME, 2, &token).await.expect("listed");
    assert_eq!((third, token.as_str()), (vec!["f".to_owned()], ""), "the last page has no next");
}

#[tokio::test]
async fn members_who_joined_at_the_same_moment_are_each_on_one_page() {
    let site = Site::start().await;
    site.account(ACME).await;
    for name in ["a", "b", "c"] {
        site.member(ACME, &format!("{name}@acme.test"), Privilege::Normal, &[]).await;
    }
    let mut operator = site.operator().await;
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let (names, next) = page(&mut operator, ACME, 1, &token).await.expect("listed");
        assert_eq!(names.len(), 1);
        seen.extend(names);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    seen.sort_unstable();
    assert_eq!(seen, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_query_alone() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.account("other").await;
    joined(&site, &["a", "b"]).await;
    let mut operator = site.operator().await;
    let (_, token) = page(&mut operator, ACME, 1, "").await.expect("listed");
    page(&mut operator, ACME, 5, &token).await.expect("another size is the same query");
    let mut refusals = vec![page(&mut operator, "other", 1, &token).await.map(|_| ()).expect_err("another account")];
    for broken in [&token[1..], &token[..token.len() - 1], "AAAA", "?"] {
        refusals.push(page(&mut operator, ACME, 1, broken).await.map(|_| ()).expect_err("no token of ours"));
    }
    let request = proto::ListInvitationsRequest { account: ACME.to_owned(), page_token: token.clone(), ..Default::default() };
    refusals.push(operator.users.list_invitations(request).await.map(|_| ()).expect_err("another list"));
    for refused in refusals {
        assert_eq!(reason(&refused), "PAGE_TOKEN_INVALID");
        assert_eq!(violations(&refused), ["page_token"]);
    }
}

#[tokio::test]
async fn a_negative_page_size_is_an_error_and_a_huge_one_is_taken_as_the_most() {
    let site = Site::start().await;
    site.account(ACME).await;
    joined(&site, &["a", "b"]).await;
    let mut operator = site.operator().await;
    let refused = page(&mut operator, ACME, -1, "").await.expect_err("refused");
    assert_eq!((reason(&refused).as_str(), violations(&refused)), ("FIELDS_INVALID", vec!["page_size".to_owned()]));
    assert_eq!(page(&mut operator, ACME, i32::MAX, "").await.expect("listed").0.len(), 2);
}

#[tokio::test]
async fn a_page_has_a_hundred_entries_unless_asked_otherwise() {
    let site = Site::start().await;
    let mut operator = site.operator().await;
    // accounts are the cheapest to make many of, and every list takes its pages from the same place
    for number in 0..101 {
        site.account(&format!("a{number:04}")).await;
    }
    let mut listed = async |size: i32| {
        let request = proto::ListAccountsRequest { page_size: size, ..Default::default() };
        let answer = operator.users.list_accounts(request).await.expect("listed").into_inner();
        (answer.accounts.len(), answer.next_page_token.is_empty())
    };
    assert_eq!(listed(0).await, (100, false));
    assert_eq!(listed(1000).await, (101, true));
}

#[tokio::test]
async fn an_address_that_begins_like_an_id_names_its_holder() {
    let site = Site::start().await;
    site.account(ACME).await;
    let person = site.member(ACME, "usr_smith@acme.test", Privilege::Normal, &[]).await;
    assert_eq!(site.operator().await.member("usr_smith@acme.test").await.expect("found").user, person.id);
    let service = site.service("tool", &["users.read", "users.act_as"], "").await;
    let mut acting = site.acting(&service, "usr_smith@acme.test").await;
    let me = acting.identity.get_me(proto::GetMeRequest {}).await.expect("acts for them").into_inner();
    assert_eq!(me.user.expect("a user").id, person.id);
}
