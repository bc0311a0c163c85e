//! How mail leaves: one transport, with its settings.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::settings::{Reader, Settings};
use crate::domain::language::Language;
use crate::ownership;

/// How mail leaves.
#[derive(Clone)]
pub struct MailConfig {
    /// The sender's mailbox, such as `Circonus Inside <noreply@acme.example>`. Parses as lettre's `Mailbox`.
    pub from: String,
    /// Where answers go, in place of the sender.
    pub reply_to: Option<String>,
    /// A directory of templates that stand in for the program's own.
    pub templates: Option<PathBuf>,
    /// The language of the mails; English for want of it. What there is no translation of stays English.
    pub language: Option<Language>,
    /// Mails that are handed over at once. Bounds what the relay sees of the service.
    pub concurrent: usize,
    /// Where it goes.
    pub transport: MailTransport,
}

/// Where mail goes.
#[derive(Clone)]
pub enum MailTransport {
    /// Into files, one `.eml` each: for hosts without a relay and for trying out.
    Directory {
        /// Where the files are written; made with mode 0700 if missing.
        path: PathBuf,
    },
    /// To a relay.
    Smtp(SmtpSettings),
    /// To the host's own mail system, by its `sendmail` program.
    Sendmail(SendmailSettings),
}

impl MailTransport {
    /// Whether people get the mail: then it needs a sender that relays know and links that lead somewhere.
    #[must_use]
    pub const fn is_real(&self) -> bool {
        !matches!(self, Self::Directory { .. })
    }
}

/// The host's `sendmail` program. Postfix, Exim, `OpenSMTPD` and msmtp bring one too.
#[derive(Clone)]
pub struct SendmailSettings {
    /// Its absolute path.
    pub command: PathBuf,
    /// What it is given in front of `-i -f SENDER -- RECIPIENT`.
    pub arguments: Vec<String>,
    /// For one whole run; then it is killed.
    pub timeout: Duration,
}

/// A relay. Relays without login, without TLS or with a private authority are normal on-premise.
#[derive(Clone)]
pub struct SmtpSettings {
    /// Name or address; with TLS the certificate must be for it.
    pub host: String,
    /// 465, 587 or 25 by default, as the security goes.
    pub port: u16,
    /// What protects the connection.
    pub security: SmtpSecurity,
    /// User name and password, or no login. Never together with plaintext.
    pub credentials: Option<(String, SecretString)>,
    /// A PEM file of the authorities that count, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// For one whole send, from the connection on.
    pub timeout: Duration,
}

/// What protects the connection to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    ImplicitTls,
    /// TLS by STARTTLS, and no mail without it.
    StartTls,
    /// None.
    Plaintext,
}

impl SmtpSecurity {
    const fn port(self) -> u16 {
        match self {
            Self::ImplicitTls => 465,
            Self::StartTls => 587,
            Self::Plaintext => 25,
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Directory,
    Smtp,
    Sendmail,
}

impl MailConfig {
    pub(super) fn take(settings: &mut Settings, data_dir: &Path) -> Self {
        let kinds = [("directory", Kind::Directory), ("smtp", Kind::Smtp), ("sendmail", Kind::Sendmail)];
        let kind = settings.choice_or("mail.transport", &kinds);
        for (word, prefix, chosen) in [
            ("directory", "mail.directory.", matches!(kind, Kind::Directory)),
            ("smtp", "mail.smtp.", matches!(kind, Kind::Smtp)),
            ("sendmail", "mail.sendmail.", matches!(kind, Kind::Sendmail)),
        ] {
            if !chosen {
                settings.refuse(prefix, &format!("has no effect unless mail.transport = \"{word}\""));
            }
        }
        let transport = match kind {
            Kind::Directory => MailTransport::Directory { path: settings.path_or("mail.directory.path", data_dir.join("mail")) },
            Kind::Smtp => MailTransport::Smtp(SmtpSettings::take(settings, data_dir)),
            Kind::Sendmail => MailTransport::Sendmail(SendmailSettings::take(settings)),
        };
        let given = settings.text("mail.from");
        if given.is_none() && transport.is_real() {
            settings.violation("mail.from", "is needed when mail is sent: relays refuse senders that they don't know");
        }
        let from = given.unwrap_or_else(|| settings.default_of("mail.from", "Circonus Inside <noreply@localhost>".to_owned()));
        let reply_to = settings.text("mail.reply_to");
        for (key, written) in [("mail.from", Some(&from)), ("mail.reply_to", reply_to.as_ref())] {
            if written.is_some_and(|written| written.parse::<lettre::message::Mailbox>().is_err()) {
                settings.violation(key, "must be a mailbox such as Circonus Inside <noreply@acme.example>");
            }
        }
        Self {
            from,
            reply_to,
            templates: settings.path("mail.templates"),
            language: settings.parsed("mail.language"),
            concurrent: settings.whole("mail.concurrent", 4, 1..=64),
            transport,
        }
    }
}

impl SendmailSettings {
    fn take(settings: &mut Settings) -> Self {
        let command = settings.path_or("mail.sendmail.command", PathBuf::from("/usr/sbin/sendmail"));
        if !command.is_absolute() {
            settings.violation("mail.sendmail.command", "must be an absolute path");
        }
        Self {
            command,
            arguments: settings.list("mail.sendmail.arguments", Vec::new()),
            timeout: settings.seconds("mail.sendmail.timeout_seconds", 60),
        }
    }
}

impl SmtpSettings {
    fn take(settings: &mut Settings, data_dir: &Path) -> Self {
        let host = settings.text("mail.smtp.host").unwrap_or_default();
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
            settings.violation("mail.smtp.host", "must be the relay's name or address");
        }
        let security = settings.choice_or(
            "mail.smtp.security",
            &[
                ("starttls", SmtpSecurity::StartTls),
                ("implicit-tls", SmtpSecurity::ImplicitTls),
                ("plaintext", SmtpSecurity::Plaintext),
            ],
        );
        let credentials = take_credentials(settings, data_dir);
        if credentials.is_some() && security == SmtpSecurity::Plaintext {
            settings.violation("mail.smtp.security", "must not be plaintext together with a password");
        }
        Self {
            host,
            port: settings.whole("mail.smtp.port", security.port(), 1..=u16::MAX),
            security,
            credentials,
            ca_file: settings.path("mail.smtp.ca_file"),
            timeout: settings.seconds("mail.smtp.timeout_seconds", 30),
        }
    }
}

fn take_credentials(settings: &mut Settings, data_dir: &Path) -> Option<(String, SecretString)> {
    let username = settings.text("mail.smtp.username");
    let password = settings.secret("mail.smtp.password");
    let file = settings.path("mail.smtp.password_file");
    if password.is_some() && file.is_some() {
        settings.violation("mail.smtp.password_file", "must not be set together with mail.smtp.password");
    }
    let set = password.is_some() || file.is_some();
    let mut owners = ownership::trusted_by(data_dir);
    if settings.reader == Reader::Owner {
        owners.extend(ownership::own_or_root());
    }
    let password = password.or_else(|| read_password(settings, &file?, &owners));
    match (username, set) {
        (None, false) => None,
        (Some(username), true) => password.map(|password| (username, password)),
        (Some(_), false) => {
            settings.violation("mail.smtp.username", "needs mail.smtp.password or mail.smtp.password_file");
            None
        }
        (None, true) => {
            settings.violation("mail.smtp.username", "is needed together with a password");
            None
        }
    }
}

/// No password is longer, and whatever else the file may be is read no further.
const LONGEST_PASSWORD: u64 = 4096;

/// Reads the file without the line's end that editors leave.
fn read_password(settings: &mut Settings, file: &Path, owners: &[u32]) -> Option<SecretString> {
    let mut text = String::new();
    let mut flaw = None;
    let read = ownership::open_file(file).and_then(|file| {
        flaw = ownership::check_secret(&file, owners).err();
        file.take(LONGEST_PASSWORD + 1).read_to_string(&mut text)
    });
    let text = SecretString::from(text);
    let what = match read {
        Ok(_) if let Some(flaw) = &flaw => format!("{} {flaw}", file.display()),
        Ok(length) if length as u64 > LONGEST_PASSWORD => format!("must be a file of at most {LONGEST_PASSWORD} bytes"),
        Ok(_) => match text.expose_secret().trim_end_matches(['\r', '\n']) {
            "" => "is an empty file".to_owned(),
            password if password.contains(char::is_control) => {
                "must be a file of one line, without control characters".to_owned()
            }
            password => return Some(SecretString::from(password)),
        },
        Err(error) => format!("{} can't be read: {error}", file.display()),
    };
    settings.violation("mail.smtp.password_file", &what);
    None
}
