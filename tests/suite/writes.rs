//! The way of a write, beneath the wire: groups, refusals, panics, faults of the storage, and what callers are told of each.

pub(crate) mod bare;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sqlx::sqlite::SqlitePool;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use user_management::domain::clock::Clock;
use user_management::domain::error::Error;
use user_management::domain::event::{Door, Origin};
use user_management::store::{DataDir, Opened, Store, Tuning, Tx};

use crate::site::{BEGINNING, Site};
use bare::{Bare, create, hold, origin, queued};

async fn created(store: &Store, name: &'static str) -> Result<u64, Error> {
    store.write(origin(), async move |tx| create(tx, name).await).await
}

async fn refused(store: &Store, name: &'static str) -> Result<u64, Error> {
    store
        .write(origin(), async move |tx| {
            create(tx, name).await?;
            Err(Error::SignInFailed)
        })
        .await
}

/// Does some work, and then finds the disk full: the file may not grow, as far as this connection is concerned.
async fn fills_the_disk(tx: &mut Tx, name: &str) -> Result<u64, Error> {
    let seq = create(tx, name).await?;
    sqlx::query("pragma max_page_count = 1").execute(tx.sql()).await?;
    sqlx::query("update accounts set display_name = hex(zeroblob(1000000)) where name = ?").bind(name).execute(tx.sql()).await?;
    Ok(seq)
}

#[tokio::test]
async fn whoever_fills_the_queue_leaves_room_for_operators_and_the_service_itself() {
    let bare = Bare::start().await;
    let (release, held) = hold(&bare.store).await;
    let from = |door| Origin { door, ..origin() };
    let mut waiting = Vec::new();
    let refused = loop {
        let mut write = Box::pin(bare.store.write(from(Door::Tcp), async move |_| Ok(())));
        match write.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => waiting.push(write),
            Poll::Ready(refused) => break refused,
        }
    };
    assert!(matches!(refused, Err(Error::Busy { .. })));
    assert!(waiting.len() > 3000, "{}", waiting.len());
    let tool = bare.store.write(from(Door::ToolsSocket), async move |_| Ok(())).await;
    assert!(matches!(tool, Err(Error::Busy { .. })), "everybody else shares what is left to all");
    let operator = queued(bare.store.write(from(Door::OperatorsSocket), async move |_| Ok(())));
    let housekeeping = queued(bare.store.write(from(Door::Inside), async move |_| Ok(())));
    release.send(()).expect("held");
    held.await.expect("done");
    operator.await.expect("its turn comes");
    housekeeping.await.expect("and its");
}

#[tokio::test]
async fn a_refusal_undoes_its_own_job_and_none_of_its_group() {
    let bare = Bare::start().await;
    let (release, held) = hold(&bare.store).await;
    let jobs = [queued(created(&bare.store, "before")), queued(created(&bare.store, "after"))];
    let refused = queued(refused(&bare.store, "refused"));
    let last = queued(created(&bare.store, "last"));
    release.send(()).expect("held");
    held.await.expect("done");
    let [before, after] = jobs;
    assert_eq!((before.await.expect("done"), after.await.expect("done")), (1, 2));
    assert!(matches!(refused.await, Err(Error::SignInFailed)));
    assert_eq!(last.await.expect("done"), 3, "the refused one's number is given again");
    assert_eq!(bare.commits(), [vec![], vec![1, 2, 3]], "one group");
    let (names, whole) = bare.names().await;
    assert_eq!(names, ["after", "before", "last"]);
    assert_eq!(whole, 3);
}

/// A write that panics between a statement and its rows.
async fn panics(store: &Store) -> Result<(), Error> {
    let job = async |tx: &mut Tx| {
        create(tx, "panicked").await?;
        let many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select i from n";
        let mut rows = Box::pin(sqlx::query(many).fetch_all(tx.sql()));
        assert!(rows.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        // a panic that the terminal needn't hear of
        std::panic::resume_unwind(Box::new("a test's"));
        #[allow(unreachable_code, reason = "says what the job would have answered")]
        Ok(())
    };
    store.write(origin(), job).await
}

#[tokio::test]
async fn a_panic_is_one_jobs_even_between_a_statement_and_its_rows() {
    let bare = Bare::start().await;
    let (release, held) = hold(&bare.store).await;
    let (panicking, beside) = (queued(panics(&bare.store)), queued(created(&bare.store, "beside")));
    release.send(()).expect("held");
    held.await.expect("done");
    assert!(matches!(panicking.await, Err(Error::Internal(_))));
    beside.await.expect("done");
    assert!(matches!(panics(&bare.store).await, Err(Error::Internal(_))), "alone in its group");
    created(&bare.store, "after").await.expect("done");
    let (names, whole) = bare.names().await;
    assert_eq!(names, ["after", "beside"]);
    assert_eq!(whole, 2);
    assert!(bare.healthy());
}

#[tokio::test]
async fn a_fault_of_the_storage_ends_the_group_and_tells_every_caller_in_it() {
    let bare = Bare::start().await;
    created(&bare.store, "first").await.expect("done");
    let (release, held) = hold(&bare.store).await;
    let before = queued(created(&bare.store, "before"));
    let refused = queued(refused(&bare.store, "refused"));
    let full = queued(bare.store.write(origin(), async |tx| fills_the_disk(tx, "full").await));
    let after = [queued(created(&bare.store, "after")), queued(created(&bare.store, "later"))];
    release.send(()).expect("held");
    held.await.expect("done");
    assert!(matches!(before.await, Err(Error::Storage(_))));
    assert!(matches!(refused.await, Err(Error::Storage(_))), "it was judged by what didn't last");
    assert!(matches!(full.await, Err(Error::Storage(_))));
    for after in after {
        assert!(matches!(after.await, Err(Error::Storage(_))), "those whose turn never came too");
    }
    assert!(!bare.healthy());
    assert_eq!(bare.commits(), [vec![1], vec![]], "nothing was published");
    assert_eq!(bare.names().await, (vec!["first".to_owned()], 1));

    assert_eq!(created(&bare.store, "again").await.expect("done"), 2, "the end of history is the last commit's");
    assert!(bare.healthy());
    assert_eq!(bare.names().await.1, 2);
}

#[tokio::test]
async fn while_the_file_cannot_even_be_opened_callers_hear_of_the_storage() {
    let bare = Bare::start().await;
    let full = bare.store.write(origin(), async |tx| fills_the_disk(tx, "full").await).await;
    assert!(matches!(full, Err(Error::Storage(_))), "which closes the connection");
    let aside = bare.dir.path().join("aside");
    std::fs::rename(bare.database(), &aside).expect("moved");
    for _ in 0..2 {
        assert!(matches!(created(&bare.store, "early").await, Err(Error::Storage(_))));
    }
    std::fs::rename(&aside, bare.database()).expect("moved back");
    assert!(!bare.healthy());
    assert_eq!(created(&bare.store, "late").await.expect("done"), 1);
    assert!(bare.healthy());
}

#[tokio::test]
async fn health_fails_with_a_write_and_only_one_that_reached_the_file_mends_it() {
    let bare = Bare::start().await;
    assert!(bare.healthy());
    let full = bare.store.write(origin(), async |tx| fills_the_disk(tx, "full").await).await;
    assert!(matches!(full, Err(Error::Storage(_))) && !bare.healthy());
    assert!(matches!(refused(&bare.store, "refused").await, Err(Error::SignInFailed)));
    assert!(!bare.healthy(), "a refusal proves nothing about the disk");
    bare.store.write(origin(), async |_| Ok(())).await.expect("done");
    assert!(bare.healthy(), "a job without changes is written all the same while it isn't known whether that works");
}

#[tokio::test]
async fn clients_who_watch_health_are_told_of_the_storage() {
    let site = Site::start().await;
    let store = site.app().store();
    let mut watch = HealthClient::new(site.tcp_channel().await);
    let mut watch = watch.watch(HealthCheckRequest::default()).await.expect("a stream").into_inner();
    let mut told = async |expected| while watch.message().await.expect("open").expect("a status").status() != expected {};
    told(ServingStatus::Serving).await;
    let failing = async {
        // again and again: what the server writes of itself mends it
        loop {
            let full = store.write(origin(), async |tx| fills_the_disk(tx, "full").await).await;
            assert!(matches!(full, Err(Error::Storage(_))));
        }
    };
    tokio::select! {
        () = told(ServingStatus::NotServing) => {}
        () = failing => {}
    }
    // the one that was given up may be of the same group
    while created(store, "written").await.is_err() {}
    told(ServingStatus::Serving).await;
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_cancel_the_write() {
    let bare = Bare::start().await;
    let (release, held) = hold(&bare.store).await;
    drop(queued(created(&bare.store, "abandoned")));
    release.send(()).expect("held");
    held.await.expect("done");
    assert_eq!(created(&bare.store, "next").await.expect("done"), 2);
    assert_eq!(bare.names().await.0, ["abandoned", "next"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_numbered_without_gaps_and_published_in_order_before_their_answer() {
    let bare = Bare::start().await;
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let (store, commits) = (Arc::clone(&bare.store), Arc::clone(&bare.commits));
        callers.spawn(async move {
            let mut answered = 0;
            for round in 0..40 {
                let refuse = (caller + round) % 3 == 0;
                let write = store.write(origin(), async move |tx| {
                    let seq = create(tx, &format!("account-{caller}-{round}")).await?;
                    if refuse { Err(Error::SignInFailed) } else { Ok(seq) }
                });
                if let Ok(seq) = write.await {
                    answered += 1;
                    assert!(commits.lock().expect("a log").iter().rev().any(|commit| commit.contains(&seq)));
                }
            }
            answered
        });
    }
    let answered: u64 = callers.join_all().await.into_iter().sum();
    assert_eq!(bare.commits().concat(), (1..=answered).collect::<Vec<_>>());
    assert!(bare.commits().len() < 640, "they shared commits");
    assert_eq!(bare.names().await.1, answered);
}

#[tokio::test]
async fn after_the_end_the_file_stands_alone() {
    let bare = Bare::start().await;
    created(&bare.store, "written").await.expect("done");
    bare.store.close().await;
    assert!(matches!(created(&bare.store, "late").await, Err(Error::Draining)));
    let log = bare.database().with_extension("db-wal");
    assert!(!log.exists(), "what a backup of the one file would miss");
    let alone = SqlitePool::connect(&format!("sqlite://{}?mode=ro", bare.database().display())).await.expect("opened");
    assert_eq!(sqlx::query_scalar::<_, i64>("select count(*) from accounts").fetch_one(&alone).await.expect("read"), 1);
}

#[tokio::test]
async fn a_writer_that_is_gone_is_a_fault_of_the_storage() {
    let dir = TempDir::new().expect("a temporary directory");
    let opened = Opened::open(DataDir::lock(dir.path()).expect("locked")).await.expect("opened");
    let on_commit = Box::new(|_: &_| std::panic::resume_unwind(Box::new("a test's")));
    let store = opened.start(Clock::set_to(BEGINNING), Tuning::default(), on_commit).await.expect("started");
    let mut healthy = store.healthy().expect("a writer");
    assert!(matches!(created(&store, "published").await, Err(Error::Internal(_))));
    assert!(healthy.changed().await.is_err(), "which is how the server learns of it");
    assert!(matches!(created(&store, "later").await, Err(Error::Storage(_))));
}
