//! Two requests at once, of which each order has an outcome and no other does.

use tokio::join;
use user_management::proto::{self, EventKind};

use super::invitations::numbers;
use super::{Doer, Writer};
use crate::ask::{Asked, Told, ask};
use crate::model::Stand;

impl Writer {
    /// Either they joined, or it was taken back; not both and not neither.
    pub(super) async fn accept_and_withdraw_at_once(&mut self) {
        let Some((doer, account, id)) = self.own_offer() else { return };
        let offer = self.offer(&account, &id);
        let user = doer.user().expect("a person");
        if offer.stand != Stand::Pending || self.may_accept(&account, &offer, &user).is_err() {
            return;
        }
        let withdraw = proto::WithdrawInvitationRequest {
            account: account.clone(),
            invitation: id.clone(),
            request_id: self.request_id(1),
            ..Default::default()
        };
        let (accepted, withdrawn) =
            join!(self.accepts(&doer, &id, 0), async { ask!(&self.tally, &self.operator, users.withdraw_invitation, withdraw) });
        if matches!(accepted.told, Told::Done(_)) {
            self.hold(&"Accept at once with Withdraw", accepted, Ok(()));
            self.hold(&"Withdraw at once with Accept", withdrawn, Err("INVITATION_ANSWERED"));
            self.accepted(&account, &id, &user);
        } else {
            self.hold(&"Accept at once with Withdraw", accepted, Err("INVITATION_WITHDRAWN"));
            self.hold(&"Withdraw at once with Accept", withdrawn, Ok(()));
            self.end_offer(&account, &id, Stand::Withdrawn, None);
            self.region.history.expect(&account, EventKind::InvitationWithdrawn, &id);
        }
    }

    /// Both are answered the one membership.
    pub(super) async fn accept_twice_at_once(&mut self) {
        let Some((doer, account, id)) = self.own_offer() else { return };
        let offer = self.offer(&account, &id);
        let user = doer.user().expect("a person");
        if offer.stand != Stand::Pending || self.may_accept(&account, &offer, &user).is_err() {
            return;
        }
        let (first, second) = join!(self.accepts(&doer, &id, 0), self.accepts(&doer, &id, 1));
        let first = self.hold(&"Accept twice at once", first, Ok(())).and_then(|answer| answer.member);
        let second = self.hold(&"Accept twice at once", second, Ok(())).and_then(|answer| answer.member);
        assert_eq!(first, second, "one membership");
        self.accepted(&account, &id, &user);
    }

    async fn accepts(&self, doer: &Doer, id: &str, step: u64) -> Asked<proto::AcceptInvitationResponse> {
        let request =
            proto::AcceptInvitationRequest { invitation: id.to_owned(), request_id: self.request_id(step), ..Default::default() };
        ask!(&self.tally, &doer.client, identity.accept_invitation, request)
    }

    /// One is made, and the other is told so.
    pub(super) async fn invite_twice_at_once(&mut self) {
        let Some(account) = self.account(true) else { return };
        let (email, seat) = (self.fresh_address(), self.any_seat());
        let (first, second) = join!(self.invites(&account, &email, &seat, 0), self.invites(&account, &email, &seat, 1));
        let (made, refused) = if matches!(first.told, Told::Done(_)) { (first, second) } else { (second, first) };
        let made = self.hold(&"Invite twice at once", made, Ok(())).and_then(|answer| answer.invitation).expect("one is made");
        self.hold(&"Invite twice at once", refused, Err("INVITATION_EXISTS"));
        let operator = self.operator();
        self.invited(&account, &operator, &made, (email, seat), false, None);
    }

    async fn invites(
        &self,
        account: &str,
        email: &str,
        seat: &crate::model::Seat,
        step: u64,
    ) -> Asked<proto::InviteUserResponse> {
        let request = proto::InviteUserRequest {
            account: account.to_owned(),
            email: email.to_owned(),
            privilege: seat.privilege.into(),
            roles: numbers(seat),
            request_id: self.request_id(step),
            ..Default::default()
        };
        ask!(&self.tally, &self.operator, users.invite_user, request)
    }

    /// The last two managers aren't both gone.
    pub(super) async fn remove_two_at_once(&mut self) {
        let open = self.region.accounts.iter().filter(|(_, account)| !account.closed);
        let managed = open.map(|(name, account)| (name.clone(), self.region.managers(account)));
        let managed: Vec<_> = managed.filter(|(_, managers)| managers.len() > 1).collect();
        let Some((account, managers)) = self.dice.pick(managed) else { return };
        let two: Vec<&String> = managers.iter().take(2).collect();
        let (first, second) = join!(self.removes(&account, two[0], 0), self.removes(&account, two[1], 1));
        let done = |asked: &Asked<proto::RemoveMemberResponse>| matches!(asked.told, Told::Done(_));
        let (first_done, second_done) = (done(&first), done(&second));
        assert!(first_done || second_done, "neither was removed");
        let must = |done, other: bool| if managers.len() > 2 || (done && !other) { Ok(()) } else { Err("LAST_ADMIN") };
        self.hold(&"Remove two at once", first, must(first_done, second_done));
        self.hold(&"Remove two at once", second, must(second_done, first_done));
        let removed: Vec<_> = two.into_iter().zip([first_done, second_done]).filter(|(_, done)| *done).collect();
        let events = removed.iter().map(|(user, _)| (EventKind::MemberRemoved, (*user).clone())).collect();
        self.region.history.together(&account, events);
        for (user, _) in removed {
            self.seat(&account, user, None);
        }
    }

    async fn removes(&self, account: &str, user: &str, step: u64) -> Asked<proto::RemoveMemberResponse> {
        let request = proto::RemoveMemberRequest {
            account: account.to_owned(),
            user: user.to_owned(),
            request_id: self.request_id(step),
            ..Default::default()
        };
        ask!(&self.tally, &self.operator, users.remove_member, request)
    }
}
