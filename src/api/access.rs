//! `Access`: "may this person do that?".

use tonic::{Request, Response, Status};

use super::fields::Fields;
use super::{Api, convert};
use crate::app::access::Revision;
use crate::proto;
use crate::proto::access_server::Access;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Access for Api {
    async fn check_access(&self, request: Request<proto::CheckAccessRequest>) -> Answer<proto::CheckAccessResponse> {
        self.answer(request, |caller, request| async move {
            let question = self.app.question(&caller, &request.account, &request.user)?;
            let mut fields = Fields::after(question.violation());
            let user = (!request.user.is_empty()).then(|| fields.user(&request.user));
            let permission = fields.permission(request.permission);
            let (None | Some(Some(_)), Some(permission)) = (&user, permission) else { return Err(fields.refusal()) };
            Ok(convert::checked(self.app.check(&question, user.flatten().as_ref(), permission)?))
        })
        .await
    }

    async fn list_permissions(&self, request: Request<proto::ListPermissionsRequest>) -> Answer<proto::ListPermissionsResponse> {
        self.answer(request, |caller, request| async move {
            let question = self.app.question(&caller, &request.account, &request.user)?;
            let mut fields = Fields::after(question.violation());
            let user = (!request.user.is_empty()).then(|| fields.user(&request.user));
            let (None | Some(Some(_))) = &user else { return Err(fields.refusal()) };
            Ok(convert::listed(self.app.permissions_of(&question, user.flatten().as_ref())?))
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
