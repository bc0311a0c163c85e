//! Checking that history is whole: a walk from its first event to its last, in pages.
//!
//! History proves itself but for its end and for having been written anew as a whole: those take a head that was kept elsewhere.

use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;

use super::decode_each;
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{Change, Event, Hash, Personal};
use crate::domain::head::{Fault, Head};
use crate::domain::id::{AccountId, Epoch};
use crate::store::tx::Tail;

/// What a walk over all of history found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// How many events are whole, from the first one on.
    pub events: u64,
    /// The last of them; none where there is none.
    pub head: Option<Head>,
    /// The first that isn't.
    pub broken: Option<Broken>,
}

/// Where history isn't as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// At which event.
    pub seq: u64,
    /// In how far.
    pub fault: Fault,
    /// The head from elsewhere that says so, if it is one.
    pub by: Option<Head>,
}

/// How far the walk has come.
struct Walk {
    seen: Tail,
    epoch: Option<Epoch>,
    /// What was kept elsewhere, by number; those that were passed are taken out.
    heads: std::iter::Peekable<std::vec::IntoIter<Head>>,
}

/// A stored event with its columns.
struct Row {
    seq: i64,
    time: Timestamp,
    kind: i64,
    account: Option<AccountId>,
    bytes: Vec<u8>,
    hash: Vec<u8>,
    actor: Option<Vec<u8>>,
    subject: Option<Vec<u8>>,
}

/// Walks all of history and checks numbers, hashes, links, the columns to search by, the personal values that are still there, and the heads
/// that were kept elsewhere.
pub async fn verify(connection: &mut SqliteConnection, mut heads: Vec<Head>) -> Result<Walked, Error> {
    heads.sort_by_key(|head| head.seq);
    let mut walk = Walk { seen: Tail::START, epoch: None, heads: heads.into_iter().peekable() };
    // whatever stands before the first one too
    let mut from = i64::MIN;
    loop {
        let rows = sqlx::query_as!(
            Row,
            r#"select seq as "seq!", time as "time: Timestamp", kind, account as "account: AccountId", bytes, hash,
                      actor as "actor: Vec<u8>", subject as "subject: Vec<u8>"
                 from events where seq > ? order by seq limit 1000"#,
            from
        )
        .fetch_all(&mut *connection)
        .await?;
        if rows.is_empty() {
            return Ok(walk.ended());
        }
        let events = decode_each(connection, rows.iter().map(|row| (row.seq, row.bytes.clone())).collect()).await?;
        for (row, event) in rows.iter().zip(events) {
            if let Err(broken) = walk.step(row, event) {
                return Ok(Walked { broken: Some(broken), ..walk.so_far() });
            }
        }
        from = i64::try_from(walk.seen.seq).map_err(Error::internal)?;
    }
}

impl Walk {
    fn so_far(&self) -> Walked {
        let Tail { seq, hash, .. } = self.seen;
        Walked { events: seq, head: (seq > 0).then_some(Head { epoch: self.epoch, seq, hash }), broken: None }
    }

    fn step(&mut self, row: &Row, event: Result<Event, Error>) -> Result<(), Broken> {
        let hash: Hash = Sha256::digest(&row.bytes).into();
        let event = judge(&self.seen, row, hash, event).map_err(|fault| Broken { seq: self.seen.seq + 1, fault, by: None })?;
        self.seen = Tail { seq: event.seq, hash, time: event.time };
        if let Change::EditionSet(data) = event.change {
            self.epoch = Some(data.epoch);
        }
        while let Some(head) = self.heads.next_if(|head| head.seq <= event.seq) {
            if head.hash != hash {
                let fault = if self.is_of(&head) { Fault::Rewritten } else { Fault::AnotherHistory };
                return Err(Broken { seq: event.seq, fault, by: Some(head) });
            }
        }
        Ok(())
    }

    /// What was kept elsewhere may have come further than what there is.
    fn ended(mut self) -> Walked {
        let broken = self.heads.next().map(|head| {
            let fault = if self.is_of(&head) { Fault::Truncated } else { Fault::AnotherHistory };
            Broken { seq: self.seen.seq + 1, fault, by: Some(head) }
        });
        Walked { broken, ..self.so_far() }
    }

    fn is_of(&self, head: &Head) -> bool {
        head.epoch.is_none() || head.epoch == self.epoch
    }
}

/// Says of a row whether it is the event after the one that was seen, as it was recorded.
fn judge(seen: &Tail, row: &Row, hash: Hash, event: Result<Event, Error>) -> Result<Event, Fault> {
    let expected = seen.seq + 1;
    match u64::try_from(row.seq) {
        Ok(seq) if seq == expected => {}
        Ok(seq) if seq > expected => return Err(Fault::Missing),
        _ => return Err(Fault::Moved),
    }
    if row.hash[..] != hash[..] {
        return Err(Fault::Edited);
    }
    let event = event.map_err(|_| Fault::Edited)?;
    if event.seq != expected {
        return Err(Fault::Moved);
    }
    if event.previous != seen.hash {
        return Err(Fault::Unlinked);
    }
    let found_by = (event.time, i64::from(event.change.kind()), event.change.account()) == (row.time, row.kind, row.account)
        && row.actor.as_deref() == Some(&event.actor.mark())
        && row.subject.as_deref() == event.change.subject().as_ref().map(|subject| &subject.as_bytes()[..]);
    let whole = event.time >= seen.time && found_by && event.encode().personal.iter().all(Personal::is_whole);
    if whole { Ok(event) } else { Err(Fault::Edited) }
}
