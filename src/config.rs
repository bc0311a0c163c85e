//! The configuration: file, environment and flags, turned once into values that can't be wrong.
//!
//! A flag wins over the environment, the environment over the file, the file over the default. A key that is unknown, wherever it comes
//! from, is an error, since a mistyped limit that is ignored is found out too late. All violations are told at once, each in one line
//! that names the key and where it came from.
//!
//! | From | As |
//! | --- | --- |
//! | file (TOML) | `grpc.listen = ["127.0.0.1:7001"]` |
//! | environment | `USER_MANAGEMENT_GRPC__LISTEN=127.0.0.1:7001,[::1]:7001` (lists are split at commas) |
//! | flag | `--listen 127.0.0.1:7001 --listen [::1]:7001` |

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::edition::Edition;
use crate::domain::peer::Proxies;

mod access;
mod limits;
pub mod mail;
mod settings;
mod sources;
#[cfg(test)]
mod tests;

use access::ListenAddress;
pub use access::{GrpcConfig, TlsFiles};
pub use limits::{AbuseLimits, Limits, MOST_SIGN_UPS_PER_ADDRESS};
use mail::{MailConfig, MailTransport};
use settings::{Reader, Settings};
pub use sources::{Flags, PREFIX};

/// What is wrong with the configuration: all of it, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Who may make a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signup {
    /// Whoever has an open invitation.
    Invited,
    /// Anyone.
    Open,
    /// Nobody: operators create users.
    Closed,
}

impl Signup {
    /// What an edition does unless told otherwise: on-premise hosts are for those who were asked in.
    #[must_use]
    pub const fn of(edition: Edition) -> Self {
        match edition {
            Edition::Inside => Self::Invited,
            Edition::Saas => Self::Open,
        }
    }
}

/// The validated configuration.
#[derive(Clone)]
pub struct Config {
    /// The edition to switch to; without one the recorded edition stays, and a fresh directory becomes Inside.
    pub edition: Option<Edition>,
    /// Where the database, sockets and keys live; made with mode 0700 if missing.
    pub data_dir: PathBuf,
    /// Who may sign up; without one, what [`Signup::of`] says of the edition.
    pub signup: Option<Signup>,
    /// Where callers come in.
    pub grpc: GrpcConfig,
    /// Where metrics are read, over plain HTTP; nowhere unless set.
    pub metrics_listen: Option<SocketAddr>,
    /// What people's browsers see.
    pub web: WebConfig,
    /// How mail leaves.
    pub mail: MailConfig,
    /// How long an invitation can be accepted after it was last sent; none means for ever.
    pub invitation_lifetime: Option<Duration>,
    /// How long events are kept; none means for ever.
    pub event_retention: Option<Duration>,
    /// How long links stay good that confirm a sign-up, or that change a login.
    pub link: LinkConfig,
    /// How long people stay signed in.
    pub session: SessionConfig,
    /// What a password hash costs.
    pub password: PasswordConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// The key that links in mails are derived with.
    pub link_key_file: PathBuf,
    /// What one server takes on.
    pub limits: Limits,
    /// What one caller may cause.
    pub abuse: AbuseLimits,
}

/// What people's browsers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    /// What links in mails begin with: `http(s)://host[:port][/path]`, without a slash at the end.
    pub public_url: String,
    /// The proxies that are believed about whom they forward.
    pub trusted_proxies: Proxies,
}

/// How long links stay good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// One that confirms an address: of a sign-up, of a new address, or of a login that an operator made.
    pub confirmation: Duration,
    /// One that sets another password.
    pub reset: Duration,
}

/// How long people stay signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// A session ends after this long without a call.
    pub idle: Duration,
    /// A session ends this long after the password was typed, used or not.
    pub lifetime: Duration,
}

/// What a password has to be, and what its hash (argon2id) costs. Old hashes get the present cost at the next sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordConfig {
    /// The fewest characters of a password that somebody chooses.
    pub minimum_length: usize,
    /// Memory of one hash in KiB; the default is the smaller of OWASP's recommendations.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
    /// Hashes at once in the whole server; others wait. Bounds memory and keeps cores free for checks.
    pub concurrent: usize,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// How log lines look.
    pub format: LogFormat,
    /// Directives of tracing's `EnvFilter`, such as `info,user_management::api=debug`.
    pub filter: String,
}

impl Config {
    /// Reads what the flags, the environment and the file that the flags name say, for whoever starts the service or works on its data.
    pub fn load<K, V>(flags: &Flags, environment: impl IntoIterator<Item = (K, V)>) -> Result<Self, ConfigError>
    where
        K: Into<std::ffi::OsString>,
        V: Into<std::ffi::OsString>,
    {
        Self::read(flags, environment, Reader::Owner).map(|(config, _)| config)
    }

    /// Reads the same, for whoever only looks at it, and tells every key with its value and origin as TOML; a secret's value is not told.
    pub fn explain<K, V>(flags: &Flags, environment: impl IntoIterator<Item = (K, V)>) -> Result<(Self, String), ConfigError>
    where
        K: Into<std::ffi::OsString>,
        V: Into<std::ffi::OsString>,
    {
        Self::read(flags, environment, Reader::Onlooker)
    }

    fn read<K, V>(
        flags: &Flags,
        environment: impl IntoIterator<Item = (K, V)>,
        reader: Reader,
    ) -> Result<(Self, String), ConfigError>
    where
        K: Into<std::ffi::OsString>,
        V: Into<std::ffi::OsString>,
    {
        let environment = environment.into_iter().map(|(name, value)| (name.into(), value.into()));
        let mut settings = sources::gather(flags, environment);
        settings.reader = reader;
        let config = Self::take(&mut settings);
        settings.finish(config)
    }

    /// Reads a file's text alone.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let mut settings = Settings::default();
        sources::add_toml(&mut settings, text, "the text");
        let config = Self::take(&mut settings);
        settings.finish(config).map(|(config, _)| config)
    }

    fn take(settings: &mut Settings) -> Self {
        let data_dir = settings.path_or("data_dir", PathBuf::from("./user-management-data"));
        let mail = MailConfig::take(settings, &data_dir);
        let grpc = GrpcConfig::take(settings, &data_dir);
        Self {
            edition: settings.parsed("edition"),
            signup: settings
                .choice("signup", &[("invited", Signup::Invited), ("open", Signup::Open), ("closed", Signup::Closed)]),
            web: WebConfig::take(settings, &mail.transport),
            invitation_lifetime: settings.optional_days("invitation.lifetime_days", 7),
            event_retention: take_retention(settings),
            link: LinkConfig::take(settings),
            session: SessionConfig::take(settings),
            password: PasswordConfig::take(settings),
            metrics_listen: take_metrics(settings),
            log: LogConfig::take(settings),
            link_key_file: settings.path_or("link_key_file", data_dir.join("link.key")),
            limits: Limits::take(settings),
            abuse: AbuseLimits::take(settings),
            data_dir,
            grpc,
            mail,
        }
    }
}

/// Metrics name nobody, but what goes on in the service is for its host alone unless it is written out.
fn take_metrics(settings: &mut Settings) -> Option<SocketAddr> {
    let listen = settings.parsed("metrics.listen").map(|ListenAddress(address)| address);
    let allowed = settings.flag("metrics.allow_remote");
    if let Some(address) = listen.filter(|address| !allowed && !address.ip().is_loopback()) {
        let what = format!("{address} can be reached by others: take a loopback address, or set metrics.allow_remote = true");
        settings.violation("metrics.listen", &what);
    }
    listen
}

/// History can't be made shorter than a month: whoever comes to the configuration can't have what they did dropped before anybody looks, and what
/// is listed for a while after it ended, such as personal tokens, still has its events.
fn take_retention(settings: &mut Settings) -> Option<Duration> {
    const KEY: &str = "events.retention_days";
    const LEAST: Duration = Duration::from_secs(30 * DAY);
    let retention = settings.optional_days(KEY, 0);
    if retention.is_some_and(|retention| retention < LEAST) {
        settings.violation(KEY, "must be 0, which keeps history for ever, or at least 30");
    }
    retention
}

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

impl WebConfig {
    fn take(settings: &mut Settings, transport: &MailTransport) -> Self {
        const KEY: &str = "web.public_url";
        let given = settings.text(KEY);
        if given.is_none() && transport.is_real() {
            settings.violation(KEY, "is needed as soon as mail is sent: the links in it begin with it");
        }
        let url = given.unwrap_or_else(|| settings.default_of(KEY, "http://localhost:7080".to_owned()));
        if !is_base_url(&url) {
            settings.violation(KEY, "must be an http or https URL without user, query and fragment");
        }
        let trusted_proxies = Proxies(settings.list("web.trusted_proxies", Vec::new()));
        Self { public_url: url.trim_end_matches('/').to_owned(), trusted_proxies }
    }
}

fn is_base_url(url: &str) -> bool {
    let plain = url.starts_with("https://") || url.starts_with("http://");
    let uri = url.parse::<http::Uri>().ok().filter(|_| plain && !url.contains(['?', '#', '@']));
    uri.is_some_and(|uri| uri.host().is_some_and(|host| !host.is_empty()))
}

impl LinkConfig {
    fn take(settings: &mut Settings) -> Self {
        let confirmation: u64 = settings.whole("link.confirmation_hours", 24, 1..=24 * 30);
        let reset: u64 = settings.whole("link.reset_minutes", 60, 5..=24 * 60);
        Self { confirmation: Duration::from_secs(confirmation * HOUR), reset: Duration::from_secs(reset * 60) }
    }
}

impl SessionConfig {
    fn take(settings: &mut Settings) -> Self {
        let hours: u64 = settings.whole("session.idle_hours", 12, 1..=24 * 365);
        let days: u64 = settings.whole("session.lifetime_days", 30, 1..=3650);
        let (idle, lifetime) = (Duration::from_secs(hours * HOUR), Duration::from_secs(days * DAY));
        if idle > lifetime {
            settings.violation("session.idle_hours", "must not be longer than session.lifetime_days");
        }
        Self { idle, lifetime }
    }
}

impl PasswordConfig {
    fn take(settings: &mut Settings) -> Self {
        let parallelism = settings.whole("password.parallelism", 1, 1..=64);
        // argon2 needs 8 KiB for each lane
        let memory_kib = settings.whole("password.memory_kib", 19_456, 8 * parallelism..=4 * 1024 * 1024);
        let iterations = settings.whole("password.iterations", 2, 1..=100);
        let minimum_length = settings.whole("password.minimum_length", 8, 8..=64);
        Self {
            minimum_length,
            memory_kib,
            iterations,
            parallelism,
            concurrent: settings.whole("password.concurrent", 2, 1..=256),
        }
    }
}

impl LogConfig {
    fn take(settings: &mut Settings) -> Self {
        let format = settings.choice_or("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        let filter = settings.text_or("log.filter", "info");
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&filter) {
            settings.violation("log.filter", &error.to_string());
        }
        Self { format, filter }
    }
}
