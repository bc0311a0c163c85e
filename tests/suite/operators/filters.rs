//! Lists of what matches, by every filter that the RPCs have.

use std::time::Duration;

use user_management::proto::{Privilege, Role};

use super::with_ann;
use crate::acme::ACME;
use crate::site::Site;

impl Site {
    /// What a list has in a field, in its order.
    async fn listed(&self, line: &str, field: &str) -> Vec<String> {
        let lines = self.operate(&format!("{line} --json")).await.json();
        lines.iter().map(|object| object[field].as_str().expect("text").to_owned()).collect()
    }
}

#[tokio::test]
async fn accounts_are_listed_by_state_by_whether_somebody_manages_them_and_by_name() {
    let (site, _) = with_ann().await;
    for name in ["acme-old", "beta"] {
        site.account(name).await;
    }
    site.operate("account close acme-old --yes").await.done();
    let listed = async |flags: &str| site.listed(&format!("account list {flags}"), "name").await;
    assert_eq!(listed("").await, ["acme", "acme-old", "beta"]);
    assert_eq!(listed("--state open").await, ["acme", "beta"]);
    assert_eq!(listed("--state closed").await, ["acme-old"]);
    assert_eq!(listed("--admin-missing").await, ["acme-old", "beta"]);
    assert_eq!(listed("--admin-missing=yes --state open").await, ["beta"]);
    assert_eq!(listed("--admin-missing=no").await, ["acme"]);
    assert_eq!(listed("--name acme").await, ["acme", "acme-old"]);
    assert!(site.operate("account list --name A_").await.refused(2).starts_with("name_prefix: "));
}

#[tokio::test]
async fn members_and_users_are_listed_by_what_they_may_whether_they_can_sign_in_and_by_address() {
    let (site, _) = with_ann().await;
    site.clock.advance(Duration::from_secs(1));
    site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    site.clock.advance(Duration::from_secs(1));
    site.member(ACME, "amy@acme.test", Privilege::ReadOnly, &[Role::Alerts, Role::Data]).await;
    site.operate("user deactivate bob@acme.test --yes").await.done();
    site.operate("super-admin grant amy@acme.test --yes").await.done();
    let members = async |flags: &str| site.listed(&format!("member list acme {flags}"), "email").await;
    assert_eq!(members("").await, ["ann@acme.test", "bob@acme.test", "amy@acme.test"]);
    assert_eq!(members("--privilege read-only,normal").await, ["bob@acme.test", "amy@acme.test"]);
    assert_eq!(members("--role data").await, ["amy@acme.test"]);
    assert_eq!(members("--role alerts --state active").await, ["amy@acme.test"]);
    assert_eq!(members("--state deactivated").await, ["bob@acme.test"]);
    assert_eq!(members("--email A").await, ["amy@acme.test", "ann@acme.test"]);
    site.operate("member list acme --role admin,data").await.refused_as_usage();

    let users = async |flags: &str| site.listed(&format!("user list {flags}"), "email").await;
    assert_eq!(users("--state deactivated").await, ["bob@acme.test"]);
    assert_eq!(users("--state active --email an").await, ["ann@acme.test"]);
    assert_eq!(users("--super-admin").await, ["amy@acme.test"]);
    assert_eq!(users("--super-admin=no").await, ["ann@acme.test", "bob@acme.test"]);
}

#[tokio::test]
async fn invitations_are_listed_by_state_by_their_mail_by_whether_they_are_held_and_by_address() {
    let (site, ann) = with_ann().await;
    site.invited(ACME, "old@acme.test", Privilege::Normal, &[]).await;
    site.clock.advance(Duration::from_hours(8 * 24));
    let mut as_ann = site.bearer(&site.sign_in(&ann.email).await.token).await;
    as_ann.invite("eve@acme.test", Privilege::Normal, &[]).await.expect("ann may");
    site.clock.advance(Duration::from_secs(1));
    site.operate("invite send acme dan@acme.test --privilege normal --return-link").await.done();
    site.operate("user deactivate ann@acme.test --leave-without-admin --yes").await.done();
    site.mails_settled().await;
    let listed = async |flags: &str| site.listed(&format!("invite list acme {flags}"), "email").await;
    assert_eq!(listed("").await, ["dan@acme.test", "eve@acme.test", "old@acme.test"]);
    assert_eq!(listed("--state expired").await, ["old@acme.test"]);
    assert_eq!(listed("--mail sent").await, ["eve@acme.test", "old@acme.test"]);
    assert_eq!(listed("--mail queued,failed").await, [""; 0]);
    assert_eq!(listed("--held").await, ["eve@acme.test"]);
    assert_eq!(listed("--held=no --state pending").await, ["dan@acme.test"]);
    assert_eq!(listed("--email E").await, ["eve@acme.test"]);
}

#[tokio::test]
async fn events_are_listed_by_kind_by_who_by_what_and_by_time() {
    let (site, ann) = with_ann().await;
    site.clock.advance(Duration::from_hours(1));
    let mut as_ann = site.bearer(&ann.token).await;
    let invitation = as_ann.invite("bob@acme.test", Privilege::Normal, &[]).await.expect("ann may").id;
    site.operate(&format!("invite update acme {invitation} --privilege read-only")).await.done();
    let listed = async |flags: &str| site.listed(&format!("events list {flags}"), "kind").await;
    let (created, updated) = ("EVENT_KIND_INVITATION_CREATED", "EVENT_KIND_INVITATION_UPDATED");
    assert_eq!(listed("--kind invitation-updated").await, [updated]);
    assert_eq!(listed("--kind invitation-updated,invitation-created").await, [updated, created, created]);
    assert_eq!(listed(&format!("--subject {invitation}")).await, [updated, created]);
    assert_eq!(listed(&format!("--subject {invitation} --actor {}", ann.id)).await, [created]);
    assert_eq!(listed("--from 2026-11-24T13:00:00Z").await, [updated, created]);
    assert_eq!(listed("--from 2026-11-24T14:00:00+01:00 --account acme").await, [updated, created], "a moment, not a spelling");
    assert!(!listed("--to 2026-11-24T13:00:00Z").await.contains(&updated.to_owned()));
    assert_eq!(listed("--to 2026-11-24T12:00:00Z").await, [""; 0]);
    assert!(site.operate("events list --actor bob").await.refused(2).starts_with("actor: must be usr_"));
    site.operate("events list --from yesterday").await.refused_as_usage();
    site.operate("events list --kind made-up").await.refused_as_usage();
}
