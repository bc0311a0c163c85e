//! Invitations, by every rule of theirs.

mod answering;
mod held;
mod inviting;
mod look_alikes;
mod machine;
mod sending;
mod updating;
