//! What people do about their own logins.
//!
//! These requests have no `request_id`. Where an answer never came and the next is a refusal, what became of the first is found out by
//! reading, as a person would.

use user_management::proto::{self, EventKind, MailKind};

use super::{PEOPLE, Writer};
use crate::ask::{Asked, Told, ask};
use crate::model::{Moving, Person, Session, SigningUp};

const CONFIRM: &[&str] = &["Confirm your address", "Your confirmation links"];
const CONFIRM_NEW: &[&str] = &["Confirm your new address"];
const SET_PASSWORD: &[&str] = &["Choose a new password", "Choose a password"];

impl Writer {
    pub(super) async fn sign_up(&mut self) {
        if self.region.people.len() + self.region.signing_up.len() > PEOPLE {
            return;
        }
        let signing = SigningUp { email: self.fresh_address(), password: self.fresh_password(), name: self.fresh("Person") };
        let request = proto::SignUpRequest {
            email: signing.email.clone(),
            password: signing.password.clone(),
            display_name: signing.name.clone(),
        };
        let asked = ask!(&self.tally, &self.nobody(), identity.sign_up, request.clone());
        self.owed_again(&signing.email, MailKind::SignUp, &asked);
        self.hold(&request, asked, Ok(()));
        self.region.mails.owe(&signing.email, MailKind::SignUp);
        self.region.signing_up.push(signing);
    }

    /// Asks for the links of an open sign-up again.
    pub(super) async fn resend_confirmation(&mut self) {
        let Some(signing) = self.dice.pick(self.region.signing_up.clone()) else { return };
        let request = proto::ResendConfirmationRequest { email: signing.email.clone() };
        let asked = ask!(&self.tally, &self.nobody(), identity.resend_confirmation, request.clone());
        self.owed_again(&signing.email, MailKind::ConfirmationAgain, &asked);
        self.hold(&request, asked, Ok(()));
        self.region.mails.owe(&signing.email, MailKind::ConfirmationAgain);
    }

    pub(super) async fn confirm_sign_up(&mut self) {
        let arrived = self.region.signing_up.iter().enumerate();
        let arrived = arrived.filter_map(|(at, each)| Some((at, self.postbox.token(&each.email, CONFIRM)?)));
        let Some((at, token)) = self.dice.pick(arrived.collect::<Vec<_>>()) else { return };
        let signing = self.region.signing_up[at].clone();
        let request = proto::ConfirmEmailRequest { token, password: signing.password.clone() };
        let asked = ask!(&self.tally, &self.nobody(), identity.confirm_email, request.clone());
        let answer = self.hold(&request, asked, Ok(())).expect("repeating it answers the same user");
        let user = answer.user.expect("a user");
        self.region.signing_up.remove(at);
        self.region.mails.may_drop_all(&signing.email, MailKind::SignUp);
        self.region.mails.may_drop_all(&signing.email, MailKind::ConfirmationAgain);
        self.region.history.expect(&user.id, EventKind::UserCreated, &user.id);
        self.region.people.insert(user.id, Person::new(&signing.email, &signing.name, Some(&signing.password)));
    }

    pub(super) async fn sign_in(&mut self) {
        let Some((user, person)) = self.dice.pick(self.region.people.clone()) else { return };
        let wrong = self.dice.once_in(8);
        let right = person.password.clone().filter(|_| person.active && !wrong);
        let password = right.clone().unwrap_or_else(|| "not the password".to_owned());
        let must = if right.is_some() { Ok(()) } else { Err("SIGN_IN_FAILED") };
        self.sign_in_with(&user, &person.email, password, must).await;
    }

    async fn sign_in_with(&mut self, user: &str, email: &str, password: String, must: Result<(), &str>) {
        let request = proto::SignInRequest { email: email.to_owned(), password };
        let asked = ask!(&self.tally, &self.nobody(), identity.sign_in, request.clone());
        for _ in 0..asked.unanswered {
            self.region.history.perhaps(user, EventKind::SessionStarted);
        }
        let Some(answer) = self.hold(&request, asked, must) else { return };
        self.region.history.expect_of_any(user, EventKind::SessionStarted);
        let session = Session { token: answer.session_token, clock: self.clock, live: true };
        self.person_mut(user).sessions.push(session);
    }

    pub(super) async fn sign_out(&mut self) {
        let Some(doer) = self.anybody() else { return };
        let (user, token) = doer.person.clone().expect("a person");
        let asked = ask!(&self.tally, &doer.client, identity.sign_out, proto::SignOutRequest {});
        let asked = carried_out_if(asked, "CREDENTIALS_INVALID");
        self.hold(&"SignOut", asked, Ok(()));
        let session = self.person_mut(&user).sessions.iter_mut().find(|session| session.token == token);
        session.expect("a session").live = false;
        self.region.history.expect_of_any(&user, EventKind::SessionEnded);
    }

    pub(super) async fn change_password(&mut self) {
        let Some(doer) = self.anybody() else { return };
        let (user, token) = doer.person.clone().expect("a person");
        let (wrong, new_password) = (self.dice.once_in(6), self.fresh_password());
        let present = self.region.people[&user].password.clone().expect("who signed in has one");
        let password = if wrong { "not the password".to_owned() } else { present };
        let request = proto::ChangePasswordRequest { password, new_password: new_password.clone() };
        let asked = ask!(&self.tally, &doer.client, identity.change_password, request.clone());
        let asked = if wrong { asked.map(drop) } else { carried_out_if(asked, "PASSWORD_WRONG") };
        let must = if wrong { Err("PASSWORD_WRONG") } else { Ok(()) };
        if self.hold(&request, asked, must).is_none() {
            return;
        }
        self.password_links_end(&user);
        let person = self.person_mut(&user);
        person.password = Some(new_password);
        person.end_sessions(Some(&token));
        let email = person.email.clone();
        self.region.mails.owe(&email, MailKind::PasswordChanged);
        self.region.history.expect(&user, EventKind::UserPasswordChanged, &user);
    }

    pub(super) async fn request_reset(&mut self) {
        let active = self.region.people.iter().filter(|(_, person)| person.active && person.password.is_some());
        let Some(user) = self.dice.pick(active.map(|(user, _)| user)).cloned() else { return };
        let email = self.region.people[&user].email.clone();
        let request = proto::RequestPasswordResetRequest { email: email.clone() };
        let asked = ask!(&self.tally, &self.nobody(), identity.request_password_reset, request.clone());
        self.owed_again(&email, MailKind::PasswordReset, &asked);
        self.hold(&request, asked, Ok(()));
        self.region.mails.owe(&email, MailKind::PasswordReset);
        self.person_mut(&user).mailed = true;
    }

    /// Sets a password by a link that was answered or mailed, good or ended.
    pub(super) async fn set_password(&mut self) {
        let Some((user, person)) = self.dice.pick(self.region.people.clone()) else { return };
        let answered = self.dice.pick(person.links.iter().rev().take(3).cloned()).filter(|_| !self.dice.once_in(3));
        let mailed = self.postbox.token(&person.email, SET_PASSWORD);
        let Some(token) = answered.as_ref().map(|(token, _)| token.clone()).or(mailed) else { return };
        let password = self.fresh_password();
        let request = proto::ResetPasswordRequest { token, password: password.clone() };
        let mut asked = ask!(&self.tally, &self.nobody(), identity.reset_password, request.clone());
        if let (Told::Refused(reason), true) = (&asked.told, asked.unanswered > 0) {
            assert_eq!(reason, "LINK_EXPIRED");
            if self.signs_in_with(&user, &person.email, &password).await {
                asked.told = Told::Done(proto::ResetPasswordResponse::default());
            }
        }
        let must = match answered {
            Some((_, true)) => Ok(()),
            // the newest mail may still be on its way, and the one before ended; where none is good, none may be taken
            None if person.mailed && matches!(asked.told, Told::Done(_)) => Ok(()),
            Some((_, false)) | None => Err("LINK_EXPIRED"),
        };
        let signed_in_since = asked.unanswered > 0;
        if self.hold(&request, asked, must).is_none() {
            return;
        }
        self.password_links_end(&user);
        if person.password.is_some() {
            self.region.mails.owe(&person.email, MailKind::PasswordChanged);
        }
        let changed = self.person_mut(&user);
        changed.password = Some(password);
        changed.end_sessions(None);
        self.region.history.expect(&user, EventKind::UserPasswordReset, &user);
        if signed_in_since {
            self.region.history.perhaps(&user, EventKind::SessionStarted);
        }
    }

    /// Whether a password is somebody's; signing in is the way to find out.
    async fn signs_in_with(&self, user: &str, email: &str, password: &str) -> bool {
        let request = proto::SignInRequest { email: email.to_owned(), password: password.to_owned() };
        let asked = ask!(&self.tally, &self.nobody(), identity.sign_in, request);
        match asked.told {
            Told::Done(_) => true,
            Told::Refused(reason) => {
                assert_eq!(reason, "SIGN_IN_FAILED", "{user}");
                false
            }
        }
    }

    pub(super) async fn change_email(&mut self) {
        let Some(doer) = self.anybody() else { return };
        let (user, session) = doer.person.clone().expect("a person");
        let person = self.region.people[&user].clone();
        let email = self.fresh_address();
        let password = person.password.clone().expect("who signed in has one");
        let request = proto::ChangeEmailRequest { email: email.clone(), password };
        let asked = ask!(&self.tally, &doer.client, identity.change_email, request.clone());
        self.owed_again(&email, MailKind::AddressChange, &asked);
        for _ in 0..asked.unanswered {
            self.region.history.perhaps(&user, EventKind::LoginLinkMade);
        }
        // of several such links the newest alone is good, so that the mails of the others needn't go
        if asked.unanswered > 0 {
            self.region.mails.may_drop_all(&email, MailKind::AddressChange);
        }
        self.hold(&request, asked, Ok(()));
        self.region.mails.owe(&email, MailKind::AddressChange);
        self.region.history.expect_of_any(&user, EventKind::LoginLinkMade);
        self.stops_moving(&user);
        let person = self.person_mut(&user);
        person.asked_for.push(email.clone());
        person.moving = Some(Moving { email, session });
    }

    pub(super) async fn confirm_email(&mut self) {
        let moving = self.region.people.iter().filter_map(|(user, person)| Some((user.clone(), person.moving.clone()?)));
        let Some((user, to)) = self.dice.pick(moving.collect::<Vec<_>>()) else { return };
        let Some(token) = self.postbox.token(&to.email, CONFIRM_NEW) else { return };
        let password = self.region.people[&user].password.clone().expect("who asked has one");
        let request = proto::ConfirmEmailRequest { token, password };
        let mut asked = ask!(&self.tally, &self.nobody(), identity.confirm_email, request.clone());
        if matches!(asked.told, Told::Refused(_)) && asked.unanswered > 0 && self.has_address(&user, &to.email).await {
            asked.told = Told::Done(proto::ConfirmEmailResponse::default());
        }
        // a link that was mailed twice over ended with the second
        let again = matches!(&asked.told, Told::Refused(reason) if reason == "LINK_EXPIRED");
        if again && self.region.mails.asked_often(&to.email, MailKind::AddressChange) {
            return;
        }
        self.hold(&request, asked, Ok(()));
        self.password_links_end(&user);
        self.stops_moving(&user);
        let person = self.person_mut(&user);
        person.end_sessions(Some(&to.session));
        let former = std::mem::replace(&mut person.email, to.email);
        person.former.push(former.clone());
        // what was asked for by that address is nobody's any more
        self.region.mails.may_drop_all(&former, MailKind::PasswordReset);
        self.region.mails.owe(&former, MailKind::AddressChanged);
        self.region.history.expect(&user, EventKind::UserEmailChanged, &user);
    }

    async fn has_address(&self, user: &str, email: &str) -> bool {
        let request = proto::GetUserRequest { user: user.to_owned() };
        match ask!(&self.tally, &self.operator, users.get_user, request).told {
            Told::Done(answer) => answer.user.is_some_and(|user| user.email == email),
            Told::Refused(reason) => panic!("{user} is there, and reading them was refused: {reason}"),
        }
    }

    pub(super) async fn update_me(&mut self) {
        let Some(doer) = self.anybody() else { return };
        let (user, name) = (doer.user().expect("a person"), self.fresh("Person"));
        let request =
            proto::UpdateMeRequest { display_name: Some(name.clone()), request_id: self.request_id(0), ..Default::default() };
        let asked = ask!(&self.tally, &doer.client, identity.update_me, request.clone());
        self.hold(&request, asked, Ok(()));
        self.person_mut(&user).name = name;
        self.region.history.expect(&user, EventKind::UserUpdated, &user);
    }

    /// Ends a person's links that set a password; their mails needn't go any more.
    pub(super) fn password_links_end(&mut self, user: &str) {
        let person = self.person_mut(user);
        person.end_password_links();
        let email = person.email.clone();
        self.region.mails.may_drop_all(&email, MailKind::PasswordReset);
        self.region.mails.may_drop_all(&email, MailKind::SetPassword);
    }

    /// Ends a person's link that changes their address; its mail needn't go any more.
    pub(super) fn stops_moving(&mut self, user: &str) {
        if let Some(moving) = self.person_mut(user).moving.take() {
            self.region.mails.may_drop_all(&moving.email, MailKind::AddressChange);
        }
    }

    /// Notes that a request which owes a mail each time was sent more than once.
    fn owed_again<T>(&mut self, to: &str, kind: MailKind, asked: &Asked<T>) {
        for _ in 0..asked.unanswered {
            self.region.mails.perhaps(to, kind);
        }
    }
}

/// Takes a refusal that only the same request, carried out before, explains for its answer.
fn carried_out_if<T>(asked: Asked<T>, reason: &str) -> Asked<()> {
    let carried_out = asked.unanswered > 0 && matches!(&asked.told, Told::Refused(told) if told == reason);
    if carried_out { Asked { told: Told::Done(()), unanswered: asked.unanswered } } else { asked.map(drop) }
}
