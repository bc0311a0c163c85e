//! What events are searched by: the store reads actor and subject out of the hashed bytes in SQL, and has to find what the program wrote.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use user_management::domain::event::{Actor, Event, Subject};
use user_management::domain::id::{ApiTokenId, UserId};

use super::sample::{Ingredients, events};

async fn empty_database(folder: &Path) -> SqliteConnection {
    let file = folder.join("events.db");
    std::fs::copy(env!("DATABASE_URL").trim_start_matches("sqlite://"), &file).expect("the schema is there");
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.expect("it opens")
}

#[tokio::test]
async fn actor_and_subject_of_every_kind_are_found_in_its_bytes() {
    let folder = tempfile::TempDir::new().expect("a temporary directory");
    let mut connection = empty_database(folder.path()).await;
    let mut compared = 0;
    for choice in 0..16 {
        for full in [true, false] {
            let of = Ingredients { choice, full, ..Ingredients::fixed() };
            let (user, token) = (UserId::from_bytes(of.id), ApiTokenId::from_bytes(of.id));
            let by_token = |event: Event| Event { actor: Actor::ApiToken { user, token }, ..event };
            for event in events(&of).into_iter().flat_map(|event| [event.clone(), by_token(event)]) {
                let encoded = event.encode();
                let found: (Vec<u8>, Option<Vec<u8>>) = sqlx::query_as(
                    "insert into events (time, kind, account, bytes, hash) values (?, ?, ?, ?, ?) returning actor, subject",
                )
                .bind(event.time.as_micros())
                .bind(i64::from(event.change.kind()))
                .bind(event.change.account().map(|account| account.as_bytes().to_vec()))
                .bind(&encoded.bytes)
                .bind(&encoded.hash[..])
                .fetch_one(&mut connection)
                .await
                .expect("appended");
                let subject = event.change.subject().map(|subject| subject.as_bytes().to_vec());
                assert_eq!(found, (event.actor.mark(), subject), "{:?} by {:?}", event.change, event.actor);
                compared += 1;
            }
        }
    }
    assert!(compared >= 16 * 2 * 22, "{compared}");
}

#[test]
fn actors_and_subjects_are_read_as_they_are_shown() {
    for event in (0..16).flat_map(|choice| events(&Ingredients { choice, ..Ingredients::fixed() })) {
        let shown = event.actor.to_string();
        assert_eq!(Actor::parse(&shown).map(Actor::mark), Some(event.actor.mark()), "{shown}");
        if let Some(subject) = event.change.subject() {
            assert_eq!(Subject::parse(&subject.to_string()), Some(subject));
        }
    }
    for text in
        ["", "operator", "operator:", "operator:-1", "operator:+1", "operator:01", "operator:4294967296", "usr_", "Server"]
    {
        assert!(Actor::parse(text).is_none() && Subject::parse(text).is_none(), "{text}");
    }
}
