//! Logins: passwords and addresses that change, logins that operators make and take away, people who are erased.

mod addresses;
mod costs;
mod ending;
mod erasure;
mod erasure_in_flight;
pub(crate) mod happens;
mod operators;
mod passwords;

use tonic::{Response, Status};
use user_management::proto;

use crate::client::{Client, reason};
use crate::site::{Person, Site};

/// Another password that is taken.
pub(crate) const OTHER: &str = "purple otters sing badly";

impl Client {
    pub(crate) async fn create_user(&mut self, email: &str, return_link: bool) -> Result<proto::CreateUserResponse, Status> {
        let (email, display_name) = (email.to_owned(), "Made".to_owned());
        let request = proto::CreateUserRequest { email, display_name, return_link, ..Default::default() };
        self.users.create_user(request).await.map(Response::into_inner)
    }

    pub(crate) async fn reset(&mut self, token: &str, password: &str) -> Result<proto::User, Status> {
        let request = proto::ResetPasswordRequest { token: token.to_owned(), password: password.to_owned() };
        self.identity.reset_password(request).await.map(|answer| answer.into_inner().user.expect("a user"))
    }

    pub(crate) async fn request_reset(&mut self, email: &str) {
        let request = proto::RequestPasswordResetRequest { email: email.to_owned() };
        self.identity.request_password_reset(request).await.expect("anybody may ask");
    }

    pub(crate) async fn change_password(&mut self, from: &str, to: &str) -> Result<(), Status> {
        let request = proto::ChangePasswordRequest { password: from.to_owned(), new_password: to.to_owned() };
        self.identity.change_password(request).await.map(|_| ())
    }

    pub(crate) async fn change_email(&mut self, email: &str, password: &str) -> Result<(), Status> {
        let request = proto::ChangeEmailRequest { email: email.to_owned(), password: password.to_owned() };
        self.identity.change_email(request).await.map(|_| ())
    }

    pub(crate) async fn confirm(&mut self, token: &str, password: &str) -> Result<proto::User, Status> {
        let request = proto::ConfirmEmailRequest { token: token.to_owned(), password: password.to_owned() };
        self.identity.confirm_email(request).await.map(|answer| answer.into_inner().user.expect("a user"))
    }

    pub(crate) async fn deactivate(&mut self, user: &str, leave: bool) -> Result<proto::DeactivateUserResponse, Status> {
        let request = proto::DeactivateUserRequest { user: user.to_owned(), leave_without_admin: leave, ..Default::default() };
        self.users.deactivate_user(request).await.map(Response::into_inner)
    }

    pub(crate) async fn reactivate(&mut self, user: &str) -> Result<proto::User, Status> {
        let request = proto::ReactivateUserRequest { user: user.to_owned(), ..Default::default() };
        self.users.reactivate_user(request).await.map(|answer| answer.into_inner().user.expect("a user"))
    }

    pub(crate) async fn delete(&mut self, user: &str, leave: bool) -> Result<proto::DeleteUserResponse, Status> {
        let request = proto::DeleteUserRequest { user: user.to_owned(), leave_without_admin: leave, ..Default::default() };
        self.users.delete_user(request).await.map(Response::into_inner)
    }

    pub(crate) async fn me(&mut self) -> Result<proto::User, Status> {
        let answer = self.identity.get_me(proto::GetMeRequest {}).await?;
        Ok(answer.into_inner().user.expect("a user"))
    }
}

impl Site {
    /// Signs somebody in with a password, or answers why not.
    pub(crate) async fn try_sign_in(&self, email: &str, password: &str) -> Result<Person, String> {
        let request = proto::SignInRequest { email: email.to_owned(), password: password.to_owned() };
        let answer = self.nobody().await.identity.sign_in(request).await.map_err(|status| reason(&status))?.into_inner();
        let user = answer.user.expect("a user");
        Ok(Person { id: user.id, email: user.email, token: answer.session_token })
    }

    /// Whether a session still counts.
    pub(crate) async fn counts(&self, person: &Person) -> bool {
        match self.bearer(&person.token).await.me().await {
            Ok(_) => true,
            Err(status) => {
                assert_eq!(reason(&status), "CREDENTIALS_INVALID");
                false
            }
        }
    }
}
