//! What the service does, one file per noun.
//!
//! An operation takes the witness of a right ([`admission`]), values that were parsed, and does its work in one write. Nothing here knows
//! gRPC: `api`, and whatever else lets callers in, extracts credentials and parses; this judges and acts.

pub mod access;
pub mod accounts;
pub mod admission;
pub mod answers;
pub mod api_tokens;
pub mod caller;
pub mod delivery;
pub mod edition_preview;
mod housekeeping;
pub mod invitations;
mod letters;
mod limits;
pub mod link_key;
pub mod logins;
pub mod members;
pub mod operations;
pub mod page;
mod passwords;
pub mod retention;
pub mod returned;
pub mod services;
pub mod sessions;
pub mod sign_up;
pub mod test_mail;
pub mod tokens;
mod turns;
pub mod users;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tracing::warn;

use crate::config::mail::MailConfig;
use crate::config::{Config, LinkConfig, SessionConfig, Signup};
use crate::directory::{Directory, View};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::edition::Edition;
use crate::domain::email::Email;
use crate::domain::error::{Error, chain};
use crate::domain::event::{Actor, Change, DataState, Door, Origin};
use crate::domain::id::{Epoch, TraceId, UserId};
use crate::domain::peer::Proxies;
use crate::domain::token::{LinkKeys, LinkKind};
use crate::mail::{Renderer, Transport, Wording};
use crate::ownership;
use crate::store::server::{self, Recorded};
use crate::store::{self, DataDir, Opened, Store, Tuning};
use delivery::InFlight;
use limits::Limits;
use passwords::Passwords;

/// The service.
pub struct App {
    store: Store,
    directory: Arc<Directory>,
    clock: Clock,
    edition: Edition,
    signup: Signup,
    link: LinkConfig,
    session: SessionConfig,
    invitation_lifetime: Option<Duration>,
    operator_uids: BTreeSet<u32>,
    passwords: Passwords,
    limits: Limits,
    link_keys: Arc<ArcSwap<LinkKeys>>,
    link_key_file: PathBuf,
    rotation: tokio::sync::Mutex<()>,
    proxies: Proxies,
    public_url: String,
    renderer: Renderer,
    transport: Transport,
    mail_owed: Arc<Notify>,
    mail_fault: Mutex<String>,
    mail_concurrent: usize,
    in_flight: Arc<InFlight>,
    started: Timestamp,
    /// How long events are kept; none means for ever.
    retention: Option<Duration>,
    /// Held while the beginning of history is dropped, and by those who read all of it in many steps.
    trimming: tokio::sync::RwLock<()>,
    /// Held by whoever walks through history for a caller.
    walking: tokio::sync::Mutex<()>,
    /// When the head of history was logged last.
    head_told: Mutex<Option<Timestamp>>,
}

/// Why the service can't start: one line for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data can't be opened.
    #[error(transparent)]
    Open(#[from] store::OpenError),
    /// The data can't be read or written.
    #[error("the data can't be used")]
    Data(#[from] Error),
    /// The link key is missing or can't be read.
    #[error(transparent)]
    LinkKey(#[from] link_key::LinkKeyError),
    /// Mail can't be rendered or sent as configured.
    #[error("mail: {0}")]
    Mail(String),
}

/// How one that reads a user reference may be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRef {
    /// By id.
    Id(UserId),
    /// By the address that they hold now.
    Email(Email),
}

impl std::fmt::Display for UserRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Email(email) => f.write_str(email.as_typed()),
        }
    }
}

impl App {
    /// Opens the data and makes everything ready; nothing listens yet.
    ///
    /// A fresh directory gets its identity, key and edition. One that was last served as another edition gets an event that says so, and
    /// nothing else: memberships, invitations and tokens stay as they are.
    pub async fn open(config: &Config, clock: Clock, tuning: Tuning) -> Result<Arc<Self>, StartError> {
        let locked = DataDir::lock(&config.data_dir)?;
        link_key::prepare(&config.link_key_file, DataDir::holds_data(locked.path()))?;
        let opened = Opened::open(locked).await?;
        let recorded = server::recorded(&mut *opened.read().await?).await?;
        let recorded_key = server::link_key(&mut *opened.read().await?).await?;
        let link_keys = link_key::load(&config.link_key_file, recorded.is_none(), recorded_key)?;
        let edition = config.edition.or(recorded.map(|recorded| recorded.edition)).unwrap_or(Edition::Inside);
        let present = match recorded {
            Some(recorded) => recorded,
            None => Recorded { epoch: Epoch::new(clock.now(), store::random()?), edition },
        };
        let directory = Arc::new(Directory::load(&mut *opened.read().await?, present).await?);
        let mail_owed = Arc::new(Notify::new());
        // what may fail comes before the edition is recorded
        let costs = store::users::costs(&mut *opened.read().await?).await?;
        let link_keys = Arc::new(ArcSwap::from_pointee(link_keys));
        let passwords = Passwords::new(config.password, costs, Arc::clone(&link_keys))?;
        let on_commit = {
            let (directory, costs, mail_owed) = (Arc::clone(&directory), passwords.costs(), Arc::clone(&mail_owed));
            Box::new(move |committed: &store::Committed| {
                directory.apply(&committed.events);
                costs.apply(&committed.costs);
                if committed.owes_mail {
                    mail_owed.notify_one();
                }
            })
        };
        let (renderer, transport) = (renderer(config)?, transport(config)?);
        let store = opened.start(clock.clone(), tuning, on_commit).await?;
        record_edition(&store, recorded, Recorded { edition, ..present }).await?;
        link_key::record(&store, &link_keys.load(), recorded_key).await?;
        Ok(Arc::new(Self {
            store,
            directory,
            edition,
            signup: config.signup.unwrap_or(Signup::of(edition)),
            link: config.link,
            session: config.session,
            invitation_lifetime: config.invitation_lifetime,
            operator_uids: operator_uids(&config.grpc.operator_uids),
            passwords,
            limits: Limits::new(config.abuse),
            link_keys,
            link_key_file: config.link_key_file.clone(),
            rotation: tokio::sync::Mutex::default(),
            proxies: config.web.trusted_proxies.clone(),
            public_url: config.web.public_url.clone(),
            renderer,
            transport,
            mail_owed,
            mail_fault: Mutex::default(),
            mail_concurrent: config.mail.concurrent,
            in_flight: Arc::default(),
            started: clock.now(),
            retention: config.event_retention,
            trimming: tokio::sync::RwLock::default(),
            walking: tokio::sync::Mutex::default(),
            head_told: Mutex::default(),
            clock,
        }))
    }

    /// The present state of the directory.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.directory.snapshot()
    }

    /// The moment, as operations see it: the clock's, or the last event's if the clock went back behind it, so that a clock which was wrong
    /// for a while prolongs nothing.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now().max(self.directory.view().time())
    }

    /// The edition that the data is served as.
    #[must_use]
    pub const fn edition(&self) -> Edition {
        self.edition
    }

    /// The proxies that are believed about whom they forward.
    #[must_use]
    pub const fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// The data, for benches and tests that look beneath the operations.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Follows whether the last write could be made.
    pub fn healthy(&self) -> Result<watch::Receiver<bool>, Error> {
        self.store.healthy()
    }

    /// Ends the writer after what waits for it. Later writes are refused as draining.
    pub async fn close(&self) {
        self.flush_sessions().await;
        self.flush_api_tokens().await;
        if let Err(error) = self.tell_head().await {
            warn!(error = %chain(&error), "the head of history can't be told");
        }
        self.store.close().await;
    }

    /// What to open in a browser for a link.
    #[must_use]
    pub fn url(&self, kind: LinkKind, token: &str) -> String {
        kind.url(&self.public_url, token)
    }

    /// The etag of something that the event `version` last changed.
    #[must_use]
    pub fn etag(&self, version: i64) -> String {
        let [a, b, c, d, ..] = *self.directory.view().epoch().as_bytes();
        format!("{:08x}-{version:x}", u32::from_be_bytes([a, b, c, d]))
    }

    /// Refuses an etag that isn't the present one; an empty one asks for nothing.
    fn check_etag(&self, given: &str, version: i64) -> Result<(), Error> {
        let etag = self.etag(version);
        if given.is_empty() || given == etag { Ok(()) } else { Err(Error::EtagMismatch { etag }) }
    }
}

/// Says what is wrong with the data that is there and the link key, and why mail can't be rendered or sent as configured. Makes nothing and talks to
/// nobody.
#[must_use]
pub fn check(config: &Config) -> Vec<StartError> {
    let owners = ownership::trusted_by(&config.data_dir);
    let key = link_key::check(&config.link_key_file, &owners, DataDir::holds_data(&config.data_dir));
    let transport = Transport::check(&config.mail.transport, &owners);
    let all = [
        DataDir::check(&config.data_dir).map_err(StartError::from),
        key.map_err(StartError::from),
        renderer(config).map(drop),
        transport.map_err(|error| StartError::Mail(chain(&error))),
    ];
    all.into_iter().filter_map(Result::err).collect()
}

fn renderer(config: &Config) -> Result<Renderer, StartError> {
    let MailConfig { from, reply_to, templates, language, .. } = &config.mail;
    let owners = ownership::trusted_by(&config.data_dir);
    let wording = Wording { reply_to: reply_to.clone(), templates: templates.clone(), owners, language: language.clone() };
    Renderer::with(&config.web.public_url, from, wording).map_err(|error| StartError::Mail(chain(&error)))
}

fn transport(config: &Config) -> Result<Transport, StartError> {
    Transport::open(&config.mail.transport, &ownership::trusted_by(&config.data_dir))
        .map_err(|error| StartError::Mail(chain(&error)))
}

/// What the server does of itself.
fn server_origin() -> Origin {
    Origin { actor: Actor::Server, on_behalf_of: None, client: None, door: Door::Inside, trace: TraceId::from_bytes([0; 16]) }
}

async fn record_edition(store: &Store, recorded: Option<Recorded>, present: Recorded) -> Result<(), Error> {
    if recorded == Some(present) {
        return Ok(());
    }
    store
        .write(server_origin(), async move |tx| {
            match recorded {
                None => server::insert(tx, present).await?,
                Some(_) => server::set_edition(tx, present.edition).await?,
            }
            let Recorded { epoch, edition } = present;
            tx.record(Change::EditionSet(DataState { epoch, edition })).await
        })
        .await
}

/// Root, the service's own user, and whom the configuration adds.
fn operator_uids(configured: &[u32]) -> BTreeSet<u32> {
    configured.iter().copied().chain([0, rustix::process::geteuid().as_raw()]).collect()
}
