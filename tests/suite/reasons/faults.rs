//! Refused for what the server itself is in.

use std::pin::Pin;
use std::task::{Context, Waker};

use tokio::sync::oneshot;
use tonic::Status;
use user_management::domain::event::{Actor, Door, Origin};
use user_management::domain::id::TraceId;
use user_management::proto::{self, ErrorReason, Privilege};

use super::Refused;
use crate::site::Site;

/// Jobs that may wait for the writer, and some more.
const MORE_THAN_MAY_WAIT: usize = 5000;

pub(super) async fn refused() -> Refused {
    vec![
        (ErrorReason::Busy, busy().await),
        (ErrorReason::Draining, draining().await),
        (ErrorReason::StorageUnavailable, storage_unavailable().await),
        (ErrorReason::Internal, internal().await),
    ]
}

async fn create(site: &Site, name: &str) -> Result<(), Status> {
    let request = proto::CreateAccountRequest { name: name.to_owned(), ..Default::default() };
    site.operator().await.users.create_account(request).await.map(|_| ())
}

/// The writer is held up, and as many wait for it as may.
async fn busy() -> Status {
    let site = Site::start().await;
    let origin = Origin {
        actor: Actor::Server,
        on_behalf_of: None,
        client: None,
        door: Door::Inside,
        trace: TraceId::from_bytes([0; 16]),
    };
    let (started, begun) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let store = site.app().store();
    let mut context = Context::from_waker(Waker::noop());
    let mut first: Pin<Box<dyn Future<Output = _>>> = Box::pin(store.write(origin.clone(), async move |_| {
        started.send(()).expect("the test waits");
        let _ = released.await;
        Ok(())
    }));
    assert!(first.as_mut().poll(&mut context).is_pending());
    begun.await.expect("the writer has begun");
    let mut queue = vec![first];
    for _ in 0..MORE_THAN_MAY_WAIT {
        let mut job: Pin<Box<dyn Future<Output = _>>> = Box::pin(store.write(origin.clone(), async |_| Ok(())));
        if job.as_mut().poll(&mut context).is_ready() {
            break;
        }
        queue.push(job);
    }
    assert!(queue.len() < MORE_THAN_MAY_WAIT, "the queue has an end");
    let refused = create(&site, "acme").await.expect_err("refused");
    release.send(()).expect("the writer waits");
    for job in queue {
        job.await.expect("whoever waited is served");
    }
    create(&site, "acme").await.expect("there is room again");
    refused
}

/// The data was closed, as the shutdown does it, and a call comes in by a connection that is still open.
async fn draining() -> Status {
    let site = Site::start().await;
    site.app().close().await;
    create(&site, "acme").await.expect_err("refused")
}

/// The file is damaged. A full disk is among the tests of faults.
async fn storage_unavailable() -> Status {
    let site = Site::start().await;
    site.account("acme").await;
    // what a starting server writes of itself is done
    site.mails_settled().await;
    let mut database = site.database().await;
    let damage = "pragma writable_schema = on;
        create temp table sound as select sql from sqlite_schema where name = 'accounts';
        update sqlite_schema set sql = 'create table accounts (' where name = 'accounts';
        pragma schema_version = 1000";
    sqlx::raw_sql(damage).execute(&mut database).await.expect("damaged");
    let refused = create(&site, "other").await.expect_err("refused");
    let repair = "update sqlite_schema set sql = (select sql from sound) where name = 'accounts'; pragma schema_version = 1001";
    sqlx::raw_sql(repair).execute(&mut database).await.expect("repaired");
    create(&site, "other").await.expect("nothing was changed, and the next write is taken");
    refused
}

/// A row is gone that the directory knows.
async fn internal() -> Status {
    let site = Site::start().await;
    site.account("acme").await;
    site.underneath("delete from accounts").await;
    let refused = site.operator().await.invite("ann@acme.test", Privilege::Normal, &[]).await.expect_err("refused");
    assert_eq!(refused.message(), "a fault of the server", "the log says more, the answer doesn't");
    refused
}
