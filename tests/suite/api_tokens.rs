//! Personal tokens: what one opens, how long, and what ends it.

mod checking;
mod ending;
mod expiring;
mod making;
mod opening;

use std::time::Duration;

use tonic::{Response, Status};
use user_management::proto::{self, Privilege, Role};

use crate::client::{Client, reason};
use crate::site::{Person, Site};

/// A day.
const DAY: Duration = Duration::from_hours(24);

/// The least step of time.
const MOMENT: Duration = Duration::from_micros(1);

/// The most that a token may do.
fn cap(privilege: Privilege, roles: &[Role]) -> proto::ApiTokenCap {
    proto::ApiTokenCap { privilege: privilege.into(), roles: roles.iter().map(|role| (*role).into()).collect() }
}

/// What asks for a token for an account.
fn asked(account: &str) -> proto::CreateApiTokenRequest {
    proto::CreateApiTokenRequest { account: account.to_owned(), name: "backup".to_owned(), ..Default::default() }
}

impl Client {
    async fn create_api_token(&mut self, request: proto::CreateApiTokenRequest) -> Result<proto::CreateApiTokenResponse, Status> {
        self.identity.create_api_token(request).await.map(Response::into_inner)
    }

    async fn api_tokens(&mut self) -> Vec<proto::ApiToken> {
        let request = proto::ListApiTokensRequest::default();
        self.identity.list_api_tokens(request).await.expect("a person may").into_inner().api_tokens
    }

    async fn revoke_api_token(&mut self, id: &str) -> Result<proto::ApiToken, Status> {
        let request = proto::RevokeApiTokenRequest { api_token: id.to_owned(), ..Default::default() };
        self.identity.revoke_api_token(request).await.map(|answer| answer.into_inner().api_token.expect("a token"))
    }

    pub(crate) async fn sessions(&mut self) -> Vec<proto::Session> {
        let request = proto::ListSessionsRequest::default();
        self.identity.list_sessions(request).await.expect("a person may").into_inner().sessions
    }
}

impl Site {
    /// A personal token of a member's.
    pub(crate) async fn api_token(&self, person: &Person, account: &str, cap: Option<proto::ApiTokenCap>) -> String {
        let request = proto::CreateApiTokenRequest { cap, ..asked(account) };
        self.bearer(&person.token).await.create_api_token(request).await.expect("a member may").token
    }

    /// The same with a name.
    pub(crate) async fn api_token_named(&self, person: &Person, account: &str, name: &str) -> String {
        let request = proto::CreateApiTokenRequest { name: name.to_owned(), ..asked(account) };
        self.bearer(&person.token).await.create_api_token(request).await.expect("a member may").token
    }

    /// Whether a personal token still counts: the same for those who hold it and those who are shown it.
    async fn holds(&self, token: &str, account: &str) -> bool {
        let by_holder = match self.bearer(token).await.me().await {
            Ok(_) => true,
            Err(status) => {
                assert_eq!(reason(&status), "CREDENTIALS_INVALID");
                false
            }
        };
        let request = proto::CheckAccessRequest {
            account: account.to_owned(),
            token: token.to_owned(),
            permission: proto::Permission::View.into(),
            ..Default::default()
        };
        let checked = self.operator().await.access.check_access(request).await.expect("the operator may").into_inner();
        let by_check = checked.reason() != proto::AccessReason::TokenInvalid;
        assert_eq!(by_holder, by_check, "{checked:?}");
        assert_eq!(by_check, checked.token_expire_time.is_some() && !checked.user.is_empty(), "{checked:?}");
        by_holder
    }
}
