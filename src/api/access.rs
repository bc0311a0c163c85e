//! `Access`: "may this person do that?".

use tonic::{Request, Response, Status};

use super::fields::Fields;
use super::{Api, convert};
use crate::app::access::{Named, Revision};
use crate::proto;
use crate::proto::access_server::Access;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Access for Api {
    async fn check_access(&self, request: Request<proto::CheckAccessRequest>) -> Answer<proto::CheckAccessResponse> {
        self.answer(request, |caller, request| async move {
            let named = if request.token.is_empty() { named(&request.user) } else { Named::Token };
            let question = self.app.question(&caller, &request.account, named)?;
            let mut fields = Fields::after(question.violation());
            let about = fields.about(&request.user, request.token);
            let permission = fields.permission(request.permission);
            let (Some(about), Some(permission)) = (about, permission) else { return Err(fields.refusal()) };
            Ok(convert::checked(self.app.check(&question, &about, permission)?))
        })
        .await
    }

    async fn list_permissions(&self, request: Request<proto::ListPermissionsRequest>) -> Answer<proto::ListPermissionsResponse> {
        self.answer(request, |caller, request| async move {
            let question = self.app.question(&caller, &request.account, named(&request.user))?;
            let mut fields = Fields::after(question.violation());
            let Some(about) = fields.about(&request.user, String::new()) else { return Err(fields.refusal()) };
            Ok(convert::listed(self.app.permissions_of(&question, &about)?))
        })
        .await
    }

    async fn get_access_model(&self, request: Request<proto::GetAccessModelRequest>) -> Answer<proto::GetAccessModelResponse> {
        self.answer(request, |caller, _| async move {
            self.app.signed_in(&caller)?;
            Ok(convert::model(self.app.edition(), Revision::of(&self.app.view())))
        })
        .await
    }
}

const fn named(user: &str) -> Named<'_> {
    if user.is_empty() { Named::Caller } else { Named::User(user) }
}
