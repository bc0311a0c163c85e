//! Members: users in accounts.

mod batch;

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::MemberState;
use crate::domain::id::{AccountId, InvitationId, UserId};
use crate::domain::policy::Standing;
use crate::domain::privilege::Privilege;
use crate::domain::role::{Role, RoleSet};

use super::Tx;
pub use batch::{Holder, Target, delete_all, holders, targets, update_all, with_people};

/// A row of `members`: nothing about the person but their id, so that it can be kept as the outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Membership {
    /// In which account.
    pub account: AccountId,
    /// Who.
    pub user: UserId,
    /// The column.
    pub privilege: Privilege,
    /// All stored roles.
    pub roles: RoleSet,
    /// When they joined.
    pub joined: Timestamp,
    /// By which invitation.
    pub invitation: Option<InvitationId>,
    /// The event that last changed it.
    pub version: i64,
}

impl Membership {
    /// Where the member stands.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        Standing { privilege: self.privilege, roles: self.roles }
    }

    /// What an event says of it.
    #[must_use]
    pub const fn state(&self) -> MemberState {
        MemberState {
            account: self.account,
            user: self.user,
            standing: self.standing(),
            joined: self.joined,
            invitation: self.invitation,
        }
    }
}

/// A membership with the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account's name.
    pub account_name: String,
    /// Whether the account is closed.
    pub account_closed: bool,
    /// The membership.
    pub membership: Membership,
    /// The person's address, as they typed it.
    pub email: String,
    /// What they are called.
    pub display_name: String,
    /// Whether their login is active.
    pub active: bool,
}

/// Adds a membership; false if there is one.
pub async fn insert(tx: &mut Tx, member: &Membership) -> Result<bool, Error> {
    let done = sqlx::query!(
        "insert into members (account, user, privilege, roles, joined, invitation, version) values (?, ?, ?, ?, ?, ?, ?)
         on conflict (account, user) do nothing",
        member.account,
        member.user,
        member.privilege,
        member.roles,
        member.joined,
        member.invitation,
        member.version
    )
    .execute(tx.sql())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Changes where a member stands.
pub async fn update(tx: &mut Tx, member: &Membership) -> Result<(), Error> {
    let done = sqlx::query!(
        "update members set privilege = ?, roles = ?, version = ? where account = ? and user = ?",
        member.privilege,
        member.roles,
        member.version,
        member.account,
        member.user
    )
    .execute(tx.sql())
    .await?;
    super::changed_one(done.rows_affected())
}

/// Ends a membership.
pub async fn delete(tx: &mut Tx, member: &Membership) -> Result<(), Error> {
    let done =
        sqlx::query!("delete from members where account = ? and user = ?", member.account, member.user).execute(tx.sql()).await?;
    super::changed_one(done.rows_affected())
}

/// Ends all memberships of a user.
pub async fn delete_of(tx: &mut Tx, user: UserId) -> Result<(), Error> {
    sqlx::query!("delete from members where user = ?", user).execute(tx.sql()).await?;
    Ok(())
}

/// The membership of a user in an account.
pub async fn find(connection: &mut SqliteConnection, account: AccountId, user: UserId) -> Result<Option<Membership>, Error> {
    Ok(sqlx::query_as!(
        Membership,
        r#"select account as "account: AccountId", user as "user: UserId", privilege as "privilege: Privilege",
                  roles as "roles: RoleSet", joined as "joined: Timestamp", invitation as "invitation: InvitationId", version
             from members where account = ? and user = ?"#,
        account,
        user
    )
    .fetch_optional(connection)
    .await?)
}

/// What decides whether a user may manage an account's users, inside a write.
#[derive(Clone, Copy, Debug)]
pub struct Authority {
    /// The account is closed.
    pub closed: bool,
    /// The user's login is active.
    pub active: bool,
    /// The user is a super-admin.
    pub super_admin: bool,
    /// Where they stand, if they are a member.
    pub standing: Option<Standing>,
}

/// Reads what decides about a user's authority in an account.
pub async fn authority(connection: &mut SqliteConnection, account: AccountId, user: UserId) -> Result<Option<Authority>, Error> {
    let row = sqlx::query!(
        r#"select a.closed as "closed: bool", u.active as "active: bool", u.super_admin as "super_admin: bool",
                  m.privilege as "privilege?: Privilege", m.roles as "roles?: RoleSet"
             from accounts a cross join users u left join members m on m.account = a.id and m.user = u.id
            where a.id = ? and u.id = ?"#,
        account,
        user
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Authority {
        closed: row.closed,
        active: row.active,
        super_admin: row.super_admin,
        standing: row.privilege.zip(row.roles).map(|(privilege, roles)| Standing { privilege, roles }),
    }))
}

/// Which members to list.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    /// The columns, a bit for each code; none for all.
    pub privileges: u8,
    /// A role that they hold, dormant or not.
    pub role: Option<Role>,
    /// Whether their login is active.
    pub active: Option<bool>,
}

impl Which {
    /// All members.
    pub const ALL: Self = Self { privileges: 0, role: None, active: None };

    /// Whether it leaves nobody out.
    #[must_use]
    pub const fn is_all(self) -> bool {
        self.privileges == 0 && self.role.is_none() && self.active.is_none()
    }

    /// The classes, as `members.class` computes them.
    fn classes(self) -> String {
        let columns =
            Privilege::ALL.into_iter().filter(|column| self.privileges == 0 || self.privileges & (1 << column.code()) != 0);
        let standings = columns.flat_map(|column| {
            let sets = (0..=RoleSet::ALL.bits()).filter_map(|bits| RoleSet::from_bits(bits.into()));
            sets.filter(|set| self.role.is_none_or(|role| set.contains(role)))
                .map(move |set| i64::from(column.code()) * 16 + i64::from(set.bits()))
        });
        let active = [false, true].into_iter().filter(|active| self.active.is_none_or(|asked| asked == *active));
        super::json_codes(active.flat_map(|active| standings.clone().map(move |standing| i64::from(active) * 64 + standing)))
    }
}

macro_rules! member {
    ($row:expr) => {{
        let row = $row;
        Member {
            account_name: row.account_name,
            account_closed: row.account_closed,
            membership: Membership {
                account: row.account,
                user: row.user,
                privilege: row.privilege,
                roles: row.roles,
                joined: row.joined,
                invitation: row.invitation,
                version: row.version,
            },
            email: row.email,
            display_name: row.display_name,
            active: row.active,
        }
    }};
}

/// What `read!` selects of a member.
macro_rules! read {
    ($from:literal, $($argument:expr),*) => {
        sqlx::query!(
            r#"select a.name as account_name, a.closed as "account_closed: bool", m.account as "account: AccountId", m.user as "user: UserId",
                  m.privilege as "privilege: Privilege", m.roles as "roles: RoleSet", m.joined as "joined: Timestamp",
                  m.invitation as "invitation: InvitationId", m.version, u.email, u.display_name, u.active as "active: bool",
                  m.folded as "folded?" from "#
                + $from,
            $($argument),*
        )
    };
}

/// The members of an account who joined after a moment and user, in the order in which they joined.
pub async fn page(
    connection: &mut SqliteConnection,
    account: AccountId,
    which: Which,
    after: (Timestamp, UserId),
    limit: i64,
) -> Result<Vec<Member>, Error> {
    let (joined, user) = after;
    if which.is_all() {
        let rows = read!(
            "members m cross join users u on u.id = m.user cross join accounts a on a.id = m.account
              where m.account = ? and (m.joined, m.user) > (?, ?) order by m.joined, m.user limit ?",
            account,
            joined,
            user,
            limit
        )
        .fetch_all(connection)
        .await?;
        return Ok(rows.into_iter().map(|row| member!(row)).collect());
    }
    let classes = which.classes();
    let rows = read!(
        "(with recursive walk(class, joined, user) as (
            select value, m.joined, m.user from json_each(?2) cross join members m
             where m.account = ?1 and m.user = (select n.user from members n indexed by members_by_class where n.account = ?1 and n.class = value
                                                   and (n.joined, n.user) > (?3, ?4) order by n.joined, n.user limit 1)
            union all
            select walk.class, m.joined, m.user from walk cross join members m
             where m.account = ?1 and m.user = (select n.user from members n indexed by members_by_class where n.account = ?1 and n.class = walk.class
                                                   and (n.joined, n.user) > (walk.joined, walk.user) order by n.joined, n.user limit 1)
             order by 2, 3 limit ?5) select user from walk) walked
           cross join members m on m.account = ?1 and m.user = walked.user
           cross join users u on u.id = m.user cross join accounts a on a.id = m.account",
        account,
        classes,
        joined,
        user,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| member!(row)).collect())
}

/// The members of an account whose addresses are in a range of folded ones, in their order, each with the address that it is ordered by.
pub async fn page_by_address(
    connection: &mut SqliteConnection,
    account: AccountId,
    which: Which,
    (from, end): (&str, &str),
    limit: i64,
) -> Result<Vec<(String, Member)>, Error> {
    let classes = which.classes();
    let rows = read!(
        "(with recursive walk(class, folded) as (
            select value, (select n.folded from members n indexed by members_by_class_and_address where n.account = ?1 and n.class = value and n.folded >= ?3 and n.folded < ?4
                            order by n.folded limit 1)
              from json_each(?2)
            union all
            select class, (select n.folded from members n indexed by members_by_class_and_address where n.account = ?1 and n.class = walk.class and n.folded > walk.folded
                              and n.folded < ?4 order by n.folded limit 1)
              from walk where folded is not null
             order by 2 nulls last limit ?5) select class, folded from walk) walked
           cross join members m indexed by members_by_class_and_address on m.account = ?1 and m.class = walked.class and m.folded = walked.folded
           cross join users u on u.id = m.user cross join accounts a on a.id = m.account",
        account,
        classes,
        from,
        end,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.folded.clone()?, member!(row)))).collect())
}

/// The memberships of a user, by account name.
pub async fn of_user(connection: &mut SqliteConnection, user: UserId) -> Result<Vec<Member>, Error> {
    let rows = read!(
        "members m cross join users u on u.id = m.user cross join accounts a on a.id = m.account where m.user = ? order by a.name",
        user
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| member!(row)).collect())
}

/// A membership with its person, whether or not it still is one: what is answered about it.
pub async fn with_person(connection: &mut SqliteConnection, membership: Membership) -> Result<Option<Member>, Error> {
    let row = sqlx::query!(
        r#"select a.name as account_name, a.closed as "account_closed: bool", u.email, u.display_name, u.active as "active: bool"
             from accounts a cross join users u where a.id = ? and u.id = ?"#,
        membership.account,
        membership.user
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Member {
        account_name: row.account_name,
        account_closed: row.account_closed,
        membership,
        email: row.email,
        display_name: row.display_name,
        active: row.active,
    }))
}
