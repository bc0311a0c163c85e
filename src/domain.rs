//! The rules, without I/O: what the words mean, who may do what, and how a change is recorded.
//!
//! A value of a type from here can't be wrong: it was parsed. Nothing here reads a clock, draws randomness or waits; both come in as
//! parameters.

pub mod backoff;
pub mod clock;
pub mod edition;
pub mod email;
pub mod error;
pub mod event;
pub mod head;
pub mod id;
pub mod invitation;
pub mod language;
pub mod limit;
pub mod login;
pub mod look_alike;
pub mod name;
pub mod password;
pub mod peer;
pub mod permission;
pub mod policy;
pub mod privilege;
pub mod role;
pub mod scope;
pub mod token;
