//! The user management service of Circonus Inside.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod directory;
pub mod domain;
pub mod logging;
pub mod mail;
pub mod serve;
pub mod server;
pub mod store;

/// The contract: messages, clients and servers generated from `proto/`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated; the .proto files document it"
)]
pub mod proto {
    tonic::include_proto!("circonus.usermanagement.v1");

    /// The descriptors of the contract with their comments, for reflection and for clients without generated code.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
