//! What a call costs the service and says to its caller, counted: the same for whatever an outsider may not know.
//!
//! Counted are the statements of the database with how many rows each changed, writes with whether they were kept, and password hashes
//! with their cost; heard is every byte of the answer. Whether a look-up finds its row isn't counted: it is the one thing that has to
//! differ. Everything is seen through the events that the service traces anyway, which nobody looks at in production.

#![allow(clippy::indexing_slicing, reason = "what isn't there fails the test, which is what it is for")]

mod addresses;
mod at_once;
#[allow(dead_code, reason = "the suite uses the rest of it")]
#[path = "../suite/client.rs"]
mod client;
mod costs;
mod ledger;
#[allow(dead_code, reason = "the suite uses the rest of it")]
#[path = "../suite/mailbox.rs"]
mod mailbox;
mod managers;
#[allow(dead_code, reason = "the suite uses the rest of it")]
#[path = "../suite/matrix/call.rs"]
mod matrix_call;
mod raw;
mod refusals;
#[allow(dead_code, reason = "the suite uses the rest of it")]
#[path = "../suite/site.rs"]
mod site;
