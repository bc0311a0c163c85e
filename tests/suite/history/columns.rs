//! Each column that history tells of, changed behind its back in one row, which is named then. Every column of every table is decided on here.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;
use user_management::proto::{self, HistoryFault, Privilege, Role};

use super::tampering::verified;
use super::whole;
use crate::acme::ACME;
use crate::site::{BEGINNING, Site};

// ids that one moment made are in no order
const ANNS_SESSION: &str =
    "id = (select max(id) from sessions where ended is null and user = (select id from users where email = 'ann@acme.test'))";
const OTHER: &str = "(select id from accounts where name = 'other')";
const ZOE: &str = "(select id from users where email = 'zoe@acme.test')";
const EVE: &str = "'eve@evil.test'";

/// A column and what it is changed to, in SQL; the value of a key doesn't name the column.
type Edit = (&'static str, &'static str);

/// What history tells of: of a table one row, and to what each column of it is changed.
const TOLD: [(&str, &str, &[Edit]); 15] = [
    ("server", "true", &[("epoch", "zeroblob(16)"), ("edition", "2")]),
    // of users, and of who was invited
    ("addresses", "folded = 'ann@acme.test'", &[("id", "zeroblob(16)"), ("folded", EVE)]),
    ("addresses", "folded = 'bob@acme.test'", &[("id", "zeroblob(16)"), ("folded", EVE)]),
    (
        "accounts",
        "name = 'acme'",
        &[
            ("id", "zeroblob(16)"),
            ("name", "'acmf'"),
            ("display_name", "'Evil'"),
            ("timezone", "'Europe/Paris'"),
            ("closed", "1"),
            ("has_manager", "0"),
        ],
    ),
    (
        "users",
        "email = 'ann@acme.test'",
        &[
            ("id", "zeroblob(16)"),
            ("address", "(select id from addresses where folded = 'bob@acme.test')"),
            ("email", EVE),
            ("display_name", "'Eve'"),
            ("active", "0"),
            ("super_admin", "1"),
            ("deleted", "1"),
            ("folded", EVE),
        ],
    ),
    (
        "members",
        "true",
        &[
            ("account", OTHER),
            ("user", ZOE),
            ("privilege", "3"),
            ("roles", "roles + 1"),
            ("joined", "joined + 1"),
            ("invitation", "(select id from invitations where email = 'bob@acme.test')"),
            ("folded", EVE),
            ("active", "0"),
        ],
    ),
    (
        "invitations",
        "email = 'bob@acme.test'",
        &[
            ("id", "zeroblob(16)"),
            ("account", OTHER),
            ("address", "(select address from users where email = 'zoe@acme.test')"),
            ("email", EVE),
            ("privilege", "1"),
            ("roles", "roles + 1"),
            ("state", "4"),
            ("grantor_user", ZOE),
            ("grantor_service", "(select id from services where name = 'tool')"),
            ("expires", "expires + 1"),
            ("send_count", "send_count + 1"),
            ("folded", EVE),
        ],
    ),
    ("invitations", "email = 'ann@acme.test'", &[("answered_by", ZOE)]),
    (
        "services",
        "name = 'tool'",
        &[
            ("id", "zeroblob(16)"),
            ("name", "'tools'"),
            ("scopes", "63"),
            ("account", OTHER),
            ("token", "zeroblob(32)"),
            ("expires", "4102444800000000"),
            ("revoked", "1"),
            ("expiry_told", "1"),
        ],
    ),
    ("services", "name = 'certified'", &[("certificate", "'spiffe://evil/alerts'"), ("expires", "null"), ("expiry_told", "0")]),
    (
        "sessions",
        ANNS_SESSION,
        &[
            ("id", "zeroblob(16)"),
            ("user", ZOE),
            ("token", "zeroblob(32)"),
            ("authenticated", "authenticated + 1"),
            ("expires", "expires + 1"),
        ],
    ),
    // brought back; one that is ended is as if it had been deleted, which happens to old ones
    ("sessions", "ended is not null", &[("ended", "null")]),
    (
        "api_tokens",
        "name = 'backup'",
        &[
            ("id", "zeroblob(16)"),
            ("user", ZOE),
            ("account", OTHER),
            ("name", "'backups'"),
            ("token", "zeroblob(32)"),
            ("privilege", "1"),
            ("roles", "roles + 1"),
            ("expires", "expires + 1"),
            ("expiry_told", "1"),
        ],
    ),
    ("api_tokens", "name = 'soon'", &[("expiry_told", "0")]),
    ("api_tokens", "name = 'former'", &[("ended", "null")]),
];

/// Columns that history doesn't hold: of which tables, and why.
const UNTOLD: [(&[&str], &[&str], &str); 9] = [
    (&["server"], &["one"], "the same in all data"),
    (&["server"], &["erasing"], "what is left to do after an erasure, not what is so"),
    (&["server"], &["link_key"], "history tells the number of a key and nothing of the key itself"),
    (&["users"], &["password"], "history holds no passwords, nor digests of them"),
    (&["invitations"], &["nonce", "first_opened"], "of open links, which aren't told of"),
    (&["invitations"], &["mail", "delivery"], "of mails, which aren't told of"),
    (&["sessions", "api_tokens"], &["last_used"], "uses aren't events"),
    (
        &["server", "accounts", "users", "invitations", "services", "api_tokens"],
        &["created"],
        "when the first event about it was, which may be dropped; the last doesn't tell it",
    ),
    (
        &["accounts", "users", "members", "invitations", "services"],
        &["version"],
        "makes etags alone: the number of the first event of a write, which needn't be about this",
    ),
];

/// Tables that history doesn't hold, each with why.
const ELSEWHERE: [(&str, &str); 11] = [
    ("_sqlx_migrations", "the steps of the schema"),
    ("devices", "a reading for limits"),
    ("erased_mails", "what is left to do after an erasure"),
    ("events", "history itself"),
    ("former_addresses", "what goes with an erasure; the events about earlier addresses may be dropped"),
    ("login_links", "open links aren't told of"),
    ("mails", "mails aren't told of"),
    ("personal_values", "a part of history, which is held against its digests"),
    ("requests", "answers for retries, for a day"),
    ("sign_ups", "no events before they are confirmed"),
    ("spending", "counts of limits"),
];

/// What a row is named by where it differs: `subject` and `account`, in SQL.
fn name_of(table: &str) -> (&str, &str) {
    match table {
        "server" => ("''", "''"),
        "addresses" => (
            "coalesce((select 'usr_' || lower(hex(users.id)) from users where users.address = addresses.id),
                      (select 'inv_' || lower(hex(invitations.id)) from invitations where invitations.address = addresses.id))",
            "''",
        ),
        "accounts" => ("''", "name"),
        "users" => ("'usr_' || lower(hex(id))", "''"),
        "members" => ("'usr_' || lower(hex(user))", "(select name from accounts where accounts.id = members.account)"),
        "invitations" => ("'inv_' || lower(hex(id))", "''"),
        "services" => ("'svc_' || lower(hex(id))", "''"),
        "sessions" => ("'sid_' || lower(hex(id))", "''"),
        "api_tokens" => ("'tok_' || lower(hex(id))", "''"),
        another => panic!("{another} has a name"),
    }
}

/// A site on which each of those rows is there.
async fn site() -> Site {
    let site = whole().await;
    site.account("other").await;
    site.person("zoe@acme.test").await;
    let mut operator = site.operator().await;
    site.service("tool", &["users.read"], "").await;
    let soon = BEGINNING.plus(std::time::Duration::from_hours(24 * 7));
    let soon = Some(prost_types::Timestamp { seconds: soon.as_micros() / 1_000_000, nanos: 0 });
    let certified = proto::CreateServiceRequest {
        name: "certified".to_owned(),
        scopes: vec!["access.check".to_owned()],
        certificate_name: "spiffe://acme/alerts".to_owned(),
        expire_time: soon,
        ..Default::default()
    };
    let told = proto::CreateServiceRequest { name: "told".to_owned(), certificate_name: String::new(), ..certified.clone() };
    let told = operator.operations.create_service(told).await.expect("made").into_inner().service.expect("it");
    operator.operations.create_service(certified).await.expect("made");
    let signed_out = site.sign_in("ann@acme.test").await;
    site.bearer(&signed_out.token).await.identity.sign_out(proto::SignOutRequest {}).await.expect("signed out");
    let ann = site.sign_in("ann@acme.test").await;
    let cap = proto::ApiTokenCap { privilege: Privilege::Normal.into(), roles: vec![Role::Data.into()] };
    site.api_token(&ann, ACME, Some(cap)).await;
    let mut as_ann = site.bearer(&ann.token).await;
    for name in ["soon", "former"] {
        let request = proto::CreateApiTokenRequest {
            account: ACME.to_owned(),
            name: name.to_owned(),
            expire_time: soon,
            ..Default::default()
        };
        let made = as_ann.identity.create_api_token(request).await.expect("made").into_inner().api_token.expect("it");
        if name == "former" {
            let revoke = proto::RevokeApiTokenRequest { api_token: made.id, ..Default::default() };
            as_ann.identity.revoke_api_token(revoke).await.expect("revoked");
        }
    }
    site.app().tell_expiring().await;
    let revoke = proto::RevokeServiceRequest { service: told.id, ..Default::default() };
    operator.operations.revoke_service(revoke).await.expect("revoked");
    site
}

/// Runs a statement and answers how many rows it changed.
async fn run(database: &mut SqliteConnection, sql: String) -> u64 {
    let done = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(database).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
}

#[tokio::test]
async fn no_column_that_history_tells_of_is_changed_unseen() {
    let site = site().await;
    assert_eq!(verified(&site, &[]).await.differences, []);
    let mut database = site.database().await;
    let mut unseen = Vec::new();
    for (table, row, columns) in TOLD {
        run(&mut database, format!("create temp table kept as select * from {table} where {row}")).await;
        let kept: i64 = sqlx::query_scalar("select count(*) from temp.kept").fetch_one(&mut database).await.expect("counted");
        assert_eq!(kept, 1, "{table} where {row}");
        let keys: Vec<String> = sqlx::query_scalar("select name from pragma_table_info(?) where pk > 0")
            .bind(table)
            .fetch_all(&mut database)
            .await
            .expect("read");
        for (column, value) in columns {
            let old = |column: &str| format!("(select kept.{column} from temp.kept)");
            let at = |changed: &str| {
                let terms = keys.iter().map(|key| match key {
                    key if key == changed => format!("{key} = {value}"),
                    key => format!("{key} = {}", old(key)),
                });
                terms.collect::<Vec<_>>().join(" and ")
            };
            let (before, after) = (at(""), at(column));
            let (subject, account) = name_of(table);
            let named = async |database: &mut SqliteConnection, row: &str| -> (String, String) {
                let sql = format!("select {subject}, {account} from {table} where {row}");
                sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_one(database).await.expect("the row is there")
            };
            let mut name = named(&mut database, &before).await;
            let edit = format!("update {table} set {column} = {value} where {before} and {column} is not {value}");
            assert_eq!(run(&mut database, edit).await, 1, "{table}.{column} is another");
            // history can't say that one is there still, so under another id it is named by that
            if matches!(table, "sessions" | "api_tokens") {
                name = named(&mut database, &after).await;
            }
            let found = verified(&site, &[]).await;
            assert_eq!((found.first_broken, found.fault()), (0, HistoryFault::Unspecified), "{table}.{column}");
            if !found.differences.iter().any(|found| (&found.subject, &found.account) == (&name.0, &name.1)) {
                unseen.push((table, row, *column, name, found.differences));
            }
            let back = format!("update {table} set {column} = {} where {after}", old(column));
            assert_eq!(run(&mut database, back).await, 1, "{table}.{column}");
            assert_eq!(verified(&site, &[]).await.differences, [], "{table}.{column} is put back");
        }
        run(&mut database, "drop table temp.kept".to_owned()).await;
    }
    assert!(unseen.is_empty(), "what was changed isn't named: {unseen:#?}");
}

#[tokio::test]
async fn each_column_is_told_of_by_history_or_there_is_a_reason_why_not() {
    let site = Site::start().await;
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select tables.name, columns.name from sqlite_schema tables join pragma_table_info(tables.name) columns
          where tables.type = 'table' and tables.name not like 'sqlite\\_%' escape '\\'",
    )
    .fetch_all(&mut site.database().await)
    .await
    .expect("read");
    let there: BTreeSet<_> = columns
        .iter()
        .map(|(table, column)| (table.as_str(), column.as_str()))
        .filter(|(table, _)| !ELSEWHERE.iter().any(|(name, _)| name == table))
        .collect();
    let told: BTreeSet<_> =
        TOLD.iter().flat_map(|(table, _, columns)| columns.iter().map(move |(column, _)| (*table, *column))).collect();
    let of_tables = |(tables, columns, _): &(&'static [&'static str], &'static [&'static str], &str)| -> Vec<_> {
        tables.iter().flat_map(|table| columns.iter().map(move |column| (*table, *column))).collect()
    };
    let untold: BTreeSet<_> = UNTOLD.iter().flat_map(of_tables).collect();
    let both: Vec<_> = told.intersection(&untold).collect();
    assert!(both.is_empty(), "{both:?}");
    let decided = told.union(&untold).copied().collect();
    let missing: Vec<_> = there.difference(&decided).collect();
    assert!(missing.is_empty(), "nothing is said of {missing:?}");
    let gone: Vec<_> = decided.difference(&there).collect();
    assert!(gone.is_empty(), "{gone:?} aren't there");
    for (table, _) in ELSEWHERE {
        assert!(columns.iter().any(|(name, _)| name == table), "{table} isn't there");
    }
}
