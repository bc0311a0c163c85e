//! `service`: internal tools that call with a token or a client certificate.

use clap::Subcommand;

use super::confirm::Confirmation;
use super::console::Console;
use super::screen::{Column, note};
use super::words::{moment, request_id, time, typed_moment};
use super::{Failure, Paging, Rehearsal};
use crate::domain::clock::Clock;
use crate::proto::{self, Service};

const SCOPES: [&str; 6] = ["users.read", "users.write", "users.act_as", "access.check", "access.watch", "operations.read"];

/// What is done with services.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List all services in the order they were created, revoked ones too
    List(Paging),
    /// Create a service; its token is shown this once, alone on standard output
    Create {
        /// Its name: 2 to 63 of a-z, 0-9 and -
        name: String,
        /// What it may do
        #[arg(long, required = true, value_delimiter = ',', value_name = "SCOPE",
              value_parser = clap::builder::PossibleValuesParser::new(SCOPES))]
        scopes: Vec<String>,
        /// Bind it to one account
        #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        account: Option<String>,
        /// When it stops counting, such as 2030-01-31T00:00:00Z; never, for want of it
        #[arg(long, value_name = "TIME", value_parser = typed_moment)]
        expires: Option<jiff::Timestamp>,
        /// The SAN (URI or DNS name) of the client certificate that it calls with, instead of a token
        #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        certificate_name: Option<String>,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// End a service's token or certificate at once
    Revoke {
        /// Its id, svc_…
        service: String,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

const COLUMNS: &[Column<Service>] = &[
    ("SERVICE", |service| service.id.clone()),
    ("NAME", |service| service.name.clone()),
    ("SCOPES", |service| service.scopes.join(",")),
    ("ACCOUNT", |service| service.account.clone()),
    ("CERTIFICATE", |service| service.certificate_name.clone()),
    ("EXPIRES", |service| time(service.expire_time.as_ref())),
    ("STATE", |service| state(service).to_owned()),
    ("CREATED", |service| time(service.create_time.as_ref())),
];

impl Verb {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        match self {
            Self::List(paging) => console.list(proto::ListServicesRequest::default(), paging, COLUMNS).await,
            Self::Create { name, scopes, account, expires, certificate_name, rehearsal } => {
                let expire_time = expires.map(moment);
                let request_id = request_id();
                let validate_only = rehearsal.dry_run;
                let request = proto::CreateServiceRequest {
                    name,
                    scopes,
                    account: account.unwrap_or_default(),
                    expire_time,
                    certificate_name: certificate_name.unwrap_or_default(),
                    request_id,
                    validate_only,
                };
                let answer = console.call(request).await?;
                created(console, &answer, rehearsal)
            }
            Self::Revoke { service, rehearsal, confirmation } => {
                confirmation.ask(rehearsal.dry_run, &format!("Revoke {service}? What calls with it is refused from then on."))?;
                let request = proto::RevokeServiceRequest { service, request_id: request_id(), validate_only: rehearsal.dry_run };
                let answer = console.call(request).await?;
                console.changed(&answer, answer.service.as_ref(), &[COLUMNS], &[], rehearsal)
            }
        }
    }
}

fn state(service: &Service) -> &'static str {
    let now = Clock::System.now().as_micros() / 1_000_000;
    match &service.expire_time {
        _ if service.revoked => "revoked",
        Some(expires) if expires.seconds <= now => "expired",
        _ => "open",
    }
}

/// The token alone goes to standard output, so that it can be piped to where it is kept.
fn created(console: &mut Console, answer: &proto::CreateServiceResponse, rehearsal: Rehearsal) -> Result<(), Failure> {
    let service = answer.service.as_ref();
    if answer.secret_already_shown {
        return Err(Failure::TokenLost(service.map(|service| service.id.clone()).unwrap_or_default()));
    }
    if console.screen.json || answer.token.is_empty() {
        return console.changed(answer, service, &[COLUMNS], &[], rehearsal);
    }
    console.screen.line(&answer.token)?;
    console.screen.flush()?;
    if let Some(Service { id, name, scopes, .. }) = service {
        note(&format!("{name} is {id} and may {}; its token was shown this once", scopes.join(", ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_open_until_it_is_revoked_or_expires() {
        let state = |expires: Option<i64>, revoked| {
            let expire_time = expires.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
            state(&Service { expire_time, revoked, ..Service::default() })
        };
        assert_eq!([state(None, false), state(Some(32_503_680_000), false), state(Some(1), false)], ["open", "open", "expired"]);
        assert_eq!([state(None, true), state(Some(1), true)], ["revoked", "revoked"]);
    }
}
