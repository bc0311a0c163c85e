//! Tests that speak the API: a real server, a real database, real connections.

mod acme;
mod callers;
mod client;
mod invitations;
mod matrix;
mod members;
mod reasons;
mod refusals;
mod retries;
#[path = "../rules/reviewed.rs"]
mod reviewed;
mod shown;
mod site;
mod violations;
mod way;
