//! Who a caller is: what is looked at, in which order, and what never counts.

mod acting;
mod certificates;
mod leaked;
mod sessions;

use std::time::Duration;

use user_management::proto;

use crate::client::{Client, Identified, reason};
use crate::site::Site;

/// Who the server takes a caller for: a person's id, "service", "operator", "nobody", or why credentials were refused.
async fn whose(client: &mut Client) -> String {
    let refusal = match client.identity.get_me(proto::GetMeRequest {}).await {
        Ok(me) => return me.into_inner().user.expect("a user").id,
        Err(refusal) => reason(&refusal),
    };
    match refusal.as_str() {
        "CREDENTIALS_MISSING" => "nobody".to_owned(),
        // known, but no person
        "SESSION_REQUIRED" => {
            let info = client.operations.get_server_info(proto::GetServerInfoRequest {}).await.expect("answered").into_inner();
            if info.data_dir.is_empty() { "service".to_owned() } else { "operator".to_owned() }
        }
        _ => refusal,
    }
}

async fn created(site: &Site, request: proto::CreateServiceRequest) -> proto::CreateServiceResponse {
    site.operator().await.operations.create_service(request).await.expect("the operator may").into_inner()
}

#[tokio::test]
async fn on_the_operators_socket_a_bearer_token_beats_the_uid() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let service = site.service("all", &["users.read"], "").await;
    let channel = site.socket_channel().await;
    assert_eq!(whose(&mut Client::new(channel.clone(), Identified::default())).await, "operator");
    assert_eq!(whose(&mut Client::new(channel.clone(), Identified::by(&ann.token))).await, ann.id);
    assert_eq!(whose(&mut Client::new(channel, Identified::by(&service))).await, "service");
}

#[tokio::test]
async fn credentials_that_do_not_count_are_refused_and_nothing_else_is_tried() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let bearer = format!("Bearer {}", ann.token);
    let basic = "Basic YW5uQGFjbWUudGVzdDpwYXNzd29yZA==".to_owned();
    let channel = site.socket_channel().await;
    let mistyped = format!("Bearer {}A", ann.token);
    let personal = format!("Bearer {}", ann.token.replace("ses_", "pat_"));
    let disguised = format!("Bearer {}", ann.token.replace("ses_", "svc_"));
    for headers in [
        &[bearer.as_str(), bearer.as_str()][..],
        &[bearer.as_str(), basic.as_str()],
        &[basic.as_str()],
        &[ann.token.as_str()],
        &["Bearer"],
        &["Bearer "],
        &[""],
        &[mistyped.as_str()],
        &[personal.as_str()],
        &[disguised.as_str()],
    ] {
        let identified = headers.iter().fold(Identified::default(), |all, header| all.with("authorization", header));
        let who = whose(&mut Client::new(channel.clone(), identified)).await;
        assert_eq!(who, "CREDENTIALS_INVALID", "{} headers, the first {:.9}", headers.len(), headers[0]);
    }
    let lower = Identified::default().with("authorization", &format!("bearer {}", ann.token));
    assert_eq!(whose(&mut Client::new(channel, lower)).await, ann.id, "schemes have no case");
}

#[tokio::test]
async fn what_a_proxy_passed_on_is_no_operators_but_keeps_its_token() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let channel = site.socket_channel().await;
    for (header, value) in [
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "site.test"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/grpc"),
        ("x-real-ip", "192.0.2.1"),
        ("via", "1.1 proxy"),
        ("x-forwarded-for", ""),
    ] {
        let proxied = Identified::default().with(header, value);
        assert_eq!(whose(&mut Client::new(channel.clone(), proxied)).await, "nobody", "{header}");
        let proxied = Identified::by(&ann.token).with(header, value);
        assert_eq!(whose(&mut Client::new(channel.clone(), proxied)).await, ann.id, "{header}");
    }
}

#[tokio::test]
async fn a_services_token_ends_when_it_is_revoked_or_its_time_is_over() {
    let site = Site::start().await;
    let scopes = vec!["users.read".to_owned()];
    let request = proto::CreateServiceRequest { name: "one".to_owned(), scopes: scopes.clone(), ..Default::default() };
    let one = created(&site, request).await;
    let mut client = site.bearer(&one.token).await;
    assert_eq!(whose(&mut client).await, "service");
    let request = proto::RevokeServiceRequest { service: one.service.expect("a service").id, ..Default::default() };
    site.operator().await.operations.revoke_service(request).await.expect("revoked");
    assert_eq!(whose(&mut client).await, "CREDENTIALS_INVALID");

    let hour = Duration::from_hours(1);
    let seconds = site.clock.now().plus(hour).as_micros() / 1_000_000;
    let expire_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
    let two = created(&site, proto::CreateServiceRequest { name: "two".to_owned(), scopes, expire_time, ..Default::default() });
    let mut client = site.bearer(&two.await.token).await;
    site.clock.advance(hour.saturating_sub(Duration::from_micros(1)));
    assert_eq!(whose(&mut client).await, "service");
    site.clock.advance(Duration::from_micros(1));
    assert_eq!(whose(&mut client).await, "CREDENTIALS_INVALID");
}
