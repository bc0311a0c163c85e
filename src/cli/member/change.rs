//! What can become of a member, as it is typed: behind `member`, and in the lines of a list.

use clap::error::ErrorKind;
use clap::{Args, Parser as _, Subcommand};

use crate::cli::Seen;
use crate::cli::words::{Privilege, Role};
use crate::proto;
use crate::proto::member_update as update;

/// To a column.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Move {
    /// The member's id, usr_…, or address
    pub(super) user: String,
    /// The column
    #[arg(value_enum)]
    pub(super) privilege: Privilege,
    /// Keep the roles
    #[arg(long)]
    pub(super) keep_roles: bool,
    #[command(flatten)]
    pub(super) seen: Seen,
}

/// To other roles.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("set").required(true).args(["roles", "none"]))]
pub(in crate::cli) struct SetRoles {
    /// The member's id, usr_…, or address
    pub(super) user: String,
    /// The whole new set
    #[arg(value_enum, value_delimiter = ',', value_name = "ROLE")]
    pub(super) roles: Vec<Role>,
    /// Take all roles away
    #[arg(long)]
    pub(super) none: bool,
    /// Allow a set that gives permissions which none of its roles opens
    #[arg(long)]
    pub(super) allow_widening: bool,
    /// Clear roles too that sleep in the server's edition
    #[arg(long)]
    pub(super) clear_dormant: bool,
    #[command(flatten)]
    pub(super) seen: Seen,
}

/// Out of the account.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Remove {
    /// The member's id, usr_…, or address
    pub(super) user: String,
    #[command(flatten)]
    pub(super) seen: Seen,
}

/// A line of a list: a verb with its arguments, without the account.
#[derive(Debug, clap::Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    change: Change,
}

/// One of the changes.
#[derive(Debug, Subcommand)]
#[command(disable_help_flag = true)]
pub(super) enum Change {
    Move(Move),
    Roles(SetRoles),
    Remove(Remove),
}

impl Change {
    /// Reads a line, or says in one what is wrong with it. Neither addresses nor words have spaces, so there are no quotes.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        Line::try_parse_from(line.split_whitespace()).map(|line| line.change).map_err(|error| match error.kind() {
            ErrorKind::InvalidSubcommand => "must begin with move, roles or remove".to_owned(),
            _ => in_one_line(&error.to_string()),
        })
    }

    pub(super) fn user(&self) -> &str {
        match self {
            Self::Move(Move { user, .. }) | Self::Roles(SetRoles { user, .. }) | Self::Remove(Remove { user, .. }) => user,
        }
    }

    /// The verb.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Move(_) => "move",
            Self::Roles(_) => "roles",
            Self::Remove(_) => "remove",
        }
    }
}

impl From<Change> for proto::MemberUpdate {
    fn from(change: Change) -> Self {
        let (user, seen, change) = match change {
            Change::Move(Move { user, privilege, keep_roles, seen }) => {
                (user, seen, update::Change::Move(proto::MoveMember { privilege: privilege.into(), keep_roles }))
            }
            Change::Roles(SetRoles { user, roles, none: _, allow_widening, clear_dormant, seen }) => {
                let roles = roles.into_iter().map(Into::into).collect();
                (user, seen, update::Change::SetRoles(proto::SetRoles { roles, allow_widening, clear_dormant }))
            }
            Change::Remove(Remove { user, seen }) => (user, seen, update::Change::Remove(true)),
        };
        Self { user, etag: seen.etag, change: Some(change) }
    }
}

/// The first paragraph of what is said of wrong arguments; the rest is about usage.
fn in_one_line(error: &str) -> String {
    let paragraph = error.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(line: &str) -> proto::MemberUpdate {
        Change::parse(line).unwrap_or_else(|error| panic!("{line}: {error}")).into()
    }

    fn set(roles: &[proto::Role], allow_widening: bool, clear_dormant: bool) -> update::Change {
        let roles = roles.iter().map(|role| (*role).into()).collect();
        update::Change::SetRoles(proto::SetRoles { roles, allow_widening, clear_dormant })
    }

    #[test]
    fn a_line_is_what_is_typed_behind_member_without_the_account() {
        use proto::Role::{Alerts, Data};
        let moved = update("move  ann@x.test\tread-only --etag 1-2 --keep-roles");
        let to = proto::MoveMember { privilege: proto::Privilege::ReadOnly.into(), keep_roles: true };
        assert_eq!((moved.user.as_str(), moved.etag.as_str()), ("ann@x.test", "1-2"));
        assert_eq!(moved.change, Some(update::Change::Move(to)));
        assert_eq!(update("roles usr_1 alerts,data").change, Some(set(&[Alerts, Data], false, false)));
        assert_eq!(update("roles usr_1 alerts data --clear-dormant").change, Some(set(&[Alerts, Data], false, true)));
        assert_eq!(update("roles usr_1 --none --allow-widening").change, Some(set(&[], true, false)));
        let removed = update("remove o'neill@x.test");
        assert_eq!((removed.user.as_str(), removed.change), ("o'neill@x.test", Some(update::Change::Remove(true))));
    }

    #[test]
    fn a_wrong_line_is_told_of_in_one() {
        let wrong = |line| Change::parse(line).expect_err(line);
        assert_eq!(
            wrong("move ann@x.test readonly"),
            "invalid value 'readonly' for '<PRIVILEGE>' [possible values: admin, normal, read-only]"
        );
        assert_eq!(wrong("move ann@x.test"), "the following required arguments were not provided: <PRIVILEGE>");
        assert_eq!(wrong("promote ann@x.test admin"), "must begin with move, roles or remove");
        assert_eq!(wrong("roles ann@x.test"), "the following required arguments were not provided: <ROLE|--none>");
        assert_eq!(wrong("remove ann@x.test bob@x.test"), "unexpected argument 'bob@x.test' found");
        for line in ["remove ann@x.test --help", "--help", "help", "remove ann@x.test --yes", "--version"] {
            wrong(line);
        }
    }
}
