//! After the cost of passwords was changed: addresses without a login cost what logins do.

use std::collections::BTreeMap;

use user_management::proto;

use crate::client::Identified;
use crate::ledger::Ledger;
use crate::raw::{heard, method, request};
use crate::site::Site;

/// What comparing a wrong password costs for each address.
async fn compared(ledger: &mut Ledger, site: &Site, addresses: &[String]) -> BTreeMap<String, String> {
    let (channel, sign_in) = (site.tcp_channel().await, method("SignIn"));
    let mut costs = BTreeMap::new();
    for address in addresses {
        let request = request(&sign_in, &[("email", address), ("password", "not the password")]);
        let (_, cost) = heard(ledger, &channel, &Identified::default(), &sign_in, &request).await;
        let [hash] = &cost.hashes[..] else { panic!("one comparison: {cost:?}") };
        costs.insert(address.clone(), hash.split('$').nth(3).expect("the parameters").to_owned());
    }
    costs
}

fn share(costs: &BTreeMap<String, String>, cost: &str) -> usize {
    costs.values().filter(|each| *each == cost).count()
}

const FORMER: &str = "m=64,t=1,p=1";
const PRESENT: &str = "m=128,t=1,p=1";

#[tokio::test]
async fn an_address_without_a_login_costs_what_one_of_the_logins_does() {
    let mut ledger = Ledger::open().await;
    let mut site =
        Site::with("signup = \"open\"\nlimits.sign_in_failures_per_address = 0\nlimits.sign_in_failures_per_peer = 0").await;
    let logins: Vec<String> = (0..4).map(|number| format!("login-{number}@acme.test")).collect();
    for login in &logins {
        site.confirmed(login).await;
    }
    let unknown: Vec<String> = (0..60).map(|number| format!("unknown-{number}@acme.test")).collect();
    assert_eq!(share(&compared(&mut ledger, &site, &unknown).await, FORMER), 60);
    site.cost(128);
    site.restart(None).await;
    assert_eq!(share(&compared(&mut ledger, &site, &logins).await, FORMER), 4, "nobody signed in since");
    assert_eq!(share(&compared(&mut ledger, &site, &unknown).await, FORMER), 60);
    site.sign_in(&logins[0]).await;
    site.sign_in(&logins[1]).await;
    assert_eq!(share(&compared(&mut ledger, &site, &logins).await, FORMER), 2);
    let half = compared(&mut ledger, &site, &unknown).await;
    assert!((10..=50).contains(&share(&half, FORMER)), "half of 60, give or take: {half:?}");
    assert_eq!(compared(&mut ledger, &site, &unknown).await, half, "asking again tells no more");
    site.restart(None).await;
    assert_eq!(compared(&mut ledger, &site, &unknown).await, half, "nor does a restart");
    // whoever can't sign in any more is no login: those who can all have the present cost then
    let mut operator = site.operator().await;
    let request = proto::DeleteUserRequest { user: logins[2].clone(), ..Default::default() };
    operator.users.delete_user(request).await.expect("erased");
    let request = proto::DeactivateUserRequest { user: logins[3].clone(), ..Default::default() };
    operator.users.deactivate_user(request).await.expect("deactivated");
    let both = [&logins[..], &unknown[..]].concat();
    assert_eq!(share(&compared(&mut ledger, &site, &both).await, PRESENT), 64);
    let request = proto::ReactivateUserRequest { user: logins[3].clone(), ..Default::default() };
    operator.users.reactivate_user(request).await.expect("reactivated");
    assert_eq!(compared(&mut ledger, &site, &logins[3..]).await[&logins[3]], FORMER);
    assert!((5..=40).contains(&share(&compared(&mut ledger, &site, &unknown).await, FORMER)), "a third of 60, give or take");
}
