//! A server's no, in the words of the command line: the reason, the message, and what to do when there is something.

use std::error::Error as _;

use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt as _};

use crate::domain::error::chain;
use crate::proto::EntryError;

/// 2 for what was mistyped, 3 for what isn't there, 4 for what may work later, else 1.
pub(super) fn exit_code(status: &Status) -> u8 {
    match status.code() {
        Code::InvalidArgument => 2,
        Code::NotFound => 3,
        Code::Unavailable | Code::DeadlineExceeded => 4,
        _ if is_lost(status) || status.get_details_retry_info().is_some() => 4,
        _ => 1,
    }
}

/// Whether the connection went before an answer came: every refusal of the server says why in its details.
pub(super) fn is_lost(status: &Status) -> bool {
    status.details().is_empty()
}

/// One line, or one for each field that can't be taken. What is about an entry of a batch begins with the entry's place.
pub(super) fn lines(status: &Status, places: &[String]) -> Vec<String> {
    if is_lost(status) {
        let causes = status.source().map(|cause| format!(": {}", chain(cause))).unwrap_or_default();
        return vec![one_line(&format!("the connection to the server was lost: {}{causes}", status.message()))];
    }
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    if !violations.is_empty() {
        let line = |wrong: &FieldViolation| one_line(&format!("{}: {}", within(&wrong.field, places), wrong.description));
        return violations.iter().map(line).collect();
    }
    let Some(info) = status.get_details_error_info() else { return vec![one_line(status.message())] };
    let advice = match info.reason.as_str() {
        "INTERNAL" => {
            let trace = info.metadata.get("trace_id").map_or("", String::as_str);
            format!("; the server's log has more under the trace id {trace}")
        }
        reason => advice(reason),
    };
    let entry = info.metadata.get("entry").map_or("", String::as_str);
    let (place, message) = match entry.parse().ok().and_then(|entry: usize| places.get(entry)) {
        Some(place) => (format!("{place}: "), status.message().trim_start_matches(&format!("entry {entry}: "))),
        None => (String::new(), status.message()),
    };
    vec![one_line(&format!("{place}{}: {message}{advice}", info.reason))]
}

/// A field of an entry, `updates[3].user`, as a field of the entry's place.
fn within(field: &str, places: &[String]) -> String {
    let of_entry = || {
        let (_, entry) = field.split_once('[')?;
        let (entry, field) = entry.split_once("].")?;
        Some(format!("{}: {field}", places.get(entry.parse::<usize>().ok()?)?))
    };
    of_entry().unwrap_or_else(|| field.to_owned())
}

/// What one entry of a batch was refused with.
pub(super) fn line(refused: &EntryError) -> String {
    let reason = refused.reason().as_str_name().trim_start_matches("ERROR_REASON_");
    one_line(&format!("{reason}: {}{}", refused.message, advice(reason)))
}

/// What to do, where the message alone doesn't say it in the words of the command line.
fn advice(reason: &str) -> String {
    match reason {
        "CREDENTIALS_MISSING" | "OPERATOR_REQUIRED" => {
            let uid = rustix::process::geteuid().as_raw();
            format!(
                "; uid {uid} is no operator on this socket: call grpc.socket as root or the service's user, or add it to grpc.operator_uids"
            )
        }
        "ACCOUNT_NOT_FOUND" => "; `account list` shows all".to_owned(),
        "ACCOUNT_EXISTS" => "; names are never used again".to_owned(),
        "INVITATION_EXISTS" => "; `invite resend` sends it again".to_owned(),
        "MEMBER_EXISTS" => "; `member move` and `member roles` change what they may".to_owned(),
        "ROLES_WIDEN" => " (--allow-widening)".to_owned(),
        "ETAG_MISMATCH" => "; look at it again".to_owned(),
        "BUSY" | "DRAINING" | "STORAGE_UNAVAILABLE" => "; try again".to_owned(),
        _ => String::new(),
    }
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn refused(code: Code, reason: &str, message: &str) -> Status {
        let trace = HashMap::from([("trace_id".to_owned(), "abc".to_owned())]);
        Status::with_error_details(code, message, ErrorDetails::with_error_info(reason, "usermanagement.circonus", trace))
    }

    #[test]
    fn a_refusal_says_its_reason_and_what_to_do() {
        let status = refused(Code::AlreadyExists, "INVITATION_EXISTS", "the address has a pending invitation, inv_1");
        assert_eq!(
            lines(&status, &[]),
            ["INVITATION_EXISTS: the address has a pending invitation, inv_1; `invite resend` sends it again"]
        );
        assert_eq!(exit_code(&status), 1);
        let status = refused(Code::Internal, "INTERNAL", "a fault of the server");
        assert_eq!(lines(&status, &[]), ["INTERNAL: a fault of the server; the server's log has more under the trace id abc"]);
    }

    #[test]
    fn every_wrong_field_has_a_line() {
        let mut details = ErrorDetails::with_error_info("FIELDS_INVALID", "usermanagement.circonus", HashMap::new());
        details.add_bad_request_violation("email", "must be an address").add_bad_request_violation("name", "must\nbe short");
        let status = Status::with_error_details(Code::InvalidArgument, "two fields", details);
        assert_eq!(lines(&status, &[]), ["email: must be an address", "name: must be short"]);
        assert_eq!(exit_code(&status), 2);
    }

    #[test]
    fn what_is_about_an_entry_of_a_batch_begins_with_its_place() {
        let places = ["list, line 1".to_owned(), "list, line 4".to_owned()];
        let of_entry = |entry: &str, message: &str| {
            let metadata = HashMap::from([("entry".to_owned(), entry.to_owned())]);
            let details = ErrorDetails::with_error_info("ROLES_WIDEN", "usermanagement.circonus", metadata);
            lines(&Status::with_error_details(Code::FailedPrecondition, message, details), &places)
        };
        assert_eq!(of_entry("1", "entry 1: they would gain"), ["list, line 4: ROLES_WIDEN: they would gain (--allow-widening)"]);
        assert_eq!(of_entry("2", "entry 2: they would gain"), ["ROLES_WIDEN: entry 2: they would gain (--allow-widening)"]);
        let mut details = ErrorDetails::with_error_info("FIELDS_INVALID", "usermanagement.circonus", HashMap::new());
        details.add_bad_request_violation("updates[1].user", "must be").add_bad_request_violation("account", "must be");
        let status = Status::with_error_details(Code::InvalidArgument, "two fields", details);
        assert_eq!(lines(&status, &places), ["list, line 4: user: must be", "account: must be"]);
    }

    #[test]
    fn exit_codes_tell_what_was_mistyped_what_is_not_there_and_what_may_work_later() {
        assert_eq!(exit_code(&refused(Code::InvalidArgument, "FIELDS_INVALID", "")), 2);
        assert_eq!(exit_code(&refused(Code::NotFound, "ACCOUNT_NOT_FOUND", "")), 3);
        assert_eq!(exit_code(&refused(Code::Unavailable, "BUSY", "")), 4);
        assert_eq!(exit_code(&Status::unknown("connection reset")), 4);
        assert_eq!(lines(&Status::unknown("connection reset"), &[]), ["the connection to the server was lost: connection reset"]);
    }
}
