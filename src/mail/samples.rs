//! Letters that together take every branch of the templates.

use secrecy::SecretString;

use super::letter::{ConfirmationLink, Letter, PasswordLink};
use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::name::{DisplayName, Timezone};
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;

/// One of each letter, and more where a template has branches.
pub(super) fn letters() -> Vec<Letter> {
    let (at, expires) = (Timestamp::from_micros(0), Timestamp::from_micros(1));
    let link = |token| ConfirmationLink { requested: at, token: SecretString::from(token), expires };
    let password = PasswordLink { token: SecretString::from("SampleToken1"), expires };
    let invitation = |granted_by, roles, expires| {
        DisplayName::parse("Acme").map(|account| Letter::Invitation {
            edition: Edition::Inside,
            account,
            granted_by,
            privilege: Privilege::Normal,
            roles,
            expires,
            timezone: Timezone::utc(),
            token: SecretString::from("SampleToken1"),
        })
    };
    let ann = DisplayName::parse("Ann").ok();
    let invitations = [invitation(ann, RoleSet::ALL, Some(expires)), invitation(None, RoleSet::EMPTY, None)];
    let api_token = DisplayName::parse("Backup").ok().zip(DisplayName::parse("Acme").ok());
    let api_token = api_token.map(|(name, account)| Letter::ApiTokenCreated { name, account, at, expires });
    let mut letters: Vec<Letter> = invitations.into_iter().flatten().chain(api_token).collect();
    letters.extend([
        Letter::Confirmation(link("SampleToken1")),
        Letter::ConfirmationAgain(vec![link("SampleToken1")]),
        Letter::ConfirmationAgain(vec![link("SampleToken1"), link("SampleToken2")]),
        Letter::LoginExists,
        Letter::PasswordReset(password.clone()),
        Letter::SetPassword(password),
        Letter::AddressChange { token: SecretString::from("SampleToken1"), expires },
        Letter::PasswordChanged { at },
        Letter::AddressChanged { at },
        Letter::SuperAdminGranted { at },
        Letter::SuperAdminRevoked { at },
        Letter::Test { at },
    ]);
    letters
}

/// The tokens that a letter brings: one that loses them is of no use to whoever gets it.
pub(super) fn tokens(letter: &Letter) -> Vec<&SecretString> {
    match letter {
        Letter::Invitation { token, .. } | Letter::AddressChange { token, .. } => vec![token],
        Letter::Confirmation(link) => vec![&link.token],
        Letter::ConfirmationAgain(links) => links.iter().map(|link| &link.token).collect(),
        Letter::PasswordReset(link) | Letter::SetPassword(link) => vec![&link.token],
        Letter::LoginExists
        | Letter::PasswordChanged { .. }
        | Letter::AddressChanged { .. }
        | Letter::SuperAdminGranted { .. }
        | Letter::SuperAdminRevoked { .. }
        | Letter::ApiTokenCreated { .. }
        | Letter::Test { .. } => Vec::new(),
    }
}
