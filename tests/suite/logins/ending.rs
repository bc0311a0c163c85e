//! What ends with what, at once and after a restart.

use super::happens::{Happens, happen, mark};
use crate::site::Site;

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
            site.directory_is_the_database(&format!("{what:?} {after}")).await;
            site.restart(None).await;
        }
    }
}
