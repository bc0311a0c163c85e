//! Every RPC, called by every kind of caller: the answers are the table `callers.md`, which people have reviewed.

pub(crate) mod call;
mod effects;
mod kinds;
mod recorded;
mod rehearsed;
mod retried;
mod rows;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use tonic::Status;

use self::kinds::{Group, Kind};
use self::rows::ROWS;
use self::stage::Stage;
use crate::client::reason;
use crate::reviewed::assert_reviewed;

const INTRODUCTION: &str = "\
# Who gets which answer

Made by `UPDATE_EXPECT=1 cargo test --test suite` and reviewed by people: a change of this file is a change of who may do what.

Every RPC of the contract is called by every kind of caller with a request that is good, about the account acme unless the row
says otherwise. What it changes is made anew for each call, so OK means that it was done.

| in the tables | means |
| --- | --- |
| OK | the call was answered |
| who? | UNAUTHENTICATED / CREDENTIALS_MISSING: nobody who is known may do this |
| bad | UNAUTHENTICATED / CREDENTIALS_INVALID: credentials were sent that don't count |
| denied | PERMISSION_DENIED / ACCESS_DENIED: it isn't there, isn't yours or isn't allowed, and which of them isn't told |
| scope | PERMISSION_DENIED / SCOPE_MISSING: the service lacks the scope |
| operator | PERMISSION_DENIED / OPERATOR_REQUIRED |
| session | PERMISSION_DENIED / SESSION_REQUIRED: the person themself has to call |
| act-as | INVALID_ARGUMENT / ACT_AS_INVALID: the caller may not send `x-act-as` |
| fields | INVALID_ARGUMENT / FIELDS_INVALID: the caller is no person, so the request has to name one |
| not found | NOT_FOUND, told to those who may see the whole class |
";

#[test]
fn every_rpc_of_the_contract_has_a_row_and_every_row_is_an_rpc() {
    let methods: BTreeSet<String> = call::methods().iter().map(|method| method.name().to_owned()).collect();
    let rows: BTreeSet<String> = ROWS.iter().map(|(rpc, _)| (*rpc).to_owned()).collect();
    assert_eq!(methods.difference(&rows).collect::<Vec<_>>(), Vec::<&String>::new(), "RPCs without a row in the matrix");
    assert_eq!(rows.difference(&methods).collect::<Vec<_>>(), Vec::<&String>::new(), "rows that are no RPC");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_caller_gets_the_answer_that_was_reviewed() {
    let methods: BTreeMap<String, _> = call::methods().into_iter().map(|method| (method.name().to_owned(), method)).collect();
    let stage = Stage::set().await;
    let (kinds, groups) = kinds::cast(&stage).await;
    stage.lose_mail();
    let mut cells = BTreeMap::new();
    for kind in &kinds {
        stage.site.clock.advance(kind.after);
        for row in ROWS {
            let request = rows::request(&stage, kind, row).await;
            let method = methods.get(row.0).expect("an RPC");
            let answer = call::call(kind.channel.clone(), kind.identified.clone(), method, &request).await;
            cells.insert((row, kind.key), word(answer));
        }
    }
    assert_reviewed("callers.md", &document(&kinds, &groups, &cells));
}

fn word(answer: Result<(), Status>) -> String {
    let Err(status) = answer else { return "OK".to_owned() };
    let reason = reason(&status);
    match reason.as_str() {
        "CREDENTIALS_MISSING" => "who?".to_owned(),
        "CREDENTIALS_INVALID" => "bad".to_owned(),
        "ACCESS_DENIED" => "denied".to_owned(),
        "SCOPE_MISSING" => "scope".to_owned(),
        "OPERATOR_REQUIRED" => "operator".to_owned(),
        "SESSION_REQUIRED" => "session".to_owned(),
        "ACT_AS_INVALID" => "act-as".to_owned(),
        "FIELDS_INVALID" => "fields".to_owned(),
        not_found if not_found.ends_with("_NOT_FOUND") => "not found".to_owned(),
        other => format!("{:?} / {other}", status.code()),
    }
}

type Cells = BTreeMap<((&'static str, &'static str), &'static str), String>;

fn document(kinds: &[Kind], groups: &[Group], cells: &Cells) -> String {
    let mut text = INTRODUCTION.to_owned();
    for Group { title, kinds: keys } in groups {
        let _ = writeln!(text, "\n## {title}\n\n| column | caller |\n| --- | --- |");
        for key in keys {
            let kind = kinds.iter().find(|kind| kind.key == *key).expect("a kind of the group");
            let _ = writeln!(text, "| {key} | {} |", kind.about);
        }
        text.push('\n');
        line(&mut text, "RPC", keys.iter().copied());
        line(&mut text, "---", keys.iter().map(|_| "---"));
        for method in call::methods() {
            for row in ROWS.into_iter().filter(|(rpc, _)| *rpc == method.name()) {
                let name = [row.0, row.1].join(" ");
                line(&mut text, name.trim(), keys.iter().map(|key| cells[&(row, *key)].as_str()));
            }
        }
    }
    text
}

fn line<'a>(text: &mut String, head: &str, cells: impl Iterator<Item = &'a str>) {
    let _ = write!(text, "| {head:37} |");
    for cell in cells {
        let _ = write!(text, " {cell:11} |");
    }
    text.push('\n');
}
