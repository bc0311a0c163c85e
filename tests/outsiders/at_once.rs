//! Many calls of one peer at once: what is hashed was paid for before, so no more is than is allowed.

use futures_util::future::join_all;
use tonic::{Response, Status};
use user_management::proto;

use crate::client::{Client, Identified, reason};
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

async fn outcome<T>(ledger: &mut Ledger, rpc: &str, call: impl Future<Output = Result<Response<T>, Status>>) -> (String, usize) {
    let (answer, cost) = ledger.cost_of(rpc, call).await;
    (answer.map_or_else(|refused| reason(&refused), |_| "OK".to_owned()), cost.hashes.len())
}

#[tokio::test]
async fn links_and_changes_of_password_are_paid_for_before_anything_is_hashed() {
    let mut ledger = Ledger::open().await;
    let site = Site::with("signup = \"open\"\nlimits.link_uses_per_peer = 4").await;
    let mut people = Vec::new();
    for email in ["ann@acme.test", "bob@acme.test", "cy@acme.test", "di@acme.test"] {
        people.push(site.person(email).await);
    }
    let [ann, bob, cy, _] = &people[..] else { unreachable!("four, whose links were all that their peer may use") };
    let mut nobody = site.nobody().await;
    let request =
        proto::SignUpRequest { email: "eve@acme.test".to_owned(), password: PASSWORD.to_owned(), display_name: "Eve".to_owned() };
    nobody.identity.sign_up(request).await.expect("anybody may");
    let request = proto::ChangeEmailRequest { email: "new@acme.test".to_owned(), password: PASSWORD.to_owned() };
    site.bearer(&ann.token).await.identity.change_email(request).await.expect("her password");
    nobody.identity.request_password_reset(proto::RequestPasswordResetRequest { email: bob.email.clone() }).await.expect("any");
    let confirm = |token| proto::ConfirmEmailRequest { token, password: PASSWORD.to_owned() };
    let confirmation = confirm(site.mailed_token("eve@acme.test").await);
    let address = confirm(site.mailed_token("new@acme.test").await);
    let (token, new) = (site.mailed_token(&bob.email).await, "hammer and tongs".to_owned());
    let reset = proto::ResetPasswordRequest { token, password: new.clone() };
    let change = proto::ChangePasswordRequest { password: PASSWORD.to_owned(), new_password: new };
    for (last, used_up) in [(1, true), (2, false)] {
        let channel = site.channel_from(last).await;
        let mut nobody = Client::new(channel.clone(), Identified::default());
        let mut as_cy = Client::new(channel, Identified::by(&cy.token));
        let expected = |hashes| if used_up { ("TRIES_EXHAUSTED".to_owned(), 0) } else { ("OK".to_owned(), hashes) };
        let confirmed = outcome(&mut ledger, "ConfirmEmail", nobody.identity.confirm_email(confirmation.clone())).await;
        assert_eq!(confirmed, expected(1), "of a sign-up");
        let confirmed = outcome(&mut ledger, "ConfirmEmail", nobody.identity.confirm_email(address.clone())).await;
        assert_eq!(confirmed, expected(1), "of another address");
        let set = outcome(&mut ledger, "ResetPassword", nobody.identity.reset_password(reset.clone())).await;
        assert_eq!(set, expected(1));
        let changed = outcome(&mut ledger, "ChangePassword", as_cy.identity.change_password(change.clone())).await;
        assert_eq!(changed, expected(2));
    }
}
