//! `check`: may somebody do something?

use std::process::ExitCode;

use clap::Args;

use super::console::Console;
use super::words::{Permission, word};
use super::{Failure, Manner};
use crate::proto::grant::Source;
use crate::proto::{self, Grant};

/// What is asked.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The account
    account: String,
    /// The user's id, usr_…, or address
    user: String,
    /// The permission
    #[arg(value_enum)]
    permission: Permission,
    #[command(flatten)]
    pub(super) manner: Manner,
}

impl Check {
    pub(super) async fn run(self, console: &mut Console) -> Result<ExitCode, Failure> {
        let Self { account, user, permission, .. } = self;
        let answer = console.call(proto::CheckAccessRequest { account, user, permission: permission.into() }).await?;
        if console.screen.json {
            console.screen.json(&answer)?;
        } else {
            console.screen.line(&verdict(&answer))?;
        }
        console.screen.flush()?;
        Ok(ExitCode::from(u8::from(!answer.allowed)))
    }
}

fn verdict(answer: &proto::CheckAccessResponse) -> String {
    if answer.allowed {
        return format!("allowed by {}", grants(&answer.via));
    }
    let reason = word::<proto::AccessReason>(answer.reason);
    match &answer.would_be_allowed_with[..] {
        [] => format!("denied: {reason}"),
        with => format!("denied: {reason}; allowed with {}", grants(with)),
    }
}

fn grants(grants: &[Grant]) -> String {
    let told = |grant: &Grant| match grant.source {
        Some(Source::Privilege(privilege)) => format!("the privilege {}", word::<proto::Privilege>(privilege)),
        Some(Source::Role(role)) => format!("the role {}", word::<proto::Role>(role)),
        Some(Source::SuperAdmin(_)) => "being a super-admin".to_owned(),
        Some(Source::Membership(_)) => "being a member".to_owned(),
        None => "something that only a newer program knows".to_owned(),
    };
    grants.iter().map(told).collect::<Vec<_>>().join(" or ")
}
