//! The record of changes: every mutation has exactly its events, and tampering with them shows.

mod columns;
mod exporting;
mod kept;
mod reading;
mod tampering;
pub(crate) mod trimming;

use tonic::Status;
use user_management::domain::clock::Clock;
use user_management::proto::{self, Event, EventKind, InvitationState, Privilege, Role};

use crate::acme::ACME;
use crate::client::Client;
use crate::site::{BEGINNING, Site};

/// What happened since the last look, and nothing else, each by the actor.
async fn happened(operator: &mut Client, seen: &mut u64, by: &str, expected: &[EventKind]) -> Vec<Event> {
    let events = operator.events_after(*seen).await;
    let kinds: Vec<_> = events.iter().map(Event::kind).collect();
    assert_eq!(kinds, expected, "by {by}");
    for event in &events {
        *seen += 1;
        assert_eq!((event.seq, event.actor.as_str(), event.on_behalf_of.as_str()), (*seen, by, ""), "{event:?}");
        assert!(event.trace_id.starts_with("trc_") && event.id.starts_with("evt_") && event.hash.len() == 32);
    }
    events
}

#[tokio::test]
async fn every_change_of_an_account_and_its_invitations_has_exactly_its_events() {
    let site = Site::start().await;
    let mut operator = site.operator().await;
    let by_uid = format!("operator:{}", rustix::process::geteuid().as_raw());
    let mut seen = operator.last_event().await;
    site.account(ACME).await;
    let created = happened(&mut operator, &mut seen, &by_uid, &[EventKind::AccountCreated]).await;
    assert_eq!((created[0].account.as_str(), created[0].display_name.as_str(), created[0].subject.as_str()), (ACME, ACME, ""));
    let name = Some("Acme Inc.".to_owned());
    let update = proto::UpdateAccountRequest { account: ACME.to_owned(), display_name: name, ..Default::default() };
    for events in [&[EventKind::AccountUpdated][..], &[]] {
        operator.users.update_account(update.clone()).await.expect("updated, or so already");
        happened(&mut operator, &mut seen, &by_uid, events).await;
    }

    let invitation = operator.invite("Ann@acme.test", Privilege::Admin, &[Role::Data]).await.expect("invited");
    let told = happened(&mut operator, &mut seen, &by_uid, &[EventKind::InvitationCreated]).await;
    assert_eq!((told[0].subject.as_str(), told[0].email.as_str()), (invitation.id.as_str(), "Ann@acme.test"));
    assert_eq!((told[0].privilege(), told[0].roles().collect::<Vec<_>>()), (Privilege::Admin, vec![Role::Data]));
    assert_eq!(told[0].invitation_state(), InvitationState::Pending);
    operator.resend(&invitation.id).await.expect("sent again");
    happened(&mut operator, &mut seen, &by_uid, &[EventKind::InvitationResent]).await;
    site.clock.advance(std::time::Duration::from_hours(8 * 24));
    operator.invite("ann@acme.test", Privilege::Admin, &[]).await.expect("renewed");
    happened(&mut operator, &mut seen, &by_uid, &[EventKind::InvitationRenewed]).await;
    operator.withdraw(&invitation.id).await.expect("withdrawn");
    let told = happened(&mut operator, &mut seen, &by_uid, &[EventKind::InvitationWithdrawn]).await;
    assert_eq!(told[0].invitation_state(), InvitationState::Withdrawn);
    let refused: Result<_, Status> = operator.resend(&invitation.id).await;
    refused.expect_err("refused");
    happened(&mut operator, &mut seen, &by_uid, &[]).await;
}

#[tokio::test]
async fn every_change_of_people_and_members_has_exactly_its_events() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    let by_uid = format!("operator:{}", rustix::process::geteuid().as_raw());
    let mut seen = operator.last_event().await;
    let user = site.confirmed("ann@acme.test").await;
    let told = happened(&mut operator, &mut seen, "anonymous", &[EventKind::UserCreated]).await;
    assert_eq!(
        (told[0].subject.as_str(), told[0].email.as_str(), told[0].display_name.as_str()),
        (user.id.as_str(), "ann@acme.test", "ann")
    );
    let ann = site.sign_in("ann@acme.test").await;
    happened(&mut operator, &mut seen, &ann.id, &[EventKind::SessionStarted]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let invitation = operator.invite(&ann.email, Privilege::Admin, &[]).await.expect("invited");
    happened(&mut operator, &mut seen, &by_uid, &[EventKind::InvitationCreated]).await;
    as_ann.ignore_named(&invitation.id).await.expect("ignored");
    happened(&mut operator, &mut seen, &ann.id, &[EventKind::InvitationIgnored]).await;
    let invitation = operator.invite(&ann.email, Privilege::Admin, &[Role::Alerts]).await.expect("invited");
    happened(&mut operator, &mut seen, &by_uid, &[EventKind::InvitationCreated]).await;
    for events in [&[EventKind::InvitationAccepted, EventKind::MemberJoined][..], &[]] {
        as_ann.accept_named(&invitation.id).await.expect("accepted, or so already");
        let told = happened(&mut operator, &mut seen, &ann.id, events).await;
        assert!(told.iter().skip(1).all(|joined| joined.invitation == invitation.id && joined.subject == ann.id));
    }
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    seen = operator.last_event().await;
    as_ann.assign(&bob.id, &[Role::Data]).await.expect("assigned");
    let told = happened(&mut operator, &mut seen, &ann.id, &[EventKind::MemberRolesAssigned]).await;
    assert_eq!((told[0].subject.as_str(), told[0].roles().collect::<Vec<_>>()), (bob.id.as_str(), vec![Role::Data]));
    as_ann.move_to(&bob.id, Privilege::Admin).await.expect("moved");
    let told = happened(&mut operator, &mut seen, &ann.id, &[EventKind::MemberPrivilegeChanged]).await;
    assert_eq!((told[0].privilege(), told[0].roles.len()), (Privilege::Admin, 0));
    as_ann.leave().await.expect("left");
    happened(&mut operator, &mut seen, &ann.id, &[EventKind::MemberLeft]).await;
    site.bearer(&bob.token).await.leave().await.expect_err("the last Admin");
    happened(&mut operator, &mut seen, &bob.id, &[]).await;
    let mark = proto::SetSuperAdminRequest { user: ann.id.clone(), super_admin: true, ..Default::default() };
    let unmark = proto::SetSuperAdminRequest { super_admin: false, ..mark.clone() };
    for (request, events) in
        [(&mark, &[EventKind::SuperAdminGranted][..]), (&mark, &[]), (&unmark, &[EventKind::SuperAdminRevoked]), (&unmark, &[])]
    {
        operator.operations.set_super_admin(request.clone()).await.expect("set, or so already");
        happened(&mut operator, &mut seen, &by_uid, events).await;
    }
    let again = site.sign_in(&ann.email).await;
    happened(&mut operator, &mut seen, &ann.id, &[EventKind::SessionStarted]).await;
    let mut as_ann = site.bearer(&again.token).await;
    as_ann.identity.sign_out(proto::SignOutRequest {}).await.expect("signed out");
    happened(&mut operator, &mut seen, &ann.id, &[EventKind::SessionEnded]).await;
}

#[tokio::test]
async fn services_and_what_they_do_for_people_are_recorded_as_both() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let mut operator = site.operator().await;
    let mut seen = operator.last_event().await;
    let by_uid = format!("operator:{}", rustix::process::geteuid().as_raw());
    let token = site.service("tool", &["users.write", "users.act_as"], "").await;
    let told = happened(&mut operator, &mut seen, &by_uid, &[EventKind::ServiceCreated]).await;
    let service = told[0].subject.clone();
    assert_eq!(told[0].display_name, "tool");
    site.acting(&token, &ann.email).await.remove(&bob.id).await.expect("removed");
    let told = operator.events_after(seen).await;
    assert_eq!((told.len(), told[0].kind()), (1, EventKind::MemberRemoved));
    assert_eq!((told[0].actor.as_str(), told[0].on_behalf_of.as_str()), (service.as_str(), ann.id.as_str()));
    seen += 1;
    let revoke = proto::RevokeServiceRequest { service, ..Default::default() };
    for events in [&[EventKind::ServiceRevoked][..], &[]] {
        operator.operations.revoke_service(revoke.clone()).await.expect("revoked, or so already");
        happened(&mut operator, &mut seen, &by_uid, events).await;
    }
}

#[tokio::test]
async fn an_accounts_managers_see_its_events_alone_and_nobody_elses_address_on_the_network() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.account("other").await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.member("other", "eve@evil.test", Privilege::Admin, &[]).await;
    let request = proto::ListEventsRequest { account: ACME.to_owned(), ..Default::default() };
    let as_manager = site.bearer(&ann.token).await.operations.list_events(request.clone()).await.expect("listed").into_inner();
    let as_operator = site.operator().await.operations.list_events(request).await.expect("listed").into_inner();
    let kinds = [EventKind::MemberJoined, EventKind::InvitationAccepted, EventKind::InvitationCreated, EventKind::AccountCreated];
    assert_eq!(as_manager.events.iter().map(Event::kind).collect::<Vec<_>>(), kinds);
    assert!(as_manager.events.iter().all(|event| event.account == ACME && event.client_address.is_empty()));
    assert!(as_operator.events[0].client_address.contains("127.0.0.1"), "{:?}", as_operator.events[0]);
    let told = |event: &Event| Event { client_address: String::new(), ..event.clone() };
    assert_eq!(as_operator.events.iter().map(told).collect::<Vec<_>>(), as_manager.events);
}

/// A history of some length, whole.
pub(super) async fn whole() -> Site {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.bearer(&ann.token).await.invite("bob@acme.test", Privilege::Normal, &[]).await.expect("invited");
    let found = site.operator().await.verified().await;
    assert_eq!((found.events, found.first_broken), (site.operator().await.last_event().await, 0));
    site
}

#[tokio::test]
async fn whatever_is_changed_in_history_is_found_where_it_is() {
    let edits: [(&'static str, u64); 11] = [
        ("update events set bytes = zeroblob(length(bytes)) where seq = 4", 4),
        ("update events set hash = zeroblob(32) where seq = 3", 3),
        ("update events set account = null where seq = 2", 2),
        ("update events set time = time - 1 where seq = 5", 5),
        ("delete from events where seq = 1", 1),
        ("delete from events where seq = 4", 4),
        ("delete from events where seq = (select max(seq) from events)", 8),
        (
            "update events set bytes = (select bytes from events where seq = 5), hash = (select hash from events where seq = 5) where seq = 4",
            4,
        ),
        ("update personal_values set value = 'eve@evil.test' where value = 'bob@acme.test'", 8),
        ("update personal_values set salt = zeroblob(16) where seq = 3 and slot = 0", 3),
        ("update events set seq = seq + 1000 where seq = (select max(seq) from events)", 8),
    ];
    for (edit, broken) in edits {
        let site = whole().await;
        site.underneath(edit).await;
        let found = site.operator().await.verified().await;
        assert_eq!(found.first_broken, broken, "{edit}");
    }
}

#[tokio::test]
async fn what_was_forgotten_of_a_person_leaves_history_whole() {
    let site = whole().await;
    let last = site.operator().await.last_event().await;
    let bob = site.confirmed("bob@acme.test").await;
    site.operator().await.delete(&bob.id, false).await.expect("erased");
    assert_eq!(site.operator().await.verified().await.first_broken, 0);
    let told = site.operator().await.events_after(last - 1).await;
    assert_eq!((told[0].kind(), told[0].email.as_str()), (EventKind::InvitationCreated, ""));
}

#[tokio::test]
async fn history_stays_whole_over_restarts_and_a_clock_that_goes_back() {
    let mut site = whole().await;
    site.clock.advance(std::time::Duration::from_hours(1));
    site.account("later").await;
    site.clock = Clock::set_to(BEGINNING);
    site.restart(None).await;
    site.account("earlier").await;
    let mut operator = site.operator().await;
    let events = operator.events_after(0).await;
    let times: Vec<_> = events.iter().map(|event| event.time.expect("a time").seconds).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(site.operator().await.verified().await.first_broken, 0);
}
