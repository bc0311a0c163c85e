//! Lists of an account's invitations.

use super::Shown;
use crate::app::App;
use crate::app::admission::Admitted;
use crate::app::page::{Page, PageRequest, Query, Search};
use crate::domain::email::EmailPrefix;
use crate::domain::error::Error;
use crate::domain::id::{AccountId, InvitationId};
use crate::domain::invitation::{State, Stored};
use crate::store::invitations::{self, Which};

/// Which invitations to list: a bit for each code.
#[derive(Clone, Debug)]
pub struct Filter {
    /// In one of these states; none for "Invited Users", the pending and expired.
    pub states: u8,
    /// Whose newest mail has come this far; none for all.
    pub deliveries: u8,
    /// Whether something holds them.
    pub held: Option<bool>,
    /// The beginning of the address.
    pub prefix: Option<EmailPrefix>,
}

/// The bits of the two states that are unanswered.
const UNANSWERED: u8 = 1 << State::Pending as u8 | 1 << State::Expired as u8;

impl Filter {
    /// What of it is stored. Whether one has expired and what holds it is known once it was read.
    const fn stored(&self) -> Which {
        let pending = if self.states & UNANSWERED == 0 { 0 } else { 1 << Stored::Pending as u8 };
        Which { states: self.states & !UNANSWERED | pending, deliveries: self.deliveries }
    }

    fn holds(&self, shown: &Shown) -> bool {
        self.states & (1 << shown.state as u8) != 0 && self.held.is_none_or(|held| held == shown.held.is_some())
    }
}

impl App {
    /// Lists an account's invitations, newest first, or, where a prefix is given, in the order of their addresses.
    pub async fn invitations(&self, reader: &Admitted, filter: Filter, page: &PageRequest) -> Result<Page<Shown>, Error> {
        const LAST: [u8; 16] = [0xff; 16];
        let account = reader.account()?;
        let filter = if filter.states == 0 { Filter { states: UNANSWERED, ..filter } } else { filter };
        let query = Query::of("invitations").with(account.as_bytes()).with(&[filter.states, filter.deliveries]);
        let query = query.with_choice(filter.held);
        if let Some(prefix) = &filter.prefix {
            let query = query.with_text(prefix.first());
            return self.invitations_by_address(account, &filter, prefix, query, page).await;
        }
        let mut before = InvitationId::from_bytes(query.after(page)?.unwrap_or(LAST));
        let mut connection = self.store.read().await?;
        let mut search = Search::new(&query, page);
        while let Some(limit) = search.wants() {
            let found = if filter.states == UNANSWERED && filter.deliveries == 0 {
                invitations::page_unanswered(&mut connection, account, before, limit).await?
            } else {
                invitations::page(&mut connection, account, filter.stored(), before, limit).await?
            };
            before = found.last().map_or(before, |last| last.id);
            let shown = found.into_iter().map(|invitation| (invitation.id.as_bytes().to_vec(), self.show(invitation)));
            search.take(shown, |shown| filter.holds(shown));
        }
        Ok(search.page())
    }

    async fn invitations_by_address(
        &self,
        account: AccountId,
        filter: &Filter,
        prefix: &EmailPrefix,
        query: Query,
        page: &PageRequest,
    ) -> Result<Page<Shown>, Error> {
        // an id of no bytes is before every other, so that the first text with the prefix is taken too
        let mut after = match query.after_text(page)? {
            None => (prefix.first().to_owned(), Vec::new()),
            Some(mut key) => {
                let id = key.split_off(key.len().checked_sub(16).ok_or(Error::PageTokenInvalid)?);
                (String::from_utf8(key).map_err(|_| Error::PageTokenInvalid)?, id)
            }
        };
        let (which, end) = (filter.stored(), prefix.end());
        let mut connection = self.store.read().await?;
        let mut search = Search::new(&query, page);
        while let Some(limit) = search.wants() {
            let found = invitations::page_by_address(&mut connection, account, which, (&after.0, &after.1), &end, limit).await?;
            if let Some((folded, last)) = found.last() {
                after = (folded.clone(), last.id.as_bytes().to_vec());
            }
            let shown = found.into_iter().map(|(folded, invitation)| {
                let key = [folded.as_bytes(), &invitation.id.as_bytes()[..]].concat();
                (key, self.show(invitation))
            });
            search.take(shown, |shown| filter.holds(shown));
        }
        Ok(search.page())
    }
}
