//! The mails that are owed.

use std::collections::{BTreeMap, BTreeSet};

use user_management::proto::MailKind;

/// How many mails of a kind an address has to get.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Owed {
    /// Asked for and answered.
    pub(crate) sure: usize,
    /// Asked for without an answer, so that there may be one more each.
    pub(crate) perhaps: usize,
    /// Of all of these, those that needn't go any more if they hadn't gone yet.
    pub(crate) droppable: usize,
}

/// What is owed to whom.
#[derive(Default)]
pub(crate) struct Mails {
    pub(crate) owed: BTreeMap<(String, MailKind), Owed>,
    /// Addresses of people who were deleted: what was mailed to them is forgotten.
    pub(crate) erased: BTreeSet<String>,
}

impl Mails {
    pub(crate) fn owe(&mut self, to: &str, kind: MailKind) {
        self.of(to, kind).sure += 1;
    }

    /// A request that owes a mail had to be sent again.
    pub(crate) fn perhaps(&mut self, to: &str, kind: MailKind) {
        self.of(to, kind).perhaps += 1;
    }

    /// One mail less has to go.
    pub(crate) fn may_drop(&mut self, to: &str, kind: MailKind) {
        self.of(to, kind).droppable += 1;
    }

    /// None of what was asked for so far has to go.
    pub(crate) fn may_drop_all(&mut self, to: &str, kind: MailKind) {
        let owed = self.of(to, kind);
        owed.droppable = owed.sure + owed.perhaps;
    }

    /// Whether more than one mail of a kind may have been asked for.
    pub(crate) fn asked_often(&self, to: &str, kind: MailKind) -> bool {
        self.owed.get(&(to.to_owned(), kind)).is_some_and(|owed| owed.sure + owed.perhaps > 1)
    }

    fn of(&mut self, to: &str, kind: MailKind) -> &mut Owed {
        self.owed.entry((to.to_owned(), kind)).or_default()
    }
}
