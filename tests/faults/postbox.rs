//! What the relay took, by recipient.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::smtp_sink::{Message, SmtpSink};

/// The mails of everybody.
#[derive(Clone)]
pub(crate) struct Postbox {
    relay: Arc<SmtpSink>,
    sorted: Arc<Mutex<Sorted>>,
}

#[derive(Default)]
struct Sorted {
    seen: usize,
    /// The tokens that came to an address, with the subject of each one's mail.
    tokens: BTreeMap<String, Vec<(String, String)>>,
}

impl Postbox {
    pub(crate) fn new(relay: &Arc<SmtpSink>) -> Self {
        Self { relay: Arc::clone(relay), sorted: Arc::default() }
    }

    /// The token of the newest mail to an address whose subject begins like one of these.
    pub(crate) fn token(&self, address: &str, subjects: &[&str]) -> Option<String> {
        let mut sorted = self.sorted.lock().unwrap_or_else(PoisonError::into_inner);
        for message in self.relay.messages_from(sorted.seen) {
            sorted.seen += 1;
            let subject = message.header("Subject").unwrap_or_default();
            for token in message.tokens() {
                let to = message.to.first().cloned().unwrap_or_default();
                sorted.tokens.entry(to).or_default().push((subject.clone(), token));
            }
        }
        let tokens = sorted.tokens.get(address)?;
        let fits = |(subject, _): &&(String, String)| subjects.iter().any(|beginning| subject.starts_with(beginning));
        tokens.iter().rev().find(fits).map(|(_, token)| token.clone())
    }

    /// Everything that was taken, in order.
    pub(crate) fn everything(&self) -> Vec<Message> {
        self.relay.messages()
    }
}
