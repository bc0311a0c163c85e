//! `Operations`: what operators need to run the service.

use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};

use super::fields::Fields;
use super::{Api, convert};
use crate::app::admission::Needs;
use crate::app::link_key::FormerLinks;
use crate::app::services::NewService;
use crate::proto;
use crate::proto::operations_server::Operations;
use crate::store::events::Which;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Operations for Api {
    async fn get_server_info(&self, request: Request<proto::GetServerInfoRequest>) -> Answer<proto::GetServerInfoResponse> {
        self.answer(request, |caller, _| async move {
            let running = self.app.running(&caller).await?;
            let open = proto::GetServerInfoResponse {
                edition: convert::edition(running.edition).into(),
                revision: Some(convert::revision(running.revision)),
                ..proto::GetServerInfoResponse::default()
            };
            let Some(inside) = running.inside else { return Ok(open) };
            let bound = self.bound.get();
            Ok(proto::GetServerInfoResponse {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                data_dir: inside.data_dir,
                start_time: Some(convert::time(inside.started)),
                mail_queue: Some(convert::mail_queue(inside.queue)),
                listeners: bound.map(|bound| bound.listeners.clone()).unwrap_or_default(),
                accounts_without_admin: inside.accounts_without_admin,
                first_event: inside.first_event.map_or(0, |(seq, _)| seq),
                first_event_time: inside.first_event.map(|(_, time)| convert::time(time)),
                tls: bound.and_then(|bound| bound.certificates.as_ref()).map(|certificates| convert::tls(certificates.state())),
                ..open
            })
        })
        .await
    }

    async fn create_service(&self, request: Request<proto::CreateServiceRequest>) -> Answer<proto::CreateServiceResponse> {
        self.answer(request, |caller, mut request| async move {
            let operator = self.app.operator(&caller)?;
            let mut fields = Fields::default();
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "CreateService", &id, &request, request.validate_only);
            let name = fields.slug("name", &request.name);
            let scopes = fields.scopes(&request.scopes);
            let account = (!request.account.is_empty()).then(|| fields.slug("account", &request.account));
            let expires = fields.moment("expire_time", request.expire_time);
            let certificate = (!request.certificate_name.is_empty()).then(|| fields.certificate(&request.certificate_name));
            let (Some(terms), Some(name), Some(scopes), None | Some(Some(_)), Some(expires), None | Some(Some(_))) =
                (terms, name, scopes, &account, expires, &certificate)
            else {
                // what is wrong is told at once, and this with it; alone it waits until a retry would have been answered
                fields.check_future("expire_time", expires.flatten(), self.app.now());
                return Err(fields.refusal());
            };
            let (account, certificate) = (account.flatten(), certificate.flatten());
            let made =
                self.app.create_service(operator, NewService { name, scopes, account, expires, certificate }, terms).await?;
            Ok(proto::CreateServiceResponse {
                service: Some(convert::service(made.service)),
                token: made.token.map(|token| token.expose_secret().to_owned()).unwrap_or_default(),
                secret_already_shown: made.already_shown,
            })
        })
        .await
    }

    async fn list_services(&self, request: Request<proto::ListServicesRequest>) -> Answer<proto::ListServicesResponse> {
        self.answer(request, |caller, request| async move {
            let reader = self.app.operations_reader(&caller)?;
            let mut fields = Fields::default();
            let Some(page) = fields.page(request.page_size, request.page_token) else { return Err(fields.refusal()) };
            let page = self.app.services(&reader, &page).await?;
            let services = page.entries.into_iter().map(convert::service).collect();
            Ok(proto::ListServicesResponse { services, next_page_token: page.next })
        })
        .await
    }

    async fn revoke_service(&self, request: Request<proto::RevokeServiceRequest>) -> Answer<proto::RevokeServiceResponse> {
        self.answer(request, |caller, mut request| async move {
            let operator = self.app.operator(&caller)?;
            let mut fields = Fields::default();
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "RevokeService", &id, &request, request.validate_only);
            let service = fields.id("service", &request.service);
            let (Some(terms), Some(service)) = (terms, service) else { return Err(fields.refusal()) };
            let service = self.app.revoke_service(operator, service, terms).await?;
            Ok(proto::RevokeServiceResponse { service: Some(convert::service(service)) })
        })
        .await
    }

    async fn revoke_token(&self, request: Request<proto::RevokeTokenRequest>) -> Answer<proto::RevokeTokenResponse> {
        self.answer(request, |caller, mut request| async move {
            let operator = self.app.operator(&caller)?;
            let mut fields = Fields::default();
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "RevokeToken", &id, &request, request.validate_only);
            let token = fields.token(&request.token);
            let (Some(terms), Some(token)) = (terms, token) else { return Err(fields.refusal()) };
            let revoked = self.app.revoke_token(operator, token, terms).await?;
            Ok(convert::revoked(&self.app, revoked))
        })
        .await
    }

    async fn list_events(&self, request: Request<proto::ListEventsRequest>) -> Answer<proto::ListEventsResponse> {
        self.answer(request, |caller, request| async move {
            let (audit, violation) = if request.account.is_empty() {
                (Ok(self.app.audit_all(&self.app.operations_reader(&caller)?)), None)
            } else {
                let admitted = self.app.admit(&caller, &request.account, Needs::AUDIT)?;
                (self.app.audit(&admitted), admitted.violation())
            };
            let mut fields = Fields::after(violation);
            let kinds = fields.kinds(&request.kinds);
            let actor = fields.actor(&request.actor);
            let subject = fields.subject(&request.subject);
            let (from, until) = (fields.moment("from_time", request.from_time), fields.moment("to_time", request.to_time));
            let page = fields.page(request.page_size, request.page_token);
            let (Some((kinds, some_kinds)), Some(actor), Some(subject), Some(from), Some(until), Some(page)) =
                (kinds, actor, subject, from, until, page)
            else {
                return Err(fields.refusal());
            };
            let audit = audit?;
            let which = Which { actor, subject, kinds, some_kinds, from, until, ..Which::default() };
            let page = self.app.events(&audit, which, &page).await?;
            let view = self.app.view();
            let events = page.entries.iter().map(|event| convert::event(&view, event, audit.with_clients)).collect();
            Ok(proto::ListEventsResponse { events, next_page_token: page.next })
        })
        .await
    }

    async fn verify_events(&self, request: Request<proto::VerifyEventsRequest>) -> Answer<proto::VerifyEventsResponse> {
        self.answer(request, |caller, request| async move {
            let reader = self.app.operations_reader(&caller)?;
            let mut fields = Fields::default();
            let Some(heads) = fields.heads(&request.heads) else { return Err(fields.refusal()) };
            let found = self.app.verify_events(&reader, heads).await?;
            Ok(convert::verified(&self.app.view(), &found))
        })
        .await
    }

    async fn export_events(&self, request: Request<proto::ExportEventsRequest>) -> Answer<proto::ExportEventsResponse> {
        self.answer(request, |caller, request| async move {
            let operator = self.app.operator(&caller)?;
            let mut fields = Fields::default();
            let Some(page) = fields.page(request.page_size, String::new()) else { return Err(fields.refusal()) };
            let (events, head) = self.app.export_events(&operator, request.from_seq, &page).await?;
            let events = events.into_iter().map(convert::stored_event).collect();
            Ok(proto::ExportEventsResponse { events, head: Some(convert::head(head)) })
        })
        .await
    }

    async fn list_mail(&self, request: Request<proto::ListMailRequest>) -> Answer<proto::ListMailResponse> {
        self.answer(request, |caller, request| async move {
            let reader = self.app.operations_reader(&caller)?;
            let mut fields = Fields::default();
            let states = fields.codes("states", &request.states, 5);
            let page = fields.page(request.page_size, request.page_token);
            let (Some(states), Some(page)) = (states, page) else { return Err(fields.refusal()) };
            let page = self.app.mails(&reader, states, &page).await?;
            let mails = page.entries.into_iter().map(|mail| convert::mail(&self.app, mail)).collect();
            let queue = convert::mail_queue(self.app.mail_queue(&reader).await?);
            Ok(proto::ListMailResponse { mails, next_page_token: page.next, queue: Some(queue) })
        })
        .await
    }

    async fn retry_mail(&self, request: Request<proto::RetryMailRequest>) -> Answer<proto::RetryMailResponse> {
        self.answer(request, |caller, mut request| async move {
            let operator = self.app.operator(&caller)?;
            let mut fields = Fields::default();
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "RetryMail", &id, &request, request.validate_only);
            let mail = fields.id("mail", &request.mail);
            let (Some(terms), Some(mail)) = (terms, mail) else { return Err(fields.refusal()) };
            let mail = self.app.retry_mail(operator, mail, terms).await?;
            Ok(proto::RetryMailResponse { mail: Some(convert::mail(&self.app, mail)) })
        })
        .await
    }

    async fn preview_edition(&self, request: Request<proto::PreviewEditionRequest>) -> Answer<proto::PreviewEditionResponse> {
        self.answer(request, |caller, request| async move {
            let reader = self.app.operations_reader(&caller)?;
            let mut fields = Fields::default();
            let edition = fields.edition(request.edition);
            let account = (!request.account.is_empty()).then(|| fields.slug("account", &request.account));
            let page = fields.page(request.page_size, request.page_token);
            let (Some(edition), None | Some(Some(_)), Some(page)) = (edition, &account, page) else {
                return Err(fields.refusal());
            };
            let preview = self.app.preview_edition(&reader, edition, account.flatten(), &page).await?;
            Ok(convert::edition_preview(preview))
        })
        .await
    }

    async fn rotate_link_key(&self, request: Request<proto::RotateLinkKeyRequest>) -> Answer<proto::RotateLinkKeyResponse> {
        self.answer(request, |caller, mut request| async move {
            let operator = self.app.operator_by_socket(&caller)?;
            let mut fields = Fields::default();
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "RotateLinkKey", &id, &request, request.validate_only);
            let Some(terms) = terms else { return Err(fields.refusal()) };
            let former = if request.now { FormerLinks::End } else { FormerLinks::Last };
            let state = self.app.rotate_link_key(operator, former, terms).await?;
            let former_links_end_time = state.former_until.map(convert::time);
            Ok(proto::RotateLinkKeyResponse { number: state.number, former_links_end_time })
        })
        .await
    }

    async fn set_super_admin(&self, request: Request<proto::SetSuperAdminRequest>) -> Answer<proto::SetSuperAdminResponse> {
        self.answer(request, |caller, mut request| async move {
            let operator = self.app.operator_by_socket(&caller)?;
            let mut fields = Fields::default();
            let id = std::mem::take(&mut request.request_id);
            let terms = fields.terms(&caller, "SetSuperAdmin", &id, &request, request.validate_only);
            let user = fields.user(&request.user);
            let (Some(terms), Some(user)) = (terms, user) else { return Err(fields.refusal()) };
            let (user, change) = self.app.set_super_admin(operator, user, request.super_admin, terms).await?;
            let user = Some(convert::user(&self.app, &user));
            let (effects, other_accounts) = convert::login_effects(&self.app, &change);
            Ok(proto::SetSuperAdminResponse { user, effects, other_accounts })
        })
        .await
    }
}
