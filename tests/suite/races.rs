//! Two at once: whatever the order, one of the outcomes that the rules allow. Each race is run many times on two connections, and both orders
//! must have been seen.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use user_management::proto::{self, EventKind, InvitationState, Privilege};

use crate::client::{Client, Identified, metadata, reason};
use crate::mailbox::token_of;
use crate::site::{PASSWORD, Person, Site};

/// How often each race is run.
const ROUNDS: usize = 300;

/// Where the second connection comes from, so that an event tells which of two alike requests it is of.
const SECOND: &str = "127.0.0.2";

/// How often either was first.
#[derive(Default)]
struct Score {
    first: usize,
    second: usize,
}

impl Score {
    fn count(&mut self, second: bool) {
        *(if second { &mut self.second } else { &mut self.first }) += 1;
    }

    fn check(&self, race: &str) {
        println!("{race}: {} to {}", self.first, self.second);
        assert_eq!(self.first + self.second, ROUNDS);
        assert!(self.first > 0 && self.second > 0, "{race}: one order was never seen");
    }
}

/// Sends both requests at once, either first in turn.
async fn both<A, B>(round: usize, one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    if round.is_multiple_of(2) {
        return tokio::join!(one, other);
    }
    let (other, one) = tokio::join!(other, one);
    (one, other)
}

async fn second_channel(site: &Site) -> Channel {
    let from = SECOND.parse().expect("an address");
    let endpoint = Endpoint::from_shared(format!("http://{}", site.tcp())).expect("an address").local_address(Some(from));
    endpoint.connect().await.expect("a connection")
}

/// A person's two sessions.
async fn two_sessions(site: &Site, person: &Person) -> (Client, Client) {
    let other = site.sign_in(&person.email).await;
    (site.bearer(&person.token).await, Client::new(second_channel(site).await, Identified::by(&other.token)))
}

async fn newest(operator: &mut Client, kind: EventKind) -> Vec<proto::Event> {
    let request = proto::ListEventsRequest { page_size: 10, ..Default::default() };
    let mut events = operator.operations.list_events(request).await.expect("the operator may list events").into_inner().events;
    events.retain(|event| event.kind() == kind);
    events
}

fn invite(email: &str) -> proto::InviteUserRequest {
    proto::InviteUserRequest {
        account: "acme".to_owned(),
        email: email.to_owned(),
        privilege: Privilege::Normal.into(),
        ..Default::default()
    }
}

async fn invited(operator: &mut Client, email: &str) -> String {
    let answer = operator.users.invite_user(invite(email)).await.expect("the operator may invite");
    answer.into_inner().invitation.expect("an invitation").id
}

fn withdraw(invitation: &str) -> proto::WithdrawInvitationRequest {
    proto::WithdrawInvitationRequest { account: "acme".to_owned(), invitation: invitation.to_owned(), ..Default::default() }
}

fn accept(invitation: &str) -> proto::AcceptInvitationRequest {
    proto::AcceptInvitationRequest { invitation: invitation.to_owned(), ..Default::default() }
}

async fn removed(operator: &mut Client, user: &str) {
    let request = proto::RemoveMemberRequest { account: "acme".to_owned(), user: user.to_owned(), ..Default::default() };
    operator.users.remove_member(request).await.expect("the operator may remove a member");
}

async fn members(operator: &mut Client) -> Vec<proto::Member> {
    let request = proto::ListMembersRequest { account: "acme".to_owned(), ..Default::default() };
    operator.users.list_members(request).await.expect("the operator may list members").into_inner().members
}

fn demote(user: &str, privilege: Privilege) -> proto::ChangePrivilegeRequest {
    proto::ChangePrivilegeRequest {
        account: "acme".to_owned(),
        user: user.to_owned(),
        privilege: privilege.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn one_person_accepting_twice_at_once_is_one_member() {
    let site = Site::start().await;
    site.account("acme").await;
    let bob = site.person("bob@acme.test").await;
    let (mut one, mut other) = two_sessions(&site, &bob).await;
    let mut operator = site.operator().await;
    let mut score = Score::default();
    for round in 0..ROUNDS {
        let id = invited(&mut operator, &bob.email).await;
        let (first, second) =
            both(round, one.identity.accept_invitation(accept(&id)), other.identity.accept_invitation(accept(&id))).await;
        let (first, second) = (first.expect("accepted").into_inner(), second.expect("accepted").into_inner());
        assert_eq!((&first.account, &first.member), (&second.account, &second.member), "both hear of the same membership");
        let gained = |answer: &proto::AcceptInvitationResponse| !answer.effects[0].gained.is_empty();
        assert!(gained(&first) != gained(&second), "one of them made it");
        let joined = newest(&mut operator, EventKind::MemberJoined).await;
        let joined: Vec<_> = joined.iter().filter(|event| event.invitation == id).collect();
        let [joined] = joined[..] else { panic!("joined {} times", joined.len()) };
        score.count(joined.client_address == SECOND);
        assert_eq!(members(&mut operator).await, [first.member.expect("a member")]);
        removed(&mut operator, &bob.id).await;
    }
    score.check("two accept one invitation");
}

#[tokio::test]
async fn an_invitation_withdrawn_while_it_is_accepted_is_one_or_the_other() {
    let site = Site::start().await;
    site.account("acme").await;
    let bob = site.person("bob@acme.test").await;
    let (mut person, mut operator) = (site.bearer(&bob.token).await, site.operator().await);
    let mut score = Score::default();
    for round in 0..ROUNDS {
        let id = invited(&mut operator, &bob.email).await;
        let accepting = person.identity.accept_invitation(accept(&id));
        let (accepted, withdrawn) = both(round, accepting, operator.users.withdraw_invitation(withdraw(&id))).await;
        match (accepted, withdrawn) {
            (Ok(_), Err(late)) => {
                assert_eq!(reason(&late), "INVITATION_ANSWERED");
                assert_eq!(metadata(&late, "state"), "INVITATION_STATE_ACCEPTED");
                assert_eq!(members(&mut operator).await.len(), 1);
                removed(&mut operator, &bob.id).await;
                score.count(false);
            }
            (Err(late), Ok(withdrawn)) => {
                assert_eq!(reason(&late), "INVITATION_WITHDRAWN");
                let withdrawn = withdrawn.into_inner().invitation.expect("an invitation");
                assert_eq!(withdrawn.state(), InvitationState::Withdrawn);
                assert!(members(&mut operator).await.is_empty());
                score.count(true);
            }
            other => panic!("both or neither: {other:?}"),
        }
    }
    score.check("accepted against withdrawn");
}

#[tokio::test]
async fn two_last_admins_demoting_each_other_leave_one() {
    demotions("two admins demote each other", "ACCESS_DENIED", |_, other| other.id.clone()).await;
}

#[tokio::test]
async fn two_last_admins_stepping_down_at_once_leave_one() {
    demotions("two admins step down", "LAST_ADMIN", |oneself, _| oneself.id.clone()).await;
}

/// Has the two admins of an account demote somebody at once; one of them must hear why not.
async fn demotions(race: &str, late: &str, whom: fn(&Person, &Person) -> String) {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member("acme", "bob@acme.test", Privilege::Admin, &[]).await;
    let (mut as_ann, mut as_bob) = (site.bearer(&ann.token).await, site.bearer(&bob.token).await);
    let mut operator = site.operator().await;
    let mut score = Score::default();
    for round in 0..ROUNDS {
        let by_ann = as_ann.users.change_privilege(demote(&whom(&ann, &bob), Privilege::Normal));
        let by_bob = as_bob.users.change_privilege(demote(&whom(&bob, &ann), Privilege::Normal));
        let (by_ann, by_bob) = both(round, by_ann, by_bob).await;
        score.count(by_bob.is_ok());
        let (Ok(_), Err(refused)) = (if by_ann.is_ok() { (by_ann, by_bob) } else { (by_bob, by_ann) }) else {
            panic!("both went through, or neither");
        };
        assert_eq!(reason(&refused), late);
        let members = members(&mut operator).await;
        let demoted: Vec<_> = members.iter().filter(|member| member.privilege() != Privilege::Admin).collect();
        let [demoted] = demoted[..] else { panic!("{members:?}") };
        operator.users.change_privilege(demote(&demoted.user, Privilege::Admin)).await.expect("the operator may restore");
    }
    score.check(race);
}

#[tokio::test]
async fn one_address_invited_twice_at_once_has_one_invitation() {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let (mut as_ann, mut operator) = (site.bearer(&ann.token).await, site.operator().await);
    let mut score = Score::default();
    for round in 0..ROUNDS {
        let by_ann = as_ann.users.invite_user(invite("bob@acme.test"));
        let (by_ann, by_operator) = both(round, by_ann, operator.users.invite_user(invite("Bob@Acme.test"))).await;
        score.count(by_operator.is_ok());
        let (Ok(made), Err(late)) = (if by_ann.is_ok() { (by_ann, by_operator) } else { (by_operator, by_ann) }) else {
            panic!("both went through, or neither");
        };
        let made = made.into_inner().invitation.expect("an invitation").id;
        assert_eq!((reason(&late).as_str(), metadata(&late, "invitation")), ("INVITATION_EXISTS", made.clone()));
        operator.users.withdraw_invitation(withdraw(&made)).await.expect("the operator may withdraw");
    }
    score.check("two invite one address");
}

#[tokio::test]
async fn one_sign_up_confirmed_twice_at_once_is_one_user() {
    let site = Site::start().await;
    let (mut one, mut operator) = (site.nobody().await, site.operator().await);
    let mut other = Client::new(second_channel(&site).await, Identified::default());
    let email = |round: usize| format!("person-{round}@acme.test");
    for round in 0..ROUNDS {
        let request =
            proto::SignUpRequest { email: email(round), password: PASSWORD.to_owned(), display_name: "Person".to_owned() };
        one.identity.sign_up(request).await.expect("anybody may sign up");
    }
    site.mails_settled().await;
    let mails: Vec<String> = std::fs::read_dir(site.mail_dir())
        .expect("mails")
        .map(|mail| std::fs::read_to_string(mail.expect("a mail").path()).expect("readable"))
        .collect();
    let mut score = Score::default();
    for round in 0..ROUNDS {
        let to = format!("To: {}\r\n", email(round));
        let token = mails.iter().find(|mail| mail.contains(&to)).and_then(|mail| token_of(mail)).expect("a token");
        let request = proto::ConfirmEmailRequest { token, password: PASSWORD.to_owned() };
        // a confirmation is several steps: the later one, each in turn, shall meet the earlier at every one of them
        let lag = |later: bool| tokio::time::sleep(Duration::from_millis(if later { (round / 2 % 5) as u64 } else { 0 }));
        let first = async {
            lag(!round.is_multiple_of(2)).await;
            one.identity.confirm_email(request.clone()).await
        };
        let second = async {
            lag(round.is_multiple_of(2)).await;
            other.identity.confirm_email(request.clone()).await
        };
        let (first, second) = both(round, first, second).await;
        let (first, second) = (first.expect("confirmed").into_inner(), second.expect("confirmed").into_inner());
        assert_eq!(first, second, "both hear of the same user");
        let made = newest(&mut operator, EventKind::UserCreated).await;
        let made: Vec<_> = made.iter().filter(|event| event.email == email(round)).collect();
        let [made] = made[..] else { panic!("made {} times", made.len()) };
        score.count(made.client_address == SECOND);
    }
    score.check("two confirm one sign-up");
}

#[tokio::test]
async fn one_request_sent_twice_at_once_is_done_once() {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let (mut one, mut other) = two_sessions(&site, &ann).await;
    let mut operator = site.operator().await;
    let mut score = Score::default();
    for round in 0..ROUNDS {
        let request_id = format!("00000000-0000-4000-8000-{round:012}");
        let request = proto::InviteUserRequest { request_id, ..invite(&format!("person-{round}@acme.test")) };
        let (first, second) = both(round, one.users.invite_user(request.clone()), other.users.invite_user(request)).await;
        let (first, second) = (first.expect("done").into_inner(), second.expect("done").into_inner());
        let (first, second) = (first.invitation.expect("an invitation"), second.invitation.expect("an invitation"));
        assert_eq!((&first.id, &first.etag), (&second.id, &second.etag), "both hear of the same invitation");
        let made = newest(&mut operator, EventKind::InvitationCreated).await;
        let made: Vec<_> = made.iter().filter(|event| event.subject == first.id).collect();
        let [made] = made[..] else { panic!("made {} times", made.len()) };
        score.count(made.client_address == SECOND);
    }
    score.check("one request twice");
}
