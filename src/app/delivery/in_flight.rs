//! The mails that are being handed over at this moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::id::{AddressId, MailId};
use crate::store::mails::Mail;

/// The mails on their way, by the addresses that they go to.
///
/// One conversation for each address: a recipient on whom the relay falls silent takes one place among those at once, however many
/// mails they are owed, and no mail is handed over twice at once, even if a clock that is set ahead ends its lease early.
#[derive(Default)]
pub(crate) struct InFlight {
    mails: Mutex<BTreeMap<AddressId, MailId>>,
}

/// A mail on its way: its address is free again when this is dropped, also by a panic.
pub(super) struct Flight {
    pub(super) mail: Mail,
    among: Arc<InFlight>,
}

impl InFlight {
    /// The addresses that no other mail may go to now.
    pub(super) fn addresses(&self) -> BTreeSet<AddressId> {
        self.lock().keys().copied().collect()
    }

    /// The mails themselves.
    pub(super) fn mails(&self) -> BTreeSet<MailId> {
        self.lock().values().copied().collect()
    }

    /// Takes up a mail that was taken from the outbox.
    pub(super) fn take_up(self: &Arc<Self>, mail: Mail) -> Flight {
        self.lock().insert(mail.address, mail.id);
        Flight { mail, among: Arc::clone(self) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AddressId, MailId>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.among.lock().remove(&self.mail.address);
    }
}
