//! What is counted and measured, as Prometheus reads it; the README says of each what it means and when to alert.
//!
//! [`Metrics`] is what the server counts while it works. All else is looked up when somebody asks: what the application, its data and the
//! certificates can tell is written into a registry made for that one answer. Nothing is global, so that services side by side count apart.
//! The labels of a call are the names of the contract, never a stranger's text.

use std::collections::BTreeSet;
use std::fmt::Error as Unencodable;
use std::sync::LazyLock;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use prost::Message as _;
use tonic::Code;

use crate::app::operations::Measured;
use crate::domain::clock::Timestamp;
use crate::domain::limit::Limit;
use crate::tls::CertificateState;

pub mod endpoint;

/// What is counted while the server works; clones count the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    requests: Family<Call, Counter>,
    refusals: Family<ByLimit, Counter>,
    taken: Family<ByListener, Counter>,
    closed_early: Family<ByReason, Counter>,
    open: Family<ByListener, Gauge>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    rpc: &'static str,
    code: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByLimit {
    limit: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByListener {
    listener: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

/// Every path that can be called, `package.Service/Method`.
static PATHS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let sets = [crate::proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET];
    let older = tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET;
    let files = sets.into_iter().chain([older]).filter_map(|set| prost_types::FileDescriptorSet::decode(set).ok());
    let mut paths = BTreeSet::new();
    for file in files.flat_map(|set| set.file) {
        for service in &file.service {
            let methods = service.method.iter().map(|method| format!("{}.{}/{}", file.package(), service.name(), method.name()));
            paths.extend(methods);
        }
    }
    paths
});

/// A call's path as a label; whatever isn't of the contract is one.
pub(crate) fn rpc(path: &str) -> &'static str {
    PATHS.get(path.trim_start_matches('/')).map_or("unknown", String::as_str)
}

/// Counts a connection as open until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Counts a call that ended; without a code its caller gave it up.
    pub(crate) fn answered(&self, rpc: &'static str, code: Option<Code>) {
        self.requests.get_or_create(&Call { rpc, code: code.map_or("abandoned", name) }).inc();
    }

    /// Counts a refusal by a limit on callers.
    pub(crate) fn limit_reached(&self, limit: Limit) {
        self.refusals.get_or_create(&ByLimit { limit: limit.key() }).inc();
    }

    /// Counts a connection that was taken, and is open until what is answered is dropped.
    pub(crate) fn connection(&self, listener: &'static str) -> Open {
        self.taken.get_or_create(&ByListener { listener }).inc();
        let open = self.open.get_or_create_owned(&ByListener { listener });
        open.inc();
        Open(open)
    }

    /// Counts a connection that was closed before its first call.
    pub(crate) fn closed_early(&self, reason: &'static str) {
        self.closed_early.get_or_create(&ByReason { reason }).inc();
    }

    /// All of it in the text of `OpenMetrics`, with what was looked up.
    pub fn text(&self, measured: &Measured, tls: Option<&CertificateState>, serving: bool) -> Result<String, Unencodable> {
        let mut registry = Registry::with_prefix("user_management");
        registry.register("requests", "Calls that ended, by RPC and code", self.requests.clone());
        registry.register("limit_refusals", "Calls refused by a limit on callers, by its key", self.refusals.clone());
        registry.register("connections", "Connections that were taken", self.taken.clone());
        registry.register("connections_open", "Connections that are open", self.open.clone());
        registry.register("connections_closed_early", "Connections closed before their first call", self.closed_early.clone());
        gauge(&mut registry, "serving", "Whether health says SERVING", i64::from(serving));
        gauge(&mut registry, "store_healthy", "Whether the last write could be made", i64::from(measured.store_healthy));
        let head = i64::try_from(measured.head).unwrap_or(i64::MAX);
        gauge(&mut registry, "event_head_seq", "Number of the newest event", head);
        if let Some(first) = measured.first_event {
            let what = "When the first event happened that is there";
            gauge(&mut registry, "event_first_timestamp_seconds", what, seconds(first));
        }
        gauge(&mut registry, "mail_queued", "Mails that wait or are under way", measured.queue.queued);
        gauge(&mut registry, "mail_failed", "Mails that a relay refused for good", measured.queue.failed);
        if let Some(oldest) = measured.queue.oldest {
            gauge(
                &mut registry,
                "mail_oldest_queued_timestamp_seconds",
                "Since when the first mail that should have gone waits",
                seconds(oldest),
            );
        }
        let kinds = [("service", measured.services), ("api_token", measured.api_tokens)];
        let soon = kinds.map(|(kind, expiring)| (kind, Some(expiring.soon)));
        gauges(&mut registry, "credentials_expiring", "Services and tokens that expire within 14 days", "kind", &soon);
        let soonest = kinds.map(|(kind, expiring)| (kind, expiring.soonest.map(seconds)));
        let name = "credentials_soonest_expiry_timestamp_seconds";
        gauges(&mut registry, name, "When the next of them expires", "kind", &soonest);
        if let Some(tls) = tls {
            certificates(&mut registry, tls);
        }
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

fn certificates(registry: &mut Registry, tls: &CertificateState) {
    gauge(registry, "tls_reload_failed", "Whether certificates couldn't be loaded anew", i64::from(tls.fault.is_some()));
    let reloads = Family::<[(&str, &str); 1], Counter>::default();
    for (outcome, count) in [("taken", tls.taken), ("refused", tls.refused)] {
        reloads.get_or_create(&[("outcome", outcome)]).inc_by(count);
    }
    registry.register("tls_reloads", "Attempts to load certificates anew", reloads);
    let expiry = [("server", Some(tls.expiry.certificate)), ("client_ca", tls.expiry.client_ca)];
    let expiry = expiry.map(|(certificate, expires)| (certificate, expires.map(seconds)));
    let name = "tls_certificate_expiry_timestamp_seconds";
    gauges(registry, name, "When a certificate expires", "certificate", &expiry);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn gauges(registry: &mut Registry, name: &str, help: &str, label: &'static str, values: &[(&'static str, Option<i64>)]) {
    let family = Family::<[(&str, &str); 1], Gauge>::default();
    for (value, number) in values {
        if let Some(number) = number {
            family.get_or_create(&[(label, *value)]).set(*number);
        }
    }
    registry.register(name, help, family);
}

const fn seconds(time: Timestamp) -> i64 {
    time.as_micros() / 1_000_000
}

const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_path_is_no_label() {
        assert_eq!(rpc("/circonus.usermanagement.v1.Access/CheckAccess"), "circonus.usermanagement.v1.Access/CheckAccess");
        assert_eq!(rpc("/grpc.health.v1.Health/Check"), "grpc.health.v1.Health/Check");
        for path in ["/a/b\"} 1\n", "", "/circonus.usermanagement.v1.Access/CheckAccess/"] {
            assert_eq!(rpc(path), "unknown");
        }
    }
}
