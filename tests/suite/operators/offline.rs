//! On data that nobody serves.

use std::os::unix::net::UnixListener;
use std::process::Command;

use clap::CommandFactory as _;
use user_management::cli::Cli;
use user_management::store::DataDir;

use super::{Said, with_ann};
use crate::acme::ACME;
use crate::site::Site;

#[tokio::test]
async fn without_a_server_the_same_is_done_on_the_data_and_mails_wait_for_the_next_start() {
    let (mut site, ann) = with_ann().await;
    site.stop().await;
    let invited = site.operate("invite send acme bob@acme.test --privilege normal").await;
    let note = format!(
        "user-management: no server runs, so this worked on {}; one mail waits for the server to start\n",
        site.data_dir().display()
    );
    assert_eq!(invited.err, note);
    assert!(invited.done().contains("queued"));
    let denied = site.operate("member remove acme ann@acme.test --yes").await;
    assert_eq!(denied.code, Some(1), "the rules hold without a server too: {denied:?}");
    assert!(denied.err.contains("LAST_ADMIN: "), "{denied:?}");
    let missing = site.operate("account show nowhere").await;
    assert_eq!(missing.code, Some(3), "{missing:?}");
    let events = site.operate("events list --json").await.json();
    assert_eq!((&events[0]["actor"], &events[0]["kind"]), (&operator().into(), &"EVENT_KIND_INVITATION_CREATED".into()));
    assert_eq!(site.operate("events verify").await.code, Some(0));

    site.restart(None).await;
    site.mailed_token("bob@acme.test").await;
    let members = site.operator().await.members().await;
    assert_eq!(members.iter().map(|member| &member.user).collect::<Vec<_>>(), [&ann.id]);
}

fn operator() -> String {
    format!("operator:{}", rustix::process::geteuid().as_raw())
}

#[tokio::test]
async fn a_socket_that_a_killed_server_left_is_nobody() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    site.stop().await;
    drop(UnixListener::bind(site.data_dir().join("grpc.sock")).expect("bound"));
    assert_eq!(site.operate("account list --json").await.json().len(), 1);
    assert_eq!(site.operate("account list --json").await.json().len(), 1, "the first one let go of the data");
}

#[tokio::test]
async fn whoever_holds_the_data_keeps_commands_out_for_the_time() {
    let mut site = Site::start().await;
    site.stop().await;
    let held = DataDir::lock(&site.data_dir()).expect("locked");
    let refused = site.operate("account create acme").await.refused(4);
    assert!(refused.ends_with("is in use by another server or command"), "{refused}");
    drop(held);
    site.operate("account create acme").await.done();
}

#[tokio::test]
async fn a_named_socket_is_the_only_one_meant_and_status_takes_a_server() {
    let mut site = Site::start().await;
    site.stop().await;
    let socket = site.data_dir().join("grpc.sock");
    let refused = site.operate(&format!("account list --socket {}", socket.display())).await.refused(4);
    assert!(refused.starts_with(&format!("no server answers on {}", socket.display())), "{refused}");
    assert!(site.operate("status").await.refused(4).starts_with("no server answers on "));
}

#[test]
fn a_mistyped_directory_becomes_no_second_site() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_user-management"));
    let output =
        command.env_clear().current_dir(directory.path()).args(["account", "create", "acme"]).output().expect("it starts");
    let refused = Said::of(output).refused(4);
    assert!(refused.contains("./user-management-data holds no data yet"), "{refused}");
    assert_eq!(std::fs::read_dir(directory.path()).expect("read").count(), 0, "nothing was made");
}

#[tokio::test]
async fn every_command_has_a_manual_page_and_completions() {
    let site = Site::start().await;
    let pages = site.data_dir().join("pages");
    site.operate(&format!("man --into {}", pages.display())).await.done();
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut waiting = vec![program];
    while let Some(command) = waiting.pop() {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".TH ") && page.contains(".SH DESCRIPTION"), "{name}:\n{page}");
        waiting.extend(command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned());
    }
    assert!(site.operate("man member move").await.done().contains("keep\\-roles"));
    assert_eq!(site.operate("man nonsense").await.code, Some(2));
    for shell in ["bash", "zsh", "fish"] {
        let script = site.operate(&format!("completions {shell}")).await.done();
        assert!(script.contains("super-admin") && script.contains("read-only"), "{shell}");
    }
}
