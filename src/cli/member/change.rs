//! What can become of a member, as it is typed.

use clap::Args;

use crate::cli::Seen;
use crate::cli::words::{Privilege, Role};

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
