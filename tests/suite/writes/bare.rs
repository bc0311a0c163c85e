//! A store by itself, and the ways to make its writer wait.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use tempfile::TempDir;
use tokio::sync::oneshot;
use user_management::domain::clock::Clock;
use user_management::domain::error::Error;
use user_management::domain::event::{Actor, Change, Door, Origin};
use user_management::domain::id::{AccountId, TraceId};
use user_management::store::accounts::{self, Account};
use user_management::store::events::{self, Walked};
use user_management::store::{Committed, DataDir, Opened, Store, Tuning, Tx};

use crate::site::BEGINNING;

/// A store without a service around it, and the numbers of the events of each commit.
pub(crate) struct Bare {
    pub(crate) dir: TempDir,
    pub(crate) store: Arc<Store>,
    pub(crate) commits: Arc<Mutex<Vec<Vec<u64>>>>,
}

impl Bare {
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let opened = Opened::open(DataDir::lock(&dir.path().join("data")).expect("locked")).await.expect("opened");
        let commits = Arc::<Mutex<Vec<Vec<u64>>>>::default();
        let log = Arc::clone(&commits);
        let on_commit = Box::new(move |committed: &Committed| {
            log.lock().expect("a log").push(committed.events.iter().map(|event| event.seq).collect());
        });
        let store = opened.start(Clock::set_to(BEGINNING), Tuning::default(), on_commit).await.expect("started");
        Self { dir, store: Arc::new(store), commits }
    }

    pub(crate) fn commits(&self) -> Vec<Vec<u64>> {
        self.commits.lock().expect("a log").clone()
    }

    pub(crate) fn healthy(&self) -> bool {
        *self.store.healthy().expect("a writer").borrow()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("data/user-management.db")
    }

    /// The accounts that are there, and that history is whole.
    pub(crate) async fn names(&self) -> (Vec<String>, u64) {
        let mut connection = self.store.read().await.expect("a reader");
        let names = accounts::page(&mut connection, accounts::Which::default(), ("", "~"), 1000)
            .await
            .expect("read")
            .into_iter()
            .map(|account| account.name);
        (names.collect(), whole(&events::verify(&mut connection, Vec::new()).await.expect("verified")))
    }
}

/// How many events there are, all whole.
fn whole(walked: &Walked) -> u64 {
    assert_eq!(walked.broken, None);
    walked.events
}

/// The server itself.
pub(crate) fn origin() -> Origin {
    Origin { actor: Actor::Server, on_behalf_of: None, client: None, door: Door::Inside, trace: TraceId::from_bytes([0; 16]) }
}

/// Adds an account and answers the number of its event.
pub(crate) async fn create(tx: &mut Tx, name: &str) -> Result<u64, Error> {
    let account = Account {
        id: AccountId::new(tx.now(), tx.random()?),
        name: name.to_owned(),
        display_name: name.to_owned(),
        timezone: "UTC".to_owned(),
        closed: false,
        has_manager: false,
        created: tx.now(),
        version: tx.next_version(),
    };
    assert!(accounts::insert(tx, &account).await?, "{name} is new");
    tx.record(Change::AccountCreated(account.state())).await?;
    Ok(u64::try_from(account.version).expect("a number"))
}

/// Puts a write into the queue of a writer that is held (`hold`), which polling it once does; one that is free may be done before it
/// was looked at.
pub(crate) fn queued<T>(write: impl Future<Output = T>) -> Pin<Box<impl Future<Output = T>>> {
    let mut write = Box::pin(write);
    assert!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    write
}

/// Keeps the writer in a job until what is answered is told to, so that what is queued meanwhile becomes one group.
pub(crate) async fn hold(store: &Store) -> (oneshot::Sender<()>, impl Future<Output = Result<(), Error>>) {
    let (entered, inside) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let held = queued(store.write(origin(), async move |_| {
        let _ = entered.send(());
        let _ = released.await;
        Ok(())
    }));
    inside.await.expect("the job runs");
    (release, held)
}
