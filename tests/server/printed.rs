//! What of a message of the contract stands in a text that somebody prints it into.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, Kind};
use user_management::proto;

/// The text forms that the build wrote in place of those that show every field.
const REDACTED: &str = include_str!(concat!(env!("OUT_DIR"), "/redacted.rs"));

/// Fields whose names say that they are secret, and that aren't: where a page begins, and the ids of tokens.
const HARMLESS: [&str; 3] = ["api_token", "next_page_token", "page_token"];

#[test]
fn a_message_with_a_secret_in_it_is_printed_by_its_name_alone() {
    let request = proto::SignInRequest { email: "ann@acme.test".to_owned(), password: "correct horse".to_owned() };
    let answer = proto::SignInResponse { session_token: "ses_1".to_owned(), ..Default::default() };
    let invited = proto::InviteUserResponse {
        link: Some(proto::ReturnedLink { url: "http://h/#token=1".to_owned(), token: "1".to_owned(), expire_time: None }),
        ..Default::default()
    };
    assert_eq!(format!("{request:?} {answer:?}"), "SignInRequest { .. } SignInResponse { .. }");
    assert!(format!("{invited:?}").contains("link: Some(ReturnedLink { .. })"), "{invited:?}");
}

#[test]
fn every_message_with_a_field_that_is_named_like_a_secret_is_printed_by_its_name_alone() {
    let by_name_alone: BTreeSet<_> = REDACTED
        .lines()
        .filter_map(|line| line.trim().strip_prefix("impl std::fmt::Debug for ")?.strip_suffix(" {"))
        .map(|name| format!("circonus.usermanagement.v1.{name}"))
        .collect();
    let is_named_like_one = |name: &str| name == "url" || ["password", "secret", "token"].iter().any(|word| name.contains(word));
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    let (mut secret, mut harmless) = (BTreeSet::new(), BTreeSet::new());
    // those within others too
    for message in pool.all_messages() {
        let texts = message.fields().filter(|field| matches!(field.kind(), Kind::String | Kind::Bytes));
        for field in texts.filter(|field| is_named_like_one(field.name())) {
            if HARMLESS.contains(&field.name()) {
                harmless.insert(field.name().to_owned());
            } else {
                secret.insert(message.full_name().to_owned());
            }
        }
    }
    let printed: Vec<_> = secret.difference(&by_name_alone).collect();
    assert!(printed.is_empty(), "the build writes all of what they hold: {printed:?}");
    assert!(secret.len() >= 10, "the search finds what is there: {secret:?}");
    assert_eq!(harmless.into_iter().collect::<Vec<_>>(), HARMLESS, "what is gone needs no exception");
}
