//! What ends a token: at once, for good, and after a restart too.

use user_management::proto::{self, EventKind, Privilege};

use super::asked;
use crate::acme::ACME;
use crate::logins::happens::{self, Happens as Login, mark};
use crate::site::{Person, Site};

/// What happens to Ann, who has a token for acme and one for other.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// To her login.
    Login(Login),
    SignedOut,
    Moved,
    Removed,
    RemovedAmongMany,
    Left,
    RemovedAndBack,
    Deleted,
    Revoked,
}

async fn happen(site: &Site, what: Happens, ann: &Person) {
    let (mut operator, mut person) = (site.operator().await, site.bearer(&ann.token).await);
    let user = ann.id.clone();
    match what {
        Happens::Login(what) => {
            mark(&mut operator, &user, matches!(what, Login::SuperAdminRevoked)).await;
            happens::happen(site, what, ann).await;
        }
        Happens::SignedOut => drop(person.identity.sign_out(proto::SignOutRequest {}).await.expect("signed out")),
        Happens::Moved => drop(operator.move_to(&user, Privilege::ReadOnly).await.expect("moved")),
        Happens::Removed => drop(operator.remove(&user).await.expect("removed")),
        Happens::RemovedAmongMany => {
            let change = Some(proto::member_update::Change::Remove(true));
            let updates = vec![proto::MemberUpdate { user, change, ..Default::default() }];
            let request = proto::BatchUpdateMembersRequest { account: ACME.to_owned(), updates, ..Default::default() };
            operator.users.batch_update_members(request).await.expect("removed");
        }
        Happens::Left => person.leave().await.expect("left"),
        Happens::RemovedAndBack => {
            operator.remove(&user).await.expect("removed");
            site.join(ACME, ann, Privilege::Admin, &[]).await;
        }
        Happens::Deleted => drop(operator.delete(&user, true).await.expect("the operator may")),
        Happens::Revoked => {
            let token = person.api_tokens().await.into_iter().find(|token| token.account == ACME).expect("a token for acme");
            assert!(person.revoke_api_token(&token.id).await.expect("it is hers").revoked);
        }
    }
}

#[tokio::test]
async fn tokens_end_with_what_ends_them_and_with_nothing_else_restart_or_not() {
    for (what, acme_lives, other_lives) in [
        (Happens::Login(Login::PasswordChanged), true, true),
        (Happens::Login(Login::PasswordReset), false, false),
        (Happens::Login(Login::AddressChanged), true, true),
        (Happens::Login(Login::SessionsRevoked), true, true),
        (Happens::SignedOut, true, true),
        (Happens::Login(Login::SuperAdminRevoked), true, true),
        (Happens::Login(Login::Renamed), true, true),
        (Happens::Moved, true, true),
        (Happens::Removed, false, true),
        (Happens::RemovedAmongMany, false, true),
        (Happens::Left, false, true),
        (Happens::RemovedAndBack, false, true),
        (Happens::Login(Login::DeactivatedForAWhile), false, false),
        (Happens::Deleted, false, false),
        (Happens::Revoked, false, true),
    ] {
        let mut site = Site::start().await;
        for account in [ACME, "other"] {
            site.account(account).await;
            site.member(account, &format!("zoe@{account}.test"), Privilege::Admin, &[]).await;
        }
        let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
        site.join("other", &ann, Privilege::Admin, &[]).await;
        let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
        let (acme, other) = (site.api_token(&ann, ACME, None).await, site.api_token(&ann, "other", None).await);
        let bobs = site.api_token(&bob, ACME, None).await;
        let seq = site.app().view().seq();
        happen(&site, what, &ann).await;
        for after in ["at once", "after a restart"] {
            let live = (site.holds(&acme, ACME).await, site.holds(&other, "other").await, site.holds(&bobs, ACME).await);
            assert_eq!(live, (acme_lives, other_lives, true), "{what:?} {after}");
            site.directory_is_the_database(&format!("{what:?} {after}")).await;
            site.restart(None).await;
        }
        let events = site.operator().await.events_after(seq).await;
        let ended = events.iter().filter(|event| event.kind() == EventKind::ApiTokenEnded).count();
        assert_eq!(ended, usize::from(!acme_lives) + usize::from(!other_lives), "{what:?}: an event for each");
        assert!(events.iter().filter(|event| event.kind() == EventKind::ApiTokenEnded).all(|event| event.user == ann.id));
        assert_eq!(site.operator().await.verified().await.first_broken, 0);
    }
}

#[tokio::test]
async fn a_membership_and_its_tokens_end_in_one_change_or_not_at_all() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let token = site.api_token(&ann, ACME, None).await;
    let seq = site.app().view().seq();
    let refused = site.bearer(&ann.token).await.leave().await.expect_err("the last admin");
    assert_eq!(crate::client::reason(&refused), "LAST_ADMIN");
    let rehearsed = proto::DeactivateUserRequest {
        user: ann.id.clone(),
        leave_without_admin: true,
        validate_only: true,
        ..Default::default()
    };
    site.operator().await.users.deactivate_user(rehearsed).await.expect("as it would be");
    assert!(site.holds(&token, ACME).await);
    assert_eq!(site.app().view().seq(), seq);
    site.member(ACME, "bea@acme.test", Privilege::Admin, &[]).await;
    let seq = site.app().view().seq();
    site.bearer(&ann.token).await.leave().await.expect("left");
    let events = site.operator().await.events_after(seq).await;
    let told: Vec<_> = events.iter().map(|event| (event.kind(), event.trace_id.clone(), event.account.as_str())).collect();
    let trace = events[0].trace_id.clone();
    assert_eq!(told, [(EventKind::MemberLeft, trace.clone(), ACME), (EventKind::ApiTokenEnded, trace, ACME)]);
    assert_eq!(site.bearer(&ann.token).await.api_tokens().await, []);
}

#[tokio::test]
async fn revoking_again_changes_nothing_and_what_is_somebody_elses_is_like_what_is_not_there() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let (mut as_ann, mut as_bob) = (site.bearer(&ann.token).await, site.bearer(&bob.token).await);
    let made = as_ann.create_api_token(asked(ACME)).await.expect("made");
    let id = made.api_token.expect("what was made").id;
    let mut heard = std::collections::BTreeSet::new();
    for id in [id.clone(), format!("tok_{}", "0".repeat(32))] {
        let refused = as_bob.revoke_api_token(&id).await.expect_err("not bob's");
        heard.insert((refused.code() as i32, refused.message().to_owned(), crate::client::reason(&refused)));
    }
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(site.holds(&made.token, ACME).await);
    let first = as_ann.revoke_api_token(&id).await.expect("it is hers");
    let seq = site.app().view().seq();
    assert_eq!(as_ann.revoke_api_token(&id).await.expect("again"), first);
    assert_eq!((site.app().view().seq(), first.revoked), (seq, true));
}
