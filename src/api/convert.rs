//! Writing answers: what the house knows, in the words of the contract.

mod edition;
mod event;

use secrecy::ExposeSecret as _;

use crate::app::App;
use crate::app::access::{Checked, Listed, Revision};
use crate::app::admission::Sees;
use crate::app::answers::Preview;
use crate::app::invitations::Shown;
use crate::app::members::Changed;
use crate::app::operations::MailQueue;
use crate::app::returned::Returned;
use crate::app::tokens::{Credential, Revoked};
use crate::app::users::LoginChange;
use crate::directory::Session;
use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::event::Grantor;
use crate::domain::id::{AccountId, SessionId};
use crate::domain::invitation::{Held, State};
use crate::domain::look_alike::Suspicion;
use crate::domain::permission::{Permission, PermissionSet};
use crate::domain::policy::{Effect, Grant, Reason, Standing};
use crate::domain::privilege::Privilege;
use crate::domain::role::{Role, RoleSet};
use crate::proto;
use crate::store::accounts::Account;
use crate::store::api_tokens::ApiToken;
use crate::store::mails::{self, Delivery, Mail};
use crate::store::members::Member;
use crate::store::services::Service;
use crate::store::users::User;
use crate::tls::CertificateState;

pub(super) use edition::edition_preview;
pub(super) use event::{event, head, stored_event, verified};

/// A moment.
pub(super) fn time(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or(0);
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

const fn privilege(privilege: Privilege) -> proto::Privilege {
    match privilege {
        Privilege::Admin => proto::Privilege::Admin,
        Privilege::Normal => proto::Privilege::Normal,
        Privilege::ReadOnly => proto::Privilege::ReadOnly,
    }
}

const fn role(role: Role) -> proto::Role {
    match role {
        Role::Admin => proto::Role::Admin,
        Role::Alerts => proto::Role::Alerts,
        Role::Data => proto::Role::Data,
        Role::Trending => proto::Role::Trending,
    }
}

fn roles(roles: RoleSet) -> Vec<i32> {
    roles.iter().map(|each| role(each).into()).collect()
}

const fn permission(permission: Permission) -> proto::Permission {
    match permission {
        Permission::View => proto::Permission::View,
        Permission::ManageUsers => proto::Permission::ManageUsers,
        Permission::RespondToAlerts => proto::Permission::RespondToAlerts,
        Permission::ModifyAlertRules => proto::Permission::ModifyAlertRules,
        Permission::ModifyChecks => proto::Permission::ModifyChecks,
        Permission::ModifyTemplates => proto::Permission::ModifyTemplates,
        Permission::ModifyGraphs => proto::Permission::ModifyGraphs,
        Permission::ModifyWorksheets => proto::Permission::ModifyWorksheets,
    }
}

fn permissions(permissions: PermissionSet) -> Vec<i32> {
    permissions.iter().map(|each| permission(each).into()).collect()
}

/// The edition.
pub(super) const fn edition(edition: Edition) -> proto::Edition {
    match edition {
        Edition::Inside => proto::Edition::Inside,
        Edition::Saas => proto::Edition::Saas,
    }
}

const fn invitation_state(state: State) -> proto::InvitationState {
    match state {
        State::Pending => proto::InvitationState::Pending,
        State::Accepted => proto::InvitationState::Accepted,
        State::Ignored => proto::InvitationState::Ignored,
        State::Withdrawn => proto::InvitationState::Withdrawn,
        State::Expired => proto::InvitationState::Expired,
    }
}

const fn held(held: Option<Held>) -> proto::HeldReason {
    match held {
        None => proto::HeldReason::Unspecified,
        Some(Held::GrantorLacksManageUsers) => proto::HeldReason::GrantorLacksManageUsers,
        Some(Held::ServiceNotEntitled) => proto::HeldReason::ServiceNotEntitled,
        Some(Held::RoleOffInEdition) => proto::HeldReason::RoleOffInEdition,
        Some(Held::AccountClosed) => proto::HeldReason::AccountClosed,
    }
}

const fn delivery_state(state: mails::State) -> proto::DeliveryState {
    match state {
        mails::State::Queued => proto::DeliveryState::Queued,
        mails::State::Sending => proto::DeliveryState::Sending,
        mails::State::Sent => proto::DeliveryState::Sent,
        mails::State::Failed => proto::DeliveryState::Failed,
        mails::State::Dropped => proto::DeliveryState::Dropped,
    }
}

const fn mail_kind(kind: mails::Kind) -> proto::MailKind {
    match kind {
        mails::Kind::Invitation => proto::MailKind::Invitation,
        mails::Kind::SignUp => proto::MailKind::SignUp,
        mails::Kind::ConfirmationAgain => proto::MailKind::ConfirmationAgain,
        mails::Kind::PasswordReset => proto::MailKind::PasswordReset,
        mails::Kind::SetPassword => proto::MailKind::SetPassword,
        mails::Kind::AddressChange => proto::MailKind::AddressChange,
        mails::Kind::PasswordChanged => proto::MailKind::PasswordChanged,
        mails::Kind::AddressChanged => proto::MailKind::AddressChanged,
        mails::Kind::SuperAdminGranted => proto::MailKind::SuperAdminGranted,
        mails::Kind::SuperAdminRevoked => proto::MailKind::SuperAdminRevoked,
        mails::Kind::ApiTokenCreated => proto::MailKind::ApiTokenCreated,
    }
}

const fn reason(reason: Reason) -> proto::AccessReason {
    match reason {
        Reason::Granted => proto::AccessReason::Granted,
        Reason::UnknownUser => proto::AccessReason::UnknownUser,
        Reason::UnknownAccount => proto::AccessReason::UnknownAccount,
        Reason::NotAMember => proto::AccessReason::NotAMember,
        Reason::Deactivated => proto::AccessReason::Deactivated,
        Reason::AccountClosed => proto::AccessReason::AccountClosed,
        Reason::PrivilegeTooLow => proto::AccessReason::PrivilegeTooLow,
        Reason::RoleMissing => proto::AccessReason::RoleMissing,
        Reason::RoleOffInEdition => proto::AccessReason::RoleOffInEdition,
        Reason::TokenInvalid => proto::AccessReason::TokenInvalid,
        Reason::TokenCapped => proto::AccessReason::TokenCapped,
    }
}

fn grant(grant: Grant) -> proto::Grant {
    use proto::grant::Source;
    let source = match grant {
        Grant::Privilege(each) => Source::Privilege(privilege(each).into()),
        Grant::Role(each) => Source::Role(role(each).into()),
        Grant::SuperAdmin => Source::SuperAdmin(true),
        Grant::Membership => Source::Membership(true),
    };
    proto::Grant { source: Some(source) }
}

/// A state of the data.
pub(super) fn revision(revision: Revision) -> proto::Revision {
    proto::Revision { epoch: revision.epoch.to_string(), seq: revision.seq }
}

/// An account.
pub(super) fn account(app: &App, account: &Account) -> proto::Account {
    proto::Account {
        name: account.name.clone(),
        display_name: account.display_name.clone(),
        timezone: account.timezone.clone(),
        closed: account.closed,
        admin_missing: !account.has_manager,
        create_time: Some(time(account.created)),
        etag: app.etag(account.version),
    }
}

/// A user.
pub(super) fn user(app: &App, user: &User) -> proto::User {
    proto::User {
        id: user.id.to_string(),
        email: user.email.clone(),
        display_name: user.display_name.clone(),
        active: user.active,
        super_admin: user.super_admin,
        create_time: Some(time(user.created)),
        etag: app.etag(user.version),
    }
}

/// A member. What they may do is what their membership gives; a super-admin may do more, which `CheckAccess` says.
pub(super) fn member(app: &App, member: &Member) -> proto::Member {
    let standing = member.membership.standing();
    let effective = app.edition().roles();
    let open = member.active && !member.account_closed;
    proto::Member {
        account: member.account_name.clone(),
        user: member.membership.user.to_string(),
        email: member.email.clone(),
        display_name: member.display_name.clone(),
        privilege: privilege(standing.privilege).into(),
        roles: roles(standing.roles.intersection(effective)),
        dormant_roles: roles(standing.roles.minus(effective)),
        permissions: if open { permissions(standing.permissions(app.edition())) } else { Vec::new() },
        active: member.active,
        join_time: Some(time(member.membership.joined)),
        etag: app.etag(member.membership.version),
    }
}

/// What a change did to its person.
pub(super) fn effect(changed: &Changed) -> proto::Effect {
    let Effect { gained, lost } = changed.effect;
    let member = &changed.member;
    let (user, account) = (member.membership.user.to_string(), member.account_name.clone());
    proto::Effect { user, gained: permissions(gained), lost: permissions(lost), account }
}

/// What a change of a login did to its person: where they are a member, and in how many other accounts.
pub(super) fn login_effects(app: &App, change: &LoginChange) -> (Vec<proto::Effect>, i64) {
    let view = app.view();
    let effect = |(account, Effect { gained, lost }): &(AccountId, Effect)| proto::Effect {
        user: change.user.to_string(),
        gained: permissions(*gained),
        lost: permissions(*lost),
        account: view.account(*account).map(|account| account.name.to_string()).unwrap_or_default(),
    };
    (change.effects.iter().map(effect).collect(), i64::try_from(change.other_accounts).unwrap_or(i64::MAX))
}

/// A link that was to be answered, and whether an earlier call answered it.
pub(super) fn returned(app: &App, returned: Option<Returned>) -> (Option<proto::ReturnedLink>, bool) {
    match returned {
        None => (None, false),
        Some(Returned::AlreadyShown) => (None, true),
        Some(Returned::Link { kind, token, expires }) => {
            let token = token.expose_secret().to_owned();
            let url = app.url(kind, &token);
            (Some(proto::ReturnedLink { url, token, expire_time: expires.map(time) }), false)
        }
    }
}

/// An invitation, as far as its reader sees it.
pub(super) fn invitation(app: &App, shown: &Shown, sees: Sees) -> proto::Invitation {
    let it = &shown.invitation;
    let mut suspicion = if sees.manager { app.suspicion(it) } else { Suspicion::default() };
    suspicion.looks_like = suspicion.looks_like.filter(|_| sees.domains);
    proto::Invitation {
        id: it.id.to_string(),
        account: it.account_name.clone(),
        email: it.email.clone(),
        privilege: privilege(it.privilege).into(),
        roles: roles(it.roles),
        state: invitation_state(shown.state).into(),
        granted_by: granted_by(it.grantor),
        create_time: Some(time(it.created)),
        expire_time: it.expires.map(time),
        sent_time: it.delivery.as_ref().and_then(|delivery| delivery.sent).map(time),
        send_count: i32::try_from(it.send_count).unwrap_or(i32::MAX),
        first_opened_time: it.first_opened.map(time),
        delivery: it.delivery.as_ref().map(|each| delivery(each, sees)),
        held_reason: held(shown.held).into(),
        etag: app.etag(it.version),
        warnings: warnings(&suspicion),
        looks_like: suspicion.looks_like.as_deref().unwrap_or_default().to_owned(),
    }
}

fn warnings(suspicion: &Suspicion) -> Vec<i32> {
    let mixed = suspicion.mixes_scripts.then_some(proto::AddressWarning::MixedScript);
    let alike = suspicion.looks_like.is_some().then_some(proto::AddressWarning::LooksLike);
    mixed.into_iter().chain(alike).map(Into::into).collect()
}

fn granted_by(grantor: Grantor) -> String {
    match (grantor.user, grantor.service) {
        (Some(user), _) => user.to_string(),
        (None, Some(service)) => service.to_string(),
        (None, None) => "operator".to_owned(),
    }
}

fn delivery(delivery: &Delivery, sees: Sees) -> proto::Delivery {
    // of all that wait for their first attempt alike, put off or not: what isn't told of one would tell
    let told = sees.outbox || delivery.attempts > 0 || !delivery.state.is_open();
    proto::Delivery {
        state: delivery_state(delivery.state).into(),
        attempts: i32::try_from(delivery.attempts).unwrap_or(i32::MAX),
        last_reply: if told && sees.manager { delivery.last_reply.clone() } else { String::new() },
        next_attempt_time: delivery.due.filter(|_| told).map(time),
    }
}

/// An invitation, as the invited person sees it.
pub(super) fn preview(app: &App, preview: Preview) -> proto::InvitationPreview {
    let Shown { invitation: it, state, held: reason, .. } = preview.shown;
    proto::InvitationPreview {
        id: it.id.to_string(),
        etag: app.etag(it.version),
        account: it.account_name,
        account_display_name: it.account_display_name,
        email: it.email,
        privilege: privilege(it.privilege).into(),
        roles: roles(it.roles),
        state: invitation_state(state).into(),
        granted_by_name: preview.granted_by_name.unwrap_or_else(|| "the operator of this site".to_owned()),
        expire_time: it.expires.map(time),
        held_reason: held(reason).into(),
    }
}

/// An answered check.
pub(super) fn checked(checked: Checked) -> proto::CheckAccessResponse {
    proto::CheckAccessResponse {
        allowed: checked.reason == Reason::Granted,
        reason: reason(checked.reason).into(),
        via: checked.via.into_iter().map(grant).collect(),
        would_be_allowed_with: checked.would.into_iter().map(grant).collect(),
        user: checked.user.map(|user| user.to_string()).unwrap_or_default(),
        revision: Some(revision(checked.revision)),
        token_expire_time: checked.token_expires.map(time),
    }
}

/// Everything that a user may do.
pub(super) fn listed(listed: Listed) -> proto::ListPermissionsResponse {
    proto::ListPermissionsResponse {
        permissions: permissions(listed.permissions),
        reason: reason(listed.reason).into(),
        user: listed.user.map(|user| user.to_string()).unwrap_or_default(),
        revision: Some(revision(listed.revision)),
    }
}

/// The model of an edition.
pub(super) fn model(of: Edition, at: Revision) -> proto::GetAccessModelResponse {
    let privileges = Privilege::ALL.into_iter().map(|each| proto::PrivilegeModel {
        privilege: privilege(each).into(),
        permissions: permissions(Standing { privilege: each, roles: RoleSet::EMPTY }.permissions(of)),
    });
    let all_roles = Role::ALL.into_iter().map(|each| proto::RoleModel {
        role: role(each).into(),
        permissions: permissions(each.opens()),
        available: of.roles().contains(each),
    });
    proto::GetAccessModelResponse {
        edition: edition(of).into(),
        privileges: privileges.collect(),
        roles: all_roles.collect(),
        revision: Some(revision(at)),
    }
}

/// A service.
pub(super) fn service(service: Service) -> proto::Service {
    proto::Service {
        id: service.id.to_string(),
        name: service.name,
        scopes: service.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        account: service.account_name.unwrap_or_default(),
        certificate_name: service.certificate.unwrap_or_default(),
        create_time: Some(time(service.created)),
        expire_time: service.expires.map(time),
        revoked: service.revoked,
    }
}

/// A personal token.
pub(super) fn api_token(app: &App, token: ApiToken) -> proto::ApiToken {
    let account = app.view().account(token.account).map(|account| account.name.to_string());
    proto::ApiToken {
        id: token.id.to_string(),
        account: account.unwrap_or_default(),
        name: token.name,
        cap: token.cap.map(|cap| proto::ApiTokenCap { privilege: privilege(cap.privilege).into(), roles: roles(cap.roles) }),
        create_time: Some(time(token.created)),
        expire_time: Some(time(token.expires)),
        last_used_time: token.last_used.map(time),
        revoked: token.ended.is_some(),
    }
}

/// A token that was ended, and what it is of.
pub(super) fn revoked(app: &App, Revoked { credential, was_live }: Revoked) -> proto::RevokeTokenResponse {
    use proto::revoke_token_response::Credential as Told;
    let (owner, told) = match credential {
        Credential::Session(session, owner) => (Some(owner), Told::Session(session.to_string())),
        Credential::ApiToken(token, owner) => (Some(owner), Told::ApiToken(api_token(app, token))),
        Credential::Service(made) => (None, Told::Service(service(made))),
    };
    proto::RevokeTokenResponse { user: owner.map(|owner| user(app, &owner)), credential: Some(told), was_live }
}

/// A session, as the one that asks sees it.
pub(super) fn session(session: &Session, asking: SessionId) -> proto::Session {
    proto::Session {
        id: session.id.to_string(),
        create_time: Some(time(session.authenticated)),
        last_used_time: Some(time(session.last_used())),
        expire_time: Some(time(session.expires)),
        current: session.id == asking,
    }
}

/// A mail of the outbox.
pub(super) fn mail(app: &App, mail: Mail) -> proto::Mail {
    proto::Mail {
        id: mail.id.to_string(),
        kind: mail_kind(mail.kind).into(),
        message_id: format!("<{}>", app.message_id(mail.id)),
        recipient: mail.recipient,
        state: delivery_state(mail.delivery.state).into(),
        attempts: i32::try_from(mail.delivery.attempts).unwrap_or(i32::MAX),
        last_reply: mail.delivery.last_reply,
        create_time: Some(time(mail.created)),
        next_attempt_time: mail.delivery.due.map(time),
        sent_time: mail.delivery.sent.map(time),
    }
}

/// How the server's certificates are doing.
pub(super) fn tls(state: CertificateState) -> proto::TlsState {
    proto::TlsState {
        certificate_expire_time: Some(time(state.expiry.certificate)),
        client_ca_expire_time: state.expiry.client_ca.map(time),
        load_time: Some(time(state.loaded)),
        last_fault: state.fault.unwrap_or_default(),
    }
}

/// How the outbox is faring.
pub(super) fn mail_queue(queue: MailQueue) -> proto::MailQueue {
    proto::MailQueue {
        queued: queue.counts.queued,
        failed: queue.counts.failed,
        oldest_queued_time: queue.counts.oldest.map(time),
        last_fault: queue.last_fault,
    }
}
