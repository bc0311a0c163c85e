//! The last-admin rule: an account that has an active member who may manage users never loses the last one.
//!
//! It has this one place. `Tx::record` marks the accounts of every membership event, and before the job's savepoint is released one
//! set-based statement asks of each: had it an active manager, and has it still? No call site repeats it, so none can forget it.
//! `accounts.has_manager` is how it was before the job; this file alone writes it.
//!
//! Managing users takes the Admin column or the Admin role in either edition (`policy` has a test for that), so the question doesn't
//! depend on the edition.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;

use crate::domain::error::Error;
use crate::domain::event::Change;
use crate::domain::id::AccountId;
use crate::domain::name::Slug;

/// The account whose managers a change may have changed.
pub(super) fn concerned(change: &Change) -> Option<AccountId> {
    match change {
        Change::MemberJoined(member)
        | Change::MemberPrivilegeChanged(member)
        | Change::MemberRolesAssigned(member)
        | Change::MemberRemoved(member)
        | Change::MemberLeft(member) => Some(member.account),
        Change::EditionSet(_)
        | Change::AccountCreated(_)
        | Change::AccountUpdated(_)
        | Change::InvitationCreated(_)
        | Change::InvitationRenewed(_)
        | Change::InvitationResent(_)
        | Change::InvitationWithdrawn(_)
        | Change::InvitationAccepted(_)
        | Change::InvitationIgnored(_)
        | Change::UserCreated(_)
        | Change::SuperAdminGranted(_)
        | Change::SuperAdminRevoked(_)
        | Change::SessionStarted(_)
        | Change::SessionEnded(_)
        | Change::ServiceCreated(_)
        | Change::ServiceRevoked(_)
        | Change::MailRetried(_) => None,
    }
}

/// Refuses if one of the accounts had an active manager before the job and has none now.
pub(super) async fn judge(connection: &mut SqliteConnection, accounts: &BTreeSet<AccountId>) -> Result<(), Error> {
    let accounts = super::json_of(accounts.iter().map(AccountId::as_bytes));
    let changed = sqlx::query!(
        r#"update accounts set has_manager = not has_manager
            where id in (select unhex(value) from json_each(?1))
              and has_manager <> exists (
                select 1 from members indexed by members_managing cross join users on users.id = members.user
                 where members.account = accounts.id and users.active = 1
                   and (members.privilege = 1 or members.roles & 1 <> 0))
           returning name, has_manager as "has_manager: bool""#,
        accounts
    )
    .fetch_all(connection)
    .await?;
    let lost: Vec<Slug> =
        changed.iter().filter(|account| !account.has_manager).filter_map(|account| Slug::parse(&account.name).ok()).collect();
    if lost.is_empty() { Ok(()) } else { Err(Error::LastAdmin(lost)) }
}
