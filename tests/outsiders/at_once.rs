//! Many calls of one peer at once: what is hashed was paid for before, so no more is than is allowed.

use futures_util::future::join_all;
use user_management::proto;

use crate::client::reason;
use crate::ledger::{Cost, Ledger};
use crate::site::{PASSWORD, Site};

fn hashes(costs: &[Cost]) -> usize {
    costs.iter().map(|cost| cost.hashes.len()).sum()
}

#[tokio::test]
async fn of_sign_ups_at_once_no_more_are_hashed_than_their_peer_may_make() {
    let mut ledger = Ledger::open().await;
    let site = Site::with("signup = \"open\"\nlimits.mails_per_peer = 3").await;
    let nobody = site.nobody().await;
    let all = (0..12).map(async |number| {
        let request = proto::SignUpRequest {
            email: format!("person{number}@acme.test"),
            password: PASSWORD.to_owned(),
            display_name: "Somebody".to_owned(),
        };
        nobody.clone().identity.sign_up(request).await
    });
    let (answers, costs) = ledger.costs_of("SignUp", 12, join_all(all)).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).map(reason).collect();
    assert_eq!((refused, hashes(&costs)), (vec!["REQUESTS_EXHAUSTED".to_owned(); 9], 3));
}

#[tokio::test]
async fn of_passwords_that_are_typed_at_once_no_more_are_compared_than_are_allowed() {
    let mut ledger = Ledger::open().await;
    let site = Site::with("limits.sign_in_failures_per_device = 3\nlimits.sign_in_failures_per_peer = 4").await;
    let nobody = site.nobody().await;
    let mut guesses = async |emails: Vec<String>| {
        let calls = emails.len();
        let all = emails.into_iter().map(async |email| {
            let request = proto::SignInRequest { email, password: "not the password".to_owned() };
            reason(&nobody.clone().identity.sign_in(request).await.expect_err("refused"))
        });
        let (mut reasons, costs) = ledger.costs_of("SignIn", calls, join_all(all)).await;
        reasons.sort();
        (reasons.iter().filter(|reason| *reason == "TRIES_EXHAUSTED").count(), hashes(&costs))
    };
    assert_eq!(guesses(vec!["ann@acme.test".to_owned(); 12]).await, (9, 3), "at one address");
    let many = (0..20).map(|number| format!("person{number}@acme.test")).collect();
    assert_eq!(guesses(many).await, (19, 13), "at many: one of the peer's, and its reserve, of which nothing opens anything");
    assert_eq!(guesses(vec!["more@acme.test".to_owned(); 12]).await, (12, 0));
}
