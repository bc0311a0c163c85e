//! Every RPC, called as it is meant: what it adds to history is the table here, which people have reviewed. An RPC that changes something and
//! records nothing says why.

use std::collections::{BTreeMap, BTreeSet};

use user_management::proto::{Event, EventKind, Privilege};

use super::call;
use super::retried::{NONE, changes, everything, operator, session};
use super::rows::{self, ROWS};
use super::stage::Stage;
use crate::acme::ACME;

/// What a call that succeeds adds to history.
enum Adds {
    /// These, in this order.
    Events(&'static [EventKind]),
    /// Nothing: it only reads, and no row changes but for when a session or token was last used.
    Reads,
    /// Nothing, though it changes something; and why.
    Nothing(&'static str),
}

use Adds::{Events, Nothing, Reads};

/// Sign-ups, and the mails that are asked for at the same time, aren't events: anybody can make any number of them, and what they did is
/// recorded once somebody confirms.
const ANYBODY: &str =
    "anybody may ask, for any address, as often as limits allow; what comes of it is recorded when a link is used";

const RECORDS: [(&str, Adds); 64] = [
    ("CreateAccount", Events(&[EventKind::AccountCreated])),
    ("GetAccount", Reads),
    ("ListAccounts", Reads),
    ("UpdateAccount", Events(&[EventKind::AccountUpdated])),
    ("CloseAccount", Events(&[EventKind::AccountClosed])),
    ("ReopenAccount", Events(&[EventKind::AccountReopened])),
    ("InviteUser", Events(&[EventKind::InvitationCreated])),
    ("BatchInviteUsers", Events(&[EventKind::InvitationCreated])),
    ("UpdateInvitation", Events(&[EventKind::InvitationUpdated])),
    ("GetInvitation", Reads),
    ("ListInvitations", Reads),
    ("ResendInvitation", Events(&[EventKind::InvitationResent])),
    ("WithdrawInvitation", Events(&[EventKind::InvitationWithdrawn])),
    ("GetMember", Reads),
    ("ListMembers", Reads),
    ("GetUser", Reads),
    ("ListUsers", Reads),
    ("ChangePrivilege", Events(&[EventKind::MemberPrivilegeChanged])),
    ("AssignRoles", Events(&[EventKind::MemberRolesAssigned])),
    ("RemoveMember", Events(&[EventKind::MemberRemoved])),
    ("BatchUpdateMembers", Events(&[EventKind::MemberPrivilegeChanged])),
    ("CreateUser", Events(&[EventKind::UserCreated, EventKind::LoginLinkMade])),
    ("SendPasswordReset", Events(&[EventKind::LoginLinkMade])),
    ("DeactivateUser", Events(&[EventKind::UserDeactivated])),
    ("ReactivateUser", Events(&[EventKind::UserReactivated])),
    ("DeleteUser", Events(&[EventKind::MemberRemoved, EventKind::UserDeleted])),
    ("RevokeSessions", Events(&[EventKind::SessionsRevoked])),
    ("CheckAccess", Reads),
    ("ListPermissions", Reads),
    ("GetAccessModel", Reads),
    ("SignUp", Nothing(ANYBODY)),
    ("ConfirmEmail", Events(&[EventKind::UserCreated])),
    ("ResendConfirmation", Nothing(ANYBODY)),
    ("RequestPasswordReset", Nothing(ANYBODY)),
    ("ResetPassword", Events(&[EventKind::UserPasswordReset])),
    ("SignIn", Events(&[EventKind::SessionStarted])),
    ("GetMe", Reads),
    ("UpdateMe", Events(&[EventKind::UserUpdated])),
    ("ChangePassword", Events(&[EventKind::UserPasswordChanged])),
    ("ChangeEmail", Events(&[EventKind::LoginLinkMade])),
    (
        "PreviewInvitation",
        Nothing("a mail scanner opens links too: the invitation shows when it was opened first, and that proves nothing"),
    ),
    ("ListMyInvitations", Reads),
    ("AcceptInvitation", Events(&[EventKind::InvitationAccepted, EventKind::MemberJoined])),
    ("IgnoreInvitation", Events(&[EventKind::InvitationIgnored])),
    ("LeaveAccount", Events(&[EventKind::MemberLeft])),
    ("CreateApiToken", Events(&[EventKind::ApiTokenCreated])),
    ("ListApiTokens", Reads),
    ("RevokeApiToken", Events(&[EventKind::ApiTokenEnded])),
    ("ListSessions", Reads),
    ("RevokeSession", Events(&[EventKind::SessionEnded])),
    ("GetServerInfo", Reads),
    ("CreateService", Events(&[EventKind::ServiceCreated])),
    ("ListServices", Reads),
    ("RevokeService", Events(&[EventKind::ServiceRevoked])),
    ("RevokeToken", Events(&[EventKind::ServiceRevoked])),
    ("ListEvents", Reads),
    ("VerifyEvents", Reads),
    ("ExportEvents", Reads),
    ("ListMail", Reads),
    ("RetryMail", Events(&[EventKind::MailRetried])),
    ("PreviewEdition", Reads),
    ("RotateLinkKey", Events(&[EventKind::LinkKeyRotated])),
    ("SetSuperAdmin", Events(&[EventKind::SuperAdminGranted])),
    ("SignOut", Events(&[EventKind::SessionEnded])),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rpc_that_changes_something_adds_its_events_to_history_or_says_why_not() {
    let methods: BTreeMap<String, _> = call::methods().into_iter().map(|method| (method.name().to_owned(), method)).collect();
    let known: BTreeSet<String> = RECORDS.iter().map(|(rpc, _)| (*rpc).to_owned()).collect();
    let unknown: Vec<_> = methods.keys().filter(|rpc| !known.contains(*rpc)).collect();
    assert_eq!(unknown, Vec::<&String>::new(), "RPCs that say nothing of what they add to history");

    let stage = Stage::set().await;
    let bob = stage.site.member(ACME, "bob@site.test", Privilege::Normal, &[]).await;
    stage.site.mails_settled().await;
    stage.lose_mail();
    let (by_socket, as_bob) = (operator(&stage.site).await, session(&stage.site, bob).await);
    let mut reader = stage.site.operator().await;
    for (rpc, adds) in RECORDS {
        let method = methods.get(rpc).unwrap_or_else(|| panic!("{rpc} is no RPC"));
        let of_persons = method.parent_service().name() == "Identity";
        let caller = if of_persons { &as_bob } else { &by_socket };
        let row = ROWS.into_iter().find(|(name, about)| *name == rpc && (of_persons || *about != "of the caller"));
        let row = row.unwrap_or_else(|| panic!("{rpc} has no row in the matrix"));
        let request = rows::request(&stage, caller, row).await;
        let (before, rows) = (reader.last_event().await, everything(&stage.site).await);
        let answer = call::call(caller.channel.clone(), caller.identified.clone(), method, &request).await;
        answer.unwrap_or_else(|refused| panic!("{rpc}: {refused:?}"));
        let added: Vec<_> = reader.events_after(before).await.iter().map(Event::kind).collect();
        match adds {
            Events(kinds) => assert_eq!(added, kinds, "by {rpc}"),
            Reads => {
                assert_eq!(added, [], "by {rpc}");
                assert_eq!(changes(&rows, &everything(&stage.site).await), NONE, "by {rpc}, which only reads");
            }
            Nothing(why) => assert!(added.is_empty() && !why.is_empty(), "{added:?} by {rpc}"),
        }
    }
    assert_eq!(reader.verified().await.differences, [], "the present is as history says");
}
