//! Every RPC that takes a `request_id`, called again with it: nothing is done twice, no secret is shown twice, and the id means nothing to
//! anybody else.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{DynamicMessage, Kind as FieldKind, MethodDescriptor, Value};
use serde_json::Value as Json;
use sqlx::AssertSqlSafe;
use user_management::proto::{self, Privilege};

use super::call;
use super::kinds::Kind;
use super::rows::{self, ROWS};
use super::stage::Stage;
use crate::acme::ACME;
use crate::client::{Identified, reason, violations};
use crate::site::{Person, Site};

/// What an answer shows of how a mail fares, which goes on by itself; and what only the first answer shows.
const PASSING: [&str; 5] = ["delivery", "sentTime", "link", "token", "secretAlreadyShown"];

/// What a mail that is answered shows of that.
const PASSING_OF_A_MAIL: [&str; 5] = ["state", "attempts", "lastReply", "nextAttemptTime", "sentTime"];

/// No changes.
pub(super) const NONE: [String; 0] = [];

/// Somebody who may call, and somebody else who may do the same.
pub(super) struct Callers {
    operator: Kind,
    other_operator: Kind,
    person: Kind,
    other_person: Kind,
}

impl Callers {
    pub(super) async fn meet(stage: &Stage) -> Self {
        let (mark, bob, zoe) = (
            stage.site.person("sue@site.test").await,
            stage.site.member(ACME, "bob@site.test", Privilege::Normal, &[]).await,
            stage.site.member(ACME, "zoe@site.test", Privilege::Normal, &[]).await,
        );
        let request = proto::SetSuperAdminRequest { user: mark.id.clone(), super_admin: true, ..Default::default() };
        stage.operator.clone().operations.set_super_admin(request).await.expect("the operator may");
        stage.site.mails_settled().await;
        stage.lose_mail();
        Self {
            operator: operator(&stage.site).await,
            other_operator: session(&stage.site, mark).await,
            person: session(&stage.site, bob).await,
            other_person: session(&stage.site, zoe).await,
        }
    }

    /// Who calls an RPC, and who else.
    pub(super) fn of(&self, method: &MethodDescriptor) -> [&Kind; 2] {
        match method.parent_service().name() {
            "Identity" => [&self.person, &self.other_person],
            _ => [&self.operator, &self.other_operator],
        }
    }
}

pub(super) async fn operator(site: &Site) -> Kind {
    Kind::new("operator", "", site.socket_channel().await, Identified::default())
}

pub(super) async fn session(site: &Site, person: Person) -> Kind {
    Kind::new("person", "", site.tcp_channel().await, Identified::by(&person.token)).of(person)
}

/// An RPC with a way to call it.
struct Case {
    method: MethodDescriptor,
    row: (&'static str, &'static str),
    return_link: bool,
}

/// All of the contract: those that can answer a link are called both ways.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in call::methods().into_iter().filter(|method| method.input().get_field_by_name("request_id").is_some()) {
        let row = ROWS.into_iter().find(|(rpc, _)| *rpc == method.name());
        let row = row.unwrap_or_else(|| panic!("{} has no row in the matrix", method.name()));
        if method.input().get_field_by_name("return_link").is_some() {
            cases.push(Case { method: method.clone(), row, return_link: true });
        }
        cases.push(Case { method, row, return_link: false });
    }
    cases
}

impl Case {
    /// A good request with the `request_id` of a number.
    async fn request(&self, stage: &Stage, caller: &Kind, number: usize) -> DynamicMessage {
        let encoded = rows::request(stage, caller, self.row).await;
        let mut request = DynamicMessage::decode(self.method.input(), &encoded[..]).expect("a request of the RPC");
        request.set_field_by_name("request_id", Value::String(format!("7b1a6f0e-5a53-4be4-8a4c-{number:012}")));
        if self.return_link {
            request.set_field_by_name("return_link", Value::Bool(true));
        }
        request
    }

    /// A request that differs in something else than its id.
    async fn other(&self, stage: &Stage, caller: &Kind, number: usize, request: &DynamicMessage) -> DynamicMessage {
        let Some(choice) = self.method.input().fields().find(|field| field.kind() == FieldKind::Bool) else {
            return self.request(stage, caller, number).await;
        };
        let mut other = request.clone();
        other.set_field(&choice, Value::Bool(request.get_field(&choice).as_bool() == Some(false)));
        other
    }

    async fn call(&self, caller: &Kind, request: &DynamicMessage) -> Result<Json, tonic::Status> {
        let answer = call::answer(caller.channel.clone(), caller.identified.clone(), &self.method, request.clone()).await?;
        Ok(serde_json::to_value(&answer).expect("an answer as JSON"))
    }

    fn name(&self) -> String {
        format!("{}{}", self.method.name(), if self.return_link { " that answers its link" } else { "" })
    }

    /// Whether the first answer shows a secret.
    fn has_secret(&self) -> bool {
        self.return_link || matches!(self.method.name(), "CreateService" | "CreateApiToken")
    }
}

/// Takes out what may differ between the answer to a call and to its retry.
pub(super) fn settled(mut answer: Json) -> Json {
    fn take_out(json: &mut Json, passing: &[&str]) {
        match json {
            Json::Object(fields) => {
                fields.retain(|name, _| !passing.contains(&name.as_str()));
                for (name, value) in fields {
                    take_out(value, if name == "mail" { &PASSING_OF_A_MAIL } else { &PASSING });
                }
            }
            Json::Array(entries) => entries.iter_mut().for_each(|entry| take_out(entry, passing)),
            _ => {}
        }
    }
    take_out(&mut answer, &PASSING);
    answer
}

/// The tokens that an answer shows.
fn secrets(answer: &Json) -> Vec<String> {
    match answer {
        Json::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value {
                Json::String(token) if name == "token" => vec![token.clone()],
                _ => secrets(value),
            })
            .collect(),
        Json::Array(entries) => entries.iter().flat_map(secrets).collect(),
        _ => Vec::new(),
    }
}

fn already_shown(answer: &Json) -> bool {
    answer.get("secretAlreadyShown") == Some(&Json::Bool(true))
}

/// The rows of each table.
pub(super) type Rows = BTreeMap<String, BTreeSet<String>>;

/// Every row of every table, but for when sessions were last used, once all mails are settled.
pub(super) async fn everything(site: &Site) -> Rows {
    site.mails_settled().await;
    let mut database = site.database().await;
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select t.name, c.name from sqlite_master t, pragma_table_xinfo(t.name) c
          where t.type = 'table' and t.name not like 'sqlite\\_%' escape '\\' and c.name <> 'last_used'",
    )
    .fetch_all(&mut database)
    .await
    .expect("read");
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    for (table, column) in columns {
        tables.entry(table).or_default().push(format!("quote(\"{column}\")"));
    }
    let mut all = BTreeMap::new();
    for (table, columns) in tables {
        let query = format!("select {} from \"{table}\"", columns.join(" || ' ' || "));
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut database).await.expect("read");
        all.insert(table, rows.into_iter().collect());
    }
    all
}

/// The rows that are in one of the two alone.
pub(super) fn changes(before: &Rows, after: &Rows) -> Vec<String> {
    let of_table = |table: &String| {
        let (before, after) = (&before[table], &after[table]);
        before.symmetric_difference(after).map(|row| format!("{table}: {row}")).collect::<Vec<_>>()
    };
    after.keys().flat_map(of_table).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_that_is_retried_answers_the_same_and_does_nothing_even_after_a_restart() {
    let mut stage = Stage::set().await;
    let cast = Callers::meet(&stage).await;
    let mut made = Vec::new();
    for (number, case) in cases().into_iter().enumerate() {
        let [caller, _] = cast.of(&case.method);
        let request = case.request(&stage, caller, number).await;
        let first = case.call(caller, &request).await.unwrap_or_else(|refused| panic!("{}: {refused:?}", case.name()));
        let done = everything(&stage.site).await;
        let again = case.call(caller, &request).await.unwrap_or_else(|refused| panic!("{} again: {refused:?}", case.name()));
        assert_eq!(changes(&done, &everything(&stage.site).await), NONE, "by {} again", case.name());
        assert_eq!(settled(again.clone()), settled(first.clone()), "{}", case.name());
        let shown = secrets(&first);
        assert_eq!((shown.is_empty(), already_shown(&first)), (!case.has_secret(), false), "{}", case.name());
        assert_eq!((secrets(&again), already_shown(&again)), (Vec::new(), case.has_secret()), "{}", case.name());
        let rows = done.values().flatten();
        assert_eq!(rows.filter(|row| shown.iter().any(|token| row.contains(token))).count(), 0, "{}: its token", case.name());
        made.push((case, request));
    }
    stage.site.restart(None).await;
    let bob = cast.person.person.clone().expect("a person");
    let (operator, person) = (operator(&stage.site).await, session(&stage.site, bob).await);
    // the directory of mails is back: what a deletion owes there is done now, not by its retry
    stage.site.app().erase_mail_files().await;
    let done = everything(&stage.site).await;
    for (case, request) in made {
        let caller = if case.method.parent_service().name() == "Identity" { &person } else { &operator };
        let again = case.call(caller, &request).await.unwrap_or_else(|refused| panic!("{} later: {refused:?}", case.name()));
        assert_eq!((secrets(&again), already_shown(&again)), (Vec::new(), case.has_secret()), "{}", case.name());
    }
    assert_eq!(changes(&done, &everything(&stage.site).await), NONE, "by some call again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_was_used_for_any_call_is_refused_for_another_request_and_free_for_another_caller() {
    let stage = Stage::set().await;
    let cast = Callers::meet(&stage).await;
    let mut done_by_both = 0;
    for (number, case) in cases().into_iter().enumerate() {
        let [caller, somebody_else] = cast.of(&case.method);
        let request = case.request(&stage, caller, number).await;
        case.call(caller, &request).await.unwrap_or_else(|refused| panic!("{}: {refused:?}", case.name()));
        let other = case.other(&stage, caller, number, &request).await;
        let before = everything(&stage.site).await;
        let refused = case.call(caller, &other).await.expect_err("another request");
        assert_eq!((reason(&refused).as_str(), violations(&refused)), ("REQUEST_ID_REUSED", vec!["request_id".to_owned()]));
        assert_eq!(changes(&before, &everything(&stage.site).await), NONE, "by {}, refused", case.name());

        let answered = case.call(somebody_else, &request).await;
        let kept = everything(&stage.site).await["requests"].len() - before["requests"].len();
        match answered {
            // as a call of their own
            Ok(answer) => {
                assert_eq!((kept, already_shown(&answer)), (1, false), "{}: somebody else's answer", case.name());
                done_by_both += 1;
            }
            Err(refused) => {
                assert_eq!(kept, 0, "{}", case.name());
                assert_ne!(reason(&refused), "REQUEST_ID_REUSED", "{}", case.name());
            }
        }
    }
    assert!(done_by_both > 0, "some can be done twice");
}
