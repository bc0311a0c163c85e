//! Mail over SMTP, one conversation per message.
//!
//! The commands are given one by one instead of through lettre's `send`, which doesn't say which of them failed: that alone tells a
//! refused message from a relay that would refuse every one.

use std::error::Error;
use std::fmt;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::{Response, Severity};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::stream::UnbufferedStream;
use super::{OpenError, SendFault, one_line};
use crate::config::mail::{SmtpSecurity, SmtpSettings};
use crate::mail::renderer::Rendered;
use crate::ownership;

/// How long the relay may take to answer QUIT.
const FAREWELL: Duration = Duration::from_secs(1);

/// A relay that takes our mail.
pub(super) struct Relay {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    hello: ClientId,
    timeout: Duration,
}

enum Security {
    ImplicitTls(TlsParameters),
    StartTls(TlsParameters),
    Plaintext,
}

/// How far a conversation has come.
#[derive(Clone, Copy)]
enum Phase {
    /// Name, connection, implicit TLS, greeting and EHLO.
    Connecting,
    StartingTls,
    Authenticating,
    Sender,
    Recipient,
    /// The DATA command.
    Announcement,
    /// The message itself: if this breaks off, it may have been taken.
    Content,
}

/// What ended a conversation early.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Connection(#[from] std::io::Error),
    #[error(transparent)]
    Conversation(#[from] lettre::transport::smtp::Error),
    /// A reply that goes with another command: which of them it meant can't be known, nor what any later one means.
    #[error("answered out of turn: {0}")]
    OutOfTurn(String),
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::StartingTls => "STARTTLS",
            Self::Authenticating => "AUTH",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Announcement => "DATA",
            Self::Content => "message",
        })
    }
}

impl Relay {
    pub(super) fn open(settings: &SmtpSettings, owners: &[u32]) -> Result<Self, OpenError> {
        let ca_file = settings.ca_file.as_deref();
        let security = match settings.security {
            SmtpSecurity::ImplicitTls => Security::ImplicitTls(tls(&settings.host, ca_file, owners)?),
            SmtpSecurity::StartTls => Security::StartTls(tls(&settings.host, ca_file, owners)?),
            SmtpSecurity::Plaintext if settings.credentials.is_some() && !is_this_host(&settings.host) => {
                return Err(OpenError::CredentialsInTheClear);
            }
            SmtpSecurity::Plaintext => Security::Plaintext,
        };
        let login = settings.credentials.as_ref();
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            security,
            credentials: login.map(|(user, password)| Credentials::new(user.clone(), password.expose_secret().to_owned())),
            hello: ClientId::default(),
            timeout: settings.timeout,
        })
    }

    /// The timeout and the farewell.
    pub(super) const fn longest(&self) -> Duration {
        self.timeout.saturating_add(FAREWELL)
    }

    /// Hands a mail over within the timeout.
    pub(super) async fn send(&self, mail: &Rendered) -> Result<String, SendFault> {
        let mut phase = Phase::Connecting;
        let mut connection = None;
        // lettre's own timeout covers the connect only
        let talk = timeout(self.timeout, async {
            let connection = connection.insert(self.connect(&mut phase).await?);
            deliver(connection, mail, &mut phase).await
        });
        let outcome = match talk.await {
            Ok(Ok(response)) => Ok(reply(&response)),
            Ok(Err(fault)) => Err(judge(phase, &fault)),
            Err(_) => {
                let seconds = self.timeout.as_secs_f32();
                return Err(SendFault::Deployment(one_line(&format!("{phase}: no answer within {seconds} s"))));
            }
        };
        // the outcome stands: a relay that doesn't answer the farewell must not make a sent mail look unsent
        if let Some(mut connection) = connection {
            let _ = timeout(FAREWELL, connection.abort()).await;
        }
        outcome
    }

    async fn connect(&self, phase: &mut Phase) -> Result<AsyncSmtpConnection, Fault> {
        // a name may have several addresses: one that is dead must leave time for the next
        let patience = self.timeout / 3;
        let address = (self.host.as_str(), self.port);
        let mut connection = match &self.security {
            Security::Plaintext => AsyncSmtpConnection::connect_tokio1(address, Some(patience), &self.hello, None, None).await?,
            Security::ImplicitTls(tls) => {
                AsyncSmtpConnection::connect_tokio1(address, Some(patience), &self.hello, Some(tls.clone()), None).await?
            }
            Security::StartTls(tls) => {
                let stream = UnbufferedStream::connect(&self.host, self.port, patience).await?;
                let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await?;
                *phase = Phase::StartingTls;
                // fails when it isn't offered: somebody in between may have cut the offer out
                connection.starttls(tls.clone(), &self.hello).await?;
                connection
            }
        };
        if let Some(credentials) = &self.credentials {
            *phase = Phase::Authenticating;
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

async fn deliver(connection: &mut AsyncSmtpConnection, mail: &Rendered, phase: &mut Phase) -> Result<Response, Fault> {
    *phase = Phase::Sender;
    done(connection.command(Mail::new(mail.envelope().from().cloned(), Vec::new())).await?)?;
    for recipient in mail.envelope().to() {
        *phase = Phase::Recipient;
        done(connection.command(Rcpt::new(recipient.clone(), Vec::new())).await?)?;
    }
    *phase = Phase::Announcement;
    let asked = connection.command(Data).await?;
    if asked.code().severity != Severity::PositiveIntermediate {
        return Err(Fault::OutOfTurn(reply(&asked)));
    }
    *phase = Phase::Content;
    done(connection.message(mail.bytes()).await?)
}

/// Takes "done" alone: to the library "go on" is as good, and a mail that was only asked for would be taken for one that went.
fn done(response: Response) -> Result<Response, Fault> {
    if response.code().severity == Severity::PositiveCompletion { Ok(response) } else { Err(Fault::OutOfTurn(reply(&response))) }
}

/// Says whose fault a failed command is.
///
/// Until the sender was named, whatever happens would happen to every mail. A permanent reply to the sender would too, since all
/// have the same; a temporary one is how relays slow down a busy client. From the recipient on a reply is about this message, except
/// where its code says that the credentials are missing or wrong (RFC 4954). One that doesn't go with the content leaves open whether the message
/// was taken, and so does each later try: those have to end.
fn judge(phase: Phase, fault: &Fault) -> SendFault {
    // a relay may repeat the command that it refuses, in which the password stands
    let authenticating = matches!(phase, Phase::Authenticating);
    let answer = match fault {
        Fault::Conversation(fault) => fault.status().map(|code| (code, fault.source())),
        Fault::Connection(_) | Fault::OutOfTurn(_) => None,
    };
    let Some((code, text)) = answer else {
        let said = match fault {
            Fault::Conversation(fault) if authenticating && fault.is_response() => format!("{phase}: no reply that can be read"),
            fault => format!("{phase}: {fault}"),
        };
        let said = one_line(&said);
        return match (phase, fault) {
            (Phase::Content, Fault::OutOfTurn(_)) => SendFault::Deferred(said),
            _ => SendFault::Deployment(said),
        };
    };
    let text = text.map(ToString::to_string).filter(|_| !authenticating).unwrap_or_default();
    let reply = one_line(&format!("{code} {text}"));
    let credentials = [530, 534, 535, 538].contains(&u16::from(code));
    match (phase, code.severity) {
        (Phase::Recipient | Phase::Announcement | Phase::Content, Severity::PermanentNegativeCompletion) if !credentials => {
            SendFault::Refused(reply)
        }
        (Phase::Sender | Phase::Recipient | Phase::Announcement | Phase::Content, Severity::TransientNegativeCompletion) => {
            SendFault::Deferred(reply)
        }
        _ => SendFault::Deployment(one_line(&format!("{phase}: {reply}"))),
    }
}

fn reply(response: &Response) -> String {
    let lines = response.message().collect::<Vec<_>>().join(" ");
    one_line(&format!("{} {lines}", response.code()))
}

fn tls(host: &str, ca_file: Option<&Path>, owners: &[u32]) -> Result<TlsParameters, OpenError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        builder = builder.certificate_store(CertificateStore::None);
        for certificate in certificates(path, owners)? {
            builder = builder.add_root_certificate(Certificate::from_der(certificate).map_err(OpenError::Tls)?);
        }
    }
    builder.build().map_err(OpenError::Tls)
}

fn certificates(path: &Path, owners: &[u32]) -> Result<Vec<Vec<u8>>, OpenError> {
    let unreadable = |source| OpenError::CaFile { path: path.to_owned(), source };
    let mut file = ownership::open_file(path).map_err(unreadable)?;
    ownership::check_trusted(&file, owners).map_err(|flaw| OpenError::Untrusted { path: path.to_owned(), flaw })?;
    let mut pem = Vec::new();
    file.read_to_end(&mut pem).map_err(unreadable)?;
    let found = CertificateDer::pem_slice_iter(&pem).map(|certificate| certificate.map(|der| der.to_vec()));
    match found.collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(OpenError::CaCertificates(path.to_owned())),
    }
}

fn is_this_host(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
