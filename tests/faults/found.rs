//! Looking for what was answered, and for what is half done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::time::{Instant, sleep};
use user_management::proto::{self, DeliveryState, EventKind, InvitationState};
use user_management::store::events::{self, Whole};

use crate::client::Client;
use crate::load::{Answered, Journal};
use crate::program::{LONG, Program, bearer, data, operator};

type Events = BTreeMap<u64, proto::Event>;

/// Looks for every answered write, stops the program, and checks the file; answers how many were found.
pub(crate) async fn all(directory: &Path, journal: &Journal, program: Program) -> usize {
    let mut operator = operator(directory).await;
    mails_sent(&mut operator).await;
    let events = every_event(&mut operator).await;
    let mut found = 0;
    for answered in journal.entries() {
        if is_there(&mut operator, directory, &events, &answered).await {
            found += 1;
        } else {
            println!("lost: {answered:?}");
        }
    }
    nothing_half_done(&mut operator, &events).await;
    members_as_they_last_were(&mut operator, &events).await;
    mails_match(&mut operator, directory).await;
    program.stop().await;
    file_is_whole(directory, events.len() as u64).await;
    found
}

/// The number of the event that last changed what has this etag.
fn seq(etag: &str) -> u64 {
    etag.split_once('-').and_then(|(_, version)| u64::from_str_radix(version, 16).ok()).expect("an etag names an event")
}

async fn is_there(operator: &mut Client, directory: &Path, events: &Events, answered: &Answered) -> bool {
    let event = |etag: &str, kind: EventKind, subject: &str| {
        events.get(&seq(etag)).is_some_and(|event| event.kind() == kind && (event.subject == subject || event.account == subject))
    };
    match answered {
        Answered::Account(account) => {
            let request = proto::GetAccountRequest { account: account.name.clone() };
            let now = operator.users.get_account(request).await.ok().and_then(|answer| answer.into_inner().account);
            now.as_ref() == Some(account) && event(&account.etag, EventKind::AccountCreated, &account.name)
        }
        Answered::Invited(invitation) => {
            let now = invitation_now(operator, invitation).await;
            now.is_some_and(|now| now.email == invitation.email && now.create_time == invitation.create_time)
                && event(&invitation.etag, EventKind::InvitationCreated, &invitation.id)
        }
        Answered::Withdrawn(invitation) => {
            let now = invitation_now(operator, invitation).await;
            now.is_some_and(|now| now.state() == InvitationState::Withdrawn && now.etag == invitation.etag)
                && event(&invitation.etag, EventKind::InvitationWithdrawn, &invitation.id)
        }
        Answered::Changed(member) => {
            event(&member.etag, EventKind::MemberRolesAssigned, &member.user)
                && events.get(&seq(&member.etag)).is_some_and(|event| event.roles == member.roles)
        }
        Answered::SignedIn { token, user } => {
            let me = bearer(directory, token).await.identity.get_me(proto::GetMeRequest {}).await;
            me.is_ok_and(|me| me.into_inner().user.is_some_and(|me| me.id == *user))
        }
    }
}

async fn invitation_now(operator: &mut Client, invitation: &proto::Invitation) -> Option<proto::Invitation> {
    let request = proto::GetInvitationRequest { account: invitation.account.clone(), invitation: invitation.id.clone() };
    operator.users.get_invitation(request).await.ok()?.into_inner().invitation
}

async fn every_event(operator: &mut Client) -> Events {
    let mut events = Events::new();
    let mut request = proto::ListEventsRequest { page_size: 1000, ..Default::default() };
    loop {
        let page = operator.operations.list_events(request.clone()).await.expect("listed").into_inner();
        events.extend(page.events.into_iter().map(|event| (event.seq, event)));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert!(events.keys().copied().eq(1..=events.len() as u64), "events are numbered without gaps");
    events
}

/// Every object has its event and every event its object.
async fn nothing_half_done(operator: &mut Client, events: &Events) {
    let of = |kind: EventKind| events.values().filter(move |event| event.kind() == kind);
    let mut accounts = BTreeSet::new();
    let mut request = proto::ListAccountsRequest { page_size: 1000, ..Default::default() };
    loop {
        let page = operator.users.list_accounts(request.clone()).await.expect("listed").into_inner();
        accounts.extend(page.accounts.into_iter().map(|account| account.name));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(accounts, of(EventKind::AccountCreated).map(|event| event.account.clone()).collect());
    let mut invitations = BTreeMap::new();
    let states = (1..=5).collect();
    let mut request = proto::ListInvitationsRequest { account: "acme".to_owned(), states, page_size: 1000, ..Default::default() };
    loop {
        let page = operator.users.list_invitations(request.clone()).await.expect("listed").into_inner();
        invitations.extend(page.invitations.into_iter().map(|invitation| (invitation.id.clone(), invitation)));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let created: BTreeSet<_> = of(EventKind::InvitationCreated).map(|event| &event.subject).collect();
    assert_eq!(invitations.keys().collect::<BTreeSet<_>>(), created);
    let withdrawn: BTreeSet<_> = of(EventKind::InvitationWithdrawn).map(|event| &event.subject).collect();
    let in_state = |state| invitations.values().filter(move |invitation| invitation.state() == state);
    assert_eq!(in_state(InvitationState::Withdrawn).map(|invitation| &invitation.id).collect::<BTreeSet<_>>(), withdrawn);
    for pending in in_state(InvitationState::Pending) {
        let delivery = pending.delivery.as_ref().map(proto::Delivery::state);
        assert_eq!(delivery, Some(DeliveryState::Sent), "a pending invitation's mail is owed until it was sent: {pending:?}");
    }
}

async fn members_as_they_last_were(operator: &mut Client, events: &Events) {
    let mut roles = BTreeMap::new();
    for event in events.values().filter(|event| matches!(event.kind(), EventKind::MemberJoined | EventKind::MemberRolesAssigned))
    {
        roles.insert(event.subject.clone(), event.roles.clone());
    }
    let request = proto::ListMembersRequest { account: "acme".to_owned(), ..Default::default() };
    let members = operator.users.list_members(request).await.expect("listed").into_inner().members;
    assert_eq!(members.into_iter().map(|member| (member.user, member.roles)).collect::<BTreeMap<_, _>>(), roles);
}

/// Waits until nothing is owed any more.
async fn mails_sent(operator: &mut Client) {
    let end = Instant::now() + LONG;
    loop {
        let info = operator.operations.get_server_info(proto::GetServerInfoRequest {}).await.expect("told").into_inner();
        if info.mail_queue.expect("the operator sees the queue").queued == 0 {
            return;
        }
        assert!(Instant::now() < end, "mails stay owed");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Every mail that was sent is one file, and no file is anything else.
async fn mails_match(operator: &mut Client, directory: &Path) {
    let mut sent = BTreeSet::new();
    let mut request = proto::ListMailRequest { states: vec![DeliveryState::Sent.into()], page_size: 1000, ..Default::default() };
    loop {
        let page = operator.operations.list_mail(request.clone()).await.expect("listed").into_inner();
        sent.extend(page.mails.into_iter().map(|mail| mail.message_id));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let mut written = BTreeSet::new();
    for file in std::fs::read_dir(data(directory).join("mail")).expect("the mails") {
        let path = file.expect("a file").path();
        let mail = std::fs::read_to_string(&path).expect("readable");
        let id = mail
            .lines()
            .find_map(|line| line.strip_prefix("Message-ID: "))
            .unwrap_or_else(|| panic!("no id: {}", path.display()));
        assert!(written.insert(id.to_owned()), "{id} was written twice");
    }
    let missing: Vec<_> = sent.difference(&written).collect();
    assert!(missing.is_empty(), "sent, and not there: {missing:?}");
    println!("mails sent {}, files {}", sent.len(), written.len());
}

async fn file_is_whole(directory: &Path, events: u64) {
    let options = SqliteConnectOptions::new().filename(data(directory).join("user-management.db")).read_only(true);
    let mut file = SqliteConnection::connect_with(&options).await.expect("the database opens");
    assert_eq!(events::verify(&mut file).await.expect("read"), Whole { events, first_broken: None });
    let faults: Vec<String> = sqlx::query_scalar("pragma integrity_check").fetch_all(&mut file).await.expect("checked");
    assert_eq!(faults, ["ok"]);
    let dangling = sqlx::query("pragma foreign_key_check").fetch_all(&mut file).await.expect("checked");
    assert!(dangling.is_empty(), "rows refer to what isn't there");
}
