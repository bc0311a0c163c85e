//! Limits on what strangers, members and services may cause.

mod inviting;
mod mails;
mod proxies;
mod signing_in;
mod signing_up;
mod uids;

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use user_management::proto;

use crate::client::{Client, Identified, metadata, reason};
use crate::site::Site;

/// What a refusal by a limit says.
#[derive(Debug, PartialEq, Eq)]
struct Reached {
    reason: String,
    /// The key, without `limits.`.
    limit: String,
    subject: String,
    retry: Duration,
}

fn reached(status: &Status) -> Reached {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = status.get_error_details();
    let [quota] = &details.quota_failure().expect("a QuotaFailure").violations[..] else { panic!("one: {details:?}") };
    assert_eq!(quota.description, status.message());
    let limit = metadata(status, "limit");
    Reached {
        reason: reason(status),
        limit: limit.strip_prefix("limits.").expect("a key of the configuration").to_owned(),
        subject: quota.subject.clone(),
        retry: details.retry_info().and_then(|retry| retry.retry_delay).expect("a RetryInfo"),
    }
}

impl Site {
    /// Nobody who is known, from 127.0.0.`last`.
    async fn stranger(&self, last: u8) -> Client {
        Client::new(self.channel_from(last).await, Identified::default())
    }
}

impl Client {
    async fn try_password(&mut self, email: &str, password: &str) -> Result<String, Status> {
        let request = proto::SignInRequest { email: email.to_owned(), password: password.to_owned() };
        self.identity.sign_in(request).await.map(|answer| answer.into_inner().session_token)
    }

    /// Tries wrong passwords that are looked at.
    async fn guess(&mut self, email: &str, times: usize) {
        for _ in 0..times {
            let refused = self.try_password(email, "not the password").await.expect_err("refused");
            assert_eq!(reason(&refused), "SIGN_IN_FAILED");
        }
    }
}
