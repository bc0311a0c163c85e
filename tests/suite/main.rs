//! Tests that speak the API: a real server, a real database, real connections.

mod acme;
mod callers;
mod client;
mod directory;
mod invitations;
mod matrix;
mod members;
mod queries;
mod races;
mod reasons;
mod refusals;
mod retries;
#[path = "../rules/reviewed.rs"]
mod reviewed;
mod shown;
mod site;
mod starts;
mod violations;
mod way;
mod writes;
