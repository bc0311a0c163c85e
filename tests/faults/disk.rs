//! A disk that refuses to make anything durable.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use user_management::proto::{self, AccessReason};

use crate::client::{Client, reason};
use crate::dice::Dice;
use crate::program::{LONG, Place};
use crate::run::{Run, number};
use crate::shim;

async fn create(operator: &mut Client, name: &str) -> Result<(), Status> {
    let request = proto::CreateAccountRequest { name: name.to_owned(), ..Default::default() };
    operator.users.create_account(request).await.map(drop)
}

async fn exists(operator: &mut Client, name: &str) -> bool {
    operator.users.get_account(proto::GetAccountRequest { account: name.to_owned() }).await.is_ok()
}

pub(crate) async fn health(place: &Place) -> ServingStatus {
    let channel = place.operators_channel().await;
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.expect("answered").into_inner().status()
}

/// Waits for what follows a write by a moment.
pub(crate) async fn healthy(place: &Place, expected: ServingStatus) {
    let end = Instant::now() + LONG;
    while health(place).await != expected {
        assert!(Instant::now() < end, "health doesn't become {expected:?}");
    }
}

/// An fsync that takes 4 ms, and fails now and then, also across kills: clients ask again, and everything that was answered is there.
pub(crate) async fn that_is_slow_and_fails_at_times_loses_nothing() {
    let rounds = number("BROKEN", 8);
    let mut dice = Dice::new("slow disk");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let broken = directory.path().join("broken");
    let mut run = Run::start(&mut dice, directory.path(), |place| {
        place.quiet().behind(&shim::compiled(), &[("FSYNC_FAILS", &broken), ("FSYNC_DELAY_US", Path::new("4000"))])
    })
    .await;
    for _ in 0..rounds {
        sleep(Duration::from_millis(dice.throw(400))).await;
        let before = run.writers.tally.unanswered.load(Ordering::Relaxed);
        std::fs::write(&broken, "").expect("broken");
        let end = Instant::now() + LONG;
        while run.writers.tally.unanswered.load(Ordering::Relaxed) == before {
            assert!(Instant::now() < end, "a broken disk isn't noticed");
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(dice.throw(100))).await;
        let killed = dice.once_in(2);
        if killed {
            run.program.kill();
        }
        std::fs::remove_file(&broken).expect("mended");
        if killed {
            run.program = run.place.start();
        }
        healthy(&run.place, ServingStatus::Serving).await;
        run.writers.answered();
    }
    run.reckon(&format!("slow disk: broken {rounds} times")).await;
}

/// Writes are refused, reads and checks go on, and what was answered is there after all of it.
pub(crate) async fn that_does_not_write_is_told_and_loses_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let broken = directory.path().join("broken");
    let whole = Place::new(directory.path());
    let place = &whole.clone().quiet().behind(&shim::compiled(), &[("FSYNC_FAILS", &broken)]);
    let mut program = place.start();
    let mut operator = place.operator().await;
    let (mut answered, mut refused) = (Vec::new(), Vec::new());
    for round in 0..10 {
        let (before, during, after) = (format!("before-{round}"), format!("during-{round}"), format!("after-{round}"));
        create(&mut operator, &before).await.expect("a disk that writes");
        healthy(place, ServingStatus::Serving).await;
        std::fs::write(&broken, "").expect("broken");
        for attempt in 0..5 {
            let name = format!("{during}-{attempt}");
            let status = create(&mut operator, &name).await.expect_err("nothing is durable");
            assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STORAGE_UNAVAILABLE"));
            refused.push(name);
        }
        healthy(place, ServingStatus::NotServing).await;
        let taken = create(&mut operator, &before).await.expect_err("its name is taken");
        assert_eq!(reason(&taken), "ACCOUNT_EXISTS");
        assert_eq!(health(place).await, ServingStatus::NotServing, "a refusal proves nothing about the disk");
        assert!(exists(&mut operator, &before).await, "reads go on");
        let request = proto::CheckAccessRequest {
            account: before.clone(),
            user: "ann@acme.test".to_owned(),
            permission: 1,
            ..Default::default()
        };
        let checked = operator.access.check_access(request).await.expect("checks go on").into_inner();
        assert_eq!(checked.reason(), AccessReason::UnknownUser);
        std::fs::remove_file(&broken).expect("mended");
        create(&mut operator, &after).await.expect("a disk that writes again");
        answered.extend([before, after]);
    }
    healthy(place, ServingStatus::Serving).await;
    let mut seen = Vec::new();
    for name in &refused {
        seen.push(exists(&mut operator, name).await);
    }
    program.kill();

    let program = whole.start();
    let mut operator = whole.operator().await;
    for name in &answered {
        assert!(exists(&mut operator, name).await, "{name} was answered");
    }
    for (name, seen) in refused.iter().zip(seen) {
        assert_eq!(exists(&mut operator, name).await, seen, "{name}: a restart finds what was seen before it");
    }
    program.stop().await;
    println!(
        "disk: {} writes refused while fsync failed, {} answered before and after, all found",
        refused.len(),
        answered.len()
    );
}
