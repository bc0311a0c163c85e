//! Pages while what they list changes: what stays is shown exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use user_management::proto::{InvitationState, ListInvitationsRequest, ListMembersRequest, Privilege, Role};

use crate::acme::ACME;
use crate::client::Client;
use crate::site::{Person, Site};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }
}

/// How often each was shown.
fn counted(seen: &[String]) -> BTreeMap<&str, usize> {
    seen.iter().fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name.as_str()).or_default() += 1;
        counts
    })
}

#[tokio::test]
async fn invitations_that_stay_are_on_exactly_one_page_while_others_come_go_and_change() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    let pending = vec![InvitationState::Pending.into()];
    let by_address = ListInvitationsRequest { email_prefix: "i".to_owned(), ..Default::default() };
    for (round, query) in [
        ListInvitationsRequest::default(),
        ListInvitationsRequest { states: pending, ..Default::default() },
        ListInvitationsRequest { held: Some(false), ..Default::default() },
        by_address,
    ]
    .into_iter()
    .enumerate()
    {
        let mut dice = Dice(u64::try_from(round).expect("few") + 1);
        let mut fresh = 0;
        let mut there: BTreeMap<String, String> =
            operator.invited().await.into_iter().map(|each| (each.email, each.id)).collect();
        while there.len() < 25 {
            invite(&site, &mut operator, &mut there, round, &mut fresh, &mut dice).await;
        }
        let mut stays: BTreeSet<String> = there.keys().cloned().collect();
        let (mut seen, mut page_token) = (Vec::new(), String::new());
        loop {
            let most = i32::try_from(1 + dice.roll(4)).expect("few");
            let request = ListInvitationsRequest { account: ACME.to_owned(), page_size: most, page_token, ..query.clone() };
            let answer = operator.users.list_invitations(request).await.expect("listed").into_inner();
            seen.extend(answer.invitations.into_iter().map(|each| each.email));
            if answer.next_page_token.is_empty() {
                break;
            }
            page_token = answer.next_page_token;
            for _ in 0..dice.roll(4) {
                let (email, id) = there.iter().nth(dice.roll(there.len())).expect("one of them");
                let (email, id) = (email.clone(), id.clone());
                match dice.roll(3) {
                    0 => invite(&site, &mut operator, &mut there, round, &mut fresh, &mut dice).await,
                    1 if there.len() > 5 => {
                        operator.withdraw(&id).await.expect("withdrawn");
                        there.remove(&email);
                        stays.remove(&email);
                    }
                    // another mail and grantor, and still the same invitation in the same place
                    _ => drop(operator.resend(&id).await.expect("resent")),
                }
            }
        }
        let counts = counted(&seen);
        assert!(stays.iter().all(|email| counts.get(email.as_str()) == Some(&1)), "{query:?} {stays:?} {counts:?}");
        assert!(counts.values().all(|times| *times == 1), "{query:?} {counts:?}");
    }
}

async fn invite(
    site: &Site,
    operator: &mut Client,
    there: &mut BTreeMap<String, String>,
    round: usize,
    fresh: &mut u32,
    dice: &mut Dice,
) {
    *fresh += 1;
    // some at the same moment, and in no order of their names
    site.clock.advance(Duration::from_millis(u64::try_from(dice.roll(2)).expect("few")));
    let email = format!("i{}-{round}-{fresh}@acme.test", dice.roll(10));
    let invitation = operator.invite(&email, Privilege::Normal, &[]).await.expect("invited");
    there.insert(email, invitation.id);
}

#[tokio::test]
async fn members_who_stay_are_on_exactly_one_page_while_others_come_go_and_change() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut people = Vec::new();
    for number in 0..12_usize {
        // what the filters go by stays; what they don't go by changes below
        let person = site.person(&format!("m{}-{number}@acme.test", number * 7 % 12)).await;
        site.clock.advance(Duration::from_millis(u64::try_from(number % 2).expect("few")));
        people.push(person);
    }
    for (round, query) in [
        ListMembersRequest::default(),
        ListMembersRequest { privileges: vec![Privilege::Normal.into(), Privilege::ReadOnly.into()], ..Default::default() },
        ListMembersRequest { role: Role::Alerts.into(), ..Default::default() },
        ListMembersRequest { active: Some(true), ..Default::default() },
        ListMembersRequest { email_prefix: "m".to_owned(), ..Default::default() },
    ]
    .into_iter()
    .enumerate()
    {
        let mut dice = Dice(u64::try_from(round).expect("few") + 11);
        let mut operator = site.operator().await;
        let present: BTreeSet<String> = operator.members().await.into_iter().map(|member| member.user).collect();
        for person in people.iter().filter(|person| !present.contains(&person.id)) {
            site.join(ACME, person, Privilege::Normal, &[Role::Alerts]).await;
        }
        let mut stays: BTreeSet<String> = people.iter().map(|person| person.id.clone()).collect();
        let (mut seen, mut page_token) = (Vec::new(), String::new());
        loop {
            let most = i32::try_from(1 + dice.roll(3)).expect("few");
            let request = ListMembersRequest { account: ACME.to_owned(), page_size: most, page_token, ..query.clone() };
            let answer = operator.users.list_members(request).await.expect("listed").into_inner();
            seen.extend(answer.members.into_iter().map(|member| member.user));
            if answer.next_page_token.is_empty() {
                break;
            }
            page_token = answer.next_page_token;
            change(&site, &mut operator, &people[dice.roll(people.len())], &mut stays, &mut dice).await;
        }
        let counts = counted(&seen);
        assert!(stays.iter().all(|user| counts.get(user.as_str()) == Some(&1)), "{query:?} {stays:?} {counts:?}");
    }
}

/// Removes somebody, or changes them in a way that keeps them in the list, or has them join again: in another place.
async fn change(site: &Site, operator: &mut Client, person: &Person, stays: &mut BTreeSet<String>, dice: &mut Dice) {
    match (operator.member(&person.id).await, dice.roll(2)) {
        (Ok(_), 0) => {
            operator.remove(&person.id).await.expect("removed");
            stays.remove(&person.id);
        }
        (Ok(_), _) => {
            let roles = [&[Role::Alerts][..], &[Role::Alerts, Role::Data], &[Role::Alerts, Role::Trending]][dice.roll(3)];
            operator.assign(&person.id, roles).await.expect("assigned");
        }
        (Err(_), _) => {
            site.clock.advance(Duration::from_millis(1));
            site.join(ACME, person, Privilege::ReadOnly, &[Role::Alerts]).await;
        }
    }
}
