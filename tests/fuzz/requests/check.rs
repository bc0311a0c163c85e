//! What must hold of every answer, and of the site behind it.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, Value};
use tonic::{Code, Status};
use user_management::proto::{self, ErrorReason};

use super::cast::Stage;
use crate::client::reason;

/// Which accounts there are, and whether they have an active member who may manage their users.
pub(super) type Accounts = BTreeMap<String, bool>;

/// Every account.
pub(super) async fn accounts(stage: &Stage) -> Accounts {
    let request = proto::ListAccountsRequest { page_size: 1000, ..Default::default() };
    let listed = stage.operator().await.users.list_accounts(request).await.expect("the operator may").into_inner();
    listed.accounts.into_iter().map(|account| (account.name, !account.admin_missing)).collect()
}

/// No account has lost its last Admin, unless that was written out.
pub(super) async fn last_admins(stage: &Stage, before: &mut Accounts, written_out: bool, told: &str) {
    let now = accounts(stage).await;
    for (name, had) in before.iter() {
        let has = now.get(name).unwrap_or_else(|| panic!("the account {name} is gone: {told}"));
        assert!(*has || !had || written_out, "{name} lost its last Admin: {told}");
    }
    *before = now;
}

/// A refusal is one that the contract has, and no fault of the server.
pub(super) fn refusal(status: &Status, told: &str) {
    let ours = matches!(
        status.code(),
        Code::Internal
            | Code::Unknown
            | Code::DataLoss
            | Code::Unavailable
            | Code::Unimplemented
            | Code::DeadlineExceeded
            | Code::Cancelled
    );
    assert!(!ours, "{told}: {status:?}");
    let size = status.message().len() + status.details().len() * 4 / 3;
    assert!(size < 7 * 1024, "{told}: {size} bytes in headers, of which common clients take 8 KiB");
    let reason = reason(status);
    assert!(ErrorReason::from_str_name(&format!("ERROR_REASON_{reason}")).is_some(), "{told}: {reason} is in no contract");
    assert!(!status.message().is_empty() && !status.message().contains(['\0', '\n', '\r']), "{told}: {status:?}");
}

/// The texts of a request that are secret, and stand nowhere else in it.
pub(super) fn secrets(request: &DynamicMessage) -> Vec<String> {
    let (mut secret, mut open) = (Vec::new(), Vec::new());
    sort(request, &mut secret, &mut open);
    secret.retain(|text| text.len() >= 12 && text.is_ascii() && !open.iter().any(|open| open.contains(text)));
    secret
}

fn sort(message: &DynamicMessage, secret: &mut Vec<String>, open: &mut Vec<String>) {
    for (field, value) in message.fields() {
        let is_secret = field.name().contains("password") || field.name() == "token";
        match value {
            Value::String(text) if is_secret => secret.push(text.clone()),
            Value::String(text) => open.push(text.clone()),
            Value::Message(message) => sort(message, secret, open),
            Value::List(values) => {
                values.iter().filter_map(Value::as_message).for_each(|message| sort(message, secret, open));
                open.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// An answer tells nothing of what was secret in its request.
pub(super) fn tells_none(secrets: &[String], answer: &str, told: &str) {
    for secret in secrets {
        assert!(!answer.contains(secret), "{secret} stands in the answer to {told}");
    }
}

/// History is whole, and what there is now is as it says.
pub(super) async fn history(stage: &Stage) {
    let found =
        stage.operator().await.operations.verify_events(proto::VerifyEventsRequest::default()).await.expect("read").into_inner();
    assert!(found.first_broken == 0 && found.differences.is_empty(), "{found:?}");
}
