//! What mails tell.

use secrecy::SecretString;

use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::name::{DisplayName, Timezone};
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;

/// One mail, before it has words and a recipient.
///
/// Whether the recipient has a login is part of none but [`Letter::LoginExists`], which goes to the login's own address.
pub enum Letter {
    /// Offers membership of an account.
    Invitation {
        /// Names the product in the text.
        edition: Edition,
        /// What people call the account.
        account: DisplayName,
        /// What the grantor is called; nothing stands for the operator of the site.
        granted_by: Option<DisplayName>,
        /// The offered column.
        privilege: Privilege,
        /// The offered roles.
        roles: RoleSet,
        /// When the offer ends; nothing for never.
        expires: Option<Timestamp>,
        /// The account's time zone, in which `expires` is told.
        timezone: Timezone,
        /// The token of its link.
        token: SecretString,
    },
    /// Asks the owner of an address to confirm a sign-up.
    Confirmation(ConfirmationLink),
    /// Brings the links of all open sign-ups of an address again, newest first; at least one.
    ConfirmationAgain(Vec<ConfirmationLink>),
    /// Tells the owner of a login that somebody tried to sign up with its address.
    LoginExists,
}

/// The link that confirms one sign-up.
#[derive(Clone)]
pub struct ConfirmationLink {
    /// When that sign-up was made: tells several links apart.
    pub requested: Timestamp,
    /// The link's token.
    pub token: SecretString,
    /// When the link ends.
    pub expires: Timestamp,
}

impl Letter {
    /// The stem of its templates' names.
    pub(super) const fn template(&self) -> &'static str {
        match self {
            Self::Invitation { .. } => "invitation",
            Self::Confirmation(_) => "confirmation",
            Self::ConfirmationAgain(_) => "confirmation_again",
            Self::LoginExists => "login_exists",
        }
    }

    /// Its subject, safe to stand in a header.
    pub(super) fn subject(&self) -> String {
        match self {
            // a mail program would decode `=?…?=` and show what `DisplayName` keeps out
            Self::Invitation { account, edition, .. } => {
                format!("You are invited to {} on {}", account.as_str().replace("=?", "= ?"), product(*edition))
            }
            Self::Confirmation(_) => "Confirm your address for Circonus".to_owned(),
            Self::ConfirmationAgain(_) => "Your confirmation links for Circonus".to_owned(),
            Self::LoginExists => "You already have a Circonus login".to_owned(),
        }
    }
}

/// What an edition calls the product.
pub(super) const fn product(edition: Edition) -> &'static str {
    match edition {
        Edition::Inside => "Circonus Inside",
        Edition::Saas => "Circonus",
    }
}
