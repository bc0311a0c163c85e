//! Where callers come in: listeners and what protects them.

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::settings::Settings;

/// Where callers come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcConfig {
    /// TCP addresses; port 0 takes a free one. May be empty.
    pub listen: Vec<SocketAddr>,
    /// The operators' socket, mode 0600.
    pub socket: PathBuf,
    /// A socket for tools on the host, mode 0666, on which the peer's uid means nothing.
    pub tools_socket: Option<PathBuf>,
    /// Who, besides root and the service's own uid, is an operator on the operators' socket.
    pub operator_uids: Vec<u32>,
    /// Whether addresses that others can reach may go without TLS. Judged already.
    pub allow_plaintext: bool,
    /// Turns every TCP listener into TLS.
    pub tls: Option<TlsFiles>,
}

/// The PEM files of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then its intermediates.
    pub certificate: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
    /// The authorities that clients' certificates are taken from; without one, clients aren't asked.
    pub client_ca: Option<PathBuf>,
}

/// An address to listen on. A name is none: what it stands for may change, or be several.
pub(super) struct ListenAddress(pub(super) SocketAddr);

impl ListenAddress {
    /// Takes what is typed.
    pub(super) fn of(text: &str) -> Result<SocketAddr, &'static str> {
        text.parse().map_err(|_| "must be an IP address and a port, such as 127.0.0.1:7001 or [::1]:7001")
    }
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::of(text).map(Self)
    }
}

impl Display for ListenAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the address of a Unix socket has room for, the zero at its end apart.
const SOCKET_PATH_BYTES: usize = 107;

impl GrpcConfig {
    pub(super) fn take(settings: &mut Settings, data_dir: &Path) -> Self {
        let tls = TlsFiles::take(settings);
        let listen = settings.list("grpc.listen", vec![ListenAddress(SocketAddr::from(([127, 0, 0, 1], 7001)))]);
        let config = Self {
            listen: listen.into_iter().map(|ListenAddress(address)| address).collect(),
            socket: settings.path_or("grpc.socket", data_dir.join("grpc.sock")),
            tools_socket: settings.path("grpc.tools_socket"),
            operator_uids: settings.list("grpc.operator_uids", Vec::new()),
            allow_plaintext: settings.flag("grpc.allow_plaintext"),
            tls,
        };
        if config.tls.is_none() && !config.allow_plaintext {
            for address in config.listen.iter().filter(|address| !address.ip().is_loopback()) {
                let what = format!("{address} can be reached by others: set grpc.tls, or grpc.allow_plaintext = true");
                settings.violation("grpc.listen", &what);
            }
        }
        for (key, path) in [("grpc.socket", Some(&config.socket)), ("grpc.tools_socket", config.tools_socket.as_ref())] {
            if path.is_some_and(|path| path.as_os_str().len() > SOCKET_PATH_BYTES) {
                settings
                    .violation(key, &format!("must not be longer than {SOCKET_PATH_BYTES} bytes, the limit of socket addresses"));
            }
        }
        if config.tools_socket.as_ref() == Some(&config.socket) {
            settings.violation("grpc.tools_socket", "must not be the operators' socket, grpc.socket");
        }
        config
    }
}

impl TlsFiles {
    fn take(settings: &mut Settings) -> Option<Self> {
        let certificate = settings.path("grpc.tls.certificate");
        let key = settings.path("grpc.tls.key");
        let client_ca = settings.path("grpc.tls.client_ca");
        if certificate.is_none() && key.is_none() && client_ca.is_none() {
            return None;
        }
        for (name, path) in [("grpc.tls.certificate", &certificate), ("grpc.tls.key", &key)] {
            if path.is_none() {
                settings.violation(name, "is needed when grpc.tls is set");
            }
        }
        Some(Self { certificate: certificate?, key: key?, client_ca })
    }
}
