//! What every verb works with: the server on one side, the person or script on the other.

use super::Failure;
use super::calls::{Call, List, Named};
use super::reach::Server;
use super::screen::{Column, Screen, Table};
use super::words::words;
use super::{Paging, Rehearsal, user};
use crate::proto::{self, Effect, User};

/// The largest page that the contract answers.
const PAGE: u32 = 1000;

/// The server and the screen.
pub(super) struct Console {
    server: Server,
    pub(super) screen: Screen,
}

impl Console {
    pub(super) fn new(server: Server, json: bool) -> Self {
        Self { server, screen: Screen::new(json) }
    }

    /// Calls the server.
    pub(super) async fn call<C: Call>(&self, request: C) -> Result<C::Answer, Failure> {
        self.server.call(request).await
    }

    /// Lists to the end, or to the limit, page by page.
    pub(super) async fn list<L: List>(
        &mut self,
        request: L,
        paging: Paging,
        columns: &'static [Column<L::Item>],
    ) -> Result<(), Failure> {
        self.list_with(request, paging, columns, |_| ()).await
    }

    /// The same, for whoever looks at each answer too: at what a list says besides its entries.
    pub(super) async fn list_with<L: List>(
        &mut self,
        mut request: L,
        paging: Paging,
        columns: &'static [Column<L::Item>],
        mut look: impl FnMut(&L::Answer),
    ) -> Result<(), Failure> {
        let mut left = paging.limit.unwrap_or(u32::MAX);
        let mut table = Table::new(columns);
        let mut token = String::new();
        loop {
            request.turn(i32::try_from(left.min(PAGE)).unwrap_or(i32::MAX), token);
            let answer = self.call(request.clone()).await?;
            look(&answer);
            let (items, next) = L::taken(answer);
            if self.screen.json {
                items.iter().try_for_each(|item| self.screen.json(item))?;
            } else {
                table.write(&mut self.screen, &items)?;
            }
            // whoever reads is to see this page, or to end the reading, before the next is asked for
            self.screen.flush()?;
            left = left.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX));
            if next.is_empty() || left == 0 {
                return Ok(());
            }
            token = next;
        }
    }

    /// Shows one thing.
    pub(super) fn show<T: Named>(&mut self, thing: Option<&T>, columns: &[&[Column<T>]]) -> Result<(), Failure> {
        let thing = thing.ok_or_else(|| Failure::Answer(format!("it holds no {}", T::NAME)))?;
        if self.screen.json {
            self.screen.json(thing)?;
        } else {
            self.screen.block(&rows(thing, columns))?;
        }
        self.screen.flush()
    }

    /// Shows what a change made of a thing, and what people gained and lost by it.
    pub(super) fn changed<A: Named, T: Named>(
        &mut self,
        answer: &A,
        thing: Option<&T>,
        columns: &[&[Column<T>]],
        effects: &[Effect],
        rehearsal: Rehearsal,
    ) -> Result<(), Failure> {
        let mut rows = thing.map(|thing| rows(thing, columns)).unwrap_or_default();
        for effect in effects {
            rows.push(("gained", words::<proto::Permission>(&effect.gained)));
            rows.push(("lost", words::<proto::Permission>(&effect.lost)));
        }
        self.done(answer, &rows, rehearsal)
    }

    /// Shows what a change of somebody's login or mark made of them, and what they gained or lost by it: where they are a member, and everything
    /// in a number of other accounts.
    pub(super) fn changed_login<A: Named>(
        &mut self,
        answer: &A,
        user: Option<&User>,
        effects: &[Effect],
        everything: (&'static str, i64),
        rehearsal: Rehearsal,
    ) -> Result<(), Failure> {
        let mut rows = user.map(|user| rows(user, &[user::COLUMNS])).unwrap_or_default();
        for Effect { gained, lost, account, .. } in effects {
            for (heading, permissions) in [("gained", gained), ("lost", lost)] {
                if !permissions.is_empty() {
                    rows.push((heading, format!("{} in {account}", words::<proto::Permission>(permissions))));
                }
            }
        }
        match everything {
            (_, 0) => {}
            (heading, 1) => rows.push((heading, "everything in 1 other account".to_owned())),
            (heading, others) => rows.push((heading, format!("everything in {others} other accounts"))),
        }
        self.done(answer, &rows, rehearsal)
    }

    fn done<A: Named>(&mut self, answer: &A, rows: &[(&str, String)], rehearsal: Rehearsal) -> Result<(), Failure> {
        if self.screen.json {
            self.screen.json(answer)?;
        } else {
            self.screen.block(rows)?;
        }
        self.screen.flush()?;
        rehearsal.remark();
        Ok(())
    }

    /// Ends the work with the server.
    pub(super) async fn close(mut self) {
        if let Some(offline) = self.server.offline.take() {
            offline.close(&self.server).await;
        }
    }
}

fn rows<T>(thing: &T, columns: &[&[Column<T>]]) -> Vec<(&'static str, String)> {
    columns.iter().flat_map(|columns| columns.iter()).map(|(heading, cell)| (*heading, cell(thing))).collect()
}
