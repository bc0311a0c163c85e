//! `user`: people with a login.

use clap::Subcommand;

use super::confirm::Confirmation;
use super::console::Console;
use super::link::{HandOver, handed_over};
use super::screen::{Column, note};
use super::words::{LoginState, Whether, request_id, time, yes};
use super::{Failure, Paging, Rehearsal};
use crate::proto::{self, User};

/// What is done with people's logins.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List users in the order in which they came; those of a prefix by address
    List {
        /// Only those whose login is active, or is deactivated
        #[arg(long, value_enum)]
        state: Option<LoginState>,
        /// Only super-admins; with =no only the others
        #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "yes", value_name = "YES|NO")]
        super_admin: Option<Whether>,
        /// Only those whose address begins like this
        #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
        email: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one user
    Show {
        /// The user's id, usr_…, or address
        user: String,
    },
    /// Make a login; a link that sets its password is mailed
    Create {
        /// The address
        email: String,
        /// What the person is called
        display_name: String,
        #[command(flatten)]
        hand_over: HandOver,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// Have a link mailed that sets another password
    ResetPassword {
        /// The user's id, usr_…, or address
        user: String,
        #[command(flatten)]
        hand_over: HandOver,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// Take a login away for a time; memberships stay, without effect
    Deactivate {
        /// The user's id, usr_…, or address
        user: String,
        /// Do it although accounts would have nobody left to manage their users
        #[arg(long)]
        leave_without_admin: bool,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Let a deactivated login in again
    Reactivate {
        /// The user's id, usr_…, or address
        user: String,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// Delete a person and erase their address and name; can't be undone
    Delete {
        /// The user's id, usr_…, or address
        user: String,
        /// Do it although accounts would have nobody left to manage their users
        #[arg(long)]
        leave_without_admin: bool,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// End every session of a user
    RevokeSessions {
        /// The user's id, usr_…, or address
        user: String,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

pub(super) const COLUMNS: &[Column<User>] = &[
    ("USER", |user| user.id.clone()),
    ("EMAIL", |user| user.email.clone()),
    ("NAME", |user| user.display_name.clone()),
    ("STATE", |user| if user.active { "active" } else { "deactivated" }.to_owned()),
    ("SUPER-ADMIN", |user| yes(user.super_admin)),
    ("CREATED", |user| time(user.create_time.as_ref())),
];

impl Verb {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        match self {
            Self::List { state, super_admin, email, paging } => {
                let request = proto::ListUsersRequest {
                    active: state.map(LoginState::is_active),
                    super_admin: super_admin.map(Whether::is_yes),
                    email_prefix: email,
                    ..Default::default()
                };
                console.list(request, paging, COLUMNS).await
            }
            Self::Show { user } => {
                let answer = console.call(proto::GetUserRequest { user }).await?;
                console.show(answer.user.as_ref(), &[COLUMNS])
            }
            Self::Create { email, display_name, hand_over: HandOver { return_link }, rehearsal } => {
                let (request_id, validate_only) = (request_id(), rehearsal.dry_run);
                let request = proto::CreateUserRequest { email, display_name, return_link, request_id, validate_only };
                let answer = console.call(request).await?;
                if handed_over(console, &answer)? {
                    return Ok(());
                }
                console.changed(&answer, answer.user.as_ref(), &[COLUMNS], &[], rehearsal)
            }
            Self::ResetPassword { user, hand_over: HandOver { return_link }, rehearsal } => {
                let (request_id, validate_only) = (request_id(), rehearsal.dry_run);
                let request = proto::SendPasswordResetRequest { user, return_link, request_id, validate_only };
                let answer = console.call(request).await?;
                if handed_over(console, &answer)? {
                    return Ok(());
                }
                console.changed(&answer, answer.user.as_ref(), &[COLUMNS], &[], rehearsal)
            }
            Self::Deactivate { user, leave_without_admin, rehearsal, confirmation } => {
                confirmation.ask(rehearsal.dry_run, &format!("Deactivate {user}? Their sessions and links end for good."))?;
                let (request_id, validate_only) = (request_id(), rehearsal.dry_run);
                let request = proto::DeactivateUserRequest { user, leave_without_admin, request_id, validate_only };
                let answer = console.call(request).await?;
                let others = ("lost", answer.other_accounts);
                console.changed_login(&answer, answer.user.as_ref(), &answer.effects, others, rehearsal)?;
                left(&answer.accounts_without_admin);
                Ok(())
            }
            Self::Reactivate { user, rehearsal } => {
                let (request_id, validate_only) = (request_id(), rehearsal.dry_run);
                let answer = console.call(proto::ReactivateUserRequest { user, request_id, validate_only }).await?;
                let others = ("gained", answer.other_accounts);
                console.changed_login(&answer, answer.user.as_ref(), &answer.effects, others, rehearsal)
            }
            Self::Delete { user, leave_without_admin, rehearsal, confirmation } => {
                confirmation
                    .ask(rehearsal.dry_run, &format!("Delete {user} and erase address and name? This can't be undone."))?;
                let (request_id, validate_only) = (request_id(), rehearsal.dry_run);
                let request = proto::DeleteUserRequest { user, leave_without_admin, request_id, validate_only };
                let answer = console.call(request).await?;
                console.changed_login(&answer, None, &answer.effects, ("lost", answer.other_accounts), rehearsal)?;
                left(&answer.accounts_without_admin);
                Ok(())
            }
            Self::RevokeSessions { user, rehearsal, confirmation } => {
                confirmation.ask(rehearsal.dry_run, &format!("End every session of {user}?"))?;
                let (request_id, validate_only) = (request_id(), rehearsal.dry_run);
                let answer = console.call(proto::RevokeSessionsRequest { user, request_id, validate_only }).await?;
                console.changed(&answer, answer.user.as_ref(), &[COLUMNS], &[], rehearsal)
            }
        }
    }
}

/// Says which accounts need an admin now.
fn left(accounts: &[String]) {
    if !accounts.is_empty() {
        note(&format!("without an admin now: {}", accounts.join(", ")));
    }
}
