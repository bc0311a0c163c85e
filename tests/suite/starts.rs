//! Starting on data that isn't fit to be served: one clear line each.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use user_management::app::App;
use user_management::config::Config;
use user_management::domain::clock::Clock;
use user_management::domain::error::chain;
use user_management::store::Tuning;

use crate::site::{BEGINNING, Site};

/// What is said instead of starting on a directory.
async fn refusal(data: &Path) -> String {
    let text = format!("data_dir = '{}'", data.display());
    let config = Config::from_toml(&text).unwrap_or_else(|error| panic!("{error}"));
    let refused = App::open(&config, Clock::set_to(BEGINNING), Tuning::default()).await;
    let line = chain(&refused.map(|_| ()).expect_err("refused"));
    assert!(!line.contains('\n'), "{line}");
    line.replace(&data.display().to_string(), "DATA")
}

#[tokio::test]
async fn a_second_server_on_the_data_is_refused_and_the_first_serves_on() {
    let site = Site::start().await;
    assert_eq!(refusal(&site.data_dir()).await, "the data directory DATA is in use by another server or command");
    site.account("acme").await;
}

#[tokio::test]
async fn a_directory_that_others_could_bend_is_refused() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (real, link, file) = (root.path().join("real"), root.path().join("link"), root.path().join("file"));
    std::fs::create_dir(&real).expect("made");
    std::os::unix::fs::symlink(&real, &link).expect("linked");
    assert_eq!(refusal(&link).await, "the data directory DATA is a link; name the directory itself");
    std::fs::write(&file, "").expect("written");
    assert_eq!(refusal(&file).await, "the data directory DATA is not a directory");
    for mode in [0o770, 0o707, 0o722] {
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(mode)).expect("set");
        assert_eq!(refusal(&real).await, "the data directory DATA can be written by other users; make it 0700");
    }
    assert_eq!(std::fs::read_dir(&real).expect("readable").count(), 0, "nothing was put there");
    let parent = root.path().join("none/data");
    assert_eq!(refusal(&parent).await, "the data directory DATA can't be used: No such file or directory (os error 2)");
}

#[tokio::test]
async fn data_of_a_newer_program_is_refused_untouched() {
    let mut site = Site::start().await;
    site.stop().await;
    let file = site.data_dir().join("user-management.db");
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&file)).await.expect("the database opens");
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9000, 'x', 1, x'00', 1)",
    )
    .execute(&mut connection)
    .await
    .expect("inserted");
    connection.close().await.expect("closed");
    let before = std::fs::read(&file).expect("readable");
    let refusal = refusal(&site.data_dir()).await;
    assert!(refusal.starts_with("DATA/user-management.db has schema version 9000, and this program knows "), "{refusal}");
    assert!(refusal.ends_with(" at most: use the newer program, or restore an older backup"), "{refusal}");
    assert!(before == std::fs::read(&file).expect("readable"));
}

#[tokio::test]
async fn old_data_without_its_link_key_is_refused_rather_than_given_another() {
    let mut site = Site::start().await;
    site.stop().await;
    let key = site.data_dir().join("link.key");
    let text = std::fs::read_to_string(&key).expect("readable");
    std::fs::remove_file(&key).expect("removed");
    assert_eq!(
        refusal(&site.data_dir()).await,
        "the link key DATA/link.key is missing beside an existing database; restore it from the backup, or set link_key_file"
    );
    assert!(!key.exists());
    std::fs::write(&key, text).expect("restored");
    assert_eq!(refusal(&site.data_dir()).await, "the link key DATA/link.key can be read by other users; make it 0600");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("set");
    let whole = std::fs::read(&key).expect("readable");
    std::fs::write(&key, &whole[..40]).expect("written");
    let malformed = refusal(&site.data_dir()).await;
    assert!(malformed.starts_with("the link key DATA/link.key must hold a number and 64 hexadecimal digits"), "{malformed}");
    std::fs::write(&key, whole).expect("restored");
    // who isn't root can't give a file away
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&key, Some(65_534), None).expect("given away");
        let foreign = refusal(&site.data_dir()).await;
        assert_eq!(foreign, "the link key DATA/link.key belongs to another user than root and the one running the program");
        std::os::unix::fs::chown(&key, Some(0), None).expect("taken back");
    } else {
        eprintln!("skipped for want of root: a link key of another user");
    }
    site.restart(None).await;
}

#[tokio::test]
async fn a_first_start_cut_short_while_it_made_the_key_can_be_repeated() {
    let data = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(data.path().join("link.key.part"), "1 00").expect("written");
    let config = Config::from_toml(&format!("data_dir = '{}'", data.path().display())).unwrap_or_else(|error| panic!("{error}"));
    for _ in 0..2 {
        let app = App::open(&config, Clock::set_to(BEGINNING), Tuning::default()).await.unwrap_or_else(|error| panic!("{error}"));
        app.close().await;
    }
    assert!(!data.path().join("link.key.part").exists());
    let key = data.path().join("link.key").metadata().expect("a key");
    assert_eq!((key.len(), key.permissions().mode() & 0o777), (67, 0o600));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let mut site = Site::start().await;
    site.stop().await;
    std::fs::write(site.data_dir().join("user-management.db"), "something else, and long enough to be looked at\n".repeat(100))
        .expect("written");
    let line = refusal(&site.data_dir()).await;
    assert!(line.starts_with("the database DATA/user-management.db can't be opened: "), "{line}");
    assert!(line.contains("file is not a database"), "{line}");
}
