//! Accounts, by what they miss, whether they are closed, and name.

use tonic::Status;
use user_management::proto::{self, ListAccountsRequest, Privilege};

use super::{refused_for, walk};
use crate::client::Client;
use crate::site::Site;

async fn page(client: &mut Client, query: &ListAccountsRequest) -> Result<(Vec<proto::Account>, String), Status> {
    let answer = client.users.list_accounts(query.clone()).await?.into_inner();
    Ok((answer.accounts, answer.next_page_token))
}

async fn listed(client: &mut Client, query: &ListAccountsRequest) -> Vec<String> {
    let accounts =
        walk(2, async |page_token| page(client, &ListAccountsRequest { page_size: 2, page_token, ..query.clone() }).await);
    accounts.await.into_iter().map(|account| account.name).collect()
}

#[tokio::test]
async fn accounts_are_found_by_each_filter_by_whoever_may_see_them() {
    let site = Site::start().await;
    for name in ["acme", "ac-me", "zeta", "alone", "acme2", "closed"] {
        site.account(name).await;
    }
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    for account in ["acme2", "closed"] {
        site.join(account, &ann, Privilege::Admin, &[]).await;
    }
    site.join("alone", &ann, Privilege::Normal, &[]).await;
    site.underneath("update accounts set closed = 1 where name = 'closed'").await;
    let all = ListAccountsRequest::default();
    let missing = |is| ListAccountsRequest { admin_missing: Some(is), ..all.clone() };
    let closed = |is| ListAccountsRequest { closed: Some(is), ..all.clone() };
    let prefix = |name: &str| ListAccountsRequest { name_prefix: name.to_owned(), ..all.clone() };
    for (query, of_all, of_ann) in [
        (all.clone(), &["ac-me", "acme", "acme2", "alone", "closed", "zeta"][..], &["acme", "acme2", "alone", "closed"][..]),
        (missing(true), &["ac-me", "alone", "zeta"], &["alone"]),
        (missing(false), &["acme", "acme2", "closed"], &["acme", "acme2", "closed"]),
        (closed(true), &["closed"], &["closed"]),
        (closed(false), &["ac-me", "acme", "acme2", "alone", "zeta"], &["acme", "acme2", "alone"]),
        (prefix("ac"), &["ac-me", "acme", "acme2"], &["acme", "acme2"]),
        (prefix("acme"), &["acme", "acme2"], &["acme", "acme2"]),
        (ListAccountsRequest { admin_missing: Some(true), closed: Some(false), ..prefix("a") }, &["ac-me", "alone"], &["alone"]),
        (ListAccountsRequest { closed: Some(true), ..missing(true) }, &[], &[]),
    ] {
        assert_eq!(listed(&mut site.operator().await, &query).await, of_all, "{query:?}");
        assert_eq!(listed(&mut site.bearer(&ann.token).await, &query).await, of_ann, "{query:?}");
    }
    let service = site.service("bound", &["users.read", "users.act_as"], "alone").await;
    let mut bound = site.bearer(&service).await;
    assert_eq!(listed(&mut bound, &missing(true)).await, ["alone"]);
    assert!(listed(&mut bound, &missing(false)).await.is_empty());
    assert_eq!(listed(&mut site.acting(&service, &ann.id).await, &all).await, ["alone"]);

    let mut operator = site.operator().await;
    let (_, page_token) = page(&mut operator, &ListAccountsRequest { page_size: 1, ..all.clone() }).await.expect("listed");
    for query in [missing(true), closed(false), prefix("a")] {
        let query = ListAccountsRequest { page_token: page_token.clone(), ..query };
        assert_eq!(refused_for(page(&mut operator, &query).await), ["page_token"]);
    }
    assert_eq!(refused_for(page(&mut operator, &prefix("Acme")).await), ["name_prefix"]);
}
