//! `member`: people in an account.

mod batch;
mod change;

use std::path::PathBuf;

use clap::Subcommand;

use self::change::{Move, Remove, SetRoles};
use super::confirm::Confirmation;
use super::console::Console;
use super::screen::Column;
use super::words::{LoginState, Privilege, Role, request_id, time, word, words};
use super::{Failure, Paging, Rehearsal};
use crate::proto::{self, Member};

const LISTING: &str = "\
A list:
  # after the audit
  move ann@acme.test normal
  move bob@acme.test admin --keep-roles
  roles cy@acme.test alerts,data
  roles dan@acme.test --none --allow-widening
  remove eve@acme.test --etag 01a20cd9-e";

/// What is done with members.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List an account's members in the order they joined; those of a prefix by address
    List {
        /// The account
        account: String,
        /// Only in these columns
        #[arg(long, value_enum, value_delimiter = ',', value_name = "PRIVILEGE")]
        privilege: Vec<Privilege>,
        /// Only those who hold this role, dormant or not
        #[arg(long, value_enum)]
        role: Option<Role>,
        /// Only those whose login is active, or is deactivated
        #[arg(long, value_enum)]
        state: Option<LoginState>,
        /// Only those whose address begins like this
        #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
        email: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one member, with what they may do
    Show {
        /// The account
        account: String,
        /// The member's id, usr_…, or address
        user: String,
    },
    /// Move a member to a column; their roles are cleared, so that they have exactly what the column says
    Move {
        /// The account
        account: String,
        #[command(flatten)]
        change: Move,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// Replace a member's roles
    Roles {
        /// The account
        account: String,
        #[command(flatten)]
        change: SetRoles,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// End a membership at once; the person and their other accounts are untouched
    Remove {
        /// The account
        account: String,
        #[command(flatten)]
        change: Remove,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Change many members at once: all, or none if one can't be
    ///
    /// A line of the list is a change as it is typed behind `member`, without the account and without --yes or --dry-run. The account's last Admin is
    /// looked for when all is done, so that two can be exchanged.
    #[command(after_help = LISTING)]
    Batch {
        /// The account
        account: String,
        /// A file with at most 1,000 changes, one a line, or - for standard input; blank lines and those that begin with # don't count
        file: PathBuf,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

const COLUMNS: &[Column<Member>] = &[
    ("USER", |member| member.user.clone()),
    ("EMAIL", |member| member.email.clone()),
    ("NAME", |member| member.display_name.clone()),
    ("PRIVILEGE", |member| word::<proto::Privilege>(member.privilege)),
    ("ROLES", |member| words::<proto::Role>(&member.roles)),
    ("STATE", |member| if member.active { "active" } else { "deactivated" }.to_owned()),
    ("JOINED", |member| time(member.join_time.as_ref())),
];

const MORE: &[Column<Member>] = &[
    ("ACCOUNT", |member| member.account.clone()),
    ("DORMANT ROLES", |member| words::<proto::Role>(&member.dormant_roles)),
    ("PERMISSIONS", |member| words::<proto::Permission>(&member.permissions)),
    ("ETAG", |member| member.etag.clone()),
];

const ALL: &[&[Column<Member>]] = &[COLUMNS, MORE];

impl Verb {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        match self {
            Self::List { account, privilege, role, state, email, paging } => {
                let request = proto::ListMembersRequest {
                    account,
                    privileges: privilege.into_iter().map(Into::into).collect(),
                    role: role.map(Into::into).unwrap_or_default(),
                    active: state.map(LoginState::is_active),
                    email_prefix: email,
                    ..Default::default()
                };
                console.list(request, paging, COLUMNS).await
            }
            Self::Show { account, user } => {
                let answer = console.call(proto::GetMemberRequest { account, user }).await?;
                console.show(answer.member.as_ref(), ALL)
            }
            Self::Move { account, change: Move { user, privilege, keep_roles, seen }, rehearsal } => {
                let request = proto::ChangePrivilegeRequest {
                    account,
                    user,
                    privilege: privilege.into(),
                    keep_roles,
                    etag: seen.etag,
                    request_id: request_id(),
                    validate_only: rehearsal.dry_run,
                };
                let answer = console.call(request).await?;
                console.changed(&answer, answer.member.as_ref(), ALL, &answer.effects, rehearsal)
            }
            Self::Roles { account, change, rehearsal } => {
                let SetRoles { user, roles, none: _, allow_widening, clear_dormant, seen } = change;
                let request = proto::AssignRolesRequest {
                    account,
                    user,
                    roles: roles.into_iter().map(Into::into).collect(),
                    allow_widening,
                    clear_dormant,
                    etag: seen.etag,
                    request_id: request_id(),
                    validate_only: rehearsal.dry_run,
                };
                let answer = console.call(request).await?;
                console.changed(&answer, answer.member.as_ref(), ALL, &answer.effects, rehearsal)
            }
            Self::Remove { account, change: Remove { user, seen }, rehearsal, confirmation } => {
                confirmation.ask(rehearsal.dry_run, &format!("Remove {user} from {account}?"))?;
                let request = proto::RemoveMemberRequest {
                    account,
                    user,
                    etag: seen.etag,
                    request_id: request_id(),
                    validate_only: rehearsal.dry_run,
                };
                let answer = console.call(request).await?;
                console.changed(&answer, answer.member.as_ref(), &[COLUMNS], &answer.effects, rehearsal)
            }
            Self::Batch { account, file, rehearsal, confirmation } => {
                batch::change(console, account, batch::read(&file)?, rehearsal, confirmation).await
            }
        }
    }
}
