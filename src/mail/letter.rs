//! What mails tell.

use secrecy::SecretString;

use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::name::{DisplayName, Timezone};
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;

/// One mail, before it has words and a recipient.
///
/// Whether the recipient has a login is told only by letters that go to a login's own address.
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
    /// Brings the link that somebody asked for to choose a new password for the recipient's login.
    PasswordReset(PasswordLink),
    /// Brings the link that sets the first password of a login which the operator of the site made.
    SetPassword(PasswordLink),
    /// Asks the owner of an address to confirm it as the new one of a login; goes to the new address.
    AddressChange {
        /// The link's token. Following it takes the login's password.
        token: SecretString,
        /// When the link ends.
        expires: Timestamp,
    },
    /// Tells the owner of a login that its password was changed.
    PasswordChanged {
        /// When.
        at: Timestamp,
    },
    /// Tells the owner of a login that its address was changed; goes to the old one, and doesn't tell the new.
    AddressChanged {
        /// When.
        at: Timestamp,
    },
    /// Tells the owner of a login that it was made a super-admin.
    SuperAdminGranted {
        /// When.
        at: Timestamp,
    },
    /// Tells the owner of a login that it is no super-admin any more.
    SuperAdminRevoked {
        /// When.
        at: Timestamp,
    },
    /// Tells the owner of a login that a personal token was made.
    ApiTokenCreated {
        /// What it is called.
        name: DisplayName,
        /// What people call the account that it opens.
        account: DisplayName,
        /// When.
        at: Timestamp,
        /// When it stops counting.
        expires: Timestamp,
    },
    /// Shows an operator that mail arrives.
    Test {
        /// When it was asked for.
        at: Timestamp,
    },
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

/// The link that sets the password of one login.
#[derive(Clone)]
pub struct PasswordLink {
    /// The link's token.
    pub token: SecretString,
    /// When the link ends.
    pub expires: Timestamp,
}

impl Letter {
    /// What its templates are named for.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Invitation { .. } => "invitation",
            Self::Confirmation(_) => "confirmation",
            Self::ConfirmationAgain(_) => "confirmation_again",
            Self::LoginExists => "login_exists",
            Self::PasswordReset(_) => "password_reset",
            Self::SetPassword(_) => "set_password",
            Self::AddressChange { .. } => "address_change",
            Self::PasswordChanged { .. } => "password_changed",
            Self::AddressChanged { .. } => "address_changed",
            Self::SuperAdminGranted { .. } => "super_admin_granted",
            Self::SuperAdminRevoked { .. } => "super_admin_revoked",
            Self::ApiTokenCreated { .. } => "api_token_created",
            Self::Test { .. } => "test",
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
