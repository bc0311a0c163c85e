//! Held invitations: whoever granted them could not grant it now.

use user_management::proto::{self, HeldReason, InvitationState, Privilege, Role};

use crate::acme::ACME;
use crate::client::{Client, metadata, reason};
use crate::site::{Person, Site};

/// An account with two Admins, and somebody with a login to be invited.
struct Cast {
    site: Site,
    ann: Person,
    bea: Person,
    cy: Person,
}

impl Cast {
    async fn meet() -> Self {
        let site = Site::start().await;
        site.account(ACME).await;
        let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
        let bea = site.member(ACME, "bea@acme.test", Privilege::Admin, &[]).await;
        let cy = site.person("cy@acme.test").await;
        Self { site, ann, bea, cy }
    }

    /// Has the person invited, and answers the invitation's id with its token.
    async fn invited_by(&self, grantor: &mut Client) -> (String, String) {
        let invitation = grantor.invite(&self.cy.email, Privilege::Normal, &[]).await.expect("invited");
        assert_eq!(invitation.held_reason(), HeldReason::Unspecified);
        (invitation.id, self.site.mailed_token(&self.cy.email).await)
    }

    /// It is listed with its reason, can be looked at, and isn't accepted.
    async fn is_held(&self, id: &str, token: &str, expected: HeldReason) {
        let listed = self.site.operator().await.invited().await;
        let listed: Vec<_> = listed.iter().map(|each| (each.id.as_str(), each.state(), each.held_reason())).collect();
        assert_eq!(listed, [(id, InvitationState::Pending, expected)]);
        let shown = self.site.nobody().await.preview(token).await.expect("shown");
        assert_eq!((shown.held_reason(), shown.state()), (expected, InvitationState::Pending));
        let mut as_cy = self.site.bearer(&self.cy.token).await;
        let mine = as_cy.identity.list_my_invitations(proto::ListMyInvitationsRequest {}).await.expect("listed").into_inner();
        assert_eq!(mine.invitations.iter().map(proto::InvitationPreview::held_reason).collect::<Vec<_>>(), [expected]);
        for refused in [as_cy.accept(token).await, as_cy.accept_named(id).await] {
            let refused = refused.expect_err("refused");
            assert_eq!(reason(&refused), "INVITATION_HELD");
            assert_eq!(metadata(&refused, "held_reason"), expected.as_str_name());
        }
        assert_eq!(reason(&self.site.operator().await.member(&self.cy.id).await.expect_err("no member")), "MEMBER_NOT_FOUND");
    }

    async fn accepts(&self, token: &str) {
        self.site.bearer(&self.cy.token).await.accept(token).await.expect("it has opened");
    }
}

#[tokio::test]
async fn an_invitation_of_a_demoted_admin_waits_until_they_may_grant_it_again() {
    let cast = Cast::meet().await;
    let (id, token) = cast.invited_by(&mut cast.site.bearer(&cast.ann.token).await).await;
    let mut as_bea = cast.site.bearer(&cast.bea.token).await;
    as_bea.move_to(&cast.ann.id, Privilege::Normal).await.expect("moved");
    cast.is_held(&id, &token, HeldReason::GrantorLacksManageUsers).await;
    as_bea.move_to(&cast.ann.id, Privilege::Admin).await.expect("moved");
    cast.accepts(&token).await;
}

#[tokio::test]
async fn an_invitation_of_a_removed_admin_opens_when_somebody_entitled_sends_it_again() {
    let cast = Cast::meet().await;
    let (id, token) = cast.invited_by(&mut cast.site.bearer(&cast.ann.token).await).await;
    let mut as_bea = cast.site.bearer(&cast.bea.token).await;
    as_bea.remove(&cast.ann.id).await.expect("removed");
    cast.is_held(&id, &token, HeldReason::GrantorLacksManageUsers).await;
    let resent = as_bea.resend(&id).await.expect("sent again");
    assert_eq!((resent.held_reason(), resent.granted_by), (HeldReason::Unspecified, cast.bea.id.clone()));
    cast.accepts(&cast.site.mailed_token(&cast.cy.email).await).await;
}

#[tokio::test]
async fn an_invitation_of_a_revoked_service_is_held() {
    let cast = Cast::meet().await;
    let service = cast.site.service("tool", &["users.write"], "").await;
    let (id, token) = cast.invited_by(&mut cast.site.bearer(&service).await).await;
    let granted_by = cast.site.operator().await.invitation(&id).await.granted_by;
    let request = proto::RevokeServiceRequest { service: granted_by, ..Default::default() };
    cast.site.operator().await.operations.revoke_service(request).await.expect("revoked");
    cast.is_held(&id, &token, HeldReason::ServiceNotEntitled).await;
    cast.site.operator().await.resend(&id).await.expect("sent again");
    cast.accepts(&cast.site.mailed_token(&cast.cy.email).await).await;
}

#[tokio::test]
async fn an_invitation_of_a_service_that_acted_for_an_admin_takes_both_rights_still() {
    let cast = Cast::meet().await;
    let service = cast.site.service("tool", &["users.write", "users.act_as"], ACME).await;
    let (id, token) = cast.invited_by(&mut cast.site.acting(&service, &cast.ann.id).await).await;
    let mut as_bea = cast.site.bearer(&cast.bea.token).await;
    as_bea.move_to(&cast.ann.id, Privilege::ReadOnly).await.expect("moved");
    cast.is_held(&id, &token, HeldReason::GrantorLacksManageUsers).await;
    as_bea.move_to(&cast.ann.id, Privilege::Admin).await.expect("moved");
    let mut operator = cast.site.operator().await;
    let services = operator.operations.list_services(proto::ListServicesRequest::default()).await.expect("listed").into_inner();
    let request = proto::RevokeServiceRequest { service: services.services[0].id.clone(), ..Default::default() };
    operator.operations.revoke_service(request).await.expect("revoked");
    cast.is_held(&id, &token, HeldReason::ServiceNotEntitled).await;
}

#[tokio::test]
async fn an_invitation_with_a_role_that_the_edition_has_off_waits_for_the_edition() {
    let mut cast = Cast::meet().await;
    let invitation = cast.site.operator().await.invite(&cast.cy.email, Privilege::Normal, &[Role::Data]).await.expect("invited");
    let token = cast.site.mailed_token(&cast.cy.email).await;
    cast.site.restart(Some("signup = \"open\"\nedition = \"saas\"")).await;
    cast.is_held(&invitation.id, &token, HeldReason::RoleOffInEdition).await;
    let refused = cast.site.operator().await.resend(&invitation.id).await.expect_err("refused");
    assert_eq!(reason(&refused), "ROLE_OFF_IN_EDITION", "nobody could make this grant now");
    cast.site.restart(Some("signup = \"open\"\nedition = \"inside\"")).await;
    cast.accepts(&token).await;
}

#[tokio::test]
async fn an_invitation_into_a_closed_account_is_held() {
    let mut cast = Cast::meet().await;
    let (id, token) = cast.invited_by(&mut cast.site.operator().await).await;
    cast.site.underneath("update accounts set closed = 1").await;
    cast.site.restart(None).await;
    cast.is_held(&id, &token, HeldReason::AccountClosed).await;
    let refused = cast.site.operator().await.resend(&id).await.expect_err("refused");
    assert_eq!(reason(&refused), "ACCOUNT_CLOSED");
    cast.site.underneath("update accounts set closed = 0").await;
    cast.site.restart(None).await;
    cast.accepts(&token).await;
}

#[tokio::test]
async fn an_invitation_of_an_admin_who_is_deactivated_is_held() {
    let mut cast = Cast::meet().await;
    let (id, token) = cast.invited_by(&mut cast.site.bearer(&cast.ann.token).await).await;
    cast.site.underneath("update users set active = 0 where email = 'ann@acme.test'").await;
    cast.site.restart(None).await;
    cast.is_held(&id, &token, HeldReason::GrantorLacksManageUsers).await;
}

#[tokio::test]
async fn a_held_invitation_can_be_ignored_and_taken_back() {
    let cast = Cast::meet().await;
    let (id, _) = cast.invited_by(&mut cast.site.bearer(&cast.ann.token).await).await;
    let mut as_bea = cast.site.bearer(&cast.bea.token).await;
    as_bea.move_to(&cast.ann.id, Privilege::Normal).await.expect("moved");
    let ignored = cast.site.bearer(&cast.cy.token).await.ignore_named(&id).await.expect("ignored");
    assert_eq!((ignored.state(), ignored.held_reason()), (InvitationState::Ignored, HeldReason::Unspecified));
    let (id, _) = cast.invited_by(&mut as_bea).await;
    cast.site.operator().await.move_to(&cast.ann.id, Privilege::Admin).await.expect("moved");
    cast.site.bearer(&cast.ann.token).await.move_to(&cast.bea.id, Privilege::Normal).await.expect("moved");
    let withdrawn = cast.site.operator().await.withdraw(&id).await.expect("withdrawn");
    assert_eq!(withdrawn.held_reason(), HeldReason::Unspecified);
}
