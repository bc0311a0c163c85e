//! Whoever changes the file behind the server's back is found, and where.

use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;
use user_management::proto::{self, HistoryFault, HistoryHead, Privilege};

use super::whole;
use crate::acme::ACME;
use crate::site::Site;

pub(super) async fn verified(site: &Site, heads: &[HistoryHead]) -> proto::VerifyEventsResponse {
    let request = proto::VerifyEventsRequest { heads: heads.to_vec() };
    site.operator().await.operations.verify_events(request).await.expect("read").into_inner()
}

async fn head(site: &Site) -> HistoryHead {
    verified(site, &[]).await.head.expect("a head")
}

/// Writes history anew from an event on, as somebody could who knows the layout: every hash and link is right again.
async fn chain_anew(database: &mut SqliteConnection, from: i64) {
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as("select seq, bytes from events where seq >= ? order by seq")
        .bind(from)
        .fetch_all(&mut *database)
        .await
        .expect("read");
    let before = sqlx::query_scalar("select hash from events where seq = ?").bind(from - 1);
    let mut previous: Vec<u8> = before.fetch_one(&mut *database).await.expect("read");
    for (seq, mut bytes) in rows {
        let end = bytes.len() - 32;
        bytes[end..].copy_from_slice(&previous);
        previous = Sha256::digest(&bytes).to_vec();
        let update = sqlx::query("update events set bytes = ?, hash = ? where seq = ?").bind(&bytes).bind(&previous).bind(seq);
        update.execute(&mut *database).await.expect("written");
    }
}

#[tokio::test]
async fn each_way_to_change_history_is_told_apart_and_where_it_was_changed() {
    let cases: [(&'static str, u64, HistoryFault); 17] = [
        ("update events set bytes = zeroblob(length(bytes)) where seq = 4", 4, HistoryFault::Edited),
        ("update events set account = null where seq = 2", 2, HistoryFault::Edited),
        ("update personal_values set value = 'eve@evil.test' where value = 'bob@acme.test'", 8, HistoryFault::Edited),
        (
            "insert into personal_values select seq, 99, salt, value, subject from personal_values where seq = 3 and slot = 0",
            3,
            HistoryFault::Edited,
        ),
        (
            "insert into personal_values select seq, 9, salt, value, subject from personal_values where seq = 3 and slot = 0",
            3,
            HistoryFault::Edited,
        ),
        ("update personal_values set subject = zeroblob(16) where value = 'bob@acme.test'", 8, HistoryFault::Edited),
        // nobody was erased
        ("delete from personal_values where seq = 8 and slot = 0", 8, HistoryFault::Edited),
        ("delete from personal_values where value = 'ann'", 3, HistoryFault::Edited),
        (
            "delete from personal_values where value = 'bob@acme.test'; update invitations set email = '' where email = 'bob@acme.test'",
            8,
            HistoryFault::Edited,
        ),
        (
            "delete from personal_values where value = 'bob@acme.test'; update invitations set email = '' where email = 'bob@acme.test';
             update addresses set folded = lower(hex(id)) || '@erased' where folded = 'bob@acme.test'",
            8,
            HistoryFault::Edited,
        ),
        ("delete from events where seq = 4", 4, HistoryFault::Missing),
        (
            "update events set seq = -1 where seq = 4; update events set seq = 4 where seq = 5; update events set seq = 5 where seq = -1",
            4,
            HistoryFault::Moved,
        ),
        (
            "insert into events (seq, time, kind, account, bytes, hash) select 0, time, kind, account, bytes, hash from events where seq = 3",
            1,
            HistoryFault::Moved,
        ),
        (
            "insert into events (seq, time, kind, account, bytes, hash)
             select -9223372036854775808, time, kind, account, bytes, hash from events where seq = 3",
            1,
            HistoryFault::Moved,
        ),
        (
            "insert into events (seq, time, kind, bytes, hash) values (0, 0, 3, x'', zeroblob(32)); update members set privilege = 1",
            1,
            HistoryFault::Edited,
        ),
        ("delete from events where seq > 6", 7, HistoryFault::Truncated),
        ("delete from events", 1, HistoryFault::Truncated),
    ];
    for (edit, broken, fault) in cases {
        let site = whole().await;
        site.underneath(edit).await;
        let found = verified(&site, &[]).await;
        assert_eq!((found.first_broken, found.fault(), found.events), (broken, fault, broken - 1), "{edit}");
        assert_eq!(found.contradicted, None);
    }
}

#[tokio::test]
async fn an_erasure_explains_what_is_gone_of_the_erased_alone() {
    let site = whole().await;
    let mut operator = site.operator().await;
    let gone = site.member(ACME, "gone@acme.test", Privilege::Normal, &[]).await;
    let mut as_gone = site.bearer(&gone.token).await;
    as_gone.change_email("left@acme.test", crate::site::PASSWORD).await.expect("a link is on its way");
    let link = site.mailed_token("left@acme.test").await;
    site.nobody().await.confirm(&link, crate::site::PASSWORD).await.expect("confirmed");
    operator.delete(&gone.id, false).await.expect("erased");
    let found = verified(&site, &[]).await;
    assert_eq!((found.first_broken, found.differences), (0, Vec::new()), "of a former address too");
    for edit in [
        "delete from personal_values where value = 'ann'",
        "delete from personal_values where value = 'bob@acme.test'; update invitations set email = '' where email = 'bob@acme.test';
         update addresses set folded = lower(hex(id)) || '@erased' where folded = 'bob@acme.test'",
        "delete from personal_values where seq = (select max(seq) from personal_values where slot = 0 and value like '%127.0.0.1%')",
    ] {
        let tampered = site.after_a_crash().await;
        tampered.underneath(edit).await;
        assert_eq!(verified(&tampered, &[]).await.fault(), HistoryFault::Edited, "{edit}");
    }
}

#[tokio::test]
async fn an_event_that_was_rewritten_with_its_hash_no_longer_holds_the_next_one() {
    let site = whole().await;
    let mut database = site.database().await;
    let (mut bytes, _): (Vec<u8>, i64) =
        sqlx::query_as("select bytes, seq from events where seq = 4").fetch_one(&mut database).await.expect("read");
    // a bit of the event's id
    bytes[20] ^= 1;
    let update =
        sqlx::query("update events set bytes = ?, hash = ? where seq = 4").bind(&bytes).bind(Sha256::digest(&bytes).to_vec());
    update.execute(&mut database).await.expect("written");
    let found = verified(&site, &[]).await;
    assert_eq!((found.first_broken, found.fault()), (5, HistoryFault::Unlinked));
}

#[tokio::test]
async fn a_head_that_was_kept_finds_what_history_alone_cannot_show() {
    let mut site = whole().await;
    let early = head(&site).await;
    site.account("later").await;
    let late = head(&site).await;
    assert_eq!(late.seq, early.seq + 1);
    let found = verified(&site, &[late.clone(), early.clone()]).await;
    assert_eq!((found.first_broken, found.fault()), (0, HistoryFault::Unspecified));

    // cut, and gone on with: by itself it is whole after a restart
    site.stop().await;
    let cut = "delete from personal_values where seq = (select max(seq) from events); delete from events where seq = (select max(seq) from events);
               delete from accounts where name = 'later'";
    site.underneath(cut).await;
    site.restart(None).await;
    assert_eq!(verified(&site, std::slice::from_ref(&early)).await.first_broken, 0);
    let found = verified(&site, &[early.clone(), late.clone()]).await;
    assert_eq!(
        (found.first_broken, found.fault(), found.contradicted.as_ref()),
        (late.seq, HistoryFault::Truncated, Some(&late))
    );
    site.account("another").await;
    assert_eq!(verified(&site, &[]).await.first_broken, 0);
    let found = verified(&site, &[early.clone(), late.clone()]).await;
    assert_eq!(
        (found.first_broken, found.fault(), found.contradicted.as_ref()),
        (late.seq, HistoryFault::Rewritten, Some(&late))
    );

    // written anew as a whole
    site.stop().await;
    let mut database = site.database().await;
    let mut bytes: Vec<u8> =
        sqlx::query_scalar("select bytes from events where seq = 3").fetch_one(&mut database).await.expect("read");
    bytes[20] ^= 1;
    sqlx::query("update events set bytes = ? where seq = 3").bind(&bytes).execute(&mut database).await.expect("written");
    chain_anew(&mut database, 3).await;
    drop(database);
    site.restart(None).await;
    assert_eq!(verified(&site, &[]).await.first_broken, 0);
    let found = verified(&site, std::slice::from_ref(&early)).await;
    assert_eq!((found.first_broken, found.fault()), (early.seq, HistoryFault::Rewritten));

    let elsewhere = HistoryHead { epoch: "epo_00000000000070008000000000000000".to_owned(), ..early };
    assert_eq!(verified(&site, &[elsewhere]).await.fault(), HistoryFault::AnotherHistory);
}

#[tokio::test]
async fn heads_that_are_none_are_refused() {
    let site = whole().await;
    let wrong = HistoryHead { epoch: "mine".to_owned(), seq: 0, hash: vec![1] };
    let request = proto::VerifyEventsRequest { heads: vec![wrong] };
    let refused = site.operator().await.operations.verify_events(request).await.expect_err("refused");
    assert_eq!(crate::client::violations(&refused), ["heads[0].epoch", "heads[0].hash", "heads[0].seq"]);
    let head = HistoryHead { epoch: String::new(), seq: 1, hash: vec![0; 32] };
    let request = proto::VerifyEventsRequest { heads: vec![head; 10_001] };
    let refused = site.operator().await.operations.verify_events(request).await.expect_err("refused");
    assert_eq!(crate::client::violations(&refused), ["heads"]);
}

#[tokio::test]
async fn whatever_is_changed_behind_the_back_of_history_is_named() {
    let site = whole().await;
    site.service("tool", &["users.read"], "").await;
    let ann = site.sign_in("ann@acme.test").await;
    site.api_token(&ann, ACME, None).await;
    let gone = site.member(ACME, "gone@acme.test", Privilege::Normal, &[]).await;
    site.operator().await.remove(&gone.id).await.expect("removed");
    assert_eq!(verified(&site, &[]).await.differences, []);
    // each with how it is put back
    let edits: [(&'static str, &'static str, &str); 17] = [
        ("update members set privilege = 3", "update members set privilege = 1", "usr_"),
        ("update members set roles = 15", "update members set roles = 0", "usr_"),
        ("update members set active = 0", "update members set active = 1", "usr_"),
        ("update users set super_admin = 1", "update users set super_admin = 0", "usr_"),
        ("update users set active = 0 where email like 'gone%'", "update users set active = 1 where email like 'gone%'", "usr_"),
        (
            "update users set email = 'eve@evil.test' where email = 'ann@acme.test'",
            "update users set email = 'ann@acme.test' where email = 'eve@evil.test'",
            "usr_",
        ),
        (
            "update addresses set folded = 'eve@evil.test' where folded = 'ann@acme.test'",
            "update addresses set folded = 'ann@acme.test' where folded = 'eve@evil.test'",
            "usr_",
        ),
        (
            "insert into members (account, user, privilege, roles, joined, version) select m.account, u.id, 1, 0, 0, 1 from members m, users u where u.email like 'gone%'",
            "delete from members where version = 1",
            "usr_",
        ),
        ("update accounts set closed = 1", "update accounts set closed = 0", ""),
        // what the last-admin rule goes by
        ("update accounts set has_manager = 0", "update accounts set has_manager = 1", ""),
        ("update accounts set name = 'acmf'", "update accounts set name = 'acme'", ""),
        ("update invitations set privilege = 1 where state = 1", "update invitations set privilege = 2 where state = 1", "inv_"),
        ("update invitations set state = 4 where state = 1", "update invitations set state = 1 where state = 4", "inv_"),
        ("update services set scopes = 63", "update services set scopes = 1", "svc_"),
        (
            "update sessions set expires = expires + 1 where ended is null",
            "update sessions set expires = expires - 1 where ended is null",
            "sid_",
        ),
        ("update api_tokens set privilege = 1, roles = 0", "update api_tokens set privilege = null, roles = null", "tok_"),
        ("update server set edition = 2", "update server set edition = 1", ""),
    ];
    for (edit, back, subject) in edits {
        site.underneath(edit).await;
        let found = verified(&site, &[]).await;
        assert_eq!((found.first_broken, found.fault()), (0, HistoryFault::Unspecified), "{edit}");
        assert!(!found.differences.is_empty(), "{edit}");
        assert!(
            found.differences.iter().any(|difference| difference.subject.starts_with(subject)),
            "{edit}: {:?}",
            found.differences
        );
        site.underneath(back).await;
        assert_eq!(verified(&site, &[]).await.differences, [], "{back}");
    }
    for (lost, subject) in
        [("delete from members", "usr_"), ("delete from services", "svc_"), ("delete from invitations where state = 1", "inv_")]
    {
        site.underneath(lost).await;
        let found = verified(&site, &[]).await.differences;
        assert!(
            found.iter().any(|difference| difference.subject.starts_with(subject) && difference.last_event > 0),
            "{lost}: {found:?}"
        );
    }
}

#[tokio::test]
async fn whatever_was_deleted_is_named_one_by_one() {
    let site = whole().await;
    for name in ["bea", "cem", "dan", "eva"] {
        site.member(ACME, &format!("{name}@acme.test"), Privilege::Normal, &[]).await;
    }
    let members = site.operator().await.members().await;
    assert_eq!(members.len(), 5);
    // the clock stands still, so the list's order is chance, and the only admin can't be moved
    let normal = members.iter().find(|member| member.privilege() == Privilege::Normal).expect("a normal member");
    site.operator().await.move_to(&normal.user, Privilege::ReadOnly).await.expect("moved");
    site.underneath("delete from members").await;
    let found = verified(&site, &[]).await.differences;
    let mut named: Vec<_> = found.iter().filter(|found| found.account == ACME).map(|found| found.subject.clone()).collect();
    named.retain(|subject| !subject.is_empty());
    named.sort();
    let mut gone: Vec<_> = members.into_iter().map(|member| member.user).collect();
    gone.sort();
    assert_eq!(named, gone, "each once");
}

#[tokio::test]
async fn a_session_that_was_ended_is_found_when_it_lives_again() {
    let site = whole().await;
    let ann = site.sign_in("ann@acme.test").await;
    let mut operator = site.operator().await;
    let request = proto::RevokeSessionsRequest { user: ann.id.clone(), ..Default::default() };
    operator.users.revoke_sessions(request).await.expect("ended");
    assert_eq!(verified(&site, &[]).await.differences, []);
    site.underneath("update sessions set ended = null").await;
    let found = verified(&site, &[]).await.differences;
    assert!(!found.is_empty() && found.iter().all(|difference| difference.subject.starts_with("sid_")), "{found:?}");
}

#[tokio::test]
async fn a_login_that_changes_and_is_erased_differs_from_history_in_nothing() {
    let site = whole().await;
    let ann = site.sign_in("ann@acme.test").await;
    let mut as_ann = site.bearer(&ann.token).await;
    let password = crate::site::PASSWORD.to_owned();
    let request = proto::ChangePasswordRequest { password: password.clone(), new_password: format!("{password} 2") };
    as_ann.identity.change_password(request).await.expect("changed");
    assert_eq!(verified(&site, &[]).await.differences, [], "the session of the change goes on");
    let gone = site.member(ACME, "gone@acme.test", Privilege::Normal, &[]).await;
    let request = proto::DeleteUserRequest { user: gone.id, ..Default::default() };
    site.operator().await.users.delete_user(request).await.expect("erased");
    let found = verified(&site, &[]).await;
    assert_eq!((found.first_broken, found.differences), (0, Vec::new()));
}
