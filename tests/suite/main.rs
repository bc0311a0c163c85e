//! Tests that speak the API: a real server, a real database, real connections.

mod client;
mod site;
mod way;
