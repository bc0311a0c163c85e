//! Tests that speak the API: a real server, a real database, real connections.

mod acme;
mod callers;
mod client;
mod edition;
mod history;
mod invitations;
mod mailbox;
mod matrix;
mod members;
mod reasons;
mod refusals;
mod retries;
#[path = "../rules/reviewed.rs"]
mod reviewed;
mod shown;
mod signing_up;
mod site;
mod violations;
mod way;
