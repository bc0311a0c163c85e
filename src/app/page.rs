//! Pages of lists: keyset, with tokens bound to their query.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::domain::error::Error;

/// Entries of a page when the caller doesn't say.
const DEFAULT: i64 = 100;

/// Entries of a page at most.
const MOST: i64 = 1000;

/// How many entries a page may have: 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(i64);

impl PageSize {
    /// As a number of rows.
    #[must_use]
    pub const fn rows(self) -> i64 {
        self.0
    }

    /// Takes what a caller asked for: 0 is the default, more than the most is the most, less than 0 is none.
    #[must_use]
    pub fn of(asked: i32) -> Option<Self> {
        match i64::from(asked) {
            ..0 => None,
            0 => Some(Self(DEFAULT)),
            asked => Some(Self(asked.min(MOST))),
        }
    }
}

/// What page a caller asks for.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// How many entries.
    pub size: PageSize,
    /// The token that the page before answered; empty for the first page.
    pub token: String,
}

/// One page.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// Its entries.
    pub entries: Vec<T>,
    /// The token of the page after it; empty on the last.
    pub next: String,
}

impl<T> Page<T> {
    /// The same page of something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { entries: self.entries.into_iter().map(change).collect(), next: self.next }
    }
}

/// A query whose pages are asked for: what a token must belong to.
pub struct Query(Sha256);

impl Query {
    /// The query of a list.
    #[must_use]
    pub fn of(list: &str) -> Self {
        Self(Sha256::new().chain_update(list))
    }

    /// The query with one more thing that it depends on, of fixed length.
    #[must_use]
    pub fn with(self, part: &[u8]) -> Self {
        Self(self.0.chain_update(part))
    }

    /// The query with one more thing that it depends on, of any length.
    #[must_use]
    pub fn with_text(self, part: &str) -> Self {
        self.with(&(part.len() as u64).to_be_bytes()).with(part.as_bytes())
    }

    /// The query with one more choice that it depends on, which may be left open.
    #[must_use]
    pub fn with_choice(self, part: Option<bool>) -> Self {
        self.with(&[part.map_or(2, u8::from)])
    }

    /// What a key's token carries to be told from those of other queries and from bent ones. No secret is in it: the query says itself what may be
    /// read, wherever it begins.
    fn mark(&self, key: &[u8]) -> [u8; 8] {
        let query = self.0.clone().finalize();
        let digest = <[u8; 32]>::from(Sha256::new().chain_update(query).chain_update(key).finalize());
        std::array::from_fn(|position| digest.get(position).copied().unwrap_or_default())
    }

    /// The key after which the asked page begins; none for the first.
    pub fn after<const N: usize>(&self, request: &PageRequest) -> Result<Option<[u8; N]>, Error> {
        self.after_text(request)?.map(|key| key.try_into().map_err(|_| Error::PageTokenInvalid)).transpose()
    }

    /// The same, for keys of any length.
    pub fn after_text(&self, request: &PageRequest) -> Result<Option<Vec<u8>>, Error> {
        if request.token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(&request.token).map_err(|_| Error::PageTokenInvalid)?;
        let (mark, key) = bytes.split_at_checked(8).ok_or(Error::PageTokenInvalid)?;
        if mark == self.mark(key) { Ok(Some(key.to_vec())) } else { Err(Error::PageTokenInvalid) }
    }

    /// From where on the asked page reads what is ordered by texts with a prefix: the first one that has it, or the one after the token's.
    pub fn from_text(&self, request: &PageRequest, first: &str) -> Result<String, Error> {
        let Some(after) = self.after_text(request)? else { return Ok(first.to_owned()) };
        let after = String::from_utf8(after).map_err(|_| Error::PageTokenInvalid)?;
        // no text stands between one and the same with a NUL behind it
        Ok(after + "\0")
    }

    /// The token of the page that begins after a key.
    #[must_use]
    pub fn token(&self, key: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([&self.mark(key)[..], key].concat())
    }

    /// How many entries to read: one more than the page has, to know whether there is another.
    #[must_use]
    pub const fn limit(request: &PageRequest) -> i64 {
        request.size.0 + 1
    }

    /// Makes the page of what was read, by the key of its last entry.
    pub fn page<T>(&self, request: &PageRequest, mut entries: Vec<T>, key: impl Fn(&T) -> Vec<u8>) -> Page<T> {
        let size = usize::try_from(request.size.0).unwrap_or(usize::MAX);
        let more = entries.len() > size;
        entries.truncate(size);
        let last = entries.last().filter(|_| more);
        let next = last.map(|last| self.token(&key(last))).unwrap_or_default();
        Page { entries, next }
    }
}

/// A page that is looked for: some of what its list asks for is known of an entry only once it was read.
///
/// It is full, or at the end, or has looked at as many entries as the longest page has. So it never costs more than that one, and may
/// be short, or empty, with another behind it.
pub struct Search<'a, T> {
    query: &'a Query,
    size: usize,
    kept: Vec<T>,
    looked: usize,
    asked: usize,
    last: Vec<u8>,
    more: bool,
    ended: bool,
}

impl<'a, T> Search<'a, T> {
    /// Begins with an empty page.
    #[must_use]
    pub fn new(query: &'a Query, request: &PageRequest) -> Self {
        let size = usize::try_from(request.size.0).unwrap_or(usize::MAX);
        Self { query, size, kept: Vec::new(), looked: 0, asked: 0, last: Vec::new(), more: false, ended: false }
    }

    /// How many entries to read next, behind the last that was taken; none when it is done. Each time twice as many as before, so that what
    /// is rare is found in few steps.
    pub fn wants(&mut self) -> Option<i64> {
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        if self.ended || self.kept.len() == self.size || self.looked >= most {
            return None;
        }
        self.asked = if self.asked == 0 { self.size + 1 } else { (self.asked * 2).min(most - self.looked) };
        i64::try_from(self.asked).ok()
    }

    /// Takes what was read, with the key of each entry, and keeps what matches.
    pub fn take(&mut self, read: impl ExactSizeIterator<Item = (Vec<u8>, T)>, matches: impl Fn(&T) -> bool) {
        self.ended = read.len() < self.asked;
        for (key, entry) in read {
            if self.kept.len() < self.size {
                self.looked += 1;
                self.last = key;
                if matches(&entry) {
                    self.kept.push(entry);
                }
            } else if matches(&entry) {
                self.more = true;
                return;
            }
        }
    }

    /// The page. The one behind it begins after the last entry that was looked at.
    #[must_use]
    pub fn page(self) -> Page<T> {
        let over = self.ended && !self.more;
        let next = if over { String::new() } else { self.query.token(&self.last) };
        Page { entries: self.kept, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(token: &str) -> PageRequest {
        PageRequest { size: PageSize::of(2).expect("positive"), token: token.to_owned() }
    }

    #[test]
    fn a_size_is_defaulted_coerced_or_refused() {
        assert_eq!(PageSize::of(0), Some(PageSize(100)));
        assert_eq!(PageSize::of(5000), Some(PageSize(1000)));
        assert_eq!(PageSize::of(-1), None);
    }

    #[test]
    fn a_token_is_good_for_its_query_alone() {
        let query = || Query::of("members").with(&[1; 16]);
        let page = query().page(&request(""), vec![1_u8, 2, 3], |entry| vec![*entry; 4]);
        assert_eq!(page.entries, [1, 2]);
        assert_eq!(query().after::<4>(&request(&page.next)).ok(), Some(Some([2; 4])));
        assert!(Query::of("members").with(&[2; 16]).after::<4>(&request(&page.next)).is_err());
        assert!(query().after::<5>(&request(&page.next)).is_err());
        for at in 0..page.next.len() {
            let mut bent = page.next.clone();
            bent.replace_range(at..=at, if &bent[at..=at] == "A" { "B" } else { "A" });
            assert!(query().after::<4>(&request(&bent)).is_err(), "{bent} for {}", page.next);
        }
        assert_eq!(query().page(&request(""), vec![1_u8, 2], |_| Vec::new()).next, "", "the last page has no next");
    }

    #[test]
    fn a_search_ends_full_or_at_the_end_or_when_it_has_looked_at_enough() {
        let search = |there: u32, matches: fn(&u32) -> bool| {
            let query = Query::of("numbers");
            let (mut search, mut steps) = (Search::new(&query, &request("")), 0);
            let mut at = 0;
            while let Some(limit) = search.wants() {
                let until = there.min(at + u32::try_from(limit).expect("few"));
                search.take((at..until).map(|number| (number.to_be_bytes().to_vec(), number)), matches);
                (at, steps) = (until, steps + 1);
            }
            let page = search.page();
            let next = request(&page.next);
            (page.entries, query.after::<4>(&next).expect("its own token").map(u32::from_be_bytes), steps)
        };
        assert_eq!(search(2, |_| true), (vec![0, 1], None, 1), "full, and the end is known");
        assert_eq!(search(3, |_| true), (vec![0, 1], Some(1), 1));
        assert_eq!(search(100, |number| number % 10 == 9), (vec![9, 19], Some(19), 3));
        assert_eq!(search(100, |number| *number == 99), (vec![99], None, 6), "not full, and there is no more");
        assert_eq!(search(5000, |number| *number == 4999), (vec![], Some(999), 9), "empty, and there is more");
    }

    proptest! {
        #[test]
        fn whatever_is_sent_as_a_page_token_is_read_or_refused(token in "\\PC{0,60}") {
            let _ = Query::of("members").after::<16>(&request(&token));
        }
    }
}
