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

fn config(data: &Path) -> Config {
    Config::from_toml(&format!("data_dir = '{}'", data.display())).unwrap_or_else(|error| panic!("{error}"))
}

/// What is said instead of starting on a directory.
async fn refusal(data: &Path) -> String {
    let refused = App::open(&config(data), Clock::set_to(BEGINNING), Tuning::default()).await;
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
    let with_slash = Path::new(&format!("{}/", link.display())).to_owned();
    assert_eq!(refusal(&with_slash).await, "the data directory DATA is a link; name the directory itself");
    std::fs::write(&file, "").expect("written");
    assert_eq!(refusal(&file).await, "the data directory DATA is not a directory");
    for mode in [0o770, 0o707, 0o722] {
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(mode)).expect("set");
        assert_eq!(
            refusal(&real).await,
            "the data directory DATA can be written by other users; make it 0700, or name another if it is for all"
        );
    }
    assert_eq!(std::fs::read_dir(&real).expect("readable").count(), 0, "nothing was put there");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o700)).expect("set");
    for (mode, sticky) in [(0o777, false), (0o703, false), (0o1777, true)] {
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(mode)).expect("set");
        if sticky {
            App::open(&config(&real), Clock::set_to(BEGINNING), Tuning::default()).await.map(drop).expect("as /tmp is");
            continue;
        }
        let above = root.path().canonicalize().expect("a path");
        let said = format!(
            "the data directory DATA lies below {}, which everybody may write and which isn't sticky; make that one 0755 or 1777",
            above.display()
        );
        assert_eq!(refusal(&real).await, said);
    }
    // a link in a place that everybody writes leads where they like, and nothing is made there
    let open = root.path().join("open");
    std::fs::create_dir(&open).expect("made");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).expect("set");
    std::os::unix::fs::symlink(root.path(), open.join("link")).expect("linked");
    let by_what_is_not_there = root.path().join("none/../open/new");
    assert!(refusal(&by_what_is_not_there).await.contains("No such file or directory"), "what is made might open it");
    assert!(!root.path().join("none").exists());
    for below in [open.join("link/real"), open.join("link/new"), open.join("new")] {
        let said = refusal(&below).await;
        assert!(said.ends_with("open, which everybody may write and which isn't sticky; make that one 0755 or 1777"), "{said}");
        let checked = user_management::app::check(&config(&below)).swap_remove(0);
        assert_eq!(chain(&checked).replace(&below.display().to_string(), "DATA"), said);
    }
    assert!(!open.join("new").exists() && !root.path().join("new").exists());
    let parent = root.path().join("none/data");
    assert_eq!(refusal(&parent).await, "the data directory DATA can't be used: No such file or directory (os error 2)");
}

#[tokio::test]
async fn a_directory_of_another_user_is_refused_and_one_that_others_could_look_into_is_closed() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let data = root.path().join("data");
    std::fs::create_dir(&data).expect("made");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("set");
    // who isn't root can't give a directory away
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&data, Some(65_534), None).expect("given away");
        let said = "the data directory DATA belongs to uid 65534 instead of uid 0; run the program as that user, or chown it";
        assert_eq!(refusal(&data).await, said);
        assert_eq!(std::fs::read_dir(&data).expect("readable").count(), 0, "nothing was put there");
        std::os::unix::fs::chown(&data, Some(0), None).expect("taken back");
    } else {
        crate::skipped("for want of root: a directory of another user");
    }
    let app = App::open(&config(&data), Clock::set_to(BEGINNING), Tuning::default()).await;
    app.unwrap_or_else(|error| panic!("{error}")).close().await;
    assert_eq!(data.metadata().expect("there").permissions().mode() & 0o7777, 0o700);
}

#[tokio::test]
async fn a_database_or_mail_that_others_could_read_or_bend_is_refused_untouched() {
    let mut site = Site::start().await;
    site.stop().await;
    let data = site.data_dir();
    let database = data.join("user-management.db");
    let whole = std::fs::read(&database).expect("readable");
    let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    let open = "can be read or written by other users; make it 0600, once it is sure that none of them changed it";
    for mode in [0o666, 0o640, 0o602] {
        set(&database, mode);
        assert_eq!(refusal(&data).await, format!("the database DATA/user-management.db {open}"));
    }
    set(&database, 0o600);
    for ending in ["-wal", "-shm"] {
        let beside = data.join(format!("user-management.db{ending}"));
        std::fs::write(&beside, "").expect("written");
        set(&beside, 0o666);
        assert_eq!(refusal(&data).await, format!("the database DATA/user-management.db{ending} {open}"));
        std::fs::remove_file(&beside).expect("removed");
    }
    std::fs::rename(&database, data.join("elsewhere.db")).expect("moved");
    std::os::unix::fs::symlink("elsewhere.db", &database).expect("linked");
    let said = "the database DATA/user-management.db is not a plain file; put the file itself there";
    assert_eq!(refusal(&data).await, said);
    std::fs::rename(data.join("elsewhere.db"), &database).expect("moved back");
    let mail = data.join("mail");
    set(&mail, 0o777);
    let said = "mail: the mail directory DATA/mail can be written by other users; make it 0700, or name another if it is for all";
    assert_eq!(refusal(&data).await, said);
    set(&mail, 0o755);
    if rustix::process::geteuid().is_root() {
        for (path, name) in [(&database, "database DATA/user-management.db"), (&mail, "mail directory DATA/mail")] {
            std::os::unix::fs::chown(path, Some(65_534), None).expect("given away");
            let foreign = refusal(&data).await;
            let said = format!("the {name} belongs to uid 65534 instead of uid 0; run the program as that user, or chown it");
            assert_eq!(foreign.trim_start_matches("mail: "), said);
            std::os::unix::fs::chown(path, Some(0), None).expect("taken back");
        }
    } else {
        crate::skipped("for want of root: files of another user");
    }
    assert!(whole == std::fs::read(&database).expect("readable"));
    site.restart(None).await;
    assert_eq!(mail.metadata().expect("there").permissions().mode() & 0o7777, 0o700, "others could only look into it");
}

#[tokio::test]
async fn templates_a_relays_authorities_and_a_program_that_others_could_write_are_refused() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let place = root.path();
    let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    let (templates, program, authorities) = (place.join("templates"), place.join("sendmail"), place.join("ca.pem"));
    let template = templates.join("login_exists.txt");
    std::fs::create_dir(&templates).expect("made");
    std::fs::write(&template, "Subject: hello\n\nHello.\n").expect("written");
    std::fs::write(&program, "#!/bin/sh\n").expect("written");
    let pair = rcgen::generate_simple_self_signed(["relay.test".to_owned()]).expect("a certificate");
    std::fs::write(&authorities, pair.cert.pem()).expect("written");
    let settings = |mail: &str| {
        let sender = "from = 'noreply@acme.test'";
        let text = format!(
            "data_dir = '{0}/data'\nweb.public_url = 'https://users.acme.test'\nmail = {{ {sender}, {mail} }}",
            place.display()
        );
        Config::from_toml(&text).unwrap_or_else(|error| panic!("{error}"))
    };
    let with_templates = settings(&format!("templates = '{}'", templates.display()));
    let by_program = settings(&format!("transport = 'sendmail', sendmail.command = '{}'", program.display()));
    let by_relay = settings(&format!("transport = 'smtp', smtp = {{ host = 'relay', ca_file = '{}' }}", authorities.display()));
    let is_root = rustix::process::geteuid().is_root();
    for (config, path, right) in [
        (&with_templates, &templates, 0o755),
        (&with_templates, &template, 0o644),
        (&by_program, &program, 0o755),
        (&by_relay, &authorities, 0o644),
    ] {
        set(path, right);
        let refusals = async || {
            let started = match App::open(config, Clock::set_to(BEGINNING), Tuning::default()).await {
                Ok(app) => {
                    app.close().await;
                    None
                }
                Err(error) => Some(chain(&error)),
            };
            [started, user_management::app::check(config).first().map(|error| chain(error))]
        };
        assert_eq!(refusals().await, [None, None], "{}", path.display());
        for more in [0o020, 0o002] {
            set(path, right | more);
            let what = "can be written by other users; make it theirs to read at most (chmod go-w)";
            let said = format!("mail: {} {what}", path.display());
            assert_eq!(refusals().await, [Some(said.clone()), Some(said)]);
            set(path, right);
        }
        if is_root {
            std::os::unix::fs::chown(path, Some(65_534), None).expect("given away");
            let said = format!(
                "mail: {} belongs to uid 65534 instead of uid 0; run the program as that user, or chown it",
                path.display()
            );
            assert_eq!(refusals().await, [Some(said.clone()), Some(said)]);
            std::os::unix::fs::chown(path, Some(0), None).expect("taken back");
        }
    }
    if !is_root {
        crate::skipped("for want of root: what says whom to trust and is another user's");
    }
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
        "the link key DATA/link.key is missing beside an existing database; restore it from the backup, or set link_key_file to where it is"
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
        assert_eq!(foreign, "the link key DATA/link.key belongs to another user than root and the one of the service");
        // of root's group, as systemd shows a credential, others' of no group
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).expect("set");
        std::os::unix::fs::chown(&key, Some(0), Some(65_534)).expect("another group's");
        assert_eq!(refusal(&site.data_dir()).await, "the link key DATA/link.key can be read by other users; make it 0600");
        std::os::unix::fs::chown(&key, Some(0), Some(0)).expect("taken back");
    } else {
        crate::skipped("for want of root: a link key of another user");
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
async fn a_first_start_that_can_not_make_the_key_leaves_no_data_that_would_seem_to_have_lost_it() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let (data, keys) = (place.path().join("data"), place.path().join("keys"));
    let config = format!("data_dir = '{}'\nlink_key_file = '{}/link.key'", data.display(), keys.display());
    let config = Config::from_toml(&config).unwrap_or_else(|error| panic!("{error}"));
    let open = async || App::open(&config, Clock::set_to(BEGINNING), Tuning::default()).await;
    let refused = open().await.map(drop).expect_err("there is no place for the key").to_string();
    assert!(refused.ends_with("keys/link.key can't be used"), "{refused}");
    assert!(user_management::app::check(&config).is_empty(), "it gets its key at the first start");
    std::fs::create_dir(&keys).expect("made");
    open().await.unwrap_or_else(|error| panic!("{error}")).close().await;
    std::fs::remove_file(keys.join("link.key")).expect("removed");
    let lost = user_management::app::check(&config).swap_remove(0).to_string();
    assert!(lost.contains("is missing beside an existing database"), "{lost}");
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
