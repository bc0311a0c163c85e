//! A disk that refuses to make anything durable.

use std::path::{Path, PathBuf};
use std::process::Command;

use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use user_management::proto::{self, AccessReason};

use crate::client::{Client, reason};
use crate::program::{Program, channel, data, operator};

/// Compiles what makes fsync fail while a file is there; none without a C compiler.
fn compile_shim() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fsync-faults.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/fsync.c");
    let done = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&target).args([source, "-ldl"]).status();
    done.is_ok_and(|status| status.success()).then_some(target)
}

async fn create(operator: &mut Client, name: &str) -> Result<(), Status> {
    let request = proto::CreateAccountRequest { name: name.to_owned(), ..Default::default() };
    operator.users.create_account(request).await.map(drop)
}

async fn exists(operator: &mut Client, name: &str) -> bool {
    operator.users.get_account(proto::GetAccountRequest { account: name.to_owned() }).await.is_ok()
}

async fn health(directory: &Path) -> ServingStatus {
    let channel = channel(&data(directory).join("grpc.sock")).await;
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.expect("answered").into_inner().status()
}

/// Waits for what follows a write by a moment.
async fn healthy(directory: &Path, expected: ServingStatus) {
    let end = tokio::time::Instant::now() + crate::program::LONG;
    while health(directory).await != expected {
        assert!(tokio::time::Instant::now() < end, "health doesn't become {expected:?}");
    }
}

/// Writes are refused, reads and checks go on, and what was answered is there after all of it.
pub(crate) async fn that_does_not_write_is_told_and_loses_nothing() {
    let Some(shim) = compile_shim() else {
        println!("disk: SKIPPED, there is no C compiler");
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    let broken = directory.join("broken");
    let mut command = Program::command(directory);
    command.env("LD_PRELOAD", shim).env("FSYNC_FAILS", &broken);
    let program = Program::spawn(&mut command);
    let mut operator = operator(directory).await;
    let (mut answered, mut refused) = (Vec::new(), Vec::new());
    for round in 0..10 {
        let (before, during, after) = (format!("before-{round}"), format!("during-{round}"), format!("after-{round}"));
        create(&mut operator, &before).await.expect("a disk that writes");
        healthy(directory, ServingStatus::Serving).await;
        std::fs::write(&broken, "").expect("broken");
        for attempt in 0..5 {
            let name = format!("{during}-{attempt}");
            let status = create(&mut operator, &name).await.expect_err("nothing is durable");
            assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STORAGE_UNAVAILABLE"));
            refused.push(name);
        }
        healthy(directory, ServingStatus::NotServing).await;
        let taken = create(&mut operator, &before).await.expect_err("its name is taken");
        assert_eq!(reason(&taken), "ACCOUNT_EXISTS");
        assert_eq!(health(directory).await, ServingStatus::NotServing, "a refusal proves nothing about the disk");
        assert!(exists(&mut operator, &before).await, "reads go on");
        let request = proto::CheckAccessRequest { account: before.clone(), user: "ann@acme.test".to_owned(), permission: 1 };
        let checked = operator.access.check_access(request).await.expect("checks go on").into_inner();
        assert_eq!(checked.reason(), AccessReason::UnknownUser);
        std::fs::remove_file(&broken).expect("mended");
        create(&mut operator, &after).await.expect("a disk that writes again");
        answered.extend([before, after]);
    }
    healthy(directory, ServingStatus::Serving).await;
    let mut seen = Vec::new();
    for name in &refused {
        seen.push(exists(&mut operator, name).await);
    }
    program.kill();

    let program = Program::start(directory);
    let mut operator = crate::program::operator(directory).await;
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
