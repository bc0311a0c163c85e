//! Deleting a person: nothing of them is left but ids, and history stays whole.

use std::path::{Path, PathBuf};

use user_management::proto::{self, EventKind, InvitationState, Privilege};

use crate::acme::ACME;
use crate::client::{metadata, reason};
use crate::history::trimming::{age, trim};
use crate::site::{PASSWORD, Site};

/// Every file below a directory with a text in it, in any case.
pub(super) fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).expect("readable").to_ascii_lowercase();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

/// Somebody of whom there is much to forget: members, invitations, links, mails, a former address.
async fn lived(site: &Site) -> String {
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let request = proto::SignUpRequest {
        email: "Zebulon.Former@acme.test".to_owned(),
        password: PASSWORD.to_owned(),
        display_name: "Quixotina Zebulon".to_owned(),
    };
    let mut nobody = site.nobody().await;
    nobody.identity.sign_up(request.clone()).await.expect("anybody may sign up");
    let token = site.mailed_token(&request.email).await;
    nobody.confirm(&token, PASSWORD).await.expect("confirmed");
    let zoe = site.sign_in(&request.email).await;
    site.join(ACME, &zoe, Privilege::Admin, &[]).await;
    let mut as_zoe = site.bearer(&zoe.token).await;
    as_zoe.invite("kim@acme.test", Privilege::Normal, &[]).await.expect("invited by them");
    as_zoe.change_email("Zebulon.Present@acme.test", PASSWORD).await.expect("a link is on its way");
    let link = site.mailed_token("zebulon.present@acme.test").await;
    nobody.confirm(&link, PASSWORD).await.expect("confirmed");
    as_zoe.change_email("Zebulon.Never@acme.test", PASSWORD).await.expect("a link is on its way");
    nobody.request_reset("zebulon.present@acme.test").await;
    site.api_token_named(&zoe, ACME, "Zebulon’s Quixotina backup").await;
    site.account("other").await;
    site.invited("other", "zebulon.present@acme.test", Privilege::Normal, &[]).await;
    site.mails_settled().await;
    zoe.id
}

#[tokio::test]
async fn a_deleted_person_is_in_no_byte_of_the_data_and_history_stays_whole() {
    let site = Site::start().await;
    let id = lived(&site).await;
    for text in ["zebulon.former@", "zebulon.present@", "zebulon.never@", "quixotina zebulon"] {
        assert!(!files_with(&site.data_dir(), text).is_empty(), "{text} is there before");
    }
    let mut operator = site.operator().await;
    let before = operator.events_after(0).await.len();
    let answer = operator.delete("zebulon.present@acme.test", false).await.expect("the operator may");
    assert_eq!((answer.user.as_str(), answer.effects.len(), answer.effects[0].account.as_str()), (id.as_str(), 1, ACME));
    for text in ["zebulon", "quixotina"] {
        assert_eq!(files_with(&site.data_dir(), text), Vec::<PathBuf>::new(), "{text} is still there");
    }
    let events = operator.events_after(0).await;
    assert!(events.len() > before && events.iter().any(|event| event.subject == id && event.kind() == EventKind::UserCreated));
    assert!(events.iter().all(|event| !event.email.contains("ebulon") && !event.display_name.contains("ebulon")));
    assert_eq!(site.operator().await.verified().await.first_broken, 0);
}

#[tokio::test]
async fn a_person_is_erased_from_what_is_kept_of_old_history_too_and_after_an_erasure_old_history_goes() {
    for erased_first in [false, true] {
        let site = Site::with("signup = \"open\"\nevents.retention_days = 30").await;
        let id = lived(&site).await;
        if erased_first {
            site.operator().await.delete(&id, false).await.expect("the operator may");
        }
        age(&site, "fresh").await;
        assert!(trim(&site, 4).await > 1);
        if !erased_first {
            let kept: i64 = sqlx::query_scalar("select count(*) from personal_values where value like '%zebulon%'")
                .fetch_one(&mut site.database().await)
                .await
                .expect("counted");
            assert!(kept > 1, "what the present is held against");
            site.operator().await.delete(&id, false).await.expect("the operator may");
        }
        for text in ["zebulon", "quixotina"] {
            assert_eq!(files_with(&site.data_dir(), text), Vec::<PathBuf>::new(), "{text} is still there");
        }
        let found = site.operator().await.verified().await;
        assert_eq!((found.first_broken, found.differences), (0, Vec::new()));
        site.person("zebulon.present@acme.test").await;
        age(&site, "fresher").await;
        assert!(trim(&site, 1000).await > 0);
    }
}

#[tokio::test]
async fn where_people_called_from_goes_with_the_time_of_its_event() {
    let site = Site::with("signup = \"open\"\nevents.retention_days = 30").await;
    lived(&site).await;
    age(&site, "fresh").await;
    site.sign_in("ann@acme.test").await;
    trim(&site, 1000).await;
    let found = site.operator().await.verified().await;
    assert!(found.kept > 0, "though the event stays");
    let until = found.trimmed_until.expect("trimmed").seq;
    let addresses: Vec<i64> = sqlx::query_scalar("select seq from personal_values where value like '%127.0.0.1%'")
        .fetch_all(&mut site.database().await)
        .await
        .expect("read");
    assert!(
        addresses.iter().all(|seq| u64::try_from(*seq).is_ok_and(|seq| seq > until)) && !addresses.is_empty(),
        "{addresses:?}"
    );
}

#[tokio::test]
async fn a_deleted_person_is_nobody_any_more_and_their_address_begins_anew() {
    let mut site = Site::start().await;
    let id = lived(&site).await;
    let session = site.try_sign_in("zebulon.present@acme.test", PASSWORD).await.expect("signed in");
    let mut operator = site.operator().await;
    let open = operator.invited().await.into_iter().find(|invitation| invitation.email == "kim@acme.test").expect("invited");
    operator.delete(&id, false).await.expect("the operator may");
    for round in 0..2 {
        let mut operator = site.operator().await;
        assert!(!site.counts(&session).await, "round {round}");
        let refused = operator.delete(&id, false).await.expect_err("gone");
        assert_eq!((reason(&refused), metadata(&refused, "user")), ("USER_NOT_FOUND".to_owned(), id.clone()));
        assert_eq!(reason(&operator.member(&id).await.expect_err("no member")), "MEMBER_NOT_FOUND");
        let check = proto::CheckAccessRequest {
            account: ACME.to_owned(),
            user: id.clone(),
            permission: proto::Permission::View.into(),
            ..Default::default()
        };
        let checked = operator.access.check_access(check).await.expect("answered").into_inner();
        assert_eq!(checked.reason(), proto::AccessReason::UnknownUser);
        assert_eq!(operator.invitation(&open.id).await.held_reason(), proto::HeldReason::GrantorLacksManageUsers);
        site.restart(None).await;
    }
    let states = vec![InvitationState::Withdrawn.into()];
    let request = proto::ListInvitationsRequest { account: "other".to_owned(), states, ..Default::default() };
    let withdrawn = site.operator().await.users.list_invitations(request).await.expect("listed").into_inner().invitations;
    assert_eq!(withdrawn.iter().map(|invitation| invitation.email.as_str()).collect::<Vec<_>>(), [""]);
    let anew = site.person("zebulon.present@acme.test").await;
    assert_ne!(anew.id, id);
    assert_eq!(
        site.bearer(&anew.token).await.identity.get_me(proto::GetMeRequest {}).await.expect("known").into_inner().memberships,
        []
    );
}

#[tokio::test]
async fn what_an_erasure_left_undone_is_done_by_the_next_housekeeping() {
    let site = Site::start().await;
    let id = lived(&site).await;
    // a file that can't be deleted: a directory of its name
    let file = std::fs::read_dir(site.mail_dir())
        .expect("mails")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| std::fs::read_to_string(path).is_ok_and(|mail| mail.contains("ebulon.Present")))
        .expect("a mail to them");
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir_all(file.join("within")).expect("made");
    site.operator().await.delete(&id, false).await.expect("the operator may");
    std::fs::remove_dir_all(&file).expect("removed");
    std::fs::write(&file, "to zebulon").expect("written");
    site.underneath("update server set erasing = 1").await;
    site.app().purge().await;
    site.app().erase_mail_files().await;
    assert_eq!(files_with(&site.data_dir(), "zebulon"), Vec::<PathBuf>::new());
    let row: (i64,) = sqlx::query_as("select erasing from server").fetch_one(&mut site.database().await).await.expect("a row");
    assert_eq!(row.0, 0);
}

#[tokio::test]
async fn mail_that_is_owed_to_others_stays_owed_whoever_invited_them_is_deleted() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Admin, &[]).await;
    let eve = site.person("eve@evil.test").await;
    // nothing can be written, nor deleted: what an erasure has to do stays to be done when the next comes
    let away = site.data_dir().join("away");
    std::fs::rename(site.mail_dir(), &away).expect("moved away");
    let owed = site.bearer(&ann.token).await.invite("kim@acme.test", Privilege::Normal, &[]).await.expect("invited");
    site.mails_settled().await;
    let mut operator = site.operator().await;
    operator.delete(&ann.id, false).await.expect("the operator may");
    operator.delete(&eve.id, false).await.expect("the operator may");
    let request = proto::ListMailRequest::default();
    let mails = operator.operations.list_mail(request).await.expect("listed").into_inner().mails;
    let to_kim: Vec<_> = mails.iter().filter(|mail| mail.recipient == "kim@acme.test").collect();
    assert_eq!(to_kim.iter().map(|mail| mail.state()).collect::<Vec<_>>(), [proto::DeliveryState::Queued]);
    std::fs::rename(&away, site.mail_dir()).expect("moved back");
    let resend = proto::ResendInvitationRequest { account: ACME.to_owned(), invitation: owed.id, ..Default::default() };
    site.bearer(&bob.token).await.users.resend_invitation(resend).await.expect("bob stands behind it");
    let token = site.mailed_token("kim@acme.test").await;
    let kim = site.person("kim@acme.test").await;
    site.bearer(&kim.token).await.accept(&token).await.expect("it is theirs");
}

#[tokio::test]
async fn a_rehearsed_deletion_erases_nothing() {
    let site = Site::start().await;
    let id = lived(&site).await;
    let request = proto::DeleteUserRequest { user: id.clone(), validate_only: true, ..Default::default() };
    let answer = site.operator().await.users.delete_user(request).await.expect("the operator may").into_inner();
    assert_eq!(answer.effects.len(), 1);
    site.try_sign_in("zebulon.present@acme.test", PASSWORD).await.expect("still there");
    assert!(!files_with(&site.mail_dir(), "zebulon").is_empty());
}
