//! Every query of the program, by its plan: none reads all of a table that grows, or sorts what isn't bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// What a query says that reads everything, and may: it runs once, before anything is served.
const READS_ALL: &str = "/* reads all: start-up */";

/// Steps of a plan that look like much and aren't: what the step says, what the query holds, and the reason.
const ALLOWED: [(&str, &str, &str); 15] = [
    ("SCAN events", "order by seq desc limit 1", "one step from the end"),
    ("SCAN mails USING INDEX mails_open", "order by due, id limit 1", "one step into what is due or in flight"),
    ("SEARCH members USING INDEX members_managing", "and has_manager <> exists", "the first active one ends it"),
    ("SEARCH m USING INDEX members_managing", "a.has_manager is exists", "the first active one ends it"),
    ("SCAN (subquery-", "limit ?1) union all select * from (", "as many of each kind as are told"),
    ("SCAN erased_mails", "from erased_mails", "what one erasure left to do"),
    ("SCAN walk", "with recursive walk", "an entry of a page for each step"),
    ("SCAN walked", "with recursive walk", "the entries of a page"),
    ("USE TEMP B-TREE FOR ORDER BY", "order by i.folded, i.id", "the entries of a page"),
    ("SCAN json_each VIRTUAL TABLE", "json_each(?", "the set that the caller gave"),
    ("SCAN slice", "with slice", "what one slice of history that is dropped is about"),
    ("USE TEMP B-TREE FOR DISTINCT", "with slice", "what one slice of history that is dropped is about"),
    ("SCAN candidate", "with slice", "the events of one slice of history that is dropped, and those kept about the same"),
    ("SCAN (subquery-", "group_concat(hex(hash), '')", "what was kept of dropped history, all of which a digest is of"),
    ("USE TEMP B-TREE FOR ORDER BY", "order by a.name", "the accounts of one person, who is in few"),
];

/// The source with its white space made one, as texts are compared here.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&one_line(&std::fs::read_to_string(&path).expect("readable")));
        }
    }
}

/// Whether a query still stands in the source, as one literal or as two that a macro puts together: the build leaves those of older
/// sources lying.
fn stands_in(source: &str, query: &str) -> bool {
    let query = one_line(query);
    if source.contains(&format!("\"{query}\"")) {
        return true;
    }
    let ends: Vec<usize> = (0..=query.len()).filter(|at| query.is_char_boundary(*at)).collect();
    let known = ends.partition_point(|end| source.contains(&query[..*end]));
    let (first, second) = query.split_at(ends.get(known.saturating_sub(1)).copied().unwrap_or(0));
    source.contains(&format!("\"{first}\"")) && source.contains(&format!("\"{second}\""))
}

/// The queries of this source, which the macros leave behind when it is compiled.
fn queries() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut source = String::new();
    sources(&root, &mut source);
    let left = std::fs::read_dir(env!("QUERIES_DIR")).expect("the build leaves its queries");
    let texts = left.map(|file| {
        let json = std::fs::read(file.expect("an entry").path()).expect("readable");
        let left: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        left.get("query").and_then(serde_json::Value::as_str).expect("its SQL").to_owned()
    });
    let queries: BTreeSet<String> = texts.filter(|query| stands_in(&source, query)).collect();
    println!("{} queries", queries.len());
    assert!(queries.len() >= 70, "only {} queries were found again in the source", queries.len());
    queries
}

async fn schema() -> SqliteConnection {
    let file = env!("DATABASE_URL").trim_start_matches("sqlite://");
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file).read_only(true)).await.expect("the schema opens")
}

async fn plan(connection: &mut SqliteConnection, query: &str) -> Vec<String> {
    // parameters stay unbound, that is null: the plan doesn't depend on them
    let explain = format!("explain query plan {query}");
    let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
        .fetch_all(connection)
        .await
        .unwrap_or_else(|error| panic!("{error}: {query}"));
    rows.into_iter().map(|(_, _, _, step)| step).collect()
}

#[tokio::test]
async fn no_query_reads_all_of_a_table_that_grows_or_sorts_without_bound() {
    let mut connection = schema().await;
    let mut faults = BTreeMap::new();
    for query in queries() {
        let steps = plan(&mut connection, &query).await;
        let much = |step: &&String| {
            let reads = step.starts_with("SCAN ") && !step.starts_with("SCAN CONSTANT ROW");
            let allowed = ALLOWED.iter().any(|(what, of, _)| step.contains(what) && one_line(&query).contains(of));
            // all that an account has is as much as a table
            let reads = reads || (step.starts_with("SEARCH ") && step.ends_with("(account=?)"));
            (reads || step.contains("USE TEMP B-TREE")) && !allowed
        };
        let found: Vec<String> = steps.iter().filter(much).cloned().collect();
        if !found.is_empty() && !query.contains(READS_ALL) {
            faults.insert(query, steps);
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn what_is_deleted_is_looked_up_by_an_index_wherever_it_may_be_referred_to() {
    let mut connection = schema().await;
    let deleted: BTreeSet<String> = queries()
        .iter()
        .filter_map(|query| {
            one_line(query).strip_prefix("delete from ").and_then(|rest| rest.split(' ').next().map(str::to_owned))
        })
        .collect();
    assert!(deleted.contains("mails"), "{deleted:?}");
    let references: Vec<(String, String, String)> = sqlx::query_as(
        "select child.name, reference.\"table\", reference.\"from\"
           from sqlite_schema child cross join pragma_foreign_key_list(child.name) reference where child.type = 'table'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the schema's references");
    for (child, parent, column) in references.into_iter().filter(|(_, parent, _)| deleted.contains(parent)) {
        let steps = plan(&mut connection, &format!("select 1 from {child} where {column} = ?")).await;
        assert!(steps.iter().all(|step| step.starts_with("SEARCH ")), "{child}.{column} to {parent}: {steps:?}");
    }
}
