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
    conversation: JoinHandle<Vec<String>>,
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

impl TlsRelay {
    /// Serves one conversation as `name`.
    pub(crate) fn start(name: &str, begins: Begins) -> Self {
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
            let mut heard = Vec::new();
            let (connection, _) = listener.accept().expect("a connection");
            // ends when the client leaves or the handshake fails: what was heard until then counts
            let _ = converse(connection, begins, config, &mut heard);
            heard
        });
        Self { address, certificate: own.cert.pem(), conversation }
    }

    /// The verbs of the commands that came, those through TLS marked, once the conversation is over.
    pub(crate) fn heard(self) -> Vec<String> {
        self.conversation.join().expect("no panic")
    }
}

fn converse(mut connection: TcpStream, begins: Begins, config: ServerConfig, heard: &mut Vec<String>) -> std::io::Result<()> {
    if !matches!(begins, Begins::AtOnce) {
        connection.write_all(b"220 relay.test\r\n")?;
        for reply in ["250-relay.test\r\n250 STARTTLS\r\n", "220 go ahead\r\n"] {
            heard.push(verb(&mut connection)?);
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
        let verb = verb(&mut stream)?;
        heard.push(format!("{verb} in TLS"));
        let reply: &[u8] = match verb.as_str() {
            "EHLO" => b"250-relay.test\r\n250 AUTH PLAIN\r\n",
            "AUTH" => b"235 welcome\r\n",
            "DATA" => b"354 go ahead\r\n",
            _ => b"250 ok\r\n",
        };
        stream.write_all(reply)?;
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
fn verb(stream: &mut impl Read) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&line);
    Ok(line.split([' ', '\r']).next().unwrap_or_default().to_owned())
}
