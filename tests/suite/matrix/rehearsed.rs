//! Every RPC that takes `validate_only`, rehearsed and then called: the same answer, the same refusals, and nothing done by the rehearsal.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{DynamicMessage, Kind as FieldKind, MethodDescriptor, Value};
use serde_json::Value as Json;

use super::call;
use super::kinds::Kind;
use super::retried::{Callers, NONE, changes, everything, settled};
use super::rows::{self, ROWS};
use super::stage::Stage;
use crate::client::{Identified, reason};

/// What changes something and can't be rehearsed, with why.
const NOT_REHEARSED: [(&str, &str); 10] = [
    ("SignUp", "does the same for every address; what it would do is told to nobody but the owner of the mailbox"),
    ("ConfirmEmail", "would be a try at a password that nothing counts"),
    ("ResendConfirmation", "does the same for every address"),
    ("SignIn", "would be a try at a password that nothing counts"),
    ("SignOut", "ends what the caller calls with, and nothing else"),
    ("RequestPasswordReset", "does the same for every address"),
    ("ResetPassword", "proves an address, and takes a new password"),
    ("PreviewInvitation", "changes nothing but the note that the link was opened"),
    ("ChangePassword", "would be a try at a password that nothing counts"),
    ("ChangeEmail", "would be a try at a password that nothing counts"),
];

/// How the names of those begin that change nothing.
const READS: [&str; 6] = ["Get", "List", "Check", "Verify", "Export", "Preview"];

/// The ids of what a call makes: each makes its own.
const MADE: [&str; 6] = ["inv_", "usr_", "svc_", "tok_", "sid_", "mail_"];

#[test]
fn every_change_can_be_rehearsed_but_for_those_with_a_reason() {
    let excused: BTreeMap<&str, &str> = NOT_REHEARSED.into_iter().collect();
    let mut left = Vec::new();
    for method in call::methods() {
        let field = method.input().get_field_by_name("validate_only");
        let is_read = READS.iter().any(|read| method.name().starts_with(read));
        match (field, excused.contains_key(method.name())) {
            (Some(field), false) => assert_eq!(field.kind(), FieldKind::Bool, "{}", method.full_name()),
            (Some(_), true) => panic!("{} can be rehearsed, and is excused", method.full_name()),
            (None, false) if !is_read => left.push(method.full_name().to_owned()),
            (None, _) => {}
        }
    }
    assert_eq!(left, Vec::<String>::new(), "changes that can't be rehearsed, without a reason");
    let names: BTreeSet<String> = call::methods().iter().map(|method| method.name().to_owned()).collect();
    assert!(excused.keys().all(|rpc| names.contains(*rpc)), "excused, and no RPC");
}

/// The answer without what differs between two calls.
fn alike(answer: Json) -> Json {
    fn mask(json: &mut Json) {
        match json {
            Json::Object(fields) => fields.values_mut().for_each(mask),
            Json::Array(entries) => entries.iter_mut().for_each(mask),
            Json::String(text) => {
                if let Some(prefix) = MADE.iter().find(|prefix| text.starts_with(**prefix)) {
                    *text = (*prefix).to_owned();
                }
            }
            _ => {}
        }
    }
    let mut answer = settled(answer);
    mask(&mut answer);
    answer
}

async fn answered(caller: &Kind, method: &MethodDescriptor, request: &DynamicMessage, rehearsed: bool) -> Result<Json, String> {
    let mut request = request.clone();
    request.set_field_by_name("validate_only", Value::Bool(rehearsed));
    let answer = call::answer(caller.channel.clone(), caller.identified.clone(), method, request).await;
    answer.map(|answer| alike(serde_json::to_value(&answer).expect("an answer as JSON"))).map_err(|status| reason(&status))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rehearsal_answers_what_the_call_right_after_it_does_and_changes_nothing() {
    let stage = Stage::set().await;
    let cast = Callers::meet(&stage).await;
    let nobody = Kind::new("nobody", "", stage.site.tcp_channel().await, Identified::default());
    let by_stranger = Identified::by(&stage.stranger.token);
    let stranger = Kind::new("stranger", "", stage.site.tcp_channel().await, by_stranger).of(stage.stranger.clone());
    let mut never = Vec::new();
    for method in call::methods().into_iter().filter(|method| method.input().get_field_by_name("validate_only").is_some()) {
        let mut done = 0;
        for row in ROWS.into_iter().filter(|(rpc, _)| *rpc == method.name()) {
            let [caller, _] = cast.of(&method);
            let encoded = rows::request(&stage, caller, row).await;
            let request = DynamicMessage::decode(method.input(), &encoded[..]).expect("a request of the RPC");
            let before = everything(&stage.site).await;
            let (rpc, which) = row;
            for who in [&nobody, &stranger] {
                let foretold = answered(who, &method, &request, true).await;
                assert_eq!(changes(&before, &everything(&stage.site).await), NONE, "by {rpc} {which}, rehearsed by {}", who.key);
                if foretold.is_err() {
                    assert_eq!(answered(who, &method, &request, false).await, foretold, "{rpc} {which} by {}", who.key);
                    assert_eq!(changes(&before, &everything(&stage.site).await), NONE, "by {rpc} {which}, refused");
                }
            }
            let foretold = answered(caller, &method, &request, true).await;
            assert_eq!(changes(&before, &everything(&stage.site).await), NONE, "by {rpc} {which}, rehearsed");
            assert_eq!(answered(caller, &method, &request, false).await, foretold, "{rpc} {which}");
            if foretold.is_ok() {
                done += 1;
                assert_ne!(changes(&before, &everything(&stage.site).await), NONE, "by {rpc} {which}");
            }
        }
        if done == 0 {
            never.push(method.name().to_owned());
        }
    }
    assert_eq!(never, Vec::<String>::new(), "no row has these done, so nothing was shown of them");
}
