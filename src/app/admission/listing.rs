//! Which accounts and users a caller may see: some of them, rather than one that a request names.

use crate::app::App;
use crate::app::caller::{Caller, SignedIn, Who};
use crate::domain::error::{Error, Takes};
use crate::domain::id::{AccountId, UserId};
use crate::domain::scope::Scope;

/// Which accounts a caller may list.
#[derive(Clone, Copy, Debug)]
pub enum Listing {
    /// All.
    All,
    /// Those that a person is a member of.
    Of(UserId),
    /// The one that a service is bound to, or that a personal token is for; who is no member of it isn't acted for.
    One(AccountId),
}

/// Which users a caller may see.
#[derive(Clone, Copy, Debug)]
pub enum Seeing {
    /// All.
    All,
    /// The person who calls, or for whom a service does.
    Oneself(UserId),
}

impl Seeing {
    /// Refuses who may not see everybody.
    pub const fn everybody(self) -> Result<(), Error> {
        match self {
            Self::All => Ok(()),
            Self::Oneself(_) => Err(Error::AccessDenied(Takes::Oneself)),
        }
    }
}

impl App {
    /// Says which accounts a caller may list.
    pub fn listing(&self, caller: &Caller) -> Result<Listing, Error> {
        match caller.who() {
            Who::Nobody => Err(Error::CredentialsMissing),
            Who::Operator(_) | Who::Person(SignedIn { operator: true, .. }) => Ok(Listing::All),
            Who::Person(person) => Ok(Listing::Of(person.user)),
            Who::ApiToken(holding) => Ok(Listing::One(holding.account)),
            Who::Service(calling) => {
                if !calling.scopes.contains(Scope::UsersRead) {
                    return Err(Error::ScopeMissing(Scope::UsersRead));
                }
                Ok(match (calling.bound, calling.acting_for) {
                    (Some(account), _) => Listing::One(account),
                    (None, Some(user)) => Listing::Of(user),
                    (None, None) => Listing::All,
                })
            }
        }
    }

    /// Says which users a caller may see.
    pub fn seeing(&self, caller: &Caller) -> Result<Seeing, Error> {
        match caller.who() {
            Who::Nobody => Err(Error::CredentialsMissing),
            Who::Operator(_) | Who::Person(SignedIn { operator: true, .. }) => Ok(Seeing::All),
            Who::Person(person) => Ok(Seeing::Oneself(person.user)),
            // users are in no account, and a token tells by GetMe whose it is
            Who::ApiToken(_) => Err(Error::SessionRequired),
            Who::Service(calling) => {
                if !calling.scopes.contains(Scope::UsersRead) {
                    return Err(Error::ScopeMissing(Scope::UsersRead));
                }
                // a user may be in any account, so who is bound to one sees its members only
                if calling.bound.is_some() {
                    return Err(Error::AccessDenied(Takes::Scope(Scope::UsersRead)));
                }
                Ok(calling.acting_for.map_or(Seeing::All, Seeing::Oneself))
            }
        }
    }
}
