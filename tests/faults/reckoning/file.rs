//! The database, read without the service.

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::program::Place;

/// Every page and every reference is in order, and no event is missing.
pub(super) async fn is_whole(place: &Place, events: u64) {
    let options = SqliteConnectOptions::new().filename(place.database()).read_only(true);
    let mut file = SqliteConnection::connect_with(&options).await.expect("the database opens");
    let faults: Vec<String> = sqlx::query_scalar("pragma integrity_check").fetch_all(&mut file).await.expect("checked");
    assert_eq!(faults, ["ok"]);
    let dangling = sqlx::query("pragma foreign_key_check").fetch_all(&mut file).await.expect("checked");
    assert!(dangling.is_empty(), "rows refer to what isn't there");
    let (count, last): (i64, i64) =
        sqlx::query_as("select count(*), max(seq) from events").fetch_one(&mut file).await.expect("counted");
    assert_eq!((u64::try_from(count), u64::try_from(last)), (Ok(events), Ok(events)));
}
