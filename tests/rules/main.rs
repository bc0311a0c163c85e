//! The rules, checked from outside: who may do what, how a change is laid out in history, and where an invitation stands.
//!
//! Two files beside this one are reviewed by people: `access.md`, the whole model as tables, and `events.txt`, the bytes of one
//! event of every kind. A difference fails the test; `UPDATE_EXPECT=1 cargo test --test rules` writes them anew.

mod access;
mod contract;
mod event_bytes;
mod event_columns;
mod invariants;
mod invitation_states;
mod limits;
mod old_entries;
mod page;
mod promises;
mod reviewed;
mod sample;
mod trimmed_events;
mod words;
