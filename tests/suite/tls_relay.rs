//! A relay for one conversation that goes over to TLS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;

/// A relay on a free port of the loopback interface, with a certificate of its own.
pub(crate) struct TlsRelay {
    pub(crate) address: SocketAddr,
    /// The certificate to trust, PEM.
    pub(crate) certificate: String,
    conversation: JoinHandle<Heard>,
}

/// What came in a conversation.
#[derive(Default)]
struct Heard {
    verbs: Vec<String>,
    credentials: Option<String>,
}

/// When TLS begins.
#[derive(Clone, Copy)]
pub(crate) enum Begins {
    /// With the first byte.
    AtOnce,
    /// After STARTTLS.
    WhenAsked,
    /// After STARTTLS, with a line in the clear behind the reply, as somebody in between could add it.
    WhenAskedBehindALine,
}

/// What it says to credentials.
#[derive(Clone, Copy)]
pub(crate) enum Login {
    /// Welcome.
    Taken,
    /// A refusal that repeats what was sent.
    RefusedWithAnEcho,
}

impl TlsRelay {
    /// Serves one conversation as `name`.
    pub(crate) fn start(name: &str, begins: Begins, login: Login) -> Self {
        let own = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .expect("a usable certificate");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let conversation = std::thread::spawn(move || {
            let mut heard = Heard::default();
            let (connection, _) = listener.accept().expect("a connection");
            // ends when the client leaves or the handshake fails: what was heard until then counts
            let _ = converse(connection, begins, login, config, &mut heard);
            heard
        });
        Self { address, certificate: own.cert.pem(), conversation }
    }

    /// The verbs of the commands that came, those through TLS marked, once the conversation is over.
    pub(crate) fn heard(self) -> Vec<String> {
        self.conversation.join().expect("no panic").verbs
    }

    /// What was sent with AUTH PLAIN, in base64, once the conversation is over.
    pub(crate) fn credentials(self) -> Option<String> {
        self.conversation.join().expect("no panic").credentials
    }
}

fn converse(
    mut connection: TcpStream,
    begins: Begins,
    login: Login,
    config: ServerConfig,
    heard: &mut Heard,
) -> std::io::Result<()> {
    if !matches!(begins, Begins::AtOnce) {
        connection.write_all(b"220 relay.test\r\n")?;
        for reply in ["250-relay.test\r\n250 STARTTLS\r\n", "220 go ahead\r\n"] {
            heard.verbs.push(verb(&command(&mut connection)?).to_owned());
            let line =
                if reply.starts_with("220") && matches!(begins, Begins::WhenAskedBehindALine) { "250 injected\r\n" } else { "" };
            connection.write_all(format!("{reply}{line}").as_bytes())?;
        }
    }
    let tls = ServerConnection::new(Arc::new(config)).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(tls, connection);
    if matches!(begins, Begins::AtOnce) {
        stream.write_all(b"220 relay.test\r\n")?;
    }
    loop {
        let command = command(&mut stream)?;
        let verb = verb(&command);
        heard.verbs.push(format!("{verb} in TLS"));
        if verb == "AUTH" {
            heard.credentials = command.split(' ').nth(2).map(str::to_owned);
        }
        let reply = match (verb, login) {
            ("EHLO", _) => "250-relay.test\r\n250 AUTH PLAIN".to_owned(),
            ("AUTH", Login::Taken) => "235 welcome".to_owned(),
            ("AUTH", Login::RefusedWithAnEcho) => format!("535-5.7.8 {command}\r\n535 5.7.8 {command}"),
            ("DATA", _) => "354 go ahead".to_owned(),
            _ => "250 ok".to_owned(),
        };
        stream.write_all(format!("{reply}\r\n").as_bytes())?;
        if verb == "DATA" {
            let mut lines = BufReader::new(&mut stream).lines();
            while lines.next().transpose()?.is_some_and(|line| line != ".") {}
            stream.write_all(b"250 taken\r\n")?;
        }
        if verb == "QUIT" {
            return Ok(());
        }
    }
}

/// Reads one command byte by byte, so that nothing of a handshake behind it is lost.
fn command(stream: &mut impl Read) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn verb(command: &str) -> &str {
    command.split(' ').next().unwrap_or_default()
}
