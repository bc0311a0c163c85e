//! `edition`: what the other edition would change.

use clap::Subcommand;

use super::console::Console;
use super::screen::Column;
use super::words::{word, words};
use super::{Failure, Paging};
use crate::proto::edition_change::Of;
use crate::proto::{self, EditionChange};

/// What is done with the edition: switching it is a setting of the next start.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List who would gain or lose what as the other edition: members, their personal tokens, then invitations
    Preview {
        /// Only in this account
        #[arg(long, default_value = "", hide_default_value = true)]
        account: String,
        #[command(flatten)]
        paging: Paging,
    },
}

const COLUMNS: &[Column<EditionChange>] = &[
    ("ACCOUNT", |change| change.account.clone()),
    ("OF", subject),
    ("GAINS", |change| effect(change, |effect| &effect.gained)),
    ("LOSES", |change| effect(change, |effect| &effect.lost)),
    ("ROLES", changed_roles),
    ("TOKENS", tokens),
];

impl Verb {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let Self::Preview { account, paging } = self;
        console.list(proto::PreviewEditionRequest { account, ..Default::default() }, paging, COLUMNS).await
    }
}

fn subject(change: &EditionChange) -> String {
    match &change.of {
        Some(Of::Member(member)) => member.effect.as_ref().map(|effect| effect.user.clone()).unwrap_or_default(),
        Some(Of::Invitation(it)) => {
            let becomes = match word::<proto::HeldReason>(it.held_reason_then) {
                held if held.is_empty() => "open".to_owned(),
                held => format!("held: {held}"),
            };
            format!("{} {} becomes {becomes}", it.invitation, it.email)
        }
        None => String::new(),
    }
}

fn effect(change: &EditionChange, which: fn(&proto::Effect) -> &[i32]) -> String {
    match &change.of {
        Some(Of::Member(proto::EditionMember { effect: Some(effect), .. })) => words::<proto::Permission>(which(effect)),
        _ => String::new(),
    }
}

fn changed_roles(change: &EditionChange) -> String {
    let Some(Of::Member(member)) = &change.of else { return String::new() };
    let told = |roles: &[i32], what| (!roles.is_empty()).then(|| format!("{} {what}", words::<proto::Role>(roles)));
    let all = [told(&member.falling_asleep, "dormant"), told(&member.waking_up, "with effect")];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn tokens(change: &EditionChange) -> String {
    let Some(Of::Member(member)) = &change.of else { return String::new() };
    let told = |token: &proto::EditionApiToken| {
        let of = |permissions: &[i32], sign| {
            (!permissions.is_empty()).then(|| format!(" {sign}{}", words::<proto::Permission>(permissions)))
        };
        let all = [of(&token.gained, "+"), of(&token.lost, "-")];
        format!("{}{}", token.api_token, all.into_iter().flatten().collect::<String>())
    };
    member.api_tokens.iter().map(told).collect::<Vec<_>>().join("; ")
}
