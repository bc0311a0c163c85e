//! The answers to "may this person do that?", from memory.

use super::caller::{Caller, Calling, SignedIn, Who};
use super::{App, UserRef};
use crate::directory::View;
use crate::domain::error::{Error, Takes};
use crate::domain::id::{AccountId, Epoch, UserId};
use crate::domain::name::Slug;
use crate::domain::permission::{Permission, PermissionSet};
use crate::domain::policy::{self, Grant, Person, Reason};
use crate::domain::scope::Scope;

/// Which state of the data an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Which history.
    pub epoch: Epoch,
    /// The last event in it.
    pub seq: u64,
}

impl Revision {
    /// The revision of a view.
    #[must_use]
    pub const fn of(view: &View) -> Self {
        Self { epoch: view.epoch(), seq: view.seq() }
    }
}

/// An answered check.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The decision, and why.
    pub reason: Reason,
    /// What grants it.
    pub via: Vec<Grant>,
    /// What would grant it.
    pub would: Vec<Grant>,
    /// The user, if the caller may know.
    pub user: Option<UserId>,
    /// What was judged.
    pub revision: Revision,
}

/// An answered question for everything that a user may do.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// What they may do.
    pub permissions: PermissionSet,
    /// Why there is something, or nothing.
    pub reason: Reason,
    /// The user, if the caller may know.
    pub user: Option<UserId>,
    /// What was judged.
    pub revision: Revision,
}

/// Whom a check is about, as far as its caller may know.
struct Asked {
    account: Option<AccountId>,
    user: Option<UserId>,
    /// Whether the caller may be told that a user isn't known.
    exact: bool,
}

/// The subject of a check, by a caller who may ask about them. It holds the view that the question was admitted with, so that the answer is
/// about the same state.
pub struct Question {
    view: std::sync::Arc<View>,
    asked: Result<(Option<AccountId>, bool), String>,
    caller_person: Option<UserId>,
}

impl Question {
    /// What is wrong with the account's name, for callers who may know.
    #[must_use]
    pub fn violation(&self) -> Option<crate::domain::error::Violation> {
        let description = self.asked.as_ref().err()?.clone();
        Some(crate::domain::error::Violation { field: "account".to_owned(), description })
    }

    fn about(&self, user: Option<&UserRef>) -> Result<Asked, Error> {
        let (account, exact) = self.asked.clone().map_err(|why| Error::field("account", &why))?;
        let user = match user {
            None => Some(self.caller_person.ok_or_else(|| Error::field("user", &"must be given: the caller is no user"))?),
            Some(UserRef::Id(id)) => self.view.user(*id).map(|_| *id),
            Some(UserRef::Email(email)) => self.view.holder(email),
        };
        Ok(Asked { account, user, exact })
    }
}

impl App {
    /// Admits a question about a user's permissions in an account: about oneself, about others with `MANAGE_USERS` there, anything for
    /// operators and services with `access.check`.
    pub fn question(&self, caller: &Caller, account: &str, user: &str) -> Result<Question, Error> {
        let view = self.directory.snapshot();
        let name = Slug::parse(account);
        let found = name.as_ref().ok().and_then(|name| view.account_named(name.as_str()));
        let about_others = |asker: UserId| {
            let oneself = user.is_empty() || user.parse() == Ok(asker) || is_address_of(&view, asker, user);
            let needed = if oneself { Permission::View } else { Permission::ManageUsers };
            // a member may always ask about themself, and hears why they may do nothing; strangers hear nothing
            let member = found.is_some_and(|account| view.standing(account, asker).is_some());
            let allowed = found.is_some_and(|account| view.allows(account, asker, needed));
            if (oneself && member) || allowed { Ok(()) } else { Err(Error::AccessDenied(Takes::Permission(needed))) }
        };
        let exact = match caller.who() {
            Who::Nobody => return Err(Error::CredentialsMissing),
            Who::Operator(_) | Who::Person(SignedIn { operator: true, .. }) => true,
            Who::Person(person) => {
                about_others(person.user)?;
                false
            }
            Who::Service(Calling { scopes, .. }) if !scopes.contains(Scope::AccessCheck) => {
                return Err(Error::ScopeMissing(Scope::AccessCheck));
            }
            Who::Service(Calling { bound, acting_for, .. }) => {
                if bound.is_some() && bound != found {
                    return Err(Error::AccessDenied(Takes::Scope(Scope::AccessCheck)));
                }
                if let Some(person) = acting_for {
                    about_others(person)?;
                }
                bound.is_none() && acting_for.is_none()
            }
        };
        let asked = name.map(|_| (found, exact)).map_err(|malformed| malformed.to_string());
        Ok(Question { view, asked, caller_person: caller.person() })
    }

    /// Decides about one permission.
    pub fn check(&self, question: &Question, user: Option<&UserRef>, permission: Permission) -> Result<Checked, Error> {
        let view = &question.view;
        let asked = question.about(user)?;
        let (person, place) = (view.person(asked.account, asked.user), view.place(asked.account));
        let revision = Revision::of(view);
        match policy::decide(view.edition(), person, place, permission) {
            Ok(()) => {
                let via = policy::granted_via(view.edition(), person, permission);
                Ok(Checked { reason: Reason::Granted, via, would: Vec::new(), user: asked.user, revision })
            }
            Err(reason) => {
                let would = match person {
                    Person::User { active: true, member: Some(standing), .. } if reason != Reason::AccountClosed => {
                        policy::would_grant(view.edition(), standing, permission)
                    }
                    Person::User { .. } | Person::Unknown => Vec::new(),
                };
                let (reason, user) = told(&asked, person, reason);
                Ok(Checked { reason, via: Vec::new(), would, user, revision })
            }
        }
    }

    /// Answers everything that a user may do in an account.
    pub fn permissions_of(&self, question: &Question, user: Option<&UserRef>) -> Result<Listed, Error> {
        let view = &question.view;
        let asked = question.about(user)?;
        let (person, place) = (view.person(asked.account, asked.user), view.place(asked.account));
        let revision = Revision::of(view);
        Ok(match policy::all_permissions(view.edition(), person, place) {
            Ok(permissions) => Listed { permissions, reason: Reason::Granted, user: asked.user, revision },
            Err(reason) => {
                let (reason, user) = told(&asked, person, reason);
                Listed { permissions: PermissionSet::EMPTY, reason, user, revision }
            }
        })
    }
}

/// Who may not see all users hears of a stranger with a login what they hear of one without: that they are no member.
fn told(asked: &Asked, person: Person, reason: Reason) -> (Reason, Option<UserId>) {
    let is_member = matches!(person, Person::User { member: Some(_), .. });
    if asked.exact || is_member { (reason, asked.user) } else { (Reason::NotAMember, None) }
}

fn is_address_of(view: &View, user: UserId, text: &str) -> bool {
    crate::domain::email::Email::parse(text).is_ok_and(|email| view.holder(&email) == Some(user))
}
