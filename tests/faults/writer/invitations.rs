//! Invitations: made one by one and in batches, edited, sent again, withdrawn, accepted and ignored.

use std::collections::BTreeSet;

use user_management::proto::{self, EventKind, MailKind};

use super::{Doer, Writer};
use crate::ask::ask;
use crate::model::{Offer, Person, Region, Seat, Stand};

impl Writer {
    pub(super) async fn invite(&mut self) {
        let Some(account) = self.account(false) else { return };
        let doer = self.manager(&account);
        let (email, seat, return_link) = (self.any_address(), self.any_seat(), self.dice.once_in(4));
        if self.is_own(&doer, &email) {
            return;
        }
        let must = self.may_invite(&account, &email);
        let request = proto::InviteUserRequest {
            account: account.clone(),
            email: self.spelled(&email),
            privilege: seat.privilege.into(),
            roles: numbers(&seat),
            return_link,
            request_id: self.request_id(0),
            ..Default::default()
        };
        let asked = ask!(&self.tally, &doer.client, users.invite_user, request.clone());
        let shown = asked.unanswered == 0;
        let Some(answer) = self.hold(&request, asked, must) else { return };
        let invitation = answer.invitation.expect("an invitation");
        let token = answer.link.map(|link| link.token);
        assert_eq!(token.is_some(), return_link && !answer.secret_already_shown, "a link that was asked for is answered once");
        assert!(!shown || !answer.secret_already_shown, "it was never answered before");
        self.invited(&account, &doer, &invitation, (email, seat), return_link, token);
        if return_link {
            self.region.history.expect(&account, EventKind::InvitationLinkReturned, &invitation.id);
        }
    }

    /// Notes a new invitation.
    pub(super) fn invited(
        &mut self,
        account: &str,
        doer: &Doer,
        invitation: &proto::Invitation,
        (email, seat): (String, Seat),
        return_link: bool,
        token: Option<String>,
    ) {
        self.region.history.expect(account, EventKind::InvitationCreated, &invitation.id);
        if !return_link {
            self.region.mails.owe(&email, MailKind::Invitation);
        }
        let offer = Offer {
            email,
            seat,
            stand: Stand::Pending,
            grantor: doer.user(),
            sends: i32::from(!return_link),
            mailed: !return_link,
            token,
            answered_by: None,
        };
        self.account_mut(account).offers.insert(invitation.id.clone(), offer);
    }

    pub(super) async fn invite_many(&mut self) {
        let Some(account) = self.account(true) else { return };
        let (doer, return_link) = (self.manager(&account), self.dice.once_in(4));
        let mut invitees = Vec::new();
        for number in 0..=self.dice.throw(12) {
            let known = self.any_address();
            let fresh = format!("b{number}.{}", self.fresh_address());
            let email = if self.dice.once_in(3) && !self.is_own(&doer, &known) { known } else { fresh };
            invitees.push((email, self.any_seat()));
        }
        let entries = invitees.iter().map(|(email, seat)| proto::Invitee {
            email: email.clone(),
            privilege: seat.privilege.into(),
            roles: numbers(seat),
        });
        let request = proto::BatchInviteUsersRequest {
            account: account.clone(),
            invitees: entries.collect(),
            return_link,
            request_id: self.request_id(0),
            ..Default::default()
        };
        let asked = ask!(&self.tally, &doer.client, users.batch_invite_users, request.clone());
        let answer = self.hold(&request, asked, Ok(())).expect("a batch is answered");
        assert_eq!(answer.results.len(), invitees.len());
        let mut returned = Vec::new();
        for ((email, seat), result) in invitees.into_iter().zip(answer.results) {
            let must = self.may_invite(&account, &email);
            match result.outcome {
                Some(proto::invite_result::Outcome::Invitation(invitation)) => {
                    assert_eq!(must, Ok(()), "{email}");
                    let token = result.link.map(|link| link.token);
                    assert_eq!(token.is_some(), return_link && !answer.secret_already_shown);
                    self.invited(&account, &doer, &invitation, (email, seat), return_link, token);
                    returned.extend(return_link.then_some(invitation.id));
                }
                Some(proto::invite_result::Outcome::Error(error)) => {
                    assert_eq!(
                        Err(error.reason().as_str_name()),
                        must.map_err(|reason| format!("ERROR_REASON_{reason}")).as_ref().map_err(String::as_str)
                    );
                }
                None => panic!("an entry without an outcome"),
            }
        }
        for invitation in returned {
            self.region.history.expect(&account, EventKind::InvitationLinkReturned, &invitation);
        }
    }

    pub(super) async fn update_invitation(&mut self) {
        let Some((account, id)) = self.any_offer() else { return };
        let (doer, offer) = (self.manager(&account), self.offer(&account, &id));
        let seat = self.any_seat();
        if seat == offer.seat || self.is_own(&doer, &offer.email) {
            return;
        }
        let request = proto::UpdateInvitationRequest {
            account: account.clone(),
            invitation: id.clone(),
            privilege: seat.privilege.into(),
            roles: numbers(&seat),
            request_id: self.request_id(0),
            ..Default::default()
        };
        let asked = ask!(&self.tally, &doer.client, users.update_invitation, request.clone());
        let must = self.may_change(&account, &offer);
        if self.hold(&request, asked, must).is_some() {
            self.region.history.expect(&account, EventKind::InvitationUpdated, &id);
            let offer = self.offer_mut(&account, &id);
            (offer.seat, offer.grantor) = (seat, doer.user());
        }
    }

    pub(super) async fn resend_invitation(&mut self) {
        let Some((account, id)) = self.any_offer() else { return };
        let (doer, offer) = (self.manager(&account), self.offer(&account, &id));
        if self.is_own(&doer, &offer.email) {
            return;
        }
        let return_link = self.dice.once_in(3);
        let request = proto::ResendInvitationRequest {
            account: account.clone(),
            invitation: id.clone(),
            return_link,
            request_id: self.request_id(0),
            ..Default::default()
        };
        let asked = ask!(&self.tally, &doer.client, users.resend_invitation, request.clone());
        let must = self.may_change(&account, &offer);
        let Some(answer) = self.hold(&request, asked, must) else { return };
        self.region.history.expect(&account, EventKind::InvitationResent, &id);
        self.let_mail_drop(&offer);
        if return_link {
            self.region.history.expect(&account, EventKind::InvitationLinkReturned, &id);
        } else {
            self.region.mails.owe(&offer.email, MailKind::Invitation);
        }
        let offer = self.offer_mut(&account, &id);
        offer.sends += i32::from(!return_link);
        (offer.mailed, offer.token, offer.grantor) = (!return_link, answer.link.map(|link| link.token), doer.user());
    }

    pub(super) async fn withdraw_invitation(&mut self) {
        let Some((account, id)) = self.any_offer() else { return };
        let (doer, offer) = (self.manager(&account), self.offer(&account, &id));
        let (invitation, request_id) = (id.clone(), self.request_id(0));
        let request = proto::WithdrawInvitationRequest { account: account.clone(), invitation, request_id, ..Default::default() };
        let asked = ask!(&self.tally, &doer.client, users.withdraw_invitation, request.clone());
        let must = match offer.stand {
            Stand::Pending | Stand::Withdrawn => Ok(()),
            Stand::Accepted | Stand::Ignored => Err("INVITATION_ANSWERED"),
        };
        if self.hold(&request, asked, must).is_some() && offer.stand == Stand::Pending {
            self.end_offer(&account, &id, Stand::Withdrawn, None);
            self.region.history.expect(&account, EventKind::InvitationWithdrawn, &id);
        }
    }

    pub(super) async fn accept(&mut self) {
        let Some((doer, account, id)) = self.own_offer() else { return };
        let offer = self.offer(&account, &id);
        let by_token = offer.token.clone().filter(|_| self.dice.once_in(2));
        let request = proto::AcceptInvitationRequest {
            invitation: if by_token.is_none() { id.clone() } else { String::new() },
            token: by_token.unwrap_or_default(),
            request_id: self.request_id(0),
            ..Default::default()
        };
        let asked = ask!(&self.tally, &doer.client, identity.accept_invitation, request.clone());
        let user = doer.user().expect("a person");
        let must = self.may_accept(&account, &offer, &user);
        if self.hold(&request, asked, must).is_some() && offer.stand == Stand::Pending {
            self.accepted(&account, &id, &user);
        }
    }

    /// Notes that an invitation was accepted.
    pub(super) fn accepted(&mut self, account: &str, id: &str, user: &str) {
        let seat = self.offer(account, id).seat;
        self.end_offer(account, id, Stand::Accepted, Some(user));
        self.seat(account, user, Some(seat));
        self.region.history.expect(account, EventKind::InvitationAccepted, id);
        self.region.history.expect(account, EventKind::MemberJoined, user);
    }

    pub(super) async fn ignore(&mut self) {
        let Some((doer, account, id)) = self.own_offer() else { return };
        let offer = self.offer(&account, &id);
        let request =
            proto::IgnoreInvitationRequest { invitation: id.clone(), request_id: self.request_id(0), ..Default::default() };
        let asked = ask!(&self.tally, &doer.client, identity.ignore_invitation, request.clone());
        let user = doer.user().expect("a person");
        let must = match offer.stand {
            Stand::Pending => Ok(()),
            Stand::Ignored if offer.answered_by.as_ref() == Some(&user) => Ok(()),
            Stand::Accepted | Stand::Ignored => Err("INVITATION_ANSWERED"),
            Stand::Withdrawn => Err("INVITATION_WITHDRAWN"),
        };
        if self.hold(&request, asked, must).is_some() && offer.stand == Stand::Pending {
            self.end_offer(&account, &id, Stand::Ignored, Some(&user));
            self.region.history.expect(&account, EventKind::InvitationIgnored, &id);
        }
    }

    /// What inviting an address has to come to.
    pub(super) fn may_invite(&self, account: &str, email: &str) -> Result<(), &'static str> {
        let account = &self.region.accounts[account];
        if account.closed {
            Err("ACCOUNT_CLOSED")
        } else if self.region.holder(email).is_some_and(|user| account.members.contains_key(user)) {
            Err("MEMBER_EXISTS")
        } else if Region::pending(account, email).is_some() {
            Err("INVITATION_EXISTS")
        } else {
            Ok(())
        }
    }

    /// What editing or resending an offer has to come to.
    fn may_change(&self, account: &str, offer: &Offer) -> Result<(), &'static str> {
        match offer.stand {
            Stand::Accepted | Stand::Ignored => Err("INVITATION_ANSWERED"),
            Stand::Withdrawn => Err("INVITATION_WITHDRAWN"),
            Stand::Pending if self.region.accounts[account].closed => Err("ACCOUNT_CLOSED"),
            Stand::Pending => Ok(()),
        }
    }

    /// What accepting has to come to.
    pub(super) fn may_accept(&self, account: &str, offer: &Offer, user: &str) -> Result<(), &'static str> {
        let account = &self.region.accounts[account];
        let is_member = account.members.contains_key(user);
        match offer.stand {
            Stand::Accepted if is_member && offer.answered_by.as_deref() == Some(user) => Ok(()),
            Stand::Accepted | Stand::Ignored => Err("INVITATION_ANSWERED"),
            Stand::Withdrawn => Err("INVITATION_WITHDRAWN"),
            Stand::Pending if self.region.held(account, offer) => Err("INVITATION_HELD"),
            Stand::Pending if is_member => Err("MEMBER_EXISTS"),
            Stand::Pending => Ok(()),
        }
    }

    /// Ends a pending offer; its mail needn't go any more.
    pub(super) fn end_offer(&mut self, account: &str, id: &str, stand: Stand, by: Option<&str>) {
        let offer = self.offer(account, id);
        self.let_mail_drop(&offer);
        let offer = self.offer_mut(account, id);
        (offer.stand, offer.answered_by) = (stand, by.map(str::to_owned));
    }

    fn let_mail_drop(&mut self, offer: &Offer) {
        if offer.mailed {
            self.region.mails.may_drop(&offer.email, MailKind::Invitation);
        }
    }

    pub(super) fn offer(&self, account: &str, id: &str) -> Offer {
        self.region.accounts[account].offers[id].clone()
    }

    fn offer_mut(&mut self, account: &str, id: &str) -> &mut Offer {
        self.account_mut(account).offers.get_mut(id).expect("an offer of the account")
    }

    /// Any offer, a pending one more often.
    fn any_offer(&mut self) -> Option<(String, String)> {
        let pending = !self.dice.once_in(8);
        let offers = self.region.accounts.iter().flat_map(|(name, account)| {
            let offers = account.offers.iter().filter(|(_, offer)| !pending || offer.stand == Stand::Pending);
            offers.map(move |(id, _)| (name.clone(), id.clone()))
        });
        self.dice.pick(offers.collect::<Vec<_>>())
    }

    /// Somebody in a session, and an offer to their present address; a pending one more often.
    pub(super) fn own_offer(&mut self) -> Option<(Doer, String, String)> {
        let signed_in = |person: &Person| person.live_sessions(self.clock).next().is_some();
        let people: BTreeSet<&str> =
            self.region.people.values().filter(|person| signed_in(person)).map(|person| person.email.as_str()).collect();
        let pending = !self.dice.once_in(8);
        let offers = self.region.accounts.iter().flat_map(|(name, account)| {
            let theirs = account.offers.iter().filter(|(_, offer)| people.contains(offer.email.as_str()));
            let wanted = theirs.filter(|(_, offer)| !pending || offer.stand == Stand::Pending);
            wanted.map(move |(id, offer)| (name.clone(), id.clone(), offer.email.clone()))
        });
        let (account, id, email) = self.dice.pick(offers.collect::<Vec<_>>())?;
        let user = self.region.holder(&email)?.clone();
        Some((self.in_person(&user)?, account, id))
    }

    /// An address of somebody, of somebody who signs up, or of a stranger.
    fn any_address(&mut self) -> String {
        let people = self.region.people.values().map(|person| &person.email);
        let known = self.dice.pick(people.chain(self.region.signing_up.iter().map(|each| &each.email))).cloned();
        known.filter(|_| !self.dice.once_in(6)).unwrap_or_else(|| self.fresh_address())
    }

    /// One's own address is nothing to invite, nor to change an invitation of.
    fn is_own(&self, doer: &Doer, email: &str) -> bool {
        doer.user().is_some_and(|user| self.region.people[&user].email == email)
    }

    /// An address, sometimes in other letters, which are the same address.
    fn spelled(&mut self, email: &str) -> String {
        if self.dice.once_in(5) { email.to_uppercase() } else { email.to_owned() }
    }
}

pub(super) fn numbers(seat: &Seat) -> Vec<i32> {
    seat.roles.iter().map(|role| i32::from(*role)).collect()
}
