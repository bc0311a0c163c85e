//! Limits: what one server takes on, and what one caller may cause.

use std::time::Duration;

use super::settings::Settings;

/// What one server takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, the operators' socket apart; more wait in the listeners' queues.
    pub connections: usize,
    /// Connections at once of one peer; more are closed.
    pub connections_per_peer: usize,
    /// Calls at once, the operators' socket apart; more are refused.
    pub calls: usize,
    /// Calls at once of one peer; more are refused.
    pub calls_per_peer: usize,
    /// Bytes at once of requests that are being read and answered, and of answers that weren't taken yet.
    pub buffered_bytes: usize,
    /// Such bytes of one peer.
    pub buffered_bytes_per_peer: usize,
    /// Calls at once on one connection.
    pub streams_per_connection: u32,
    /// Size of one request in bytes.
    pub message_bytes: usize,
    /// From a connection to its TLS handshake and HTTP/2 preface; silent ones are closed then.
    pub handshake: Duration,
    /// From a call to its answer, or to the beginning of its stream.
    pub request: Duration,
    /// From the signal until calls still open are cut off; the rest of the shutdown takes at most 3 s more.
    pub shutdown: Duration,
}

impl Limits {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let message_bytes = settings.whole("limits.message_bytes", 1024 * 1024, 1024..=64 * 1024 * 1024);
        // less would refuse what one message may have
        let buffered = message_bytes..=1 << 40;
        Self {
            connections: settings.whole("limits.connections", 1024, 1..=100_000),
            connections_per_peer: settings.whole("limits.connections_per_peer", 256, 1..=100_000),
            calls: settings.whole("limits.calls", 4096, 1..=1_000_000),
            calls_per_peer: settings.whole("limits.calls_per_peer", 1024, 1..=1_000_000),
            buffered_bytes: settings.whole("limits.buffered_bytes", 256 * 1024 * 1024, buffered.clone()),
            buffered_bytes_per_peer: settings.whole("limits.buffered_bytes_per_peer", 64 * 1024 * 1024, buffered),
            streams_per_connection: settings.whole("limits.streams_per_connection", 100, 1..=100_000),
            message_bytes,
            handshake: settings.seconds("limits.handshake_seconds", 10),
            request: settings.seconds("limits.request_seconds", 30),
            shutdown: settings.seconds("limits.shutdown_seconds", 10),
        }
    }
}

const KIB: usize = 1024;

impl Limits {
    /// The most memory in bytes that callers can make a server use, whoever they are and whatever they do, beside what it keeps of its
    /// data and takes for hashing passwords.
    ///
    /// A connection holds its windows and buffers, with TLS (`server::core` has the numbers), each of its streams an answer of headers alone
    /// that isn't taken, a call its own headers and what it is worked on with, a byte of a request once more as what it is parsed into, and
    /// each core one message whose entries are two bytes on their way and near a hundred when they were read.
    #[must_use]
    pub fn most_memory(&self, cores: usize) -> usize {
        let streams = usize::try_from(self.streams_per_connection).unwrap_or(usize::MAX);
        let connection = (8 * KIB).saturating_mul(streams).saturating_add(288 * KIB);
        let connections = connection.saturating_mul(self.connections);
        let calls = (64 * KIB).saturating_mul(self.calls);
        let read = self.message_bytes.saturating_mul(cores).saturating_mul(48);
        [calls, self.buffered_bytes.saturating_mul(2), read].into_iter().fold(connections, usize::saturating_add)
    }
}

/// The most sign-ups of one address that may wait at once: one mail brings the links of all.
pub const MOST_SIGN_UPS_PER_ADDRESS: u32 = 20;

/// What one caller may cause; zero is without limit. The README's table says of each why it is there and why it is so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbuseLimits {
    /// Wrong passwords in an hour for one address.
    pub sign_in_failures_per_address: u32,
    /// Wrong passwords in an hour from one peer.
    pub sign_in_failures_per_peer: u32,
    /// Wrong passwords in an hour for one address from one peer, or of one person in their sessions.
    pub sign_in_failures_per_device: u32,
    /// How long a person is known at a peer after they signed in from there; never not at all, or strangers would lock people out.
    pub known_device: Duration,
    /// Passwords in an hour that one peer has compared or hashed with links from mails, or changes.
    pub link_uses_per_peer: u32,
    /// Sign-ups, confirmations again and resets in an hour that one peer asks for without being signed in.
    pub mails_per_peer: u32,
    /// Mails to one address in an hour before they are put off.
    pub mails_per_recipient_hour: u32,
    /// Mails to one address in a day before they are put off.
    pub mails_per_recipient_day: u32,
    /// Sign-ups of one address that may wait at once; never without limit.
    pub sign_ups_per_address: u32,
    /// Sign-ups of one peer that may be kept until they expire.
    pub sign_ups_per_peer: u32,
    /// Sign-ups of everybody that may be kept until they expire.
    pub sign_ups: u32,
    /// Invitations in a day by one person or service.
    pub invitations_per_grantor: u32,
    /// Invitations in a day into one account.
    pub invitations_per_account: u32,
    /// New addresses in a day that one person has a link mailed to.
    pub address_changes_per_user: u32,
    /// Personal tokens in a day that one person makes.
    pub api_tokens_per_user: u32,
}

impl AbuseLimits {
    pub(super) fn take(settings: &mut Settings) -> Self {
        const MOST: u32 = 1_000_000;
        let days: u64 = settings.whole("limits.known_device_days", 30, 1..=365);
        Self {
            sign_in_failures_per_address: settings.whole("limits.sign_in_failures_per_address", 20, 0..=MOST),
            sign_in_failures_per_peer: settings.whole("limits.sign_in_failures_per_peer", 300, 0..=MOST),
            sign_in_failures_per_device: settings.whole("limits.sign_in_failures_per_device", 20, 0..=MOST),
            known_device: Duration::from_secs(days * super::DAY),
            link_uses_per_peer: settings.whole("limits.link_uses_per_peer", 1000, 0..=MOST),
            mails_per_peer: settings.whole("limits.mails_per_peer", 500, 0..=MOST),
            mails_per_recipient_hour: settings.whole("limits.mails_per_recipient_hour", 10, 0..=MOST),
            mails_per_recipient_day: settings.whole("limits.mails_per_recipient_day", 60, 0..=MOST),
            sign_ups_per_address: settings.whole("limits.sign_ups_per_address", 5, 1..=MOST_SIGN_UPS_PER_ADDRESS),
            sign_ups_per_peer: settings.whole("limits.sign_ups_per_peer", 2000, 0..=MOST),
            sign_ups: settings.whole("limits.sign_ups", 20_000, 0..=MOST),
            invitations_per_grantor: settings.whole("limits.invitations_per_grantor", 3000, 0..=MOST),
            invitations_per_account: settings.whole("limits.invitations_per_account", 5000, 0..=MOST),
            address_changes_per_user: settings.whole("limits.address_changes_per_user", 10, 0..=MOST),
            api_tokens_per_user: settings.whole("limits.api_tokens_per_user", 50, 0..=MOST),
        }
    }
}
