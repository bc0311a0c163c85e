//! `edition`: what the other edition would change.

use clap::Subcommand;

use super::console::Console;
use super::screen::{Column, note};
use super::words::{word, words};
use super::{Failure, Paging};
use crate::proto::edition_change::Of;
use crate::proto::{self, EditionChange, EditionTotals};

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
        let request = proto::PreviewEditionRequest { account, ..Default::default() };
        let (mut totals, mut invitations) = (None, 0);
        let look = |answer: &proto::PreviewEditionResponse| {
            totals = totals.or(answer.totals);
            invitations += answer.changes.iter().filter(|change| matches!(change.of, Some(Of::Invitation(_)))).count();
        };
        console.list_with(request, paging, COLUMNS, look).await?;
        if let Some(totals) = totals {
            // the server counts members and tokens, however much of them is listed; invitations are counted as they come
            note(&told(&totals, paging.limit.is_none().then_some(invitations)));
        }
        Ok(())
    }
}

/// How much would change in all.
fn told(totals: &EditionTotals, invitations: Option<usize>) -> String {
    let EditionTotals { members_gaining, members_losing, api_tokens_gaining, api_tokens_losing, accounts } = totals;
    let invitations = invitations.map(|count| format!("; invitations held or opened: {count}")).unwrap_or_default();
    format!(
        "accounts touched: {accounts}; members gaining: {members_gaining}, losing: {members_losing}; \
         tokens gaining: {api_tokens_gaining}, losing: {api_tokens_losing}{invitations}"
    )
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
