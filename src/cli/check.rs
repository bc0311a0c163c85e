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
    /// The permission; all that the user has there, for want of it
    #[arg(value_enum)]
    permission: Option<Permission>,
    #[command(flatten)]
    pub(super) manner: Manner,
}

impl Check {
    pub(super) async fn run(self, console: &mut Console) -> Result<ExitCode, Failure> {
        let Self { account, user, permission, .. } = self;
        let Some(permission) = permission else { return all(console, account, user).await };
        let request = proto::CheckAccessRequest { account, user, permission: permission.into(), ..Default::default() };
        let answer = console.call(request).await?;
        if console.screen.json {
            console.screen.json(&answer)?;
        } else {
            console.screen.line(&verdict(&answer))?;
        }
        console.screen.flush()?;
        Ok(ExitCode::from(u8::from(!answer.allowed)))
    }
}

/// Says all that a user may do in an account, one permission a line.
async fn all(console: &mut Console, account: String, user: String) -> Result<ExitCode, Failure> {
    let answer = console.call(proto::ListPermissionsRequest { account, user }).await?;
    if console.screen.json {
        console.screen.json(&answer)?;
    } else if answer.permissions.is_empty() {
        console.screen.line(&format!("denied: {}", word::<proto::AccessReason>(answer.reason)))?;
    } else {
        let mut permissions = answer.permissions.iter();
        permissions.try_for_each(|permission| console.screen.line(&word::<proto::Permission>(*permission)))?;
    }
    console.screen.flush()?;
    Ok(ExitCode::from(u8::from(answer.permissions.is_empty())))
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
