//! What a refusal tells: those who may know everything, everybody else nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MethodDescriptor, Value};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use user_management::proto::{self, Permission, Privilege};

use crate::client::{Identified, reason, violations};
use crate::matrix::call::{call, methods};
use crate::site::{PASSWORD, Site};

/// Everything that a refusal says, but for the id of its trace.
fn said(status: &Status) -> String {
    let mut details = status.get_error_details();
    let info = details.error_info().cloned().expect("an ErrorInfo");
    let mut metadata: BTreeMap<_, _> = info.metadata.into_iter().collect();
    metadata.remove("trace_id").expect("a trace id");
    details.set_error_info("", "", HashMap::new());
    format!("{:?} {:?} {} {metadata:?} {details:?}", status.code(), status.message(), info.reason)
}

/// A request that has these texts in the fields of these names, and nothing else.
fn request(method: &MethodDescriptor, texts: &[(&str, &str)]) -> Vec<u8> {
    let mut request = DynamicMessage::new(method.input());
    for (name, text) in texts {
        if method.input().get_field_by_name(name).is_some() {
            request.set_field_by_name(name, Value::String((*text).to_owned()));
        }
    }
    request.encode_to_vec()
}

/// A request whose every field is something that can't be taken.
fn nonsense(method: &MethodDescriptor) -> Vec<u8> {
    let mut request = DynamicMessage::new(method.input());
    let bad = |field: &FieldDescriptor| match field.kind() {
        Kind::String => Some(Value::String("no such\u{7} thing!".to_owned())),
        Kind::Int32 => Some(Value::I32(-1)),
        Kind::Enum(_) => Some(Value::EnumNumber(99)),
        _ => None,
    };
    for field in method.input().fields() {
        if let Some(value) = bad(&field) {
            request.set_field(&field, if field.is_list() { Value::List(vec![value]) } else { value });
        }
    }
    request.encode_to_vec()
}

/// An id of the same kind that nothing has.
fn unknown(id: &str) -> String {
    let (start, last) = id.split_at(id.len() - 1);
    format!("{start}{}", if last == "2" { "3" } else { "2" })
}

/// Calls that anyone may make.
const ANYONE: [&str; 7] =
    ["SignUp", "ConfirmEmail", "ResendConfirmation", "RequestPasswordReset", "ResetPassword", "SignIn", "PreviewInvitation"];

/// Calls that are about the caller: what they answer is the caller's own.
const ONESELF: [&str; 16] = [
    "SignOut",
    "GetMe",
    "UpdateMe",
    "ChangePassword",
    "ChangeEmail",
    "ListMyInvitations",
    "AcceptInvitation",
    "IgnoreInvitation",
    "ListApiTokens",
    "RevokeApiToken",
    "ListSessions",
    "RevokeSession",
    "ListAccounts",
    "ListUsers",
    "GetAccessModel",
    "GetServerInfo",
];

#[tokio::test]
async fn a_stranger_can_not_tell_what_is_there_from_what_is_not() {
    let site = Site::start().await;
    site.account("acme").await;
    site.account("other").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let (here, _) = site.invited("acme", "ivy@acme.test", Privilege::Normal, &[]).await;
    let (elsewhere, _) = site.invited("other", "ivy@acme.test", Privilege::Normal, &[]).await;
    let eve = site.person("eve@evil.test").await;
    site.account("mine").await;
    site.join("mine", &eve, Privilege::Admin, &[]).await;
    let scopes = ["users.read", "users.write", "users.act_as", "access.check", "access.watch", "operations.read"];
    let all = site.service("all", &scopes, "").await;
    let callers = [
        ("a stranger", Identified::by(&eve.token)),
        ("a service of another account", Identified::by(&site.service("bound", &scopes, "mine").await)),
        ("a service acting for the stranger", Identified::by(&all).with("x-act-as", &eve.id)),
    ];
    let unknown_invitation = unknown(&here.id);
    let accounts = ["acme", "other", "nowhere", "Not A Name", ""];
    let users = [ann.id.as_str(), "usr_nothing", "ann@acme.test", "ivy@acme.test", "not an address"];
    let invitations = [here.id.as_str(), elsewhere.id.as_str(), unknown_invitation.as_str(), "not an id", ""];
    let channel = site.tcp_channel().await;
    for (who, identified) in callers {
        for method in methods().iter().filter(|method| method.input().get_field_by_name("account").is_some()) {
            let mut heard = BTreeSet::new();
            for account in accounts {
                for (user, invitation) in users.into_iter().zip(invitations) {
                    // `ListEvents` without an account is another question, and so is a service without one
                    if account.is_empty() && matches!(method.name(), "ListEvents" | "CreateService") {
                        continue;
                    }
                    let texts = [("account", account), ("user", user), ("invitation", invitation), ("email", user)];
                    let answer = call(channel.clone(), identified.clone(), method, &request(method, &texts)).await;
                    let refusal = answer.expect_err("refused");
                    assert_eq!(refusal.code(), Code::PermissionDenied, "{} by {who}: {refusal:?}", method.name());
                    heard.insert(said(&refusal));
                }
            }
            assert_eq!(heard.len(), 1, "{who} learns something from {}: {heard:#?}", method.name());
        }
    }
}

#[tokio::test]
async fn an_invitation_of_somebody_else_is_like_one_that_is_not_there() {
    let site = Site::start().await;
    site.account("acme").await;
    let ivy = site.person("ivy@acme.test").await;
    let (accepted, _) = site.invited("acme", &ivy.email, Privilege::Normal, &[]).await;
    let request = proto::AcceptInvitationRequest { invitation: accepted.id.clone(), ..Default::default() };
    site.bearer(&ivy.token).await.identity.accept_invitation(request).await.expect("it is hers");
    let (pending, _) = site.invited("acme", "bob@acme.test", Privilege::Normal, &[]).await;
    let unknown = unknown(&pending.id);
    let eve = site.person("eve@evil.test").await;
    let mut eve = site.bearer(&eve.token).await;
    let mut heard = BTreeSet::new();
    for invitation in [accepted.id, pending.id, unknown] {
        let request = proto::AcceptInvitationRequest { invitation: invitation.clone(), ..Default::default() };
        heard.insert(said(&eve.identity.accept_invitation(request).await.expect_err("refused")));
        let request = proto::IgnoreInvitationRequest { invitation, ..Default::default() };
        heard.insert(said(&eve.identity.ignore_invitation(request).await.expect_err("refused")));
    }
    assert_eq!(heard.len(), 1, "{heard:#?}");
}

#[tokio::test]
async fn who_calls_is_judged_before_what_is_asked() {
    let site = Site::start().await;
    site.account("acme").await;
    site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let eve = site.person("eve@evil.test").await;
    let channel = site.tcp_channel().await;
    for method in methods() {
        let (name, nonsense) = (method.name(), nonsense(&method));
        let answer = call(channel.clone(), Identified::by("ses_none"), &method, &nonsense).await;
        assert_eq!(reason(&answer.expect_err("refused")), "CREDENTIALS_INVALID", "{name} with a bad token");
        if ANYONE.contains(&name) {
            continue;
        }
        let answer = call(channel.clone(), Identified::default(), &method, &nonsense).await;
        assert_eq!(reason(&answer.expect_err("refused")), "CREDENTIALS_MISSING", "{name} by nobody");
        if ONESELF.contains(&name) {
            continue;
        }
        let answer = call(channel.clone(), Identified::by(&eve.token), &method, &nonsense).await;
        let refusal = answer.expect_err("refused");
        assert_eq!(refusal.code(), Code::PermissionDenied, "{name} by a stranger: {refusal:?}");
    }
}

#[tokio::test]
async fn who_may_know_hears_everything_that_is_wrong_at_once() {
    let site = Site::start().await;
    let channel = site.socket_channel().await;
    let mut heard = BTreeMap::new();
    for method in methods() {
        if let Err(refusal) = call(channel.clone(), Identified::default(), &method, &nonsense(&method)).await {
            heard.insert(method.name().to_owned(), (reason(&refusal), violations(&refusal).join(" ")));
        }
    }
    for (rpc, fields) in [
        ("CreateAccount", "request_id name display_name timezone"),
        ("InviteUser", "account request_id email privilege roles[0]"),
        ("ListInvitations", "account states[0] delivery_states[0] email_prefix page_size"),
        ("AssignRoles", "account request_id user roles[0]"),
        ("CheckAccess", "account user token permission"),
        ("SignUp", "email password display_name"),
        ("CreateUser", "request_id email display_name"),
        ("CreateService", "request_id name scopes[0] account certificate_name"),
        ("ListEvents", "account kinds[0] actor subject page_size"),
    ] {
        assert_eq!(heard[rpc], ("FIELDS_INVALID".to_owned(), fields.to_owned()), "{rpc}");
    }
}

#[tokio::test]
async fn who_may_not_see_all_users_can_not_tell_an_address_with_a_login() {
    let site = Site::start().await;
    site.account("acme").await;
    site.account("other").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let eve = site.member("other", "eve@evil.test", Privilege::Admin, &[]).await;
    let scopes = ["users.read", "users.write", "access.check"];
    let bound = site.service("bound", &scopes, "acme").await;
    for token in [&ann.token, &bound] {
        let mut manager = site.bearer(token).await;
        let (mut checks, mut lists, mut refusals) = (Vec::new(), Vec::new(), BTreeSet::new());
        for user in [eve.email.clone(), "none@evil.test".to_owned(), eve.id.clone(), unknown(&eve.id)] {
            let (account, permission) = ("acme".to_owned(), Permission::View.into());
            let request =
                proto::CheckAccessRequest { account: account.clone(), user: user.clone(), permission, ..Default::default() };
            checks.push(manager.access.check_access(request).await.expect("answered").into_inner());
            let request = proto::ListPermissionsRequest { account: account.clone(), user: user.clone() };
            lists.push(manager.access.list_permissions(request).await.expect("answered").into_inner());
            let request = proto::GetMemberRequest { account: account.clone(), user: user.clone() };
            let refusal = manager.users.get_member(request).await.expect_err("no member");
            refusals.insert(said(&refusal).replace(&user, "…"));
            let request = proto::RemoveMemberRequest { account, user: user.clone(), ..Default::default() };
            let refusal = manager.users.remove_member(request).await.expect_err("no member");
            refusals.insert(said(&refusal).replace(&user, "…"));
        }
        assert_eq!((checks[0].allowed, checks[0].reason()), (false, proto::AccessReason::NotAMember));
        assert!(checks.iter().all(|check| *check == checks[0]), "{checks:#?}");
        assert!(lists.iter().all(|list| *list == lists[0]), "{lists:#?}");
        assert_eq!(refusals.len(), 1, "{refusals:#?}");
    }
}

#[tokio::test]
async fn inviting_an_address_with_a_login_is_answered_like_one_without() {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let eve = site.person("eve@evil.test").await;
    let mut manager = site.bearer(&ann.token).await;
    let mut shown = Vec::new();
    for email in [eve.email.as_str(), "new@evil.test"] {
        let request = proto::InviteUserRequest {
            account: "acme".to_owned(),
            email: email.to_owned(),
            privilege: Privilege::Normal.into(),
            ..Default::default()
        };
        shown.push(manager.users.invite_user(request).await.expect("invited").into_inner().invitation.expect("an invitation"));
    }
    site.mails_settled().await;
    let request = proto::ListInvitationsRequest { account: "acme".to_owned(), ..Default::default() };
    shown.extend(manager.users.list_invitations(request).await.expect("listed").into_inner().invitations);
    for invitation in &mut shown {
        // what differs says which invitation it is, and nothing of the address
        (invitation.id, invitation.email, invitation.etag) = Default::default();
        invitation.delivery.as_mut().expect("a delivery").last_reply = String::new();
    }
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[2], shown[3]);
}

#[tokio::test]
async fn signing_up_and_in_tells_nobody_which_addresses_have_a_login() {
    let site = Site::with("signup = \"invited\"").await;
    site.account("acme").await;
    let (_, _) = site.invited("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let ann = site.person("ann@acme.test").await;
    site.invited("acme", "ivy@acme.test", Privilege::Normal, &[]).await;
    let mut nobody = site.nobody().await;
    let (mut answers, mut refusals) = (Vec::new(), BTreeSet::new());
    for email in [ann.email.as_str(), "ivy@acme.test", "none@evil.test"] {
        let (email, password) = (email.to_owned(), PASSWORD.to_owned());
        let request = proto::SignUpRequest { email: email.clone(), password, display_name: "Somebody".to_owned() };
        let begun = nobody.identity.sign_up(request).await.expect("answered").into_inner();
        let request = proto::ResendConfirmationRequest { email: email.clone() };
        answers.push((begun, nobody.identity.resend_confirmation(request).await.expect("answered").into_inner()));
        let request = proto::SignInRequest { email, password: "not the password".to_owned() };
        refusals.insert(said(&nobody.identity.sign_in(request).await.expect_err("refused")));
    }
    // what is no address at all, and a right password of somebody else
    for (email, password) in [("no address", PASSWORD), ("ivy@acme.test", PASSWORD)] {
        let request = proto::SignInRequest { email: email.to_owned(), password: password.to_owned() };
        refusals.insert(said(&nobody.identity.sign_in(request).await.expect_err("refused")));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(refusals.len(), 1, "{refusals:#?}");
}

#[tokio::test]
async fn the_right_password_of_a_deactivated_login_begins_no_write_that_a_wrong_one_does_not() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    site.operator().await.deactivate(&ann.id, false).await.expect("the operator may");
    site.mails_settled().await;
    // whoever writes now waits, and is told that the storage is at fault
    let mut lock = site.database().await;
    sqlx::query("begin immediate").execute(&mut lock).await.expect("nobody else writes");
    let mut nobody = site.nobody().await;
    for (email, password) in [(&ann.email[..], PASSWORD), (&ann.email, "not the password"), ("none@acme.test", PASSWORD)] {
        let request = proto::SignInRequest { email: email.to_owned(), password: password.to_owned() };
        let refused = nobody.identity.sign_in(request).await.expect_err("refused");
        assert_eq!(reason(&refused), "SIGN_IN_FAILED", "{email} {password}");
    }
}
