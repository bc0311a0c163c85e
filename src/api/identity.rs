//! `Identity`: a person about themself.

mod credentials;
mod logins;

use secrecy::{ExposeSecret as _, SecretString};
use tonic::{Request, Response, Status};

use super::fields::Fields;
use super::{Api, convert};
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::proto;
use crate::proto::identity_server::Identity;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Identity for Api {
    async fn sign_up(&self, request: Request<proto::SignUpRequest>) -> Answer<proto::SignUpResponse> {
        self.answer(request, |caller, request| async move {
            self.app.anyone(&caller)?;
            let mut fields = Fields::default();
            let email = fields.email(&request.email);
            let context = [request.email.as_str(), request.display_name.as_str()];
            let password = fields.take("password", self.app.choose_password(&request.password, &context));
            let name = fields.display_name(&request.display_name);
            let (Some(email), Some(password), Some(name)) = (email, password, name) else { return Err(fields.refusal()) };
            let expires = self.app.sign_up(&caller, email, password, name).await?;
            Ok(proto::SignUpResponse { expire_time: Some(convert::time(expires)) })
        })
        .await
    }

    async fn confirm_email(&self, request: Request<proto::ConfirmEmailRequest>) -> Answer<proto::ConfirmEmailResponse> {
        self.answer(request, |caller, request| async move {
            self.app.anyone(&caller)?;
            let mut fields = Fields::default();
            if request.token.is_empty() {
                fields.violate("token", &"must not be empty");
            }
            if request.password.is_empty() {
                fields.violate("password", &"must not be empty");
            }
            fields.check()?;
            let (token, password) = (SecretString::from(request.token), Password::typed(&request.password));
            let user = self.app.confirm_email(&caller, token, password).await?;
            Ok(proto::ConfirmEmailResponse { user: Some(convert::user(&self.app, &user)) })
        })
        .await
    }

    async fn resend_confirmation(
        &self,
        request: Request<proto::ResendConfirmationRequest>,
    ) -> Answer<proto::ResendConfirmationResponse> {
        self.answer(request, |caller, request| async move {
            self.app.anyone(&caller)?;
            let mut fields = Fields::default();
            let Some(email) = fields.email(&request.email) else { return Err(fields.refusal()) };
            self.app.resend_confirmation(&caller, email).await?;
            Ok(proto::ResendConfirmationResponse {})
        })
        .await
    }

    async fn sign_in(&self, request: Request<proto::SignInRequest>) -> Answer<proto::SignInResponse> {
        self.answer(request, |caller, request| async move {
            self.app.anyone(&caller)?;
            let mut fields = Fields::default();
            if request.email.is_empty() {
                fields.violate("email", &"must not be empty");
            }
            if request.password.is_empty() {
                fields.violate("password", &"must not be empty");
            }
            fields.check()?;
            // what is no address is nobody's: it costs and answers what an unknown one does
            let email = Email::parse(&request.email).ok();
            let made = self.app.sign_in(&caller, email, Password::typed(&request.password)).await?;
            Ok(proto::SignInResponse {
                session_token: made.token.expose_secret().to_owned(),
                expire_time: Some(convert::time(made.expires)),
                user: Some(convert::user(&self.app, &made.user)),
            })
        })
        .await
    }

    async fn sign_out(&self, request: Request<proto::SignOutRequest>) -> Answer<proto::SignOutResponse> {
        self.answer(request, |caller, _| async move {
            let person = self.app.in_person(&caller)?;
            self.app.sign_out(person).await?;
            Ok(proto::SignOutResponse {})
        })
        .await
    }

    async fn get_me(&self, request: Request<proto::GetMeRequest>) -> Answer<proto::GetMeResponse> {
        self.answer(request, |caller, _| async move {
            let oneself = self.app.somebody(&caller)?;
            let (user, memberships) = self.app.me(oneself).await?;
            let memberships = memberships.iter().map(|member| convert::member(&self.app, member)).collect();
            Ok(proto::GetMeResponse { user: Some(convert::user(&self.app, &user)), memberships })
        })
        .await
    }

    async fn request_password_reset(
        &self,
        request: Request<proto::RequestPasswordResetRequest>,
    ) -> Answer<proto::RequestPasswordResetResponse> {
        self.answer(request, |caller, request| logins::request_password_reset(self, caller, request)).await
    }

    async fn reset_password(&self, request: Request<proto::ResetPasswordRequest>) -> Answer<proto::ResetPasswordResponse> {
        self.answer(request, |caller, request| logins::reset_password(self, caller, request)).await
    }

    async fn update_me(&self, request: Request<proto::UpdateMeRequest>) -> Answer<proto::UpdateMeResponse> {
        self.answer(request, |caller, request| logins::update_me(self, caller, request)).await
    }

    async fn change_password(&self, request: Request<proto::ChangePasswordRequest>) -> Answer<proto::ChangePasswordResponse> {
        self.answer(request, |caller, request| logins::change_password(self, caller, request)).await
    }

    async fn change_email(&self, request: Request<proto::ChangeEmailRequest>) -> Answer<proto::ChangeEmailResponse> {
        self.answer(request, |caller, request| logins::change_email(self, caller, request)).await
    }

    async fn preview_invitation(
        &self,
        request: Request<proto::PreviewInvitationRequest>,
    ) -> Answer<proto::PreviewInvitationResponse> {
        self.answer(request, |caller, request| async move {
            self.app.anyone(&caller)?;
            let mut fields = Fields::default();
            if request.token.is_empty() {
                fields.violate("token", &"must not be empty");
            }
            fields.check()?;
            let preview = self.app.preview(SecretString::from(request.token)).await?;
            Ok(proto::PreviewInvitationResponse { invitation: Some(convert::preview(&self.app, preview)) })
        })
        .await
    }

    async fn list_my_invitations(
        &self,
        request: Request<proto::ListMyInvitationsRequest>,
    ) -> Answer<proto::ListMyInvitationsResponse> {
        self.answer(request, |caller, _| async move {
            let oneself = self.app.oneself(&caller)?;
            let previews = self.app.my_invitations(oneself).await?;
            let invitations = previews.into_iter().map(|preview| convert::preview(&self.app, preview)).collect();
            Ok(proto::ListMyInvitationsResponse { invitations })
        })
        .await
    }

    async fn accept_invitation(
        &self,
        request: Request<proto::AcceptInvitationRequest>,
    ) -> Answer<proto::AcceptInvitationResponse> {
        self.answer(request, |caller, mut request| async move {
            let person = self.app.in_person(&caller)?;
            let mut fields = Fields::default();
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "AcceptInvitation", &id, &request, request.validate_only);
            let meant = fields.meant(request.token, &request.invitation);
            let etag = fields.etag(&request.etag);
            let (Some(terms), Some(meant), Some(etag)) = (terms, meant, etag) else { return Err(fields.refusal()) };
            let accepted = self.app.accept(person, meant, etag, terms).await?;
            Ok(proto::AcceptInvitationResponse {
                account: Some(convert::account(&self.app, &accepted.account)),
                member: Some(convert::member(&self.app, &accepted.changed.member)),
                effects: vec![convert::effect(&accepted.changed)],
            })
        })
        .await
    }

    async fn ignore_invitation(
        &self,
        request: Request<proto::IgnoreInvitationRequest>,
    ) -> Answer<proto::IgnoreInvitationResponse> {
        self.answer(request, |caller, mut request| async move {
            let person = self.app.in_person(&caller)?;
            let mut fields = Fields::default();
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "IgnoreInvitation", &id, &request, request.validate_only);
            let meant = fields.meant(request.token, &request.invitation);
            let (Some(terms), Some(meant)) = (terms, meant) else { return Err(fields.refusal()) };
            let preview = self.app.ignore(person, meant, terms).await?;
            Ok(proto::IgnoreInvitationResponse { invitation: Some(convert::preview(&self.app, preview)) })
        })
        .await
    }

    async fn leave_account(&self, request: Request<proto::LeaveAccountRequest>) -> Answer<proto::LeaveAccountResponse> {
        self.answer(request, |caller, mut request| async move {
            let person = self.app.in_person(&caller)?;
            let mut fields = Fields::default();
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "LeaveAccount", &id, &request, request.validate_only);
            let Some(terms) = terms else {
                // who has nothing to leave hears that first; a retry of a leave is answered though
                self.app.may_leave(&person, &request.account)?;
                return Err(fields.refusal());
            };
            let changed = self.app.leave_account(person, &request.account, terms).await?;
            Ok(proto::LeaveAccountResponse { effects: vec![convert::effect(&changed)] })
        })
        .await
    }

    async fn create_api_token(&self, request: Request<proto::CreateApiTokenRequest>) -> Answer<proto::CreateApiTokenResponse> {
        self.answer(request, |caller, request| credentials::create_api_token(self, caller, request)).await
    }

    async fn list_api_tokens(&self, request: Request<proto::ListApiTokensRequest>) -> Answer<proto::ListApiTokensResponse> {
        self.answer(request, |caller, request| credentials::list_api_tokens(self, caller, request)).await
    }

    async fn revoke_api_token(&self, request: Request<proto::RevokeApiTokenRequest>) -> Answer<proto::RevokeApiTokenResponse> {
        self.answer(request, |caller, request| credentials::revoke_api_token(self, caller, request)).await
    }

    async fn list_sessions(&self, request: Request<proto::ListSessionsRequest>) -> Answer<proto::ListSessionsResponse> {
        self.answer(request, |caller, request| async move { credentials::list_sessions(self, &caller, request) }).await
    }

    async fn revoke_session(&self, request: Request<proto::RevokeSessionRequest>) -> Answer<proto::RevokeSessionResponse> {
        self.answer(request, |caller, request| credentials::revoke_session(self, caller, request)).await
    }
}
