//! Events, in the words of the contract.

use super::{edition, granted_by, invitation_state, privilege, roles, time};
use crate::app::operations::Verified;
use crate::directory::View;
use crate::domain::clock::Timestamp;
use crate::domain::event::{
    Actor, ApiTokenState, Change, Door, Event, InvitationState, LoginLinkState, MemberState, Salted, UserState,
};
use crate::domain::head::Head;
use crate::domain::id::AccountId;
use crate::proto;
use crate::store::events::{Difference, Object, Stored};

/// An event, with the client's address for those who may see it.
pub(in crate::api) fn event(view: &View, event: &Event, with_client: bool) -> proto::Event {
    let account = event.change.account().and_then(|id| view.account(id));
    let client = event.client.as_ref().filter(|_| with_client);
    let mut told = proto::Event {
        id: event.id.to_string(),
        seq: event.seq,
        time: Some(time(event.time)),
        kind: event.change.kind().into(),
        actor: event.actor.to_string(),
        subject: event.change.subject().map(|subject| subject.to_string()).unwrap_or_default(),
        on_behalf_of: event.on_behalf_of.map(|user| user.to_string()).unwrap_or_default(),
        account: account.map(|account| account.name.to_string()).unwrap_or_default(),
        client_address: client.map(|client| client.value().to_owned()).unwrap_or_default(),
        trace_id: event.trace.to_string(),
        hash: event.encode().hash.to_vec(),
        previous_hash: event.previous.to_vec(),
        door: door(event.door).into(),
        ..proto::Event::default()
    };
    if let Actor::User { session, as_operator, .. } = event.actor {
        told.session = session.map(|session| session.to_string()).unwrap_or_default();
        told.as_operator = as_operator;
    }
    if let Actor::ApiToken { token, .. } = event.actor {
        told.api_token = token.to_string();
    }
    tell_change(&mut told, &event.change);
    told
}

/// An event as it is stored.
pub(in crate::api) fn stored_event(stored: Stored) -> proto::StoredEvent {
    let value = |(slot, known): (u32, Option<Salted>)| {
        known.map(|Salted { salt, value }| proto::PersonalValue { slot, salt: salt.to_vec(), value })
    };
    proto::StoredEvent {
        seq: stored.seq,
        canonical: stored.bytes,
        hash: stored.hash.to_vec(),
        personal_values: (0..).zip(stored.personal).filter_map(value).collect(),
    }
}

/// The head of history.
pub(in crate::api) fn head(head: Head) -> proto::HistoryHead {
    let epoch = head.epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
    proto::HistoryHead { epoch, seq: head.seq, hash: head.hash.to_vec() }
}

/// What became of history.
pub(in crate::api) fn verified(view: &View, found: &Verified) -> proto::VerifyEventsResponse {
    let Verified { walked, differences } = found;
    proto::VerifyEventsResponse {
        events: walked.events,
        // 0 says that there is none
        first_broken: walked.broken.map_or(0, |broken| broken.seq.max(1)),
        fault: walked.broken.map_or(0, |broken| broken.fault as i32),
        head: walked.head.map(head),
        contradicted: walked.broken.and_then(|broken| broken.by).map(head),
        trimmed_until: walked
            .trimmed
            .map(|trimmed| head(Head { epoch: walked.head.and_then(|head| head.epoch), seq: trimmed.until, hash: trimmed.hash })),
        trimmed_until_time: walked.trimmed.map(|trimmed| time(trimmed.time)),
        kept: walked.trimmed.map_or(0, |trimmed| trimmed.kept),
        incomparable_heads: walked.incomparable,
        differences: differences.iter().map(|difference| state_difference(view, *difference)).collect(),
    }
}

fn state_difference(view: &View, difference: Difference) -> proto::StateDifference {
    let named = |id: AccountId| view.account(id).map_or_else(|| id.to_string(), |account| account.name.to_string());
    let (subject, account) = match difference.object {
        Object::Server => (String::new(), String::new()),
        Object::Account(account) => (String::new(), named(account)),
        Object::Member(account, user) => (user.to_string(), named(account)),
        Object::User(user) => (user.to_string(), String::new()),
        Object::Invitation(invitation) => (invitation.to_string(), String::new()),
        Object::Service(service) => (service.to_string(), String::new()),
        Object::Session(session) => (session.to_string(), String::new()),
        Object::ApiToken(token) => (token.to_string(), String::new()),
    };
    proto::StateDifference { subject, account, last_event: difference.last.unwrap_or(0) }
}

const fn door(door: Door) -> proto::Door {
    match door {
        Door::Inside => proto::Door::Unspecified,
        Door::Tcp => proto::Door::Tcp,
        Door::OperatorsSocket => proto::Door::OperatorsSocket,
        Door::ToolsSocket => proto::Door::ToolsSocket,
    }
}

fn tell_change(event: &mut proto::Event, change: &Change) {
    match change {
        Change::EditionSet(data) => {
            event.edition = edition(data.edition).into();
            event.epoch = data.epoch.to_string();
        }
        Change::LinkKeyRotated(state) => {
            event.link_key_number = state.number;
            event.expire_time = state.former_until.map(time);
        }
        Change::HistoryTrimmed(state) => {
            event.trimmed_until = state.until;
            event.trimmed_until_hash = state.hash.to_vec();
            event.trimmed_until_time = Some(time(state.time));
            event.dropped = state.dropped;
            event.kept = state.kept;
            event.kept_digest = state.kept_digest.to_vec();
        }
        Change::MailRetried(state) => {
            event.invitation = state.invitation.map(|invitation| invitation.to_string()).unwrap_or_default();
        }
        Change::AccountCreated(account)
        | Change::AccountUpdated(account)
        | Change::AccountClosed(account)
        | Change::AccountReopened(account)
        | Change::AccountLeftWithoutAdmin(account) => {
            event.display_name.clone_from(&account.display_name);
            event.timezone.clone_from(&account.timezone);
        }
        Change::InvitationCreated(state)
        | Change::InvitationRenewed(state)
        | Change::InvitationResent(state)
        | Change::InvitationWithdrawn(state)
        | Change::InvitationAccepted(state)
        | Change::InvitationIgnored(state)
        | Change::InvitationUpdated(state)
        | Change::InvitationLinkReturned(state) => tell_invitation(event, state),
        Change::MemberJoined(state)
        | Change::MemberPrivilegeChanged(state)
        | Change::MemberRolesAssigned(state)
        | Change::MemberRemoved(state)
        | Change::MemberLeft(state) => tell_member(event, state),
        Change::UserCreated(state)
        | Change::SuperAdminGranted(state)
        | Change::SuperAdminRevoked(state)
        | Change::UserUpdated(state)
        | Change::UserDeactivated(state)
        | Change::UserReactivated(state) => tell_user(event, state),
        Change::UserEmailChanged(state) => {
            tell_user(event, &state.user);
            event.kept_session = state.kept.map(|session| session.to_string()).unwrap_or_default();
        }
        Change::UserPasswordChanged(state) | Change::UserPasswordReset(state) | Change::SessionsRevoked(state) => {
            event.kept_session = state.kept.map(|session| session.to_string()).unwrap_or_default();
        }
        Change::UserDeleted(_) => {}
        Change::SessionStarted(state) | Change::SessionEnded(state) => {
            event.user = state.user.to_string();
            event.expire_time = Some(time(state.expires));
        }
        Change::LoginLinkMade(state) => tell_login_link(event, state),
        Change::ApiTokenCreated(state) | Change::ApiTokenEnded(state) | Change::ApiTokenExpiring(state) => {
            tell_api_token(event, state);
        }
        Change::ServiceCreated(state) | Change::ServiceRevoked(state) | Change::ServiceExpiring(state) => {
            event.display_name.clone_from(&state.name);
            event.scopes = state.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
            event.certificate_name = state.certificate.clone().unwrap_or_default();
            event.expire_time = state.expires.map(time);
        }
    }
}

fn tell_login_link(event: &mut proto::Event, state: &LoginLinkState) {
    event.user = state.user.to_string();
    event.email = state.email.as_ref().map(|email| email.value().to_owned()).unwrap_or_default();
    event.expire_time = Some(time(state.expires));
    event.link_purpose = i32::from(state.purpose.code());
    event.link_returned = state.returned;
}

fn tell_api_token(event: &mut proto::Event, state: &ApiTokenState) {
    event.user = state.user.to_string();
    state.name.value().clone_into(&mut event.display_name);
    event.expire_time = Some(time(state.expires));
    if let Some(cap) = state.cap {
        event.privilege = privilege(cap.privilege).into();
        event.roles = roles(cap.roles);
    }
}

fn tell_invitation(event: &mut proto::Event, state: &InvitationState) {
    state.email.value().clone_into(&mut event.email);
    event.privilege = privilege(state.standing.privilege).into();
    event.roles = roles(state.standing.roles);
    event.granted_by = granted_by(state.grantor);
    event.expire_time = state.expires.map(time);
    event.answered_by = state.answered_by.map(|user| user.to_string()).unwrap_or_default();
    event.invitation_state = invitation_state(state.state.at(Timestamp::from_micros(i64::MIN), None)).into();
}

fn tell_member(event: &mut proto::Event, state: &MemberState) {
    event.privilege = privilege(state.standing.privilege).into();
    event.roles = roles(state.standing.roles);
    event.invitation = state.invitation.map(|invitation| invitation.to_string()).unwrap_or_default();
}

fn tell_user(event: &mut proto::Event, state: &UserState) {
    state.email.value().clone_into(&mut event.email);
    state.display_name.value().clone_into(&mut event.display_name);
}
