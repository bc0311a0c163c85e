//! The answers to "may this person do that?", from memory.

use secrecy::{ExposeSecret as _, SecretString};

use super::caller::{Caller, Calling, Holding, SignedIn, Who};
use super::{App, UserRef};
use crate::directory::{ApiToken, View};
use crate::domain::clock::Timestamp;
use crate::domain::error::{Error, Takes};
use crate::domain::id::{AccountId, Epoch, UserId};
use crate::domain::name::Slug;
use crate::domain::permission::{Permission, PermissionSet};
use crate::domain::policy::{self, Grant, Person, Reason, Standing};
use crate::domain::scope::Scope;
use crate::domain::token::{Bearer, TokenDigest};

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
    /// When the personal token that was asked about stops counting.
    pub token_expires: Option<Timestamp>,
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

/// Whom a question names.
#[derive(Clone, Copy, Debug)]
pub enum Named<'a> {
    /// Nobody: it is about who calls.
    Caller,
    /// A user, by what may be an id or an address.
    User(&'a str),
    /// Whoever holds a personal token.
    Token,
}

/// Whom a question is about.
pub enum About {
    /// Who calls: a person, or what is left to the holder of a personal token.
    Caller,
    /// A user.
    User(UserRef),
    /// The holder of a personal token.
    Token(SecretString),
}

/// Whom a check is about, as far as its caller may know.
struct Asked {
    account: Option<AccountId>,
    user: Option<UserId>,
    /// What a personal token leaves of the user's permissions.
    cap: Option<Standing>,
    /// When that token stops counting, if it was asked about.
    token_expires: Option<Timestamp>,
    /// Whether the caller may be told that a user isn't known.
    exact: bool,
}

/// The subject of a check, by a caller who may ask about them. It holds the view that the question was admitted with, so that the answer is
/// about the same state.
pub struct Question {
    view: std::sync::Arc<View>,
    asked: Result<(Option<AccountId>, bool), String>,
    caller: Who,
    caller_person: Option<UserId>,
    now: Timestamp,
}

impl Question {
    /// What is wrong with the account's name, for callers who may know.
    #[must_use]
    pub fn violation(&self) -> Option<crate::domain::error::Violation> {
        let description = self.asked.as_ref().err()?.clone();
        Some(crate::domain::error::Violation { field: "account".to_owned(), description })
    }

    /// Whom it is about; none if that is a personal token that doesn't count, or is for another account: which of them is told to nobody.
    fn about(&self, about: &About) -> Result<Option<Asked>, Error> {
        let (account, exact) = self.asked.clone().map_err(|why| Error::field("account", &why))?;
        let mut asked = Asked { account, user: None, cap: None, token_expires: None, exact };
        match about {
            About::Caller => {
                let missing = || Error::field("user", &"must be given: the caller is no user");
                asked.user = Some(self.caller_person.ok_or_else(missing)?);
                if let Who::ApiToken(Holding { cap, .. }) = self.caller {
                    asked.cap = cap;
                }
            }
            About::User(UserRef::Id(id)) => asked.user = self.view.user(*id).map(|_| *id),
            About::User(UserRef::Email(email)) => asked.user = self.view.holder(email),
            About::Token(token) if account.is_some() => {
                let Some(token) = self.token(token).filter(|token| Some(token.account) == account) else { return Ok(None) };
                token.touch(self.now);
                (asked.user, asked.cap, asked.token_expires) = (Some(token.user), token.cap, Some(token.expires));
            }
            // that there is no such account is told without looking at the token
            About::Token(_) => {}
        }
        Ok(Some(asked))
    }

    /// The personal token that counts.
    fn token(&self, token: &SecretString) -> Option<&ApiToken> {
        let token = token.expose_secret();
        Bearer::of(token).filter(|kind| *kind == Bearer::Personal)?;
        self.view.api_token(&TokenDigest::of(token), self.now)
    }
}

impl App {
    /// Admits a question about a user's permissions in an account: about oneself, about others with `MANAGE_USERS` there, anything for
    /// operators and services with `access.check`. About a personal token it takes what it takes about others.
    pub fn question(&self, caller: &Caller, account: &str, named: Named<'_>) -> Result<Question, Error> {
        let view = self.directory.snapshot();
        let name = Slug::parse(account);
        let found = name.as_ref().ok().and_then(|name| view.account_named(name.as_str()));
        let by_person = |asker: UserId| {
            let oneself = match named {
                Named::Caller => true,
                Named::User(user) => user.parse() == Ok(asker) || is_address_of(&view, asker, user),
                Named::Token => false,
            };
            let needed = if oneself { Permission::View } else { Permission::ManageUsers };
            // a member may always ask about themself, and hears why they may do nothing; strangers hear nothing
            let elsewhere = matches!(caller.who(), Who::ApiToken(Holding { account, .. }) if found != Some(account));
            let member = found.is_some_and(|account| view.standing(account, asker).is_some()) && !elsewhere;
            let allowed = found.is_some_and(|account| caller.has(&view, account, needed));
            if (oneself && member) || allowed { Ok(()) } else { Err(Error::AccessDenied(Takes::Permission(needed))) }
        };
        let exact = match caller.who() {
            Who::Nobody => return Err(Error::CredentialsMissing),
            Who::Operator(_) | Who::Person(SignedIn { operator: true, .. }) => true,
            Who::Person(SignedIn { user, .. }) | Who::ApiToken(Holding { user, .. }) => {
                by_person(user)?;
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
                    by_person(person)?;
                }
                bound.is_none() && acting_for.is_none()
            }
        };
        let asked = name.map(|_| (found, exact)).map_err(|malformed| malformed.to_string());
        Ok(Question { view, asked, caller: caller.who(), caller_person: caller.person(), now: self.now() })
    }

    /// Decides about one permission.
    pub fn check(&self, question: &Question, about: &About, permission: Permission) -> Result<Checked, Error> {
        let (view, edition) = (&question.view, question.view.edition());
        let denied = Checked {
            reason: Reason::TokenInvalid,
            via: Vec::new(),
            would: Vec::new(),
            user: None,
            token_expires: None,
            revision: Revision::of(view),
        };
        let Some(asked) = question.about(about)? else { return Ok(denied) };
        let denied = Checked { token_expires: asked.token_expires, ..denied };
        let (person, place) = (view.person(asked.account, asked.user), view.place(asked.account));
        match policy::decide_within(edition, asked.cap, person, place, permission) {
            Ok(()) => {
                let via = policy::granted_via(edition, person, permission);
                Ok(Checked { reason: Reason::Granted, via, user: asked.user, ..denied })
            }
            Err(reason) => {
                // nothing that its owner could get would get past a token's cap
                let capped = policy::within(edition, asked.cap, PermissionSet::EMPTY.with(permission)).is_empty();
                let would = match person {
                    Person::User { active: true, member: Some(standing), .. } if reason != Reason::AccountClosed && !capped => {
                        policy::would_grant(edition, standing, permission)
                    }
                    Person::User { .. } | Person::Unknown => Vec::new(),
                };
                let (reason, user) = told(&asked, person, reason);
                Ok(Checked { reason, would, user, ..denied })
            }
        }
    }

    /// Answers everything that a user may do in an account.
    pub fn permissions_of(&self, question: &Question, about: &About) -> Result<Listed, Error> {
        let view = &question.view;
        let nothing =
            Listed { permissions: PermissionSet::EMPTY, reason: Reason::TokenInvalid, user: None, revision: Revision::of(view) };
        let Some(asked) = question.about(about)? else { return Ok(nothing) };
        let (person, place) = (view.person(asked.account, asked.user), view.place(asked.account));
        Ok(match policy::all_permissions(view.edition(), person, place) {
            Ok(permissions) => {
                let permissions = policy::within(view.edition(), asked.cap, permissions);
                Listed { permissions, reason: Reason::Granted, user: asked.user, ..nothing }
            }
            Err(reason) => {
                let (reason, user) = told(&asked, person, reason);
                Listed { reason, user, ..nothing }
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
