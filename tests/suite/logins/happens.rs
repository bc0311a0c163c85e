//! What happens to logins, for tests of what ends with it.

use user_management::proto;

use super::OTHER;
use crate::client::Client;
use crate::site::{PASSWORD, Person, Site};

/// What happens to a login.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happens {
    PasswordChanged,
    PasswordReset,
    AddressChanged,
    SessionsRevoked,
    DeactivatedForAWhile,
    SuperAdminRevoked,
    Renamed,
}

/// Has it happen, by the session `here` where it takes one.
pub(crate) async fn happen(site: &Site, what: Happens, here: &Person) {
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

/// Sets or clears the super-admin mark.
pub(crate) async fn mark(operator: &mut Client, user: &str, super_admin: bool) {
    let request = proto::SetSuperAdminRequest { user: user.to_owned(), super_admin, ..Default::default() };
    operator.operations.set_super_admin(request).await.expect("the operator may");
}
