//! Members: moved, given other roles, removed, one by one and many at once, and leaving by themselves.

use std::collections::BTreeSet;

use user_management::proto::{self, EventKind, member_update};

use super::Writer;
use super::invitations::numbers;
use crate::ask::ask;
use crate::model::{Account, Seat};

impl Writer {
    pub(super) async fn change_privilege(&mut self) {
        let Some((account, user)) = self.any_member() else { return };
        let (doer, before) = (self.manager(&account), self.region.accounts[&account].members[&user].clone());
        let (privilege, keep_roles) = (self.any_seat().privilege, self.dice.once_in(3));
        let after = Seat { privilege, roles: if keep_roles { before.roles.clone() } else { BTreeSet::new() } };
        if after == before || doer.user().as_ref() == Some(&user) {
            return;
        }
        let request = proto::ChangePrivilegeRequest {
            account: account.clone(),
            user: self.called(&user),
            privilege: privilege.into(),
            keep_roles,
            request_id: self.request_id(0),
            ..Default::default()
        };
        let must = self.may_become(&account, &[(&user, Some(&after))]);
        let asked = ask!(&self.tally, &doer.client, users.change_privilege, request.clone());
        if self.hold(&request, asked, must).is_some() {
            self.seat(&account, &user, Some(after));
            self.region.history.expect(&account, EventKind::MemberPrivilegeChanged, &user);
        }
    }

    pub(super) async fn assign_roles(&mut self) {
        let Some((account, user)) = self.any_member() else { return };
        let (doer, before) = (self.manager(&account), self.region.accounts[&account].members[&user].clone());
        let (roles, allow_widening) = (self.any_roles(), self.dice.once_in(2));
        if roles == before.roles || doer.user().as_ref() == Some(&user) {
            return;
        }
        let after = Seat { privilege: before.privilege, roles };
        let request = proto::AssignRolesRequest {
            account: account.clone(),
            user: self.called(&user),
            roles: numbers(&after),
            allow_widening,
            request_id: self.request_id(0),
            ..Default::default()
        };
        let must = if before.widened_by(&after.roles) && !allow_widening {
            Err("ROLES_WIDEN")
        } else {
            self.may_become(&account, &[(&user, Some(&after))])
        };
        let asked = ask!(&self.tally, &doer.client, users.assign_roles, request.clone());
        if self.hold(&request, asked, must).is_some() {
            self.seat(&account, &user, Some(after));
            self.region.history.expect(&account, EventKind::MemberRolesAssigned, &user);
        }
    }

    pub(super) async fn remove(&mut self) {
        let Some((account, user)) = self.any_member() else { return };
        let doer = self.manager(&account);
        if doer.user().as_ref() == Some(&user) {
            return;
        }
        let request = proto::RemoveMemberRequest {
            account: account.clone(),
            user: self.called(&user),
            request_id: self.request_id(0),
            ..Default::default()
        };
        let must = self.may_become(&account, &[(&user, None)]);
        let asked = ask!(&self.tally, &doer.client, users.remove_member, request.clone());
        if self.hold(&request, asked, must).is_some() {
            self.seat(&account, &user, None);
            self.region.history.expect(&account, EventKind::MemberRemoved, &user);
        }
    }

    pub(super) async fn update_many(&mut self) {
        let Some((account, _)) = self.any_member() else { return };
        let doer = self.manager(&account);
        let members = self.region.accounts[&account].members.clone();
        let others = members.into_iter().filter(|(user, _)| doer.user().as_ref() != Some(user));
        let (mut updates, mut become_, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for (user, before) in others.filter(|_| self.dice.once_in(2)).collect::<Vec<_>>() {
            let seat = self.any_seat();
            let (change, after, kind) = match self.dice.throw(5) {
                0 => (member_update::Change::Remove(true), None, EventKind::MemberRemoved),
                1 | 2 => {
                    let after = Seat { privilege: seat.privilege, roles: BTreeSet::new() };
                    let change = proto::MoveMember { privilege: seat.privilege.into(), keep_roles: false };
                    (member_update::Change::Move(change), Some(after), EventKind::MemberPrivilegeChanged)
                }
                _ => {
                    let after = Seat { privilege: before.privilege, roles: seat.roles };
                    let roles = numbers(&after);
                    let change = proto::SetRoles { roles, allow_widening: true, clear_dormant: false };
                    (member_update::Change::SetRoles(change), Some(after), EventKind::MemberRolesAssigned)
                }
            };
            if after.as_ref() != Some(&before) {
                events.push((kind, user.clone()));
            }
            updates.push(proto::MemberUpdate { user: self.called(&user), etag: String::new(), change: Some(change) });
            become_.push((user, after));
        }
        if updates.is_empty() {
            return;
        }
        let request = proto::BatchUpdateMembersRequest {
            account: account.clone(),
            updates,
            request_id: self.request_id(0),
            ..Default::default()
        };
        let changes: Vec<_> = become_.iter().map(|(user, after)| (user.as_str(), after.as_ref())).collect();
        let must = self.may_become(&account, &changes);
        let asked = ask!(&self.tally, &doer.client, users.batch_update_members, request.clone());
        if self.hold(&request, asked, must).is_some() {
            for (user, seat) in become_ {
                self.seat(&account, &user, seat);
            }
            for (kind, user) in events {
                self.region.history.expect(&account, kind, &user);
            }
        }
    }

    pub(super) async fn leave(&mut self) {
        let Some(doer) = self.anybody() else { return };
        let user = doer.user().expect("a person");
        let theirs = self.region.accounts.iter().filter(|(_, account)| account.members.contains_key(&user));
        let Some(account) = self.dice.pick(theirs.map(|(name, _)| name)).cloned() else { return };
        let must = self.may_become(&account, &[(&user, None)]);
        let request =
            proto::LeaveAccountRequest { account: account.clone(), request_id: self.request_id(0), validate_only: false };
        let asked = ask!(&self.tally, &doer.client, identity.leave_account, request.clone());
        if self.hold(&request, asked, must).is_some() {
            self.seat(&account, &user, None);
            self.region.history.expect(&account, EventKind::MemberLeft, &user);
        }
    }

    /// What changes of members, all at once, have to come to.
    pub(super) fn may_become(&self, account: &str, changes: &[(&str, Option<&Seat>)]) -> Result<(), &'static str> {
        let after = changed(&self.region.accounts[account], changes);
        if self.region.loses_last_manager(account, &after) { Err("LAST_ADMIN") } else { Ok(()) }
    }

    /// A member of an open account.
    fn any_member(&mut self) -> Option<(String, String)> {
        let open = self.region.accounts.iter().filter(|(_, account)| !account.closed);
        let members = open.flat_map(|(name, account)| account.members.keys().map(move |user| (name.clone(), user.clone())));
        self.dice.pick(members.collect::<Vec<_>>())
    }

    /// A person's id, or their present address.
    fn called(&mut self, user: &str) -> String {
        if self.dice.once_in(3) { self.region.people[user].email.clone() } else { user.to_owned() }
    }
}

/// An account after changes of its members.
fn changed(before: &Account, changes: &[(&str, Option<&Seat>)]) -> Account {
    let mut after = before.clone();
    for (user, seat) in changes {
        match seat {
            Some(seat) => after.members.insert((*user).to_owned(), (*seat).clone()),
            None => after.members.remove(*user),
        };
    }
    after
}
