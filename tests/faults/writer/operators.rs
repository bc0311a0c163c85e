//! What operators do about logins and services.

use user_management::proto::{self, EventKind, MailKind};

use super::{PEOPLE, Writer};
use crate::ask::ask;
use crate::model::{Person, Stand};

impl Writer {
    pub(super) async fn create_user(&mut self) {
        let taken = if self.dice.once_in(6) { self.any_person() } else { None };
        if taken.is_none() && self.region.people.len() + self.region.signing_up.len() > PEOPLE {
            return;
        }
        let must = if taken.is_some() { Err("USER_EXISTS") } else { Ok(()) };
        let email = taken.map_or_else(|| self.fresh_address(), |user| self.region.people[&user].email.clone());
        let (name, return_link) = (self.fresh("Person"), self.dice.once_in(2));
        let request = proto::CreateUserRequest {
            email: email.clone(),
            display_name: name.clone(),
            return_link,
            request_id: self.request_id(0),
            ..Default::default()
        };
        let asked = ask!(&self.tally, &self.operator, users.create_user, request.clone());
        let Some(answer) = self.hold(&request, asked, must) else { return };
        let user = answer.user.expect("a user").id;
        self.region.people.insert(user.clone(), Person::new(&email, &name, None));
        self.region.history.expect(&user, EventKind::UserCreated, &user);
        self.linked(&user, return_link, answer.link, MailKind::SetPassword);
    }

    pub(super) async fn send_reset(&mut self) {
        let Some(user) = self.any_person() else { return };
        let (person, return_link) = (self.region.people[&user].clone(), self.dice.once_in(2));
        let request = proto::SendPasswordResetRequest {
            user: user.clone(),
            return_link,
            request_id: self.request_id(0),
            ..Default::default()
        };
        let must = if person.active { Ok(()) } else { Err("USER_DEACTIVATED") };
        let asked = ask!(&self.tally, &self.operator, users.send_password_reset, request.clone());
        if let Some(answer) = self.hold(&request, asked, must) {
            let kind = if person.password.is_some() { MailKind::PasswordReset } else { MailKind::SetPassword };
            self.linked(&user, return_link, answer.link, kind);
        }
    }

    /// Notes a new link that sets a password.
    fn linked(&mut self, user: &str, return_link: bool, link: Option<proto::ReturnedLink>, kind: MailKind) {
        self.region.history.expect_of_any(user, EventKind::LoginLinkMade);
        let person = self.person_mut(user);
        person.links.extend(link.map(|link| (link.token, true)));
        if return_link {
            return;
        }
        person.mailed = true;
        let email = person.email.clone();
        self.region.mails.owe(&email, kind);
    }

    pub(super) async fn deactivate(&mut self) {
        let Some(user) = self.any_person() else { return };
        let (orphaned, leave_without_admin) = (self.region.orphaned_by(&user), self.dice.once_in(3));
        let active = self.region.people[&user].active;
        let request = proto::DeactivateUserRequest {
            user: user.clone(),
            leave_without_admin,
            request_id: self.request_id(0),
            ..Default::default()
        };
        let must = if orphaned.is_empty() || leave_without_admin { Ok(()) } else { Err("LAST_ADMIN") };
        let asked = ask!(&self.tally, &self.operator, users.deactivate_user, request.clone());
        let Some(mut answer) = self.hold(&request, asked, must).filter(|_| active) else { return };
        answer.accounts_without_admin.sort();
        assert_eq!(answer.accounts_without_admin, orphaned);
        self.password_links_end(&user);
        self.stops_moving(&user);
        let person = self.person_mut(&user);
        person.active = false;
        person.end_everything();
        self.region.history.expect(&user, EventKind::UserDeactivated, &user);
        self.left_without_admin(&orphaned);
    }

    fn left_without_admin(&mut self, orphaned: &[String]) {
        for account in orphaned {
            self.region.history.expect(account, EventKind::AccountLeftWithoutAdmin, "");
        }
    }

    pub(super) async fn reactivate(&mut self) {
        let inactive = self.region.people.iter().filter(|(_, person)| !person.active).map(|(user, _)| user.clone());
        let Some(user) = self.dice.pick(inactive.collect::<Vec<_>>()) else { return };
        let request = proto::ReactivateUserRequest { user: user.clone(), request_id: self.request_id(0), validate_only: false };
        let asked = ask!(&self.tally, &self.operator, users.reactivate_user, request.clone());
        self.hold(&request, asked, Ok(()));
        self.person_mut(&user).active = true;
        self.region.history.expect(&user, EventKind::UserReactivated, &user);
    }

    pub(super) async fn delete(&mut self) {
        let Some(user) = self.any_person() else { return };
        let (orphaned, leave_without_admin) = (self.region.orphaned_by(&user), self.dice.once_in(2));
        let request = proto::DeleteUserRequest {
            user: user.clone(),
            leave_without_admin,
            request_id: self.request_id(0),
            ..Default::default()
        };
        let must = if orphaned.is_empty() || leave_without_admin { Ok(()) } else { Err("LAST_ADMIN") };
        let asked = ask!(&self.tally, &self.operator, users.delete_user, request.clone());
        let Some(mut answer) = self.hold(&request, asked, must) else { return };
        answer.accounts_without_admin.sort();
        assert_eq!(answer.accounts_without_admin, orphaned);
        let person = self.region.people.remove(&user).expect("a person");
        let theirs: Vec<String> = person.former.iter().cloned().chain([person.email]).collect();
        for account in self.region.accounts.keys().cloned().collect::<Vec<_>>() {
            if self.region.accounts[&account].members.contains_key(&user) {
                self.seat(&account, &user, None);
                self.region.history.expect(&account, EventKind::MemberRemoved, &user);
            }
            let offers = self.region.accounts[&account].offers.iter();
            let offered = offers.filter(|(_, offer)| offer.stand == Stand::Pending && theirs.contains(&offer.email));
            let offered: Vec<String> = offered.map(|(id, _)| id.clone()).collect();
            let withdrawn = offered.iter().map(|id| (EventKind::InvitationWithdrawn, id.clone())).collect();
            self.region.history.together(&account, withdrawn);
            for id in offered {
                self.end_offer(&account, &id, Stand::Withdrawn, None);
            }
        }
        self.region.history.expect(&user, EventKind::UserDeleted, &user);
        self.left_without_admin(&orphaned);
        self.region.mails.erased.extend(theirs.into_iter().chain(person.asked_for));
    }

    pub(super) async fn revoke_sessions(&mut self) {
        let Some(user) = self.any_person() else { return };
        let request = proto::RevokeSessionsRequest { user: user.clone(), request_id: self.request_id(0), validate_only: false };
        let asked = ask!(&self.tally, &self.operator, users.revoke_sessions, request.clone());
        self.hold(&request, asked, Ok(()));
        self.person_mut(&user).end_sessions(None);
        self.region.history.expect(&user, EventKind::SessionsRevoked, &user);
    }

    pub(super) async fn set_super_admin(&mut self) {
        let Some(user) = self.any_person() else { return };
        let super_admin = !self.region.people[&user].super_admin;
        let request =
            proto::SetSuperAdminRequest { user: user.clone(), super_admin, request_id: self.request_id(0), ..Default::default() };
        let asked = ask!(&self.tally, &self.operator, operations.set_super_admin, request.clone());
        self.hold(&request, asked, Ok(()));
        let person = self.person_mut(&user);
        person.super_admin = super_admin;
        let email = person.email.clone();
        if super_admin {
            self.region.mails.owe(&email, MailKind::SuperAdminGranted);
            self.region.history.expect(&user, EventKind::SuperAdminGranted, &user);
        } else {
            person.end_sessions(None);
            self.region.mails.owe(&email, MailKind::SuperAdminRevoked);
            self.region.history.expect(&user, EventKind::SuperAdminRevoked, &user);
        }
    }

    pub(super) async fn create_or_revoke_service(&mut self) {
        let living = self.region.services.iter().filter(|(_, (_, counts))| *counts).map(|(id, _)| id.clone());
        let request_id = self.request_id(0);
        let revoked = self.dice.pick(living.collect::<Vec<_>>()).filter(|_| self.dice.once_in(2));
        let Some(service) = revoked else { return self.create_service(request_id).await };
        let (token, counts) = self.region.services.get_mut(&service).expect("a service");
        *counts = false;
        // where the first answer was lost, nobody has the token
        if !token.is_empty() && self.dice.once_in(2) {
            let request = proto::RevokeTokenRequest { token: token.clone(), request_id, ..Default::default() };
            let asked = ask!(&self.tally, &self.operator, operations.revoke_token, request.clone());
            self.hold(&request, asked, Ok(()));
        } else {
            let request = proto::RevokeServiceRequest { service: service.clone(), request_id, ..Default::default() };
            let asked = ask!(&self.tally, &self.operator, operations.revoke_service, request.clone());
            self.hold(&request, asked, Ok(()));
        }
        self.region.history.expect(&service, EventKind::ServiceRevoked, &service);
    }

    async fn create_service(&mut self, request_id: String) {
        let (name, scopes) = (self.fresh("service"), vec!["users.read".to_owned()]);
        let request = proto::CreateServiceRequest { name, scopes, request_id, ..Default::default() };
        let asked = ask!(&self.tally, &self.operator, operations.create_service, request.clone());
        let answer = self.hold(&request, asked, Ok(())).expect("a service");
        let service = answer.service.expect("a service").id;
        self.region.history.expect(&service, EventKind::ServiceCreated, &service);
        self.region.services.insert(service, (answer.token, true));
    }

    fn any_person(&mut self) -> Option<String> {
        self.dice.pick(self.region.people.keys().cloned().collect::<Vec<_>>())
    }
}
