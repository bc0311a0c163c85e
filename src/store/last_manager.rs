//! The last-admin rule: an account that has an active member who may manage users never loses the last one.
//!
//! It has this one place. `Tx::record` marks the accounts of every event about a membership or about whether a user is active, and before
//! the job's savepoint is released one set-based statement asks of each: had it an active manager, and has it still? No call site repeats
//! it, so none can forget it. `accounts.has_manager` is how it was before the job; this file alone writes it.
//!
//! An operator may leave accounts without one, if they say so (`Tx::leave_without_admin`); each such account gets an event that says it.
//!
//! Managing users takes the Admin column or the Admin role in either edition (`policy` has a test for that), so the question doesn't
//! depend on the edition.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;

use crate::domain::error::Error;
use crate::domain::event::Change;
use crate::domain::id::{AccountId, UserId};

/// Whose managers a change may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Concerned {
    /// Those of one account.
    Account(AccountId),
    /// Those of every account that a user is a member of.
    AccountsOf(UserId),
}

/// Says whose managers a change may have changed.
pub(super) fn concerned(change: &Change) -> Option<Concerned> {
    match change {
        Change::MemberJoined(member)
        | Change::MemberPrivilegeChanged(member)
        | Change::MemberRolesAssigned(member)
        | Change::MemberRemoved(member)
        | Change::MemberLeft(member) => Some(Concerned::Account(member.account)),
        Change::UserDeactivated(state) | Change::UserReactivated(state) => Some(Concerned::AccountsOf(state.user)),
        // whoever is deleted was removed from each account before
        Change::UserDeleted(_)
        | Change::EditionSet(_)
        | Change::AccountCreated(_)
        | Change::AccountUpdated(_)
        | Change::AccountClosed(_)
        | Change::AccountReopened(_)
        | Change::AccountLeftWithoutAdmin(_)
        | Change::InvitationCreated(_)
        | Change::InvitationRenewed(_)
        | Change::InvitationResent(_)
        | Change::InvitationWithdrawn(_)
        | Change::InvitationAccepted(_)
        | Change::InvitationIgnored(_)
        | Change::InvitationUpdated(_)
        | Change::InvitationLinkReturned(_)
        | Change::UserCreated(_)
        | Change::SuperAdminGranted(_)
        | Change::SuperAdminRevoked(_)
        | Change::UserUpdated(_)
        | Change::UserEmailChanged(_)
        | Change::UserPasswordChanged(_)
        | Change::UserPasswordReset(_)
        | Change::SessionStarted(_)
        | Change::SessionEnded(_)
        | Change::SessionsRevoked(_)
        | Change::LoginLinkMade(_)
        | Change::ServiceCreated(_)
        | Change::ServiceRevoked(_)
        | Change::ServiceExpiring(_)
        | Change::ApiTokenCreated(_)
        | Change::ApiTokenEnded(_)
        | Change::ApiTokenExpiring(_)
        | Change::MailRetried(_)
        | Change::LinkKeyRotated(_)
        | Change::HistoryTrimmed(_) => None,
    }
}

/// Brings `accounts.has_manager` up to date for the accounts that are concerned, and answers those that had an active manager before and
/// have none now.
pub(super) async fn judge(connection: &mut SqliteConnection, concerned: &BTreeSet<Concerned>) -> Result<Vec<AccountId>, Error> {
    let accounts = concerned.iter().filter_map(|each| if let Concerned::Account(id) = each { Some(id.as_bytes()) } else { None });
    let accounts = super::json_of(accounts);
    let users = concerned.iter().filter_map(|each| if let Concerned::AccountsOf(id) = each { Some(id.as_bytes()) } else { None });
    let users = super::json_of(users);
    let changed = sqlx::query!(
        r#"update accounts set has_manager = not has_manager
            where (id in (select unhex(value) from json_each(?1))
                   or id in (select members.account from json_each(?2)
                                    cross join members indexed by members_by_user on members.user = unhex(json_each.value)))
              and has_manager <> exists (
                select 1 from members indexed by members_managing cross join users on users.id = members.user
                 where members.account = accounts.id and users.active = 1
                   and (members.privilege = 1 or members.roles & 1 <> 0))
           returning id as "id: AccountId", has_manager as "has_manager: bool""#,
        accounts,
        users
    )
    .fetch_all(connection)
    .await?;
    Ok(changed.into_iter().filter(|account| !account.has_manager).map(|account| account.id).collect())
}
