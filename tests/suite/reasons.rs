//! Every reason of a refusal, over the wire, held against what the contract says beside it.

mod callers;
mod faults;
mod limits;
mod objects;
mod requests;
mod states;

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use user_management::proto::{self, ErrorReason};

use crate::client::reason;

/// Refusals, each with the reason that it should have.
type Refused = Vec<(ErrorReason, Status)>;

/// What `errors.proto` says of a reason.
struct Promise {
    comment: String,
    keys: BTreeSet<String>,
    one_key_will_do: bool,
}

impl Promise {
    fn of(comment: &str) -> Self {
        let keys = comment.split_once("etadata").map(|(_, after)| after).unwrap_or_default();
        Self {
            comment: comment.to_owned(),
            keys: keys.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
            one_key_will_do: keys.contains("` or `"),
        }
    }

    fn check(&self, name: &str, status: &Status) {
        assert_eq!(reason(status), name, "{status:?}");
        let code = screaming(status.code());
        let codes = self.comment.split('.').next().unwrap_or_default();
        assert!(codes.contains(&code), "{name} came as {code}, and is documented as {codes}");
        let details = status.get_error_details();
        let info = details.error_info().expect("an ErrorInfo");
        let shown: BTreeSet<String> = info.metadata.keys().filter(|key| *key != "trace_id").cloned().collect();
        let mut promised = self.keys.clone();
        promised.remove("trace_id");
        let kept = if self.one_key_will_do { shown.len() == 1 && shown.is_subset(&promised) } else { shown == promised };
        assert!(kept, "{name} is documented with the keys {promised:?} and came with {shown:?}");
        assert!(info.metadata.values().all(|value| !value.is_empty()), "{name} came with an empty value: {info:?}");
        let bad = details.bad_request().map(|bad| bad.field_violations.len()).unwrap_or_default();
        let in_fields = status.code() == Code::InvalidArgument && name != "ACT_AS_INVALID";
        assert_eq!(bad > 0, in_fields, "{name}: {details:?}");
        let unmet: Vec<&str> = details
            .precondition_failure()
            .map(|failure| failure.violations.iter().map(|violation| violation.r#type.as_str()).collect())
            .unwrap_or_default();
        let expected: &[&str] = if status.code() == Code::FailedPrecondition { &[name] } else { &[] };
        assert_eq!(unmet, expected, "{name}: {details:?}");
        let exhausted = details.quota_failure().map_or(0, |failure| failure.violations.len());
        assert_eq!(exhausted, usize::from(status.code() == Code::ResourceExhausted), "{name}: {details:?}");
        if self.comment.contains("RetryInfo") {
            assert!(details.retry_info().is_some_and(|retry| retry.retry_delay.is_some()), "{name} doesn't say when to retry");
        }
    }
}

/// `NotFound` as documents spell it: `NOT_FOUND`.
fn screaming(code: Code) -> String {
    let mut text = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

/// Every reason by its name without prefix, with what its comment promises.
fn promises() -> BTreeMap<String, Promise> {
    let set = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).expect("the descriptors of the contract");
    let file = set.file.iter().find(|file| file.name().ends_with("/errors.proto")).expect("the file of reasons");
    let [reasons] = &file.enum_type[..] else { panic!("the file holds one enum") };
    let locations = &file.source_code_info.as_ref().expect("comments").location;
    let values = reasons.value.iter().enumerate().filter(|(_, value)| value.number() != 0);
    values
        .map(|(position, value)| {
            let path = [5, 0, 2, i32::try_from(position).expect("a few")];
            let comment = locations.iter().find(|location| location.path == path).expect("a comment").leading_comments();
            let name = value.name().strip_prefix("ERROR_REASON_").expect("the enum's prefix");
            (name.to_owned(), Promise::of(&comment.replace('\n', " ")))
        })
        .collect()
}

#[tokio::test]
async fn every_reason_comes_over_the_wire_with_the_code_and_details_that_the_contract_promises() {
    let mut refused = callers::refused().await;
    refused.extend(requests::refused().await);
    refused.extend(objects::refused().await);
    refused.extend(states::refused().await);
    refused.extend(limits::refused().await);
    refused.extend(faults::refused().await);
    let promises = promises();
    let mut unproduced: BTreeSet<&String> = promises.keys().collect();
    for (reason, status) in &refused {
        let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
        promises.get(name).expect("a reason of the contract").check(name, status);
        unproduced.remove(&name.to_owned());
    }
    assert!(unproduced.is_empty(), "nothing here is refused for {unproduced:?}");
}
