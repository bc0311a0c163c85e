//! Lists of an account's invitations, along the classes of `0004_lists.sql`.

use sqlx::sqlite::SqliteConnection;

use super::{Invitation, Row};
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::id::{AccountId, AddressId, InvitationId, MailId, ServiceId, UserId};
use crate::domain::invitation::Stored;
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;

/// The unanswered invitations of an account before an id, newest first: "Invited Users".
pub async fn page_unanswered(
    connection: &mut SqliteConnection,
    account: AccountId,
    before: InvitationId,
    limit: i64,
) -> Result<Vec<Invitation>, Error> {
    let rows =
        super::read!("where i.account = ? and i.id < ? and i.state = 1 order by i.id desc limit ?", account, before, limit)
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Which invitations to list, as far as it is stored: a bit for each code.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    /// Stored states.
    pub states: u8,
    /// States of the newest mail; none for all.
    pub deliveries: u8,
}

impl Which {
    /// The classes, as `invitations.class` computes them.
    fn classes(self) -> String {
        let states = (1..=4_u8).filter(|state| self.states & (1 << state) != 0);
        let deliveries = (0..=5_u8).filter(|delivery| self.deliveries == 0 || self.deliveries & (1 << delivery) != 0);
        crate::store::json_codes(
            states.flat_map(|state| deliveries.clone().map(move |delivery| i64::from(state) * 8 + i64::from(delivery))),
        )
    }
}

/// The invitations of an account before an id, newest first.
pub async fn page(
    connection: &mut SqliteConnection,
    account: AccountId,
    which: Which,
    before: InvitationId,
    limit: i64,
) -> Result<Vec<Invitation>, Error> {
    let classes = which.classes();
    let rows = super::read!(
        "where i.id in (
            with recursive walk(class, id) as (
                select value, (select n.id from invitations n indexed by invitations_by_class where n.account = ?1 and n.class = value and n.id < ?3
                                order by n.id desc limit 1)
                  from json_each(?2)
                union all
                select class, (select n.id from invitations n indexed by invitations_by_class where n.account = ?1 and n.class = walk.class and n.id < walk.id
                                order by n.id desc limit 1)
                  from walk where id is not null
                 order by 2 desc limit ?4)
            select id from walk)
          order by i.id desc",
        account,
        classes,
        before,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The invitations of an account whose addresses come after a folded one (or are it, with a later id) and before another, in their order,
/// each with the address that it is ordered by.
pub async fn page_by_address(
    connection: &mut SqliteConnection,
    account: AccountId,
    which: Which,
    after: (&str, &[u8]),
    end: &str,
    limit: i64,
) -> Result<Vec<(String, Invitation)>, Error> {
    let (classes, (folded, id)) = (which.classes(), after);
    let rows = super::read!(
        "where i.id in (
            with recursive walk(class, folded, id) as (
                select value, n.folded, n.id from json_each(?2) cross join invitations n
                 where n.id = (select o.id from invitations o indexed by invitations_by_class_and_address where o.account = ?1 and o.class = value and (o.folded, o.id) > (?3, ?4)
                                order by o.folded, o.id limit 1) and n.folded < ?5
                union all
                select walk.class, n.folded, n.id from walk cross join invitations n
                 where n.id = (select o.id from invitations o indexed by invitations_by_class_and_address
                                where o.account = ?1 and o.class = walk.class and (o.folded, o.id) > (walk.folded, walk.id)
                                order by o.folded, o.id limit 1) and n.folded < ?5
                 order by 2, 3 limit ?6)
            select id from walk)
          order by i.folded, i.id",
        account,
        classes,
        folded,
        id,
        end,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((row.folded.clone().unwrap_or_default(), row.try_into()?))).collect()
}
