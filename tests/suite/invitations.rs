//! Invitations, by every rule of theirs.

mod answering;
mod held;
mod inviting;
mod machine;
mod sending;
mod updating;
