//! What ends a token: at once, for good, and after a restart too.

use user_management::directory::Directory;
use user_management::proto::{self, EventKind, Privilege};
use user_management::store::server;

use super::asked;
use crate::acme::ACME;
use crate::logins::OTHER;
use crate::site::{PASSWORD, Person, Site};

/// What happens to Ann, who has a token for acme and one for other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happens {
    PasswordChanged,
    PasswordReset,
    AddressChanged,
    SessionsRevoked,
    SignedOut,
    SuperAdminRevoked,
    Renamed,
    Moved,
    Removed,
    RemovedAmongMany,
    Left,
    RemovedAndBack,
    DeactivatedForAWhile,
    Deleted,
    Revoked,
}

async fn happen(site: &Site, what: Happens, ann: &Person) {
    let (mut operator, mut person) = (site.operator().await, site.bearer(&ann.token).await);
    let user = ann.id.clone();
    match what {
        Happens::PasswordChanged => person.change_password(PASSWORD, OTHER).await.expect("changed"),
        Happens::PasswordReset => {
            let request = proto::SendPasswordResetRequest { user, return_link: true, ..Default::default() };
            let made = operator.users.send_password_reset(request).await.expect("the operator may").into_inner();
            site.nobody().await.reset(&made.link.expect("a link").token, OTHER).await.expect("reset");
        }
        Happens::AddressChanged => {
            person.change_email("ann@new.test", PASSWORD).await.expect("a link is on its way");
            let token = site.mailed_token("ann@new.test").await;
            site.nobody().await.confirm(&token, PASSWORD).await.expect("confirmed");
        }
        Happens::SessionsRevoked => {
            let request = proto::RevokeSessionsRequest { user, ..Default::default() };
            operator.users.revoke_sessions(request).await.expect("the operator may");
        }
        Happens::SignedOut => drop(person.identity.sign_out(proto::SignOutRequest {}).await.expect("signed out")),
        Happens::SuperAdminRevoked => {
            for super_admin in [true, false] {
                let request = proto::SetSuperAdminRequest { user: user.clone(), super_admin, ..Default::default() };
                operator.operations.set_super_admin(request).await.expect("the operator may");
            }
        }
        Happens::Renamed => {
            let request = proto::UpdateMeRequest { display_name: Some("Another".to_owned()), ..Default::default() };
            person.identity.update_me(request).await.expect("renamed");
        }
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
        Happens::DeactivatedForAWhile => {
            operator.deactivate(&user, true).await.expect("the operator may");
            operator.reactivate(&user).await.expect("the operator may");
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
        (Happens::PasswordChanged, true, true),
        (Happens::PasswordReset, false, false),
        (Happens::AddressChanged, true, true),
        (Happens::SessionsRevoked, true, true),
        (Happens::SignedOut, true, true),
        (Happens::SuperAdminRevoked, true, true),
        (Happens::Renamed, true, true),
        (Happens::Moved, true, true),
        (Happens::Removed, false, true),
        (Happens::RemovedAmongMany, false, true),
        (Happens::Left, false, true),
        (Happens::RemovedAndBack, false, true),
        (Happens::DeactivatedForAWhile, false, false),
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
            let mut connection = site.app().store().read().await.expect("readable");
            let recorded = server::recorded(&mut connection).await.expect("readable").expect("it was started");
            let loaded = Directory::load(&mut connection, recorded).await.expect("loaded");
            assert!(site.app().view().same_answers(&loaded.snapshot()), "{what:?} {after}: the directory is the database");
            drop(connection);
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
