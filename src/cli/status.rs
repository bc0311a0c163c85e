//! `status`: one screen that says whether all is well.

use std::process::ExitCode;

use clap::Args;

use super::event;
use super::reach::Server;
use super::screen::{self, Screen};
use super::words::{duration, time, word};
use super::{Failure, Manner};
use crate::domain::clock::Clock;
use crate::proto;

/// A mail that waits longer than a relay's short absence.
const OVERDUE: i64 = 15 * 60;

/// What expires before somebody comes back from a holiday: certificates, and services as the event about them says.
const EXPIRES_SOON: i64 = 14 * 86_400;

/// Names that a line tells.
const NAMED: usize = 5;

/// What to look at.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Walk the whole history too
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    pub(super) manner: Manner,
}

/// What was found.
struct Found {
    serving: bool,
    info: proto::GetServerInfoResponse,
    accounts: usize,
    without_admin: usize,
    /// Those that weren't revoked.
    services: Vec<proto::Service>,
    history: Option<proto::VerifyEventsResponse>,
    now: i64,
}

impl Status {
    pub(super) async fn run(self, server: Server) -> Result<ExitCode, Failure> {
        let found = self.look(&server).await?;
        let attention = found.attention();
        let mut screen = Screen::new(self.manner.json);
        if screen.json {
            screen.line(&found.json(&attention)?.to_string())?;
        } else {
            screen.block(&found.rows())?;
            for line in &attention {
                screen.line(&format!("needs attention: {line}"))?;
            }
            if attention.is_empty() {
                screen.line("all is well")?;
            }
        }
        screen.flush()?;
        Ok(ExitCode::from(u8::from(!attention.is_empty())))
    }

    async fn look(&self, server: &Server) -> Result<Found, Failure> {
        let serving = server.serving().await?;
        let info = server.call(proto::GetServerInfoRequest {}).await?;
        let accounts = server.all(proto::ListAccountsRequest::default()).await?;
        let now = Clock::System.now().as_micros() / 1_000_000;
        let services = server.all(proto::ListServicesRequest::default()).await?;
        let history = if self.verify { Some(server.call(proto::VerifyEventsRequest::default()).await?) } else { None };
        Ok(Found {
            serving,
            info,
            accounts: accounts.len(),
            without_admin: accounts.iter().filter(|account| account.admin_missing && !account.closed).count(),
            services: services.into_iter().filter(|service| !service.revoked).collect(),
            history,
            now,
        })
    }
}

impl Found {
    fn queue(&self) -> proto::MailQueue {
        self.info.mail_queue.clone().unwrap_or_default()
    }

    fn since(&self, time: Option<&prost_types::Timestamp>) -> i64 {
        time.map_or(0, |time| (self.now - time.seconds).max(0))
    }

    /// What expires when.
    fn expiries(&self) -> Vec<(&'static str, prost_types::Timestamp)> {
        let Some(tls) = &self.info.tls else { return Vec::new() };
        let certificate = tls.certificate_expire_time.map(|time| ("the server's certificate", time));
        certificate
            .into_iter()
            .chain(tls.client_ca_expire_time.map(|time| ("an authority of clients' certificates", time)))
            .collect()
    }

    fn counts(&self, service: &proto::Service) -> bool {
        service.expire_time.is_none_or(|expires| self.now < expires.seconds)
    }

    /// The names of services that soon won't count any more, those that were made for a short time only in its second half.
    fn expiring_services(&self) -> Vec<&str> {
        let is_due = |service: &&proto::Service| {
            self.counts(service)
                && service.expire_time.is_some_and(|expires| {
                    let lifetime = service.create_time.map_or(i64::MAX, |created| expires.seconds - created.seconds);
                    expires.seconds - self.now <= EXPIRES_SOON.min(lifetime / 2)
                })
        };
        self.services.iter().filter(is_due).map(|service| service.name.as_str()).collect()
    }

    /// The names of services that expired while somebody was on a holiday.
    fn expired_services(&self) -> Vec<&str> {
        let lately = |service: &&proto::Service| {
            !self.counts(service) && service.expire_time.is_some_and(|expires| self.now - expires.seconds < EXPIRES_SOON)
        };
        self.services.iter().filter(lately).map(|service| service.name.as_str()).collect()
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let Self { info, .. } = self;
        let services = self.services.iter().filter(|service| self.counts(service)).count();
        let queue = self.queue();
        let revision = info.revision.clone().unwrap_or_default();
        let mut version = info.version.clone();
        if version != env!("CARGO_PKG_VERSION") {
            version = format!("{version} (this program is {})", env!("CARGO_PKG_VERSION"));
        }
        let mut mail = format!("{} queued, {} failed", queue.queued, queue.failed);
        if let Some(oldest) = &queue.oldest_queued_time {
            mail = format!("{mail}, the oldest waits for {}", duration(self.since(Some(oldest))));
        }
        let mut rows = vec![
            ("server", if self.serving { "serving" } else { "NOT SERVING" }.to_owned()),
            ("version", version),
            ("edition", word::<proto::Edition>(info.edition)),
            ("up for", duration(self.since(info.start_time.as_ref()))),
            ("revision", format!("{} of {}", revision.seq, revision.epoch)),
            ("events", format!("from {} on, since {}", info.first_event, time(info.first_event_time.as_ref()))),
            ("data", info.data_dir.clone()),
            ("listens on", info.listeners.join(", ")),
            ("accounts", format!("{}, {} without an admin", self.accounts, self.without_admin)),
            ("services", services.to_string()),
            ("mail", mail),
            ("mail fault", queue.last_fault),
        ];
        rows.extend(info.tls.iter().map(|tls| ("certificates", certificates(tls))));
        rows.extend(self.history.as_ref().map(|found| ("history", event::verdict(found))));
        rows
    }

    /// What somebody should look at, each with how.
    fn attention(&self) -> Vec<String> {
        let queue = self.queue();
        let mut lines = Vec::new();
        if !self.serving {
            lines.push("the server can't write its data, or is going down; its log says why".to_owned());
        }
        if queue.failed > 0 {
            lines.push(format!("mails that a relay refused for good, {}: `mail list --state failed`", queue.failed));
        }
        if !queue.last_fault.is_empty() {
            lines.push(format!("mail doesn't leave: {}", queue.last_fault));
        } else if self.since(queue.oldest_queued_time.as_ref()) > OVERDUE {
            lines.push("mail waits for long: `mail list --state queued`".to_owned());
        }
        for (what, time) in self.expiries() {
            match time.seconds - self.now {
                left if left <= 0 => lines.push(format!("{what} has expired")),
                left if left <= EXPIRES_SOON => lines.push(format!("{what} expires in {}", duration(left))),
                _ => {}
            }
        }
        for (what, names, advice) in [
            ("that soon expire", self.expiring_services(), "make others by other names, then `service revoke` these"),
            ("that expired lately", self.expired_services(), "`service revoke` those that nobody needs"),
        ] {
            if !names.is_empty() {
                let more = names.len().saturating_sub(NAMED);
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                let names = names.get(..NAMED).unwrap_or(&names).join(", ");
                lines.push(format!("services {what}, {names}{more}: {advice}; `service list` has their ids"));
            }
        }
        if let Some(tls) = self.info.tls.as_ref().filter(|tls| !tls.last_fault.is_empty()) {
            lines.push(format!("certificates weren't loaded anew, the old ones are in use: {}", tls.last_fault));
        }
        if self.history.as_ref().is_some_and(|found| !event::is_whole(found)) {
            lines.push("history or data was changed behind the server's back: keep this data, and restore a backup".to_owned());
        }
        lines
    }

    fn json(&self, attention: &[String]) -> Result<serde_json::Value, Failure> {
        Ok(serde_json::json!({
            "serving": self.serving,
            "server": screen::value(&self.info)?,
            "accounts": self.accounts,
            "accountsWithoutAdmin": self.without_admin,
            "services": self.services.iter().filter(|service| self.counts(service)).count(),
            "servicesExpiring": self.expiring_services(),
            "servicesExpired": self.expired_services(),
            "history": self.history.as_ref().map(screen::value).transpose()?,
            "attention": attention,
        }))
    }
}

fn certificates(tls: &proto::TlsState) -> String {
    let until = time(tls.certificate_expire_time.as_ref());
    match &tls.client_ca_expire_time {
        None => format!("until {until}"),
        authorities => format!("until {until}, authorities until {}", time(authorities.as_ref())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_of_before_and_after_they_expire_but_not_for_all_of_a_short_life() {
        const NOW: i64 = 100_000_000;
        let service = |name: &str, age: i64, left: Option<i64>| proto::Service {
            name: name.to_owned(),
            create_time: Some(prost_types::Timestamp { seconds: NOW - age, nanos: 0 }),
            expire_time: left.map(|left| prost_types::Timestamp { seconds: NOW + left, nanos: 0 }),
            ..Default::default()
        };
        let mut found = Found {
            serving: true,
            info: proto::GetServerInfoResponse::default(),
            accounts: 0,
            without_admin: 0,
            services: vec![
                service("ever", 1, None),
                service("later", NOW, Some(EXPIRES_SOON + 1)),
                service("brief", 86_400, Some(86_401)),
                service("forgotten", NOW, Some(-EXPIRES_SOON)),
            ],
            history: None,
            now: NOW,
        };
        assert_eq!(found.attention(), Vec::<String>::new());
        found.services.push(service("brief-and-old", 86_400, Some(86_400)));
        found.services.extend([service("just-over", NOW, Some(0)), service("over", NOW, Some(1 - EXPIRES_SOON))]);
        assert_eq!((found.expiring_services(), found.expired_services()), (vec!["brief-and-old"], vec!["just-over", "over"]));
        assert!(found.rows().contains(&("services", "4".to_owned())), "those that count");
        found.services.extend((1..=5).map(|number| service(&format!("tool-{number}"), NOW, Some(EXPIRES_SOON / number))));
        let told = found.attention();
        assert!(told[0].contains(", brief-and-old, tool-1, tool-2, tool-3, tool-4 and 1 more: "), "{told:?}");
        assert!(told[1].starts_with("services that expired lately, just-over, over: ") && told.len() == 2, "{told:?}");
    }
}
