//! What an answer shows depends on who asked.

use user_management::proto::{self, Privilege};

use crate::client::Client;
use crate::site::Site;

async fn delivery_reply(client: &mut Client, invitation: &str) -> String {
    let (account, invitation) = ("acme".to_owned(), invitation.to_owned());
    let request = proto::GetInvitationRequest { account: account.clone(), invitation };
    let got = client.users.get_invitation(request).await.expect("they may read").into_inner().invitation;
    let request = proto::ListInvitationsRequest { account, ..Default::default() };
    let listed = client.users.list_invitations(request).await.expect("they may read").into_inner().invitations;
    assert_eq!(got.as_ref(), listed.first(), "a list says what a single answer does");
    got.expect("an invitation").delivery.expect("a delivery").last_reply
}

#[tokio::test]
async fn what_the_relay_said_is_shown_to_those_who_may_manage_users() {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member("acme", "bob@acme.test", Privilege::Normal, &[]).await;
    let (invitation, _) = site.invited("acme", "ivy@acme.test", Privilege::Normal, &[]).await;
    assert!(!delivery_reply(&mut site.operator().await, &invitation.id).await.is_empty());
    assert!(!delivery_reply(&mut site.bearer(&ann.token).await, &invitation.id).await.is_empty());
    assert_eq!(delivery_reply(&mut site.bearer(&bob.token).await, &invitation.id).await, "");
}

#[tokio::test]
async fn what_the_relay_said_is_shown_to_services_that_may_change_users() {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member("acme", "bob@acme.test", Privilege::Normal, &[]).await;
    let (invitation, _) = site.invited("acme", "ivy@acme.test", Privilege::Normal, &[]).await;
    let reads = site.service("reads", &["users.read", "users.act_as"], "").await;
    let writes = site.service("writes", &["users.read", "users.write", "users.act_as"], "").await;
    let bound = site.service("bound", &["users.read", "users.write"], "acme").await;
    for (mut client, shown) in [
        (site.bearer(&reads).await, false),
        (site.bearer(&writes).await, true),
        (site.bearer(&bound).await, true),
        (site.acting(&writes, &ann.id).await, true),
        (site.acting(&writes, &bob.id).await, false),
        (site.acting(&reads, &ann.id).await, false),
    ] {
        assert_eq!(!delivery_reply(&mut client, &invitation.id).await.is_empty(), shown);
    }
}

#[tokio::test]
async fn where_people_called_from_is_shown_to_those_who_see_the_whole_site_alone() {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let everywhere = site.service("everywhere", &["operations.read", "users.act_as"], "").await;
    let bound = site.service("bound", &["operations.read", "users.act_as"], "acme").await;
    let request = proto::ListEventsRequest { account: "acme".to_owned(), ..Default::default() };
    let mut seen = Vec::new();
    for (mut client, shown) in [
        (site.operator().await, true),
        (site.bearer(&everywhere).await, true),
        (site.bearer(&ann.token).await, false),
        (site.bearer(&bound).await, false),
        (site.acting(&everywhere, &ann.id).await, false),
        (site.acting(&bound, &ann.id).await, false),
    ] {
        let events = client.operations.list_events(request.clone()).await.expect("they may").into_inner().events;
        assert_eq!(events.iter().any(|event| !event.client_address.is_empty()), shown, "ann accepted over TCP: {events:#?}");
        seen.push(events.len());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "they see the same events");
}

#[tokio::test]
async fn what_runs_is_shown_to_operators_and_the_edition_to_all_who_are_known() {
    let site = Site::with("edition = \"saas\"").await;
    let eve = site.person("eve@evil.test").await;
    let request = proto::GetServerInfoRequest {};
    let open = site.bearer(&eve.token).await.operations.get_server_info(request).await.expect("answered").into_inner();
    let whole = site.operator().await.operations.get_server_info(request).await.expect("answered").into_inner();
    assert_eq!(open.edition(), proto::Edition::Saas);
    let trimmed = proto::GetServerInfoResponse { edition: whole.edition, revision: whole.revision.clone(), ..Default::default() };
    assert_eq!(open, trimmed);
    assert_eq!(whole.data_dir, site.data_dir().display().to_string());
    assert!(!whole.version.is_empty() && whole.start_time.is_some() && whole.mail_queue.is_some() && whole.listeners.len() == 2);
}

#[tokio::test]
async fn everybody_lists_the_accounts_that_they_may_read() {
    let site = Site::start().await;
    site.account("acme").await;
    site.account("other").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::ReadOnly, &[]).await;
    let eve = site.person("eve@evil.test").await;
    let bound = site.service("bound", &["users.read"], "other").await;
    let all = site.service("all", &["users.read"], "").await;
    for (mut client, names) in [
        (site.operator().await, &["acme", "other"][..]),
        (site.bearer(&all).await, &["acme", "other"]),
        (site.bearer(&ann.token).await, &["acme"]),
        (site.bearer(&bound).await, &["other"]),
        (site.bearer(&eve.token).await, &[]),
    ] {
        let listed = client.users.list_accounts(proto::ListAccountsRequest::default()).await.expect("listed").into_inner();
        assert_eq!(listed.accounts.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(), names);
    }
}
