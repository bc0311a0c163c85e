//! What ends with what, at once and after a restart.

use user_management::directory::Directory;
use user_management::proto;
use user_management::store::server;

use super::OTHER;
use crate::client::Client;
use crate::site::{PASSWORD, Person, Site};

/// What happens to a login.
#[derive(Clone, Copy, Debug)]
enum Happens {
    PasswordChanged,
    PasswordReset,
    AddressChanged,
    SessionsRevoked,
    DeactivatedForAWhile,
    SuperAdminRevoked,
    Renamed,
}

/// Has it happen, by the session `here` where it takes one.
async fn happen(site: &Site, what: Happens, here: &Person) {
    let (mut operator, mut person) = (site.operator().await, site.bearer(&here.token).await);
    match what {
        Happens::PasswordChanged => person.change_password(PASSWORD, OTHER).await.expect("changed"),
        Happens::PasswordReset => {
            let request = proto::SendPasswordResetRequest { user: here.id.clone(), return_link: true, ..Default::default() };
            let made = operator.users.send_password_reset(request).await.expect("the operator may").into_inner();
            site.nobody().await.reset(&made.link.expect("a link").token, OTHER).await.expect("reset");
        }
        Happens::AddressChanged => {
            person.change_email("ann@new.test", PASSWORD).await.expect("a link is on its way");
            let token = site.mailed_token("ann@new.test").await;
            site.nobody().await.confirm(&token, PASSWORD).await.expect("confirmed");
        }
        Happens::SessionsRevoked => {
            let request = proto::RevokeSessionsRequest { user: here.id.clone(), ..Default::default() };
            operator.users.revoke_sessions(request).await.expect("the operator may");
        }
        Happens::DeactivatedForAWhile => {
            operator.deactivate(&here.id, false).await.expect("the operator may");
            operator.reactivate(&here.id).await.expect("the operator may");
        }
        Happens::SuperAdminRevoked => {
            mark(&mut operator, &here.id, false).await;
        }
        Happens::Renamed => {
            let request = proto::UpdateMeRequest { display_name: Some("Another".to_owned()), ..Default::default() };
            person.identity.update_me(request).await.expect("renamed");
        }
    }
}

async fn mark(operator: &mut Client, user: &str, super_admin: bool) {
    let request = proto::SetSuperAdminRequest { user: user.to_owned(), super_admin, ..Default::default() };
    operator.operations.set_super_admin(request).await.expect("the operator may");
}

#[tokio::test]
async fn sessions_end_with_what_ends_them_and_with_nothing_else_restart_or_not() {
    for (what, here_lives, there_lives) in [
        (Happens::PasswordChanged, true, false),
        (Happens::PasswordReset, false, false),
        (Happens::AddressChanged, true, false),
        (Happens::SessionsRevoked, false, false),
        (Happens::DeactivatedForAWhile, false, false),
        (Happens::SuperAdminRevoked, false, false),
        (Happens::Renamed, true, true),
    ] {
        let mut site = Site::start().await;
        let here = site.person("ann@acme.test").await;
        let there = site.sign_in("ann@acme.test").await;
        let stranger = site.person("eve@evil.test").await;
        mark(&mut site.operator().await, &here.id, true).await;
        happen(&site, what, &here).await;
        for after in ["at once", "after a restart"] {
            let live = (site.counts(&here).await, site.counts(&there).await, site.counts(&stranger).await);
            assert_eq!(live, (here_lives, there_lives, true), "{what:?} {after}");
            let mut connection = site.app().store().read().await.expect("readable");
            let recorded = server::recorded(&mut connection).await.expect("readable").expect("it was started");
            let loaded = Directory::load(&mut connection, recorded).await.expect("loaded");
            assert!(site.app().view().same_answers(&loaded.snapshot()), "{what:?} {after}: the directory is the database");
            drop(connection);
            site.restart(None).await;
        }
    }
}
