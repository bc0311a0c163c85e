//! Who was erased, as history says: personal values go with their person, or with time, and never otherwise.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;

use super::whose;
use crate::domain::error::Error;
use crate::domain::event::{Change, Event, Personal};
use crate::store::json_of;

/// The users and addresses whose personal values are gone.
#[derive(Default)]
pub(super) struct Erased {
    /// The last erasure that was taken in.
    last: i64,
    whose: BTreeSet<[u8; 16]>,
}

impl Erased {
    /// Takes in what was erased since the last time.
    pub(super) async fn catch_up(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let deletions = sqlx::query!(
            "select seq, bytes from events indexed by events_by_kind where kind = 49 and seq > ? order by seq",
            self.last
        )
        .fetch_all(&mut *connection)
        .await?;
        for row in deletions {
            self.last = row.seq;
            let Ok(Change::UserDeleted(erased)) = Event::decode(&row.bytes, Vec::new()).map(|event| event.change) else {
                continue;
            };
            let user = *erased.user.as_bytes();
            let id = &user[..];
            let moves = sqlx::query!("select bytes from events indexed by events_by_subject where subject = ? and kind = 44", id)
                .fetch_all(&mut *connection)
                .await?;
            let former = moves.iter().filter_map(|row| match Event::decode(&row.bytes, Vec::new()).ok()?.change {
                Change::UserEmailChanged(changed) => Some(*changed.former.as_bytes()),
                _ => None,
            });
            let addresses: BTreeSet<_> = former.chain([*erased.address.as_bytes()]).collect();
            self.whose.insert(user);
            // one that somebody else held then is theirs, and wasn't erased
            self.add_marked(connection, &addresses).await?;
        }
        Ok(())
    }

    /// Believes addresses' own rows that they were erased, since what tells of the former ones of who was erased goes with time.
    pub(super) async fn believe_rows(&mut self, connection: &mut SqliteConnection, events: &[&Event]) -> Result<(), Error> {
        if self.whose.is_empty() {
            return Ok(());
        }
        let mut unexplained = BTreeSet::new();
        for event in events {
            let personal = event.encode().personal;
            unexplained.extend(gone(event, &personal).map(|(_, whose)| whose).filter(|whose| !self.holds(whose)));
        }
        self.add_marked(connection, &unexplained).await
    }

    async fn add_marked(&mut self, connection: &mut SqliteConnection, addresses: &BTreeSet<[u8; 16]>) -> Result<(), Error> {
        let set = json_of(addresses.iter());
        let marked = sqlx::query!(
            "select id from addresses where id in (select unhex(value) from json_each(?)) and folded = lower(hex(id)) || '@erased'",
            set
        )
        .fetch_all(connection)
        .await?;
        self.whose.extend(marked.into_iter().filter_map(|row| <[u8; 16]>::try_from(row.id).ok()));
        Ok(())
    }

    pub(super) fn holds(&self, whose: &[u8; 16]) -> bool {
        self.whose.contains(whose)
    }
}

/// The personal values of an event that aren't there any more: the slots, and with whom each was to be erased.
pub(super) fn gone(event: &Event, personal: &[Personal]) -> impl Iterator<Item = (usize, [u8; 16])> {
    personal.iter().enumerate().filter(|(_, value)| value.known.is_none()).map(|(slot, _)| (slot, whose(event, slot)))
}
