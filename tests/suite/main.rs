//! Tests that speak the API: a real server, a real database, real connections.

mod callers;
mod client;
mod directory;
mod matrix;
mod queries;
mod races;
mod refusals;
#[path = "../rules/reviewed.rs"]
mod reviewed;
mod shown;
mod site;
mod starts;
mod way;
mod writes;
