//! Checking that history is whole: a walk from its first event to its last, in pages.
//!
//! History proves itself but for its end and for having been written anew as a whole: those take a head that was kept elsewhere. Where its beginning
//! was dropped, the walk begins at the checkpoint (`super::trim`), after what was kept from before was held against what the trim recorded of it.

use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::erased::{Erased, gone};
use super::trim::newest_trim;
use super::{decode_each, whose};
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{Change, Event, Hash, Personal, TrimState};
use crate::domain::head::{Fault, Head};
use crate::domain::id::{AccountId, Epoch};
use crate::store::hex;
use crate::store::tx::Tail;

/// What a walk over all of history found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// How many events are whole, from the first one that is left on.
    pub events: u64,
    /// The last of them; none where there is none.
    pub head: Option<Head>,
    /// The first that isn't.
    pub broken: Option<Broken>,
    /// The last trim, where history has no beginning any more.
    pub trimmed: Option<TrimState>,
    /// How many of the heads are of events that were dropped, and so can't be compared.
    pub incomparable: u64,
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
    trimmed: Option<TrimState>,
    seen: Tail,
    epoch: Option<Epoch>,
    erased: Erased,
    /// What was kept elsewhere, by number; those that were passed are taken out.
    heads: std::iter::Peekable<std::vec::IntoIter<Head>>,
    incomparable: u64,
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
    /// With whom the personal values beside it are erased, as a JSON array of slots and ids.
    whose: String,
}

/// A row with the event that it holds.
type Read = (Row, Result<Event, Error>);

/// Rows of a page.
const PAGE: u32 = 1000;

/// Walks all of history and checks numbers, hashes, links, the columns to search by, the personal values, of which only those of erased people and
/// old client addresses may be gone, what was kept of its beginning, and the heads that were kept elsewhere.
pub async fn verify(connection: &mut SqliteConnection, mut heads: Vec<Head>) -> Result<Walked, Error> {
    heads.sort_by_key(|head| head.seq);
    let mut walk = match Walk::begin(connection, heads).await? {
        Ok(walk) => walk,
        Err(broken) => return Ok(Walked { events: 0, head: None, broken: Some(broken), trimmed: None, incomparable: 0 }),
    };
    if let Err(broken) = walk.hold_kept(connection).await? {
        return Ok(Walked { broken: Some(broken), ..walk.so_far() });
    }
    // whatever stands before the first one too, where it is the first of all
    let mut from = match &walk.trimmed {
        Some(_) => walk.next()?,
        None => i64::MIN,
    };
    loop {
        let page = walk.page(connection, from, i64::MAX, PAGE).await?;
        if page.is_empty() {
            return Ok(walk.ended());
        }
        for (row, event) in page {
            if let Err(broken) = walk.step(&row, event) {
                return Ok(Walked { broken: Some(broken), ..walk.so_far() });
            }
        }
        from = walk.next()?;
    }
}

/// Walks the first events that are left, at most so many.
pub(super) async fn next_whole(
    connection: &mut SqliteConnection,
    most: u32,
) -> Result<Result<Vec<(Event, Hash)>, Broken>, Error> {
    let mut walk = match Walk::begin(connection, Vec::new()).await? {
        Ok(walk) => walk,
        Err(broken) => return Ok(Err(broken)),
    };
    let from = walk.next()?;
    let mut events = Vec::new();
    for (row, event) in walk.page(connection, from, i64::MAX, most).await? {
        match walk.step(&row, event) {
            Ok(event) => events.push((event, walk.seen.hash)),
            Err(broken) => return Ok(Err(broken)),
        }
    }
    Ok(Ok(events))
}

/// Which history it is, as the newest event says that names one: the first may be gone.
async fn epoch(connection: &mut SqliteConnection) -> Result<Option<Epoch>, Error> {
    let row = sqlx::query!("select bytes from events indexed by events_by_kind where kind = 1 order by seq desc limit 1")
        .fetch_optional(connection)
        .await?;
    let event = row.and_then(|row| Event::decode(&row.bytes, Vec::new()).ok());
    Ok(event.and_then(|event| if let Change::EditionSet(data) = event.change { Some(data.epoch) } else { None }))
}

impl Walk {
    /// Stands where what is left begins.
    async fn begin(connection: &mut SqliteConnection, heads: Vec<Head>) -> Result<Result<Self, Broken>, Error> {
        let (trimmed, seen) = match newest_trim(connection).await? {
            None => (None, Tail::START),
            Some((_, Ok(state))) => (Some(state), Tail { seq: state.until, hash: state.hash, time: state.time }),
            Some((seq, Err(_))) => return Ok(Err(Broken { seq, fault: Fault::Edited, by: None })),
        };
        let epoch = epoch(connection).await?;
        Ok(Ok(Self { trimmed, seen, epoch, erased: Erased::default(), heads: heads.into_iter().peekable(), incomparable: 0 }))
    }

    /// Reads rows from one number on and up to another, and who was erased by then, from one view of the data: somebody may be erased in between.
    async fn page(&mut self, connection: &mut SqliteConnection, from: i64, until: i64, most: u32) -> Result<Vec<Read>, Error> {
        let mut view = connection.begin().await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select seq as "seq!", time as "time: Timestamp", kind, account as "account: AccountId", bytes, hash,
                      actor as "actor: Vec<u8>", subject as "subject: Vec<u8>",
                      (select json_group_array(json_array(p.slot, lower(hex(p.subject)))) from personal_values p where p.seq = events.seq) as "whose!: String"
                 from events where seq >= ? and seq <= ? order by seq limit ?"#,
            from,
            until,
            most
        )
        .fetch_all(&mut *view)
        .await?;
        let events = decode_each(&mut view, rows.iter().map(|row| (row.seq, row.bytes.clone())).collect()).await?;
        self.erased.catch_up(&mut view).await?;
        if self.trimmed.is_some() {
            let events: Vec<_> = events.iter().filter_map(|event| event.as_ref().ok()).collect();
            self.erased.believe_rows(&mut view, &events).await?;
        }
        view.rollback().await?;
        Ok(rows.into_iter().zip(events).collect())
    }

    /// The number of the event that has to come.
    fn next(&self) -> Result<i64, Error> {
        i64::try_from(self.seen.seq + 1).map_err(Error::internal)
    }

    fn so_far(&self) -> Walked {
        let Tail { seq, hash, .. } = self.seen;
        Walked {
            events: seq - self.trimmed.map_or(0, |trimmed| trimmed.until),
            head: (seq > 0).then_some(Head { epoch: self.epoch, seq, hash }),
            broken: None,
            trimmed: self.trimmed,
            incomparable: self.incomparable,
        }
    }

    /// Holds what was kept of the beginning against what the trim recorded of it, and the heads that are of it.
    async fn hold_kept(&mut self, connection: &mut SqliteConnection) -> Result<Result<(), Broken>, Error> {
        let Some(trimmed) = self.trimmed else { return Ok(Ok(())) };
        let until = i64::try_from(trimmed.until).map_err(Error::internal)?;
        let (mut from, mut count, mut digest) = (i64::MIN, 0, Sha256::new());
        loop {
            let page = self.page(connection, from, until, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            from = last.seq + 1;
            for (row, event) in page {
                // one before the first of all is named as that
                let seq = u64::try_from(row.seq).unwrap_or(0).max(1);
                let hash: Hash = Sha256::digest(&row.bytes).into();
                let event = match held(&row, hash, event)
                    .and_then(|event| if self.fits(&row, &event) { Ok(event) } else { Err(Fault::Edited) })
                {
                    Ok(event) => event,
                    Err(fault) => return Ok(Err(Broken { seq, fault, by: None })),
                };
                if let Err(broken) = self.pass_heads(event.seq).and_then(|()| self.hold_heads(event.seq, hash)) {
                    return Ok(Err(broken));
                }
                digest.update(hash);
                count += 1;
            }
        }
        if (count, <Hash>::from(digest.finalize())) != (trimmed.kept, trimmed.kept_digest) {
            return Ok(Err(Broken { seq: trimmed.until, fault: Fault::Kept, by: None }));
        }
        Ok(self.pass_heads(trimmed.until).and_then(|()| self.hold_heads(trimmed.until, trimmed.hash)))
    }

    fn step(&mut self, row: &Row, event: Result<Event, Error>) -> Result<Event, Broken> {
        let hash: Hash = Sha256::digest(&row.bytes).into();
        let event = self.judge(row, hash, event).map_err(|fault| Broken { seq: self.seen.seq + 1, fault, by: None })?;
        self.seen = Tail { seq: event.seq, hash, time: event.time };
        self.hold_heads(event.seq, hash)?;
        Ok(event)
    }

    /// Says of a row whether it is the event after the one that was seen, as it was recorded.
    fn judge(&self, row: &Row, hash: Hash, event: Result<Event, Error>) -> Result<Event, Fault> {
        let expected = self.seen.seq + 1;
        match u64::try_from(row.seq) {
            Ok(seq) if seq == expected => {}
            Ok(seq) if seq > expected => return Err(Fault::Missing),
            _ => return Err(Fault::Moved),
        }
        let event = held(row, hash, event)?;
        if event.previous != self.seen.hash {
            return Err(Fault::Unlinked);
        }
        if event.time >= self.seen.time && self.fits(row, &event) { Ok(event) } else { Err(Fault::Edited) }
    }

    /// Whether the columns to search by and the personal values are the event's, and what is gone of these went as it may: with its person, or, as
    /// the address that somebody called from, with the time of its event.
    fn fits(&self, row: &Row, event: &Event) -> bool {
        let is_old = self.trimmed.is_some_and(|trimmed| event.seq <= trimmed.until);
        let client = |slot: usize| slot == 0 && event.client.is_some();
        let personal = event.encode().personal;
        (event.time, i64::from(event.change.kind()), event.change.account()) == (row.time, row.kind, row.account)
            && row.actor.as_deref() == Some(&event.actor.mark())
            && row.subject.as_deref() == event.change.subject().as_ref().map(|subject| &subject.as_bytes()[..])
            && personal.iter().all(Personal::is_whole)
            && gone(event, &personal).all(|(slot, whose)| is_old && client(slot) || self.erased.holds(&whose))
            && serde_json::from_str::<Vec<(usize, String)>>(&row.whose)
                .is_ok_and(|values| values.iter().all(|(slot, id)| *id == hex(&whose(event, *slot))))
    }

    /// Passes the heads of events before a number, which went: nothing can be said of them but whether they are of this history.
    fn pass_heads(&mut self, before: u64) -> Result<(), Broken> {
        while let Some(head) = self.heads.next_if(|head| head.seq < before) {
            if !self.is_of(&head) {
                return Err(Broken { seq: head.seq, fault: Fault::AnotherHistory, by: Some(head) });
            }
            self.incomparable += 1;
        }
        Ok(())
    }

    /// Compares the heads that are of an event.
    fn hold_heads(&mut self, seq: u64, hash: Hash) -> Result<(), Broken> {
        while let Some(head) = self.heads.next_if(|head| head.seq <= seq) {
            if head.hash != hash {
                let fault = if self.is_of(&head) { Fault::Rewritten } else { Fault::AnotherHistory };
                return Err(Broken { seq, fault, by: Some(head) });
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

/// The event that a row holds under its number.
fn held(row: &Row, hash: Hash, event: Result<Event, Error>) -> Result<Event, Fault> {
    if row.hash[..] != hash[..] {
        return Err(Fault::Edited);
    }
    let event = event.map_err(|_| Fault::Edited)?;
    if i64::try_from(event.seq) == Ok(row.seq) { Ok(event) } else { Err(Fault::Moved) }
}
