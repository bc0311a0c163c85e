//! Whoever changes what is left of a trimmed history is found, and so is whoever changes the present that it tells of.

use user_management::proto::HistoryFault;

use super::tampering::verified;
use super::trimming::{age, forgetful, lived, trim};
use crate::site::Site;

/// A site that lived for a while, and the number of the last event that was dropped.
async fn trimmed() -> (Site, u64) {
    let site = forgetful().await;
    lived(&site).await;
    age(&site, "fresh").await;
    trim(&site, 20).await;
    let until = verified(&site, &[]).await.trimmed_until.expect("trimmed").seq;
    (site, until)
}

#[tokio::test]
async fn each_way_to_change_what_is_left_is_told_apart() {
    let (first_kept, another) =
        ("(select min(seq) from events where kind = 60)", "(select min(seq) from events where kind = 40)");
    let last_trim = "(select max(seq) from events where kind = 3)";
    let cases: [(String, HistoryFault); 11] = [
        (format!("delete from events where seq = {first_kept}"), HistoryFault::Kept),
        (format!("update events set bytes = zeroblob(length(bytes)) where seq = {first_kept}"), HistoryFault::Edited),
        (format!("update events set hash = zeroblob(32) where seq = {first_kept}"), HistoryFault::Edited),
        (format!("update events set account = zeroblob(16) where seq = {first_kept}"), HistoryFault::Edited),
        (
            format!("update events set (bytes, hash) = (select bytes, hash from events where seq = {another}) where seq = {first_kept}"),
            HistoryFault::Moved,
        ),
        ("update personal_values set value = 'eve@evil.test' where value = 'ann@acme.test'".to_owned(), HistoryFault::Edited),
        (
            "insert into events (seq, time, kind, account, bytes, hash) select -5, time, kind, account, bytes, hash from events limit 1".to_owned(),
            HistoryFault::Moved,
        ),
        ("delete from events where seq = (select min(seq) from events where kind = 3) - 1".to_owned(), HistoryFault::Missing),
        (format!("update events set bytes = zeroblob(length(bytes)) where seq = {last_trim}"), HistoryFault::Edited),
        (format!("delete from events where seq >= {last_trim}"), HistoryFault::Missing),
        ("delete from events where kind = 3".to_owned(), HistoryFault::Missing),
    ];
    let (mut site, _) = trimmed().await;
    for (edit, fault) in cases {
        let mut tampered = site.after_a_crash().await;
        std::mem::swap(&mut site, &mut tampered);
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(edit.clone())).execute(&mut site.database().await).await.expect("it runs");
        assert!(done.rows_affected() > 0, "{edit}");
        let found = verified(&site, &[]).await;
        assert!(found.first_broken > 0, "{edit}");
        assert_eq!(found.fault(), fault, "{edit}");
        assert_eq!(site.app().trim_slice(1000).await.ok().flatten(), None, "nothing of it is dropped: {edit}");
        site = tampered;
    }
}
