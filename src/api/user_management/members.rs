//! Members: finding them, and what becomes of them.

use crate::api::fields::Fields;
use crate::api::{Api, convert};
use crate::app::admission::Needs;
use crate::app::caller::Caller;
use crate::app::members::{Update, What};
use crate::domain::error::Error;
use crate::proto;
use crate::proto::member_update::Change;
use crate::store::members::Which;

/// Entries of a batch at most.
const MOST: usize = 1000;

pub(super) async fn get(api: &Api, caller: Caller, request: proto::GetMemberRequest) -> Result<proto::GetMemberResponse, Error> {
    let reader = api.app.admit(&caller, &request.account, Needs::READ)?;
    let mut fields = Fields::after(reader.violation());
    let Some(user) = fields.user(&request.user) else { return Err(fields.refusal()) };
    let member = api.app.member(&reader, &user).await?;
    Ok(proto::GetMemberResponse { member: Some(convert::member(&api.app, &member)) })
}

pub(super) async fn list(
    api: &Api,
    caller: Caller,
    request: proto::ListMembersRequest,
) -> Result<proto::ListMembersResponse, Error> {
    let reader = api.app.admit(&caller, &request.account, Needs::READ)?;
    let mut fields = Fields::after(reader.violation());
    let privileges = fields.codes("privileges", &request.privileges, 3);
    let role = fields.role(request.role);
    let prefix = fields.email_prefix(&request.email_prefix);
    let page = fields.page(request.page_size, request.page_token);
    let (Some(privileges), Some(role), Some(prefix), Some(page)) = (privileges, role, prefix, page) else {
        return Err(fields.refusal());
    };
    let which = Which { privileges, role, active: request.active };
    let page = api.app.members(&reader, which, prefix, &page).await?;
    let members = page.entries.iter().map(|member| convert::member(&api.app, member)).collect();
    Ok(proto::ListMembersResponse { members, next_page_token: page.next })
}

pub(super) async fn change_privilege(
    api: &Api,
    caller: Caller,
    mut request: proto::ChangePrivilegeRequest,
) -> Result<proto::ChangePrivilegeResponse, Error> {
    let manager = api.app.admit(&caller, &request.account, Needs::MANAGE)?;
    let mut fields = Fields::after(manager.violation());
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "ChangePrivilege", &id, &request, request.validate_only);
    let user = fields.user(&request.user);
    let privilege = fields.privilege(request.privilege);
    let etag = fields.etag(&request.etag);
    let (Some(terms), Some(user), Some(privilege), Some(etag)) = (terms, user, privilege, etag) else {
        return Err(fields.refusal());
    };
    let what = What::Move { privilege, keep_roles: request.keep_roles };
    let changed = api.app.update_member(manager, Update { user, etag, what }, terms).await?;
    let member = Some(convert::member(&api.app, &changed.member));
    Ok(proto::ChangePrivilegeResponse { member, effects: vec![convert::effect(&changed)] })
}

pub(super) async fn assign_roles(
    api: &Api,
    caller: Caller,
    mut request: proto::AssignRolesRequest,
) -> Result<proto::AssignRolesResponse, Error> {
    let manager = api.app.admit(&caller, &request.account, Needs::MANAGE)?;
    let mut fields = Fields::after(manager.violation());
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "AssignRoles", &id, &request, request.validate_only);
    let user = fields.user(&request.user);
    let roles = fields.roles(&request.roles);
    let etag = fields.etag(&request.etag);
    let (Some(terms), Some(user), Some(roles), Some(etag)) = (terms, user, roles, etag) else { return Err(fields.refusal()) };
    let what = What::Assign { roles, allow_widening: request.allow_widening, clear_dormant: request.clear_dormant };
    let changed = api.app.update_member(manager, Update { user, etag, what }, terms).await?;
    let member = Some(convert::member(&api.app, &changed.member));
    Ok(proto::AssignRolesResponse { member, effects: vec![convert::effect(&changed)] })
}

pub(super) async fn remove(
    api: &Api,
    caller: Caller,
    mut request: proto::RemoveMemberRequest,
) -> Result<proto::RemoveMemberResponse, Error> {
    let manager = api.app.admit(&caller, &request.account, Needs::MANAGE)?;
    let mut fields = Fields::after(manager.violation());
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "RemoveMember", &id, &request, request.validate_only);
    let user = fields.user(&request.user);
    let etag = fields.etag(&request.etag);
    let (Some(terms), Some(user), Some(etag)) = (terms, user, etag) else { return Err(fields.refusal()) };
    let changed = api.app.update_member(manager, Update { user, etag, what: What::Remove }, terms).await?;
    let member = Some(convert::member(&api.app, &changed.member));
    Ok(proto::RemoveMemberResponse { effects: vec![convert::effect(&changed)], member })
}

pub(super) async fn update_all(
    api: &Api,
    caller: Caller,
    mut request: proto::BatchUpdateMembersRequest,
) -> Result<proto::BatchUpdateMembersResponse, Error> {
    let manager = api.app.admit(&caller, &request.account, Needs::MANAGE)?;
    let mut fields = Fields::after(manager.violation());
    let id = std::mem::take(&mut request.request_id);
    let terms = fields.terms(&caller, "BatchUpdateMembers", &id, &request, request.validate_only);
    fields.entries("updates", request.updates.len(), MOST);
    let mut updates = Vec::with_capacity(request.updates.len());
    for (position, entry) in request.updates.iter().take(MOST).enumerate() {
        let mut of_entry = Fields::default();
        updates.extend(update(&mut of_entry, entry));
        fields.adopt(&format!("updates[{position}]"), of_entry);
    }
    let Some(terms) = terms else { return Err(fields.refusal()) };
    fields.check()?;
    let changed = api.app.update_members(manager, updates, terms).await?;
    let members = changed.iter().map(|changed| convert::member(&api.app, &changed.member)).collect();
    Ok(proto::BatchUpdateMembersResponse { members, effects: changed.iter().map(convert::effect).collect() })
}

fn update(fields: &mut Fields, entry: &proto::MemberUpdate) -> Option<Update> {
    let user = fields.user(&entry.user);
    let etag = fields.etag(&entry.etag);
    let what = match &entry.change {
        Some(Change::Move(to)) => {
            fields.privilege(to.privilege).map(|privilege| What::Move { privilege, keep_roles: to.keep_roles })
        }
        Some(Change::SetRoles(to)) => fields.roles(&to.roles).map(|roles| What::Assign {
            roles,
            allow_widening: to.allow_widening,
            clear_dormant: to.clear_dormant,
        }),
        Some(Change::Remove(true)) => Some(What::Remove),
        Some(Change::Remove(false)) => {
            fields.violate("remove", &"must be true");
            None
        }
        None => {
            fields.violate("change", &"must be move, set_roles or remove");
            None
        }
    };
    Some(Update { user: user?, etag: etag?, what: what? })
}
