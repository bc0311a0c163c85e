//! What a collector reads.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use user_management::proto;

use crate::client::reason;
use crate::site::{BEGINNING, Site};

const DAY: Duration = Duration::from_hours(24);

async fn site(settings: &str) -> Site {
    Site::with(&format!("signup = \"open\"\nmetrics.listen = \"127.0.0.1:0\"\n{settings}")).await
}

/// Sends this and reads the answer to its end.
async fn answer(site: &Site, request: &str) -> String {
    let mut stream = TcpStream::connect(site.metrics()).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // a reset is an end too
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

/// The samples by name and labels.
async fn samples(site: &Site) -> BTreeMap<String, i64> {
    let answer = answer(site, "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("application/openmetrics-text"), "{head}");
    assert!(text.ends_with("# EOF\n"));
    let types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let distinct: std::collections::BTreeSet<_> = types.iter().collect();
    assert_eq!(types.len(), distinct.len(), "each is described once");
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        (name.strip_prefix("user_management_").expect("the prefix").to_owned(), value.parse().expect("a number"))
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

#[tokio::test]
async fn metrics_tell_how_the_service_is_doing() {
    let site = site("limits.mails_per_peer = 1\nlimits.sign_in_failures_per_peer = 0").await;
    site.account("acme").await;
    let request = proto::CreateServiceRequest {
        name: "alerts".to_owned(),
        scopes: vec!["users.read".to_owned()],
        expire_time: Some(prost_types::Timestamp { seconds: BEGINNING.as_micros() / 1_000_000 + 20 * 86_400, nanos: 0 }),
        ..Default::default()
    };
    site.operator().await.operations.create_service(request).await.expect("created");
    let reset = || proto::RequestPasswordResetRequest { email: "ann@acme.test".to_owned() };
    let mut nobody = site.nobody().await;
    nobody.identity.request_password_reset(reset()).await.expect("asked");
    let refused = nobody.identity.request_password_reset(reset()).await.expect_err("too many");
    assert_eq!(reason(&refused), "REQUESTS_EXHAUSTED");
    let found = samples(&site).await;
    let call = |rpc: &str, code: &str| {
        found.get(&format!("requests_total{{rpc=\"circonus.usermanagement.v1.{rpc}\",code=\"{code}\"}}")).copied()
    };
    assert_eq!(call("UserManagement/CreateAccount", "OK"), Some(1));
    assert_eq!(call("Identity/RequestPasswordReset", "OK"), Some(1));
    assert_eq!(call("Identity/RequestPasswordReset", "RESOURCE_EXHAUSTED"), Some(1));
    assert_eq!(found.get("limit_refusals_total{limit=\"limits.mails_per_peer\"}"), Some(&1));
    assert!(found.get("connections_open{listener=\"tcp\"}").is_some_and(|open| *open >= 1), "{found:?}");
    assert!(found.get("connections_total{listener=\"operators_socket\"}").is_some_and(|taken| *taken >= 1), "{found:?}");
    assert_eq!((found["serving"], found["store_healthy"]), (1, 1));
    assert_eq!(found["event_head_seq"], i64::try_from(site.app().view().seq()).expect("small"));
    assert_eq!(found["event_first_timestamp_seconds"], BEGINNING.as_micros() / 1_000_000);
    assert_eq!(found["credentials_expiring{kind=\"service\"}"], 0);
    let expires = BEGINNING.as_micros() / 1_000_000 + 20 * 86_400;
    assert_eq!(found["credentials_soonest_expiry_timestamp_seconds{kind=\"service\"}"], expires);
    assert!(!found.contains_key("credentials_soonest_expiry_timestamp_seconds{kind=\"api_token\"}"), "there is none");
    site.clock.advance(7 * DAY);
    assert_eq!(samples(&site).await["credentials_expiring{kind=\"service\"}"], 1);
    site.clock.advance(14 * DAY);
    let found = samples(&site).await;
    assert_eq!(found["credentials_expiring{kind=\"service\"}"], 0, "it has expired");
    assert!(!found.contains_key("tls_reload_failed"), "there is no TLS");
}

#[tokio::test]
async fn a_personal_token_is_counted_in_its_last_two_weeks() {
    let site = site("").await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", proto::Privilege::Admin, &[]).await;
    site.api_token(&ann, "acme", None).await;
    let soon = "credentials_expiring{kind=\"api_token\"}";
    site.clock.advance(75 * DAY);
    let found = samples(&site).await;
    let expires = BEGINNING.as_micros() / 1_000_000 + 90 * 86_400;
    assert_eq!((found[soon], found["credentials_soonest_expiry_timestamp_seconds{kind=\"api_token\"}"]), (0, expires));
    site.clock.advance(DAY);
    assert_eq!(samples(&site).await[soon], 1);
    site.clock.advance(14 * DAY);
    assert_eq!(samples(&site).await[soon], 0, "it has expired");
}

#[tokio::test]
async fn when_certificates_expire_and_how_loading_them_anew_went_is_told() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = directory.path();
    let write = |name: &str, text: &str| {
        std::fs::write(place.join(name), text).expect("written");
        std::fs::set_permissions(place.join(name), std::fs::Permissions::from_mode(0o600)).expect("set");
    };
    let issue = |year: i32| {
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        (parameters.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    };
    let renew = |year: i32| {
        let (certificate, key) = issue(year);
        write("cert.pem", &certificate);
        write("key.pem", &key);
    };
    renew(3000);
    write("ca.pem", &issue(3100).0);
    let files = ["certificate = 'PLACE/cert.pem'", "key = 'PLACE/key.pem'", "client_ca = 'PLACE/ca.pem'"].join(", ");
    let files = files.replace("PLACE", &place.display().to_string());
    let site = site(&format!("grpc.tls = {{ {files} }}")).await;
    // expiry of the server's and of the authority, failed, taken, refused
    let told = async || {
        let found = samples(&site).await;
        [
            "tls_certificate_expiry_timestamp_seconds{certificate=\"server\"}",
            "tls_certificate_expiry_timestamp_seconds{certificate=\"client_ca\"}",
            "tls_reload_failed",
            "tls_reloads_total{outcome=\"taken\"}",
            "tls_reloads_total{outcome=\"refused\"}",
        ]
        .map(|name| found[name])
    };
    // the second until which it is good counts too
    let in_year = |year: i32| rcgen::date_time_ymd(year, 1, 1).unix_timestamp() + 1;
    assert_eq!(told().await, [in_year(3000), in_year(3100), 0, 0, 0]);
    write("cert.pem", "half");
    site.certificates().reload().expect_err("refused");
    assert_eq!(told().await, [in_year(3000), in_year(3100), 1, 0, 1], "the old ones are in use");
    renew(3001);
    site.certificates().reload().expect("taken");
    assert_eq!(told().await, [in_year(3001), in_year(3100), 0, 1, 1]);
}

#[tokio::test]
async fn the_listener_answers_nothing_else_and_waits_for_nobody_without_end() {
    let site = site("").await;
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", "405"),
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "404"),
        ("GET /metrics/../x HTTP/1.1\r\nhost: a\r\n\r\n", "404"),
        ("junk\r\n\r\n", "400"),
    ] {
        assert!(answer(&site, request).await.starts_with(&format!("HTTP/1.1 {status}")), "{request}");
    }
    let flood = format!("GET /metrics HTTP/1.1\r\n{}", "a: b\r\n".repeat(10_000));
    let answered = answer(&site, &flood).await;
    assert!(answered.is_empty() || answered.starts_with("HTTP/1.1 431"), "{answered}");
    // more who say nothing than are served at once: each is closed in the end, and the collector behind them answered
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(TcpStream::connect(site.metrics()).await.expect("connected"));
    }
    assert_eq!(samples(&site).await["serving"], 1);
}
