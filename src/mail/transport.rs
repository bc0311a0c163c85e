//! The ways that mail leaves the house, and what can be learnt when one fails.

mod directory;
mod sendmail;
mod smtp;
mod stream;

use std::path::PathBuf;
use std::time::Duration;

use self::directory::Directory;
use self::sendmail::Sendmail;
use self::smtp::Relay;
use super::renderer::Rendered;
use crate::config::mail::MailTransport;
use crate::ownership::{self, Flaw};

/// The configured way out.
pub struct Transport {
    way: Way,
}

enum Way {
    Directory(Directory),
    Relay(Box<Relay>),
    Program(Sendmail),
}

/// Why a way out can't be opened: the configuration is at fault.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory can't be made or isn't one.
    #[error("the mail directory {} can't be used", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory isn't safe to keep links in.
    #[error("the mail directory {} {flaw}", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The program that mail is handed to isn't one.
    #[error("the program {} can't be run", path.display())]
    Command {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others could decide whom mail is handed to.
    #[error("{} {flaw}", path.display())]
    Untrusted {
        /// The program, or the CA file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The CA file can't be read.
    #[error("the CA file {} can't be read", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The CA file has no certificate, or a damaged one.
    #[error("the CA file {} must hold at least one PEM certificate, and no damaged one", .0.display())]
    CaCertificates(PathBuf),
    /// TLS can't be prepared.
    #[error("TLS for the relay can't be prepared")]
    Tls(#[source] lettre::transport::smtp::Error),
    /// A password would cross a network in the clear.
    #[error("credentials take TLS or STARTTLS, unless the relay is on this host")]
    CredentialsInTheClear,
}

/// Why a mail wasn't taken. The texts are one line of at most 200 characters, fit to be stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFault {
    /// The relay refused this recipient or this content for good: trying again is pointless. Holds its reply.
    #[error("refused: {0}")]
    Refused(String),
    /// The relay wants this message again later, or its reply leaves open whether it took it. Holds its reply.
    #[error("deferred: {0}")]
    Deferred(String),
    /// No fault of the message: the network, TLS, the credentials, a silent or overloaded relay, a full disk. Every mail would
    /// meet it. When the way broke after the content was handed over, the relay may have taken the message all the same.
    #[error("{0}")]
    Deployment(String),
}

impl Transport {
    /// Opens the way: makes the directory, reads the certificates, which have to belong to one of these users, or looks for the program, which
    /// whoever runs this runs. Hands nothing over.
    pub fn open(config: &MailTransport, owners: &[u32]) -> Result<Self, OpenError> {
        let way = match config {
            MailTransport::Directory { path } => Way::Directory(Directory::open(path)?),
            MailTransport::Smtp(settings) => Way::Relay(Box::new(Relay::open(settings, owners)?)),
            MailTransport::Sendmail(settings) => Way::Program(Sendmail::open(settings, &ownership::own_or_root())?),
        };
        Ok(Self { way })
    }

    /// Says whether the way can be opened by the first of these users, without making a directory: one that is there has to be theirs, and what says
    /// whom mail is handed to, one of theirs.
    pub fn check(config: &MailTransport, owners: &[u32]) -> Result<(), OpenError> {
        match config {
            MailTransport::Directory { path } => {
                let judged = match std::fs::symlink_metadata(path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => ownership::check_place(path),
                    _ => ownership::check_directory(path, owners.get(..1).unwrap_or_default()).map(drop),
                };
                judged.map_err(|flaw| OpenError::Unsafe { path: path.clone(), flaw })
            }
            MailTransport::Smtp(_) => Self::open(config, owners).map(drop),
            MailTransport::Sendmail(settings) => Sendmail::open(settings, owners).map(drop),
        }
    }

    /// The longest that handing one mail over can take.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        match &self.way {
            // a disk has no deadline; what takes longer than this is a fault that somebody has to look at
            Way::Directory(_) => Duration::from_mins(1),
            Way::Relay(relay) => relay.longest(),
            Way::Program(program) => program.longest(),
        }
    }

    /// Hands a mail over; answers the relay's last reply, what the program said, or the file's name, as one line.
    ///
    /// A caller that gives up half-way doesn't know
    /// whether the mail went.
    pub async fn send(&self, mail: &Rendered) -> Result<String, SendFault> {
        match &self.way {
            Way::Directory(directory) => directory.write(mail).await,
            Way::Relay(relay) => relay.send(mail).await,
            Way::Program(program) => program.send(mail).await,
        }
    }
}

impl Transport {
    /// Deletes what this way keeps of a mail on this host; what a relay took is out of reach.
    pub fn erase(&self, message_id: &str) -> std::io::Result<()> {
        match &self.way {
            Way::Directory(directory) => directory.erase(message_id),
            Way::Relay(_) | Way::Program(_) => Ok(()),
        }
    }
}

/// What a relay or the system said, as one line of at most 200 characters without control characters.
///
/// A content filter may quote the line that it refuses: runs as long as a link's token (71 characters) are cut out.
fn one_line(text: &str) -> String {
    const LONGEST_RUN: usize = 64;
    let mut line = String::new();
    let parts = |c: char| c.is_whitespace() || c.is_control() || turns_direction(c);
    for word in text.split(parts).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        for piece in word.split_inclusive(|c: char| !is_base64url(c)) {
            let run = piece.trim_end_matches(|c: char| !is_base64url(c));
            let (kept, rest) =
                if run.len() > LONGEST_RUN { ("[…]", piece.trim_start_matches(is_base64url)) } else { (piece, "") };
            line.push_str(kept);
            line.push_str(rest);
        }
    }
    line.chars().take(200).collect()
}

fn is_base64url(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_becomes_one_short_line() {
        assert_eq!(one_line("550 5.1.1\r\n no such\tuser\u{7}\u{202e} here "), "550 5.1.1 no such user here");
        assert_eq!(one_line(&"very long ".repeat(100)).chars().count(), 200);
        assert_eq!(one_line(""), "");
    }

    #[test]
    fn a_reply_that_quotes_the_link_does_not_keep_the_token() {
        let token = "AQAAAAE".repeat(11);
        let quoted = format!("554 5.7.1 <https://site.test/confirm#token={token}> is listed");
        assert_eq!(one_line(&quoted), "554 5.7.1 <https://site.test/confirm#token=[…]> is listed");
        assert_eq!(one_line(&token), "[…]");
    }
}
