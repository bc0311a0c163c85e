//! Tests that speak the API: a real server, a real database, real connections.

#![allow(clippy::indexing_slicing, reason = "what isn't there fails the test, which is what it is for")]

mod acme;
mod api_tokens;
mod batches;
mod callers;
mod client;
mod delivery;
mod directory;
mod edition;
mod history;
mod invitations;
mod limits;
mod link_keys;
mod lists;
mod logins;
mod mailbox;
mod matrix;
mod members;
mod metrics;
mod operators;
mod queries;
mod races;
mod reasons;
mod refusals;
mod rehearsals;
mod retries;
#[path = "../rules/reviewed.rs"]
mod reviewed;
mod shown;
mod signing_up;
mod site;
mod skipped;
#[allow(dead_code, reason = "tests of the transport alone use the rest of it")]
mod smtp_sink;
mod starts;
mod violations;
mod way;
mod writes;

pub(crate) use skipped::skipped;
