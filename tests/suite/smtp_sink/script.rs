//! What a relay for tests says, and where.

use std::time::Duration;

/// Where in a conversation an answer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Right after the connection, before the client says anything.
    Greeting,
    /// After the credentials.
    Auth,
    /// After `MAIL FROM`.
    Mail,
    /// After `RCPT TO`.
    Rcpt,
    /// After `DATA`, before the message.
    Data,
    /// After the message.
    Content,
    /// After `QUIT`.
    Quit,
}

/// What the sink does where the script says something.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Says this line; a code of 4xx or 5xx refuses.
    Say(String),
    /// Says nothing and keeps the connection open.
    Silence,
    /// Says this line once [`SmtpSink::release`] is called: a relay that is slow.
    Hold(String),
    /// Says this line after a while.
    Late(Duration, &'static str),
    /// Closes the connection. At [`At::Content`] the message was taken.
    Drop,
}

/// What departs from a relay that takes everything. Later entries win.
#[derive(Clone, Default)]
pub(crate) struct Script {
    answers: Vec<Scripted>,
    pub(super) offers_auth: bool,
    pub(super) takes_anyway: bool,
}

#[derive(Clone)]
struct Scripted {
    at: At,
    recipient: Option<String>,
    answer: Answer,
}

impl Script {
    /// A relay that takes everything and asks for no credentials.
    pub(crate) fn accepting() -> Self {
        Self::default()
    }

    /// Answers so at that point.
    pub(crate) fn at(mut self, at: At, answer: Answer) -> Self {
        self.answers.push(Scripted { at, recipient: None, answer });
        self
    }

    /// Answers so at that point in conversations about this recipient alone.
    pub(crate) fn about(mut self, recipient: &str, at: At, answer: Answer) -> Self {
        self.answers.push(Scripted { at, recipient: Some(recipient.to_owned()), answer });
        self
    }

    /// Takes every message, whatever is said to it: a relay that lies, or dies behind its word.
    pub(crate) fn taking_anyway(mut self) -> Self {
        self.takes_anyway = true;
        self
    }

    /// Says this line at that point.
    pub(crate) fn say(self, at: At, line: &str) -> Self {
        self.at(at, Answer::Say(line.to_owned()))
    }

    /// Offers AUTH PLAIN.
    pub(crate) fn offering_auth(mut self) -> Self {
        self.offers_auth = true;
        self
    }

    pub(super) fn answer(&self, at: At, to: &[String]) -> Answer {
        let fits = |scripted: &&Scripted| scripted.at == at && scripted.recipient.as_ref().is_none_or(|about| to.contains(about));
        if let Some(scripted) = self.answers.iter().rev().find(fits) {
            return scripted.answer.clone();
        }
        let usual = match at {
            At::Greeting => "220 sink.test ESMTP",
            At::Auth => "235 2.7.0 welcome",
            At::Mail | At::Rcpt => "250 2.1.0 ok",
            At::Data => "354 go ahead",
            At::Content => "250 2.0.0 taken",
            At::Quit => "221 2.0.0 bye",
        };
        Answer::Say(usual.to_owned())
    }
}
