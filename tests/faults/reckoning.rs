//! At the end: everything that was answered is there, and nothing else is.

mod file;
mod mails;

use std::collections::{BTreeMap, BTreeSet};

use user_management::proto::{self, EventKind, InvitationState, Permission};

use crate::ask::{Tally, Told, ask};
use crate::client::{Client, Identified};
use crate::history::stream;
use crate::model::{Account, Offer, Region, Stand};
use crate::postbox::Postbox;
use crate::program::{Place, Program};

/// What was found, beside that all of it was as it had to be.
#[derive(Debug, Default)]
pub(crate) struct Found {
    accounts: usize,
    members: usize,
    invitations: usize,
    people: usize,
    sessions: usize,
    decisions: usize,
    events: u64,
    mails: usize,
    mails_repeated: usize,
}

/// Lists everything there is: `every!(client, users.list_members, request, members)`.
macro_rules! every {
    ($client:expr, $service:ident.$rpc:ident, $request:expr, $items:ident) => {{
        let (mut request, mut all) = ($request, Vec::new());
        request.page_size = 1000;
        loop {
            let page = $client.$service.$rpc(request.clone()).await.expect("listed").into_inner();
            all.extend(page.$items);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break all;
            }
        }
    }};
}
use every;

/// Holds what there is against what the writers were answered; as it is served, as it lies in the file, and as it is after one more start.
pub(crate) async fn all(place: &Place, postbox: &Postbox, regions: &[Region], program: Program) -> Found {
    let mut found = Found::default();
    let mut operator = place.operator().await;
    mails::are_sent(&mut operator).await;
    let retried = mails::are_as_owed(&mut operator, postbox, regions, &mut found).await;
    events_are_as_answered(&mut operator, regions, retried, &mut found).await;
    accounts_are_as_answered(&mut operator, regions, &mut found).await;
    people_are_as_answered(&mut operator, regions, &mut found).await;
    sessions_are_as_answered(place, regions, &mut found).await;
    decisions_are_as_answered(&mut operator, regions, &mut found).await;
    program.stop().await;
    file::is_whole(place, found.events).await;
    let program = place.start();
    let mut operator = place.operator().await;
    decisions_are_as_answered(&mut operator, regions, &mut Found::default()).await;
    sessions_are_as_answered(place, regions, &mut Found::default()).await;
    passwords_are_as_answered(place, regions).await;
    program.stop().await;
    found
}

/// Each account, person and service has the events that its writer was answered, in that order, and no others.
async fn events_are_as_answered(operator: &mut Client, regions: &[Region], retried: usize, found: &mut Found) {
    let mut events = every!(operator, operations.list_events, proto::ListEventsRequest::default(), events);
    events.sort_by_key(|event| event.seq);
    found.events = events.len() as u64;
    assert!(events.iter().map(|event| event.seq).eq(1..=found.events), "events are numbered without gaps");
    assert!(events.is_sorted_by_key(|event| event.time.map(|time| (time.seconds, time.nanos))), "time doesn't go backwards");
    let verified = operator.operations.verify_events(proto::VerifyEventsRequest::default()).await.expect("verified").into_inner();
    assert_eq!((verified.events, verified.first_broken), (found.events, 0), "the chain is whole");
    assert_eq!(verified.differences, [], "the present is as history says");
    let mut streams = BTreeMap::<String, Vec<(EventKind, String)>>::new();
    let (mut set, mut by_hand) = (0, 0);
    for event in &events {
        match event.kind() {
            EventKind::EditionSet => set += 1,
            EventKind::MailRetried => by_hand += 1,
            kind => streams.entry(stream(event).to_owned()).or_default().push((kind, event.subject.clone())),
        }
    }
    assert_eq!((set, by_hand), (1, retried));
    for region in regions {
        if let Some(difference) = region.history.difference(&streams) {
            panic!("{difference}");
        }
    }
    let known: BTreeSet<_> = regions.iter().flat_map(|region| region.history.streams()).collect();
    let foreign: Vec<_> = streams.keys().filter(|stream| !known.contains(stream)).collect();
    assert!(foreign.is_empty(), "recorded, and never answered: {foreign:?}");
}

async fn accounts_are_as_answered(operator: &mut Client, regions: &[Region], found: &mut Found) {
    let listed = every!(operator, users.list_accounts, proto::ListAccountsRequest::default(), accounts);
    let listed: BTreeMap<_, _> = listed.into_iter().map(|account| (account.name.clone(), account)).collect();
    let mut missing = 0;
    assert_eq!(listed.len(), regions.iter().map(|region| region.accounts.len()).sum::<usize>());
    for region in regions {
        for (name, account) in &region.accounts {
            let there = listed.get(name).unwrap_or_else(|| panic!("{name} was answered"));
            let without = region.managers(account).is_empty();
            assert_eq!(
                (&there.display_name, there.closed, there.admin_missing),
                (&account.title, account.closed, without),
                "{name}"
            );
            missing += i64::from(there.admin_missing && !there.closed);
            members_are_as_answered(operator, region, name, account).await;
            invitations_are_as_answered(operator, region, name, account).await;
            found.accounts += 1;
            found.members += account.members.len();
            found.invitations += account.offers.len();
        }
    }
    let info = operator.operations.get_server_info(proto::GetServerInfoRequest {}).await.expect("told").into_inner();
    assert_eq!(info.accounts_without_admin, missing);
}

async fn members_are_as_answered(operator: &mut Client, region: &Region, name: &str, account: &Account) {
    let request = proto::ListMembersRequest { account: name.to_owned(), ..Default::default() };
    let members = every!(operator, users.list_members, request, members);
    let mut there = BTreeMap::new();
    for member in members {
        let (privilege, roles) = (member.privilege(), member.roles().collect::<BTreeSet<_>>());
        let before = there.insert(member.user.clone(), (privilege, roles, member.email, member.active));
        assert!(before.is_none(), "{name} has {} twice", member.user);
    }
    let answered = account.members.iter().map(|(user, seat)| {
        let person = &region.people[user];
        (user.clone(), (seat.privilege, seat.roles.clone(), person.email.clone(), person.active))
    });
    assert_eq!(there, answered.collect(), "{name}");
}

async fn invitations_are_as_answered(operator: &mut Client, region: &Region, name: &str, account: &Account) {
    let request = proto::ListInvitationsRequest { account: name.to_owned(), states: (1..=5).collect(), ..Default::default() };
    let invitations = every!(operator, users.list_invitations, request, invitations);
    assert_eq!(invitations.len(), account.offers.len(), "{name}");
    let mut unanswered = BTreeSet::new();
    for invitation in invitations {
        let offer = account.offers.get(&invitation.id).unwrap_or_else(|| panic!("never answered: {invitation:?}"));
        is_as_answered(&invitation, offer, &region.mails.erased);
        let held = offer.stand == Stand::Pending && region.held(account, offer);
        assert_eq!(invitation.held_reason != 0, held, "{invitation:?} {offer:?}");
        if offer.stand == Stand::Pending {
            assert!(unanswered.insert(&offer.email), "{name} has two unanswered invitations of {}", offer.email);
        }
    }
}

fn is_as_answered(invitation: &proto::Invitation, offer: &Offer, erased: &BTreeSet<String>) {
    let state = match offer.stand {
        Stand::Pending => InvitationState::Pending,
        Stand::Accepted => InvitationState::Accepted,
        Stand::Ignored => InvitationState::Ignored,
        Stand::Withdrawn => InvitationState::Withdrawn,
    };
    let roles: BTreeSet<_> = invitation.roles().collect();
    assert_eq!((invitation.state(), invitation.send_count), (state, offer.sends), "{invitation:?} {offer:?}");
    assert_eq!((invitation.privilege(), &roles), (offer.seat.privilege, &offer.seat.roles), "{invitation:?} {offer:?}");
    if erased.contains(&offer.email) {
        assert!(!invitation.email.contains(&offer.email), "erased: {invitation:?}");
    } else {
        assert_eq!(invitation.email.to_lowercase(), offer.email);
    }
}

async fn people_are_as_answered(operator: &mut Client, regions: &[Region], found: &mut Found) {
    let listed = every!(operator, users.list_users, proto::ListUsersRequest::default(), users);
    let there = listed.into_iter().map(|user| (user.id, (user.email, user.display_name, user.active, user.super_admin)));
    let answered = regions
        .iter()
        .flat_map(|region| &region.people)
        .map(|(user, person)| (user.clone(), (person.email.clone(), person.name.clone(), person.active, person.super_admin)));
    let answered: BTreeMap<_, _> = answered.collect();
    assert_eq!(there.collect::<BTreeMap<_, _>>(), answered);
    found.people = answered.len();
}

/// Sessions and tokens of services are worth what they were answered to be.
async fn sessions_are_as_answered(place: &Place, regions: &[Region], found: &mut Found) {
    let (tools, tally) = (place.tools_channel().await, std::sync::Arc::<Tally>::default());
    for region in regions {
        for (user, session) in
            region.people.iter().flat_map(|(user, person)| person.sessions.iter().map(move |each| (user, each)))
        {
            let bearer = Client::new(tools.clone(), Identified::by(&session.token));
            let told = ask!(&tally, &bearer, identity.get_me, proto::GetMeRequest {}).told;
            match (&told, session.live) {
                (Told::Done(answer), true) => assert_eq!(answer.user.as_ref().map(|user| &user.id), Some(user)),
                (Told::Refused(reason), false) if reason == "CREDENTIALS_INVALID" => {}
                _ => panic!("a session of {user} that had to be live: {}, and was told {told:?}", session.live),
            }
            found.sessions += 1;
        }
        for (service, (token, counts)) in &region.services {
            let bearer = Client::new(tools.clone(), Identified::by(token));
            let told =
                ask!(&tally, &bearer, users.list_users, proto::ListUsersRequest { page_size: 1, ..Default::default() }).told;
            let fits = match &told {
                Told::Done(_) => *counts,
                Told::Refused(reason) => !counts && reason == "CREDENTIALS_INVALID",
            };
            // a token whose answer never came is known to nobody
            assert!(token.is_empty() || fits, "{service} counts: {counts}, and was told {told:?}");
        }
    }
}

/// The directory answers about everybody in every account what the answers before make of them.
async fn decisions_are_as_answered(operator: &mut Client, regions: &[Region], found: &mut Found) {
    for region in regions {
        for (name, account) in &region.accounts {
            for user in region.people.keys() {
                let request = proto::ListPermissionsRequest { account: name.clone(), user: user.clone() };
                let answer = operator.access.list_permissions(request).await.expect("told").into_inner();
                let there: BTreeSet<Permission> = answer.permissions().collect();
                assert_eq!(there, region.permissions(account, user), "{user} in {name}");
                found.decisions += 1;
            }
        }
    }
}

/// Everybody signs in with the password that they were last answered.
async fn passwords_are_as_answered(place: &Place, regions: &[Region]) {
    let nobody = Client::new(place.tools_channel().await, Identified::default());
    let tally = std::sync::Arc::<Tally>::default();
    for person in regions.iter().flat_map(|region| region.people.values()).filter(|person| person.active) {
        let Some(password) = person.password.clone() else { continue };
        let request = proto::SignInRequest { email: person.email.clone(), password };
        let told = ask!(&tally, &nobody, identity.sign_in, request).told;
        assert!(matches!(told, Told::Done(_)), "{}: {told:?}", person.email);
    }
}
