//! Many members of one account at once, in one statement each.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteConnection;

use super::{Member, Membership};
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::id::{AccountId, AddressId, InvitationId, UserId};
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;
use crate::store::Tx;

/// A membership with what else decides about the person's permissions.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The membership.
    pub membership: Membership,
    /// The login is active.
    pub active: bool,
    /// The user is a super-admin.
    pub super_admin: bool,
}

/// Those of the users who are members.
pub async fn targets(
    connection: &mut SqliteConnection,
    account: AccountId,
    users: &[UserId],
) -> Result<BTreeMap<UserId, Target>, Error> {
    let users = crate::store::json_of(users.iter().map(UserId::as_bytes));
    let rows = sqlx::query!(
        r#"select m.user as "user: UserId", m.privilege as "privilege: Privilege", m.roles as "roles: RoleSet",
                  m.joined as "joined: Timestamp", m.invitation as "invitation: InvitationId", m.version,
                  u.active as "active: bool", u.super_admin as "super_admin: bool"
             from json_each(?1) cross join members m on m.account = ?2 and m.user = unhex(json_each.value)
                  cross join users u on u.id = m.user"#,
        users,
        account
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let membership = Membership {
                account,
                user: row.user,
                privilege: row.privilege,
                roles: row.roles,
                joined: row.joined,
                invitation: row.invitation,
                version: row.version,
            };
            (row.user, Target { membership, active: row.active, super_admin: row.super_admin })
        })
        .collect())
}

/// Who holds an address, as whoever invites it has to know.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    /// The user.
    pub user: UserId,
    /// They are a member of the account.
    pub is_member: bool,
}

/// The users who hold addresses now.
pub async fn holders(
    connection: &mut SqliteConnection,
    account: AccountId,
    addresses: &[AddressId],
) -> Result<BTreeMap<AddressId, Holder>, Error> {
    let set = crate::store::json_of(addresses.iter().map(AddressId::as_bytes));
    let rows = sqlx::query!(
        r#"select u.address as "address: AddressId", u.id as "user: UserId", m.user is not null as "is_member!: bool"
             from json_each(?1) cross join users u on u.address = unhex(json_each.value)
                  left join members m on m.account = ?2 and m.user = u.id
            where u.deleted = 0"#,
        set,
        account
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.address, Holder { user: row.user, is_member: row.is_member })).collect())
}

/// Changes where members stand. They are there, so each insertion conflicts and becomes an update: an update that is joined with what is
/// given would be read by SQLite the other way round, the given set anew for every member of the account.
pub async fn update_all(tx: &mut Tx, members: &[Membership]) -> Result<(), Error> {
    if members.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = members
        .iter()
        .map(|member| {
            let (account, user) = (crate::store::hex(member.account.as_bytes()), crate::store::hex(member.user.as_bytes()));
            let joined = member.joined.as_micros();
            (account, user, member.privilege.code(), member.roles.bits(), joined, member.version)
        })
        .collect();
    let rows = serde_json::to_string(&rows).map_err(Error::internal)?;
    let done = sqlx::query!(
        "insert into members (account, user, privilege, roles, joined, version)
         select unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5 from json_each(?) where true
             on conflict (account, user) do update
            set privilege = excluded.privilege, roles = excluded.roles, version = excluded.version",
        rows
    )
    .execute(tx.sql())
    .await?;
    crate::store::changed_all(done.rows_affected(), members.len())
}

/// Ends memberships.
pub async fn delete_all(tx: &mut Tx, account: AccountId, users: &[UserId]) -> Result<(), Error> {
    if users.is_empty() {
        return Ok(());
    }
    let set = crate::store::json_of(users.iter().map(UserId::as_bytes));
    let done =
        sqlx::query!("delete from members where account = ? and user in (select unhex(value) from json_each(?))", account, set)
            .execute(tx.sql())
            .await?;
    crate::store::changed_all(done.rows_affected(), users.len())
}

/// Memberships with their people, in the given order, whether or not they still are ones; without those whose person was deleted.
pub async fn with_people(
    connection: &mut SqliteConnection,
    account: AccountId,
    memberships: &[Membership],
) -> Result<Vec<Member>, Error> {
    let users = crate::store::json_of(memberships.iter().map(|membership| membership.user.as_bytes()));
    let rows = sqlx::query!(
        r#"select cast(json_each.key as integer) as "position!: i64", a.name as account_name, a.closed as "account_closed: bool", u.email, u.display_name,
                  u.active as "active: bool"
             from json_each(?1) cross join users u on u.id = unhex(json_each.value) cross join accounts a on a.id = ?2
            where u.deleted = 0"#,
        users,
        account
    )
    .fetch_all(connection)
    .await?;
    let mut people: BTreeMap<i64, _> = rows.into_iter().map(|row| (row.position, row)).collect();
    let member = |(position, membership): (i64, &Membership)| {
        let row = people.remove(&position)?;
        Some(Member {
            account_name: row.account_name,
            account_closed: row.account_closed,
            membership: *membership,
            email: row.email,
            display_name: row.display_name,
            active: row.active,
        })
    };
    Ok((0..).zip(memberships).filter_map(member).collect())
}
