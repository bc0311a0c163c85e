//! The lists and filters that are measured.

use std::future::Future;
use std::pin::Pin;

use tonic::transport::Channel;
use user_management::proto::operations_client::OperationsClient;
use user_management::proto::user_management_client::UserManagementClient;
use user_management::proto::{
    DeliveryState, EventKind, InvitationState, ListAccountsRequest, ListEventsRequest, ListInvitationsRequest,
    ListMembersRequest, ListUsersRequest, Privilege, Role,
};

use crate::filling::moment;

/// Asks for a page by its token and size; answers how many entries it had, and the next token.
pub(crate) type Asked = fn(Channel, String, i32) -> Pin<Box<dyn Future<Output = (usize, String)>>>;

macro_rules! list {
    ($client:ident, $call:ident, $entries:ident, $request:ident { $($field:ident: $value:expr),* }) => {
        |channel, page_token, page_size| {
            Box::pin(async move {
                let request = $request { $($field: $value,)* page_token, page_size, ..Default::default() };
                let answer = $client::new(channel).max_decoding_message_size(64 << 20).$call(request).await;
                let answer = answer.expect("listed").into_inner();
                (answer.$entries.len(), answer.next_page_token)
            })
        }
    };
}

macro_rules! members {
    ($($field:ident: $value:expr),*) => {
        list!(UserManagementClient, list_members, members, ListMembersRequest { account: account() $(, $field: $value)* })
    };
}

macro_rules! invitations {
    ($($field:ident: $value:expr),*) => {
        list!(UserManagementClient, list_invitations, invitations, ListInvitationsRequest { account: account() $(, $field: $value)* })
    };
}

macro_rules! users {
    ($($field:ident: $value:expr),*) => {
        list!(UserManagementClient, list_users, users, ListUsersRequest { $($field: $value),* })
    };
}

macro_rules! accounts {
    ($($field:ident: $value:expr),*) => {
        list!(UserManagementClient, list_accounts, accounts, ListAccountsRequest { $($field: $value),* })
    };
}

macro_rules! events {
    ($($field:ident: $value:expr),*) => {
        list!(OperationsClient, list_events, events, ListEventsRequest { $($field: $value),* })
    };
}

fn account() -> String {
    "account-0000001".to_owned()
}

fn prefix() -> String {
    "a".to_owned()
}

fn subject() -> String {
    format!("usr_c{:031x}", 1)
}

fn service() -> String {
    format!("svc_2{:031x}", 1)
}

fn at(number: u32) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: moment(number), nanos: 0 }
}

/// Each list, with each filter, and with several.
pub(crate) const QUERIES: [(&str, Asked); 37] = [
    ("members", members!()),
    ("members, privilege", members!(privileges: vec![Privilege::Admin.into()])),
    ("members, two privileges", members!(privileges: vec![Privilege::Admin.into(), Privilege::ReadOnly.into()])),
    ("members, role", members!(role: Role::Alerts.into())),
    ("members, active", members!(active: Some(true))),
    ("members, deactivated", members!(active: Some(false))),
    ("members, email prefix", members!(email_prefix: prefix())),
    ("members, role and privilege", members!(role: Role::Alerts.into(), privileges: vec![Privilege::Normal.into()])),
    ("members, active and email prefix", members!(active: Some(true), email_prefix: prefix())),
    ("invitations", invitations!()),
    ("invitations, accepted", invitations!(states: vec![InvitationState::Accepted.into()])),
    ("invitations, pending", invitations!(states: vec![InvitationState::Pending.into()])),
    ("invitations, expired", invitations!(states: vec![InvitationState::Expired.into()])),
    ("invitations, mail failed", invitations!(delivery_states: vec![DeliveryState::Failed.into()])),
    ("invitations, held", invitations!(held: Some(true))),
    ("invitations, not held", invitations!(held: Some(false))),
    ("invitations, email prefix", invitations!(email_prefix: prefix())),
    (
        "invitations, pending and mail failed",
        invitations!(
            states: vec![InvitationState::Pending.into()], delivery_states: vec![DeliveryState::Failed.into()]
        ),
    ),
    ("users", users!()),
    ("users, active", users!(active: Some(true))),
    ("users, deactivated", users!(active: Some(false))),
    ("users, super-admins", users!(super_admin: Some(true))),
    ("users, email prefix", users!(email_prefix: prefix())),
    ("users, active and email prefix", users!(active: Some(true), email_prefix: prefix())),
    ("accounts", accounts!()),
    ("accounts, admin missing", accounts!(admin_missing: Some(true))),
    ("accounts, closed", accounts!(closed: Some(true))),
    ("accounts, name prefix", accounts!(name_prefix: "account-0000".to_owned())),
    ("events", events!()),
    ("events, account", events!(account: account())),
    ("events, kind", events!(kinds: vec![EventKind::MemberRemoved.into()])),
    ("events, actor", events!(actor: service())),
    ("events, subject", events!(subject: subject())),
    ("events, time", events!(from_time: Some(at(200)), to_time: Some(at(600)))),
    ("events, account and actor", events!(account: account(), actor: service())),
    ("events, account and subject", events!(account: account(), subject: subject())),
    ("events, actor and kind", events!(actor: "operator:0".to_owned(), kinds: vec![EventKind::SessionStarted.into()])),
];
