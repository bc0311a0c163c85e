//! Whom limits and events take a caller for who comes through a proxy.

use user_management::proto;

use crate::client::{Client, Identified, reason};
use crate::site::Site;

/// Whether somebody with these headers may ask for one more mail.
async fn asks(site: &Site, forwarded: &[&str]) -> bool {
    let caller = forwarded.iter().fold(Identified::default(), |caller, value| caller.with("x-forwarded-for", value));
    let request = proto::RequestPasswordResetRequest { email: "ann@acme.test".to_owned() };
    match Client::new(site.tcp_channel().await, caller).identity.request_password_reset(request).await {
        Ok(_) => true,
        Err(refused) => {
            assert_eq!(reason(&refused), "REQUESTS_EXHAUSTED");
            false
        }
    }
}

#[tokio::test]
async fn behind_trusted_proxies_each_client_has_limits_of_its_own_and_cannot_choose_who_it_is() {
    let settings = "signup = \"open\"\nlimits.mails_per_peer = 1\nweb.trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.7\"]";
    let site = Site::with(settings).await;
    assert!(asks(&site, &["192.0.2.1"]).await);
    assert!(!asks(&site, &["192.0.2.1"]).await);
    assert!(!asks(&site, &["198.51.100.1, 192.0.2.1"]).await, "what it claims itself stands left of what the proxy saw");
    assert!(!asks(&site, &["198.51.100.1", "192.0.2.1:4711, 10.0.0.7"]).await, "over several proxies");
    assert!(asks(&site, &["192.0.2.2"]).await, "another is another");
    assert!(asks(&site, &["[2001:db8::1]"]).await);
    assert!(!asks(&site, &["2001:db8::2"]).await, "of the same network");
    assert!(asks(&site, &["unknown"]).await, "the proxy's own");
    assert!(!asks(&site, &[]).await);
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let site = Site::with("signup = \"open\"\nlimits.mails_per_peer = 1\nweb.trusted_proxies = [\"192.0.2.0/24\"]").await;
    assert!(asks(&site, &["192.0.2.1"]).await);
    assert!(!asks(&site, &["192.0.2.2"]).await);
}

#[tokio::test]
async fn events_name_the_client_behind_a_trusted_proxy() {
    let site = Site::with("signup = \"open\"\nweb.trusted_proxies = [\"127.0.0.1\"]").await;
    let ann = site.person("ann@acme.test").await;
    let caller = Identified::by(&ann.token).with("x-forwarded-for", "198.51.100.1, ::ffff:192.0.2.1");
    let request = proto::UpdateMeRequest { display_name: Some("Ann".to_owned()), ..Default::default() };
    Client::new(site.tcp_channel().await, caller).identity.update_me(request).await.expect("changed");
    let events = site.operator().await.operations.list_events(proto::ListEventsRequest::default()).await.expect("listed");
    assert_eq!(events.into_inner().events[0].client_address, "192.0.2.1");
}
