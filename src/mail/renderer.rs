//! From a letter to the bytes that are sent.

use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, MultiPartKind, SinglePart};
use lettre::{Address, Message};
use secrecy::SecretString;

use super::letter::{ConfirmationLink, Letter, PasswordLink};
use super::templates::Templates;
use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::email::Email;
use crate::domain::name::{DisplayName, Timezone};
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;

/// Renders letters of one site from one sender.
///
/// Rendering is a function of its arguments: two attempts at one mail are the same bytes.
pub struct Renderer {
    templates: Templates,
    from: Mailbox,
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
    /// A template of the program is broken.
    #[error("a mail template is broken")]
    Template(#[source] RenderError),
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
    Template(#[from] minijinja::Error),
    /// The message couldn't be put together.
    #[error("the message can't be put together")]
    Message(#[from] lettre::error::Error),
}

impl Renderer {
    /// Takes the address of the site, which links begin with, and the sender; renders a sample of every letter, so that a template
    /// that is broken is found here.
    pub fn new(public_url: &str, from: &str) -> Result<Self, RendererError> {
        let site = site(public_url).ok_or_else(|| RendererError::PublicUrl(public_url.to_owned()))?;
        let sender = from.parse::<Mailbox>().ok().filter(|sender| sendable(sender, from));
        let sender = sender.ok_or_else(|| RendererError::From(from.to_owned()))?;
        let templates = Templates::parse(site).map_err(|fault| RendererError::Template(fault.into()))?;
        for letter in samples() {
            templates.words(&letter, "ann@acme.test").map_err(|fault| RendererError::Template(fault.into()))?;
        }
        Ok(Self { templates, from: sender })
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
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, recipient))
            .subject(letter.subject())
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
/// quoted-printable, which keeps the token intact on its own line: 71 characters, none of them `=`. Lines can't grow beyond the 998
/// bytes of RFC 5321: names have 80 characters, an address 254, a site's URL 512.
fn text_body(text: &str) -> Body {
    if text.is_ascii() {
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

/// No relay needs to be asked for SMTPUTF8, and the name is one line.
fn sendable(sender: &Mailbox, written: &str) -> bool {
    let address: &str = sender.email.as_ref();
    address.is_ascii() && !written.chars().any(char::is_control)
}

/// A mail's date can only be of the years 1970 to 9999.
fn system_time(time: Timestamp) -> SystemTime {
    const LAST: u64 = 253_402_300_799_000_000;
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(0).min(LAST))
}

/// Letters that together take every branch of the templates.
fn samples() -> Vec<Letter> {
    let link = ConfirmationLink {
        requested: Timestamp::from_micros(0),
        token: SecretString::from("sample"),
        expires: Timestamp::from_micros(1),
    };
    let invitation = |granted_by, roles, expires| {
        DisplayName::parse("Acme").map(|account| Letter::Invitation {
            edition: Edition::Inside,
            account,
            granted_by,
            privilege: Privilege::Normal,
            roles,
            expires,
            timezone: Timezone::utc(),
            token: SecretString::from("sample"),
        })
    };
    let ann = DisplayName::parse("Ann").ok();
    let invitations = [invitation(ann, RoleSet::ALL, Some(Timestamp::from_micros(1))), invitation(None, RoleSet::EMPTY, None)];
    let mut letters: Vec<Letter> = invitations.into_iter().flatten().collect();
    letters.push(Letter::Confirmation(link.clone()));
    letters.push(Letter::ConfirmationAgain(vec![link.clone()]));
    letters.push(Letter::ConfirmationAgain(vec![link.clone(), link]));
    letters.push(Letter::LoginExists);
    let password = PasswordLink { token: SecretString::from("sample"), expires: Timestamp::from_micros(1) };
    letters.push(Letter::PasswordReset(password.clone()));
    letters.push(Letter::SetPassword(password));
    letters.push(Letter::AddressChange { token: SecretString::from("sample"), expires: Timestamp::from_micros(1) });
    let at = Timestamp::from_micros(0);
    letters.push(Letter::PasswordChanged { at });
    letters.push(Letter::AddressChanged { at });
    letters.push(Letter::SuperAdminGranted { at });
    letters.push(Letter::SuperAdminRevoked { at });
    letters
}

#[cfg(test)]
mod tests;
