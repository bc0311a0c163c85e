//! What was there before lists had filters: the step of the schema that brings them fills what they go by.

use std::path::PathBuf;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// The steps of the schema in their order, those before lists and the rest.
fn steps() -> (Vec<PathBuf>, Vec<PathBuf>) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let mut steps: Vec<PathBuf> = std::fs::read_dir(folder).expect("readable").map(|step| step.expect("a file").path()).collect();
    steps.sort();
    let lists = steps.iter().position(|step| step.ends_with("0004_lists.sql")).expect("the step of lists");
    let rest = steps.split_off(lists);
    (steps, rest)
}

async fn run(connection: &mut SqliteConnection, steps: Vec<PathBuf>) {
    for step in steps {
        let sql = std::fs::read_to_string(&step).expect("readable");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", step.display()));
    }
}

#[tokio::test]
async fn what_was_there_before_is_found_by_every_filter() {
    let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(false);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("it opens");
    let (before, rest) = steps();
    run(&mut connection, before).await;
    sqlx::raw_sql(
        "insert into addresses (id, folded) values (zeroblob(16), 'ann@acme.test');
         insert into users (id, address, email, display_name, active, super_admin, created, version)
         values (zeroblob(16), zeroblob(16), 'Ann@acme.test', 'Ann', 0, 1, 1, 1);
         insert into accounts (id, name, display_name, timezone, closed, has_manager, created, version)
         values (zeroblob(16), 'acme', 'Acme', 'UTC', 1, 0, 1, 1);
         insert into members (account, user, privilege, roles, joined, version) values (zeroblob(16), zeroblob(16), 2, 3, 1, 1);
         insert into mails (id, kind, address, recipient, state, created, due) values (zeroblob(16), 1, zeroblob(16), 'ann@acme.test', 4, 1, 1);
         insert into invitations (id, account, address, email, privilege, state, nonce, created, send_count, mail, version)
         values (zeroblob(16), zeroblob(16), zeroblob(16), 'Ann@acme.test', 2, 1, zeroblob(16), 1, 1, zeroblob(16), 1);",
    )
    .execute(&mut connection)
    .await
    .expect("written");
    run(&mut connection, rest).await;
    let found: Vec<(String, Option<String>, i64)> = sqlx::query_as(
        "select 'users', folded, class from users union all select 'accounts', null, class from accounts
         union all select 'members', folded, class from members union all select 'invitations', folded, class from invitations",
    )
    .fetch_all(&mut connection)
    .await
    .expect("read");
    let ann = || Some("ann@acme.test".to_owned());
    let deactivated_super_admin = ("users".to_owned(), ann(), 1);
    let closed_without_manager = ("accounts".to_owned(), None, 2);
    let normal_with_two_roles = ("members".to_owned(), ann(), 2 * 16 + 3);
    let pending_and_failed = ("invitations".to_owned(), ann(), 8 + 4);
    assert_eq!(found, [deactivated_super_admin, closed_without_manager, normal_with_two_roles, pending_and_failed]);
}
