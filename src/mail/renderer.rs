//! From a letter to the bytes that are sent.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, MultiPartKind, SinglePart};
use lettre::{Address, Message};

use super::letter::Letter;
use super::templates::{TemplateError, Templates};
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::language::Language;

/// Renders letters of one site from one sender.
///
/// Rendering is a function of its arguments: two attempts at one mail are the same bytes.
pub struct Renderer {
    templates: Templates,
    from: Mailbox,
    reply_to: Option<Mailbox>,
}

/// What a site may say differently.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    /// Where answers go, in place of the sender.
    pub reply_to: Option<String>,
    /// Where the site's own templates are.
    pub templates: Option<PathBuf>,
    /// Whose those have to be: one of these users'.
    pub owners: Vec<u32>,
    /// The language of the mails; English for want of it.
    pub language: Option<Language>,
}

/// A mail as it is sent: seven-bit bytes with CRLF line ends, no line longer than 998.
pub struct Rendered {
    envelope: Envelope,
    message_id: String,
    bytes: Vec<u8>,
}

impl Rendered {
    /// Whom the relay is told that it is from and to.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Its Message-ID, without angle brackets.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// Headers and body. They hold the link's token: never log them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why no renderer can be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum RendererError {
    /// The site's address can't begin a link.
    #[error("the public URL {0:?} must be http:// or https:// and a host, at most 512 ASCII characters, without ? and #")]
    PublicUrl(String),
    /// The sender is none.
    #[error("the sender {0:?} must be an address, or a name followed by an address in <>, the address in ASCII")]
    From(String),
    /// Whoever is to get the answers can't.
    #[error("the address for replies {0:?} must be an address, or a name followed by an address in <>, the address in ASCII")]
    ReplyTo(String),
    /// A template can't be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Why a letter couldn't be rendered. Trying again doesn't help.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The Message-ID isn't `local@domain`, or has characters beyond letters, digits, `.`, `_` and `-`.
    #[error("the Message-ID {0:?} must be local@domain of letters, digits, '.', '_' and '-', at most 64 before the @")]
    MessageId(String),
    /// The letter brings links and has none.
    #[error("the letter has no link")]
    NoLink,
    /// The mail library can't send to the recipient.
    #[error("the recipient can't be written as a mailbox")]
    Recipient(#[source] lettre::address::AddressError),
    /// The template failed.
    #[error("the template failed")]
    Template(#[from] TemplateError),
    /// The message couldn't be put together.
    #[error("the message can't be put together")]
    Message(#[from] lettre::error::Error),
}

impl Renderer {
    /// Takes the address of the site, which links begin with, and the sender, with the program's own words.
    pub fn new(public_url: &str, from: &str) -> Result<Self, RendererError> {
        Self::with(public_url, from, Wording::default())
    }

    /// Takes the same and what the site says differently; renders a sample of every letter, so that a template that is broken is
    /// found here.
    pub fn with(public_url: &str, from: &str, wording: Wording) -> Result<Self, RendererError> {
        let site = site(public_url).ok_or_else(|| RendererError::PublicUrl(public_url.to_owned()))?;
        let sender = mailbox(from).ok_or_else(|| RendererError::From(from.to_owned()))?;
        let reply_to = match wording.reply_to {
            Some(written) => Some(mailbox(&written).ok_or(RendererError::ReplyTo(written))?),
            None => None,
        };
        let language = wording.language.unwrap_or_else(Language::english);
        let templates = Templates::load(&site, wording.templates.as_deref().map(|path| (path, &wording.owners[..])), language)?;
        Ok(Self { templates, from: sender, reply_to })
    }

    /// The sender's domain, for Message-IDs.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// Makes the mail that brings `letter` to `to`.
    ///
    /// `message_id`, without angle brackets, is what tells a mail from its repetition: pass the same with each attempt. `date` is when
    /// the mail was asked for, not when it is tried.
    pub fn render(&self, letter: &Letter, to: &Email, message_id: &str, date: Timestamp) -> Result<Rendered, RenderError> {
        let local = local_part(message_id).ok_or_else(|| RenderError::MessageId(message_id.to_owned()))?;
        if matches!(letter, Letter::ConfirmationAgain(links) if links.is_empty()) {
            return Err(RenderError::NoLink);
        }
        let mailbox = to.mailbox();
        let recipient: Address = mailbox.parse().map_err(RenderError::Recipient)?;
        let words = self.templates.words(letter, &mailbox)?;
        let mut message = Message::builder().from(self.from.clone());
        if let Some(reply_to) = &self.reply_to {
            message = message.reply_to(reply_to.clone());
        }
        let message = message
            .to(Mailbox::new(None, recipient))
            .subject(words.subject)
            .date(system_time(date))
            .message_id(Some(format!("<{message_id}>")))
            // RFC 3834: keeps holiday notes and ticket systems from answering
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(
                MultiPart::builder()
                    .kind(MultiPartKind::Alternative)
                    // lettre would draw another boundary for each attempt
                    .boundary(format!("part-{local}"))
                    .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text_body(&words.text)))
                    .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(quoted_printable(&words.html))),
            )?;
        Ok(Rendered { envelope: message.envelope().clone(), message_id: message_id.to_owned(), bytes: message.formatted() })
    }
}

/// A text that is ASCII stands in the mail as it is, so that link and token can be read in the raw file. Any other is
/// quoted-printable, which keeps the token intact on its own line: 71 characters, none of them `=`. So is one of a site's own templates
/// with a line beyond the 998 bytes of RFC 5321 or with control characters.
fn text_body(text: &str) -> Body {
    let plain = |line: &str| line.len() <= 998 && !line.contains(|c: char| c.is_control() && c != '\t');
    if text.is_ascii() && text.lines().all(plain) {
        let crlf = text.lines().flat_map(|line| [line, "\r\n"]).collect::<String>();
        Body::dangerous_pre_encoded(crlf.into_bytes(), ContentTransferEncoding::SevenBit)
    } else {
        quoted_printable(text)
    }
}

fn quoted_printable(text: &str) -> Body {
    // any text can be written so; the body that a refusal gives back is the text itself
    Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::QuotedPrintable)
        .unwrap_or_else(|text| Body::dangerous_pre_encoded(text, ContentTransferEncoding::Binary))
}

/// The part of a Message-ID before the `@`, if it may stand in a header, a boundary and a file name.
fn local_part(message_id: &str) -> Option<&str> {
    let plain = |text: &str, longest: usize| {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !text.is_empty() && text.len() <= longest && !text.starts_with('.') && text.bytes().all(safe)
    };
    let (local, domain) = message_id.split_once('@')?;
    (plain(local, 64) && plain(domain, 253)).then_some(local)
}

/// The public URL without slashes at its end.
fn site(public_url: &str) -> Option<String> {
    let uri: http::Uri = public_url.parse().ok()?;
    let web = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
    let plain = public_url.len() <= 512 && public_url.bytes().all(|byte| byte.is_ascii_graphic());
    (web && plain && !public_url.contains(['?', '#'])).then(|| public_url.trim_end_matches('/').to_owned())
}

/// A mailbox for which no relay needs to be asked for SMTPUTF8, and whose name is one line.
fn mailbox(written: &str) -> Option<Mailbox> {
    let mailbox: Mailbox = written.parse().ok()?;
    let address: &str = mailbox.email.as_ref();
    (address.is_ascii() && !written.chars().any(char::is_control)).then_some(mailbox)
}

/// A mail's date can only be of the years 1970 to 9999.
fn system_time(time: Timestamp) -> SystemTime {
    const LAST: u64 = 253_402_300_799_000_000;
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(0).min(LAST))
}

#[cfg(test)]
mod tests;
