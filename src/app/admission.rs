//! Who may do what: the witnesses that operations take.
//!
//! A handler can't reach an operation without the witness of the right that it takes, and only this file and its `listing` make one, from a [`Caller`] and
//! the present state of the directory. What changes something judges again inside its transaction, by `confirm`: a right that was taken away
//! while the request waited is gone.

mod listing;

use super::App;
use super::caller::{Caller, Calling, Holding, SignedIn, Who};
use crate::domain::edition::Edition;
use crate::domain::error::{Error, Takes, Violation};
use crate::domain::event::{Grantor, Origin};
use crate::domain::id::{AccountId, UserId};
use crate::domain::name::Slug;
use crate::domain::permission::Permission;
use crate::domain::policy::{self, Person, Place};
use crate::domain::scope::Scope;
use crate::store::{Tx, api_tokens, members, services, sessions};
pub use listing::{Listing, Seeing};

/// What an operation on an account takes: of a person, and of a service.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The permission in the account.
    pub permission: Permission,
    /// The scope.
    pub scope: Scope,
    /// Whether a personal token will do: it opens nothing of `Operations`.
    pub by_api_token: bool,
}

impl Needs {
    /// To read an account, its members and invitations.
    pub const READ: Self = Self { permission: Permission::View, scope: Scope::UsersRead, by_api_token: true };
    /// To change them.
    pub const MANAGE: Self = Self { permission: Permission::ManageUsers, scope: Scope::UsersWrite, by_api_token: true };
    /// To read an account's events.
    pub const AUDIT: Self = Self { permission: Permission::ManageUsers, scope: Scope::OperationsRead, by_api_token: false };
}

/// What of an account's invitations isn't shown to everybody who may see them.
#[derive(Clone, Copy, Debug)]
pub struct Sees {
    /// What the relay replied, and what is wrong with an address: for who may manage the account's users.
    pub manager: bool,
    /// Which other domains there are in the account: not for services that write and may not read.
    pub domains: bool,
    /// When a mail goes that nobody tried to send yet: it tells whether others caused mail to the address, and is for those who see the outbox.
    pub outbox: bool,
}

/// The account that a request names, looked up by somebody who may know whether it is there.
#[derive(Clone, Debug)]
enum Named {
    Found(AccountId),
    Unknown(String),
    Malformed(String),
}

/// A caller with the right that an operation on an account takes.
#[derive(Clone, Debug)]
pub struct Admitted {
    caller: Caller,
    needs: Needs,
    edition: Edition,
    account: Named,
}

impl Admitted {
    /// The account; `NOT_FOUND` for those who may know.
    pub fn account(&self) -> Result<AccountId, Error> {
        match &self.account {
            Named::Found(account) => Ok(*account),
            Named::Unknown(name) => Err(Error::AccountNotFound(name.clone())),
            Named::Malformed(why) => Err(Error::field("account", why)),
        }
    }

    /// What is wrong with the account's name, to be listed with the other fields.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        match &self.account {
            Named::Malformed(why) => Some(Violation { field: "account".to_owned(), description: why.clone() }),
            Named::Found(_) | Named::Unknown(_) => None,
        }
    }

    /// What events say of the caller.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.caller.origin().clone()
    }

    /// Who is calling.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Who stands behind what the caller grants.
    #[must_use]
    pub const fn grantor(&self) -> Grantor {
        self.caller.grantor()
    }

    /// Whether the target is the person who calls, or for whom a service does.
    #[must_use]
    pub fn is_oneself(&self, user: UserId) -> bool {
        self.caller.person() == Some(user)
    }

    /// What the caller may see of the account's invitations.
    #[must_use]
    pub fn sees(&self, app: &App) -> Sees {
        let manager = self.manages(app);
        let reads = match self.caller.who() {
            Who::Service(calling) => calling.scopes.contains(Scope::UsersRead),
            Who::Nobody | Who::Operator(_) | Who::Person(_) | Who::ApiToken(_) => true,
        };
        Sees { manager, domains: manager && reads, outbox: app.operations_reader(&self.caller).is_ok() }
    }

    fn manages(&self, app: &App) -> bool {
        let Named::Found(account) = &self.account else { return false };
        let manages = || self.caller.has(&app.directory.view(), *account, Permission::ManageUsers);
        match self.caller.who() {
            Who::Nobody => false,
            Who::Operator(_) => true,
            Who::Person(person) => person.operator || manages(),
            Who::ApiToken(_) => manages(),
            Who::Service(calling) => calling.scopes.contains(Scope::UsersWrite) && (calling.acting_for.is_none() || manages()),
        }
    }

    /// Judges again, inside the transaction of a write.
    pub async fn confirm(&self, tx: &mut Tx) -> Result<(), Error> {
        let account = self.account()?;
        match self.caller.who() {
            Who::Operator(_) => Ok(()),
            Who::Nobody => Err(Error::CredentialsMissing),
            Who::Person(person) => {
                confirm_session(tx, person).await?;
                self.confirm_person(tx, account, person.user, person.operator).await
            }
            Who::ApiToken(holding) => {
                // account and cap stay what they were at the door
                confirm_api_token(tx, holding).await?;
                self.confirm_person(tx, account, holding.user, false).await
            }
            Who::Service(calling) => {
                let entitled = services::by_id(tx.sql(), calling.service).await?.is_some_and(|service| service.counts(tx.now()));
                if !entitled {
                    return Err(Error::CredentialsInvalid);
                }
                match calling.acting_for {
                    Some(user) => self.confirm_person(tx, account, user, false).await,
                    None => Ok(()),
                }
            }
        }
    }

    async fn confirm_person(&self, tx: &mut Tx, account: AccountId, user: UserId, operator: bool) -> Result<(), Error> {
        let authority = members::authority(tx.sql(), account, user).await?;
        let by_mark = operator && authority.is_some_and(|authority| authority.active && authority.super_admin);
        if by_mark || authority.is_some_and(|authority| allows(self.edition, authority, self.needs.permission)) {
            Ok(())
        } else {
            Err(Error::AccessDenied(Takes::Permission(self.needs.permission)))
        }
    }
}

/// A session that was ended while its request waited opens nothing.
async fn confirm_session(tx: &mut Tx, person: SignedIn) -> Result<(), Error> {
    if sessions::is_live(tx, person.session).await? { Ok(()) } else { Err(Error::CredentialsInvalid) }
}

/// A personal token that was ended while its request waited opens nothing.
async fn confirm_api_token(tx: &mut Tx, holding: Holding) -> Result<(), Error> {
    if api_tokens::is_live(tx, holding.token).await? { Ok(()) } else { Err(Error::CredentialsInvalid) }
}

/// Whether what was read of a user and an account gives a permission.
pub(super) fn allows(edition: Edition, authority: members::Authority, permission: Permission) -> bool {
    let (person, place) = as_policy_sees(authority);
    policy::decide(edition, person, place, permission).is_ok()
}

/// What was read of a user and an account, in the policy's words.
pub(super) const fn as_policy_sees(authority: members::Authority) -> (Person, Place) {
    let person = Person::User { active: authority.active, super_admin: authority.super_admin, member: authority.standing };
    (person, if authority.closed { Place::Closed } else { Place::Open })
}

/// Whether the caller is an operator: on the operators' socket, or as a super-admin with a freshly typed password.
pub(super) const fn is_operator(caller: &Caller) -> bool {
    matches!(caller.who(), Who::Operator(_) | Who::Person(SignedIn { operator: true, .. }))
}

/// An operator.
#[derive(Clone, Debug)]
pub struct Operator {
    caller: Caller,
}

impl Operator {
    /// What events say of the operator.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.caller.origin().clone()
    }

    /// Who is calling.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Judges again, inside the transaction of a write: a super-admin's mark may have gone.
    pub async fn confirm(&self, tx: &mut Tx) -> Result<(), Error> {
        match self.caller.who() {
            Who::Operator(_) | Who::ApiToken(_) | Who::Service(_) | Who::Nobody => Ok(()),
            Who::Person(person) => {
                confirm_session(tx, person).await?;
                let user = crate::store::users::by_id(tx.sql(), person.user).await?;
                if user.is_some_and(|user| user.active && user.super_admin) { Ok(()) } else { Err(Error::OperatorRequired) }
            }
        }
    }
}

/// A caller who may read what operators read.
#[derive(Clone, Debug)]
pub struct Reader {
    _made_here: (),
}

/// A person in their own session.
#[derive(Clone, Debug)]
pub struct InPerson {
    /// Who, by which session.
    pub signed_in: SignedIn,
    origin: Origin,
}

impl InPerson {
    /// Judges again, inside the transaction of a write: the session may have ended.
    pub async fn confirm(&self, tx: &mut Tx) -> Result<(), Error> {
        confirm_session(tx, self.signed_in).await
    }

    /// What events say of the person.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin.clone()
    }
}

/// A person in their own session, or who calls for one.
#[derive(Clone, Copy, Debug)]
pub struct Oneself {
    /// Who.
    pub user: UserId,
    /// The only account that may be told of.
    pub within: Option<AccountId>,
}

impl App {
    /// Admits a caller to an account.
    pub fn admit(&self, caller: &Caller, account: &str, needs: Needs) -> Result<Admitted, Error> {
        let view = self.directory.view();
        let name = Slug::parse(account);
        let found = name.as_ref().ok().and_then(|name| view.account_named(name.as_str()));
        let denied = Error::AccessDenied(Takes::Permission(needs.permission));
        let permitted = || found.is_some_and(|account| caller.has(&view, account, needs.permission));
        match caller.who() {
            Who::Nobody => return Err(Error::CredentialsMissing),
            Who::Operator(_) | Who::Person(SignedIn { operator: true, .. }) => {}
            Who::ApiToken(_) if !needs.by_api_token => return Err(Error::SessionRequired),
            Who::Person(_) | Who::ApiToken(_) if permitted() => {}
            Who::Person(_) | Who::ApiToken(_) => return Err(denied),
            Who::Service(calling) => {
                admit_service(calling, needs.scope, found)?;
                if calling.acting_for.is_some() && !permitted() {
                    return Err(denied);
                }
            }
        }
        let account = match (found, name) {
            (Some(found), _) => Named::Found(found),
            (None, Ok(name)) => Named::Unknown(name.to_string()),
            (None, Err(malformed)) => Named::Malformed(malformed.to_string()),
        };
        Ok(Admitted { caller: caller.clone(), needs, edition: self.edition, account })
    }

    /// Admits operators.
    pub fn operator(&self, caller: &Caller) -> Result<Operator, Error> {
        match caller.who() {
            Who::Nobody => Err(Error::CredentialsMissing),
            _ if is_operator(caller) => Ok(Operator { caller: caller.clone() }),
            _ => Err(Error::OperatorRequired),
        }
    }

    /// Admits operators on the operators' socket alone.
    pub fn operator_by_socket(&self, caller: &Caller) -> Result<Operator, Error> {
        match caller.who() {
            Who::Operator(_) => Ok(Operator { caller: caller.clone() }),
            Who::Nobody => Err(Error::CredentialsMissing),
            Who::Person(_) | Who::ApiToken(_) | Who::Service(_) => Err(Error::OperatorRequired),
        }
    }

    /// Admits operators and services that may read operations everywhere.
    pub fn operations_reader(&self, caller: &Caller) -> Result<Reader, Error> {
        match caller.who() {
            Who::Nobody => Err(Error::CredentialsMissing),
            Who::Service(calling) => {
                admit_service(calling, Scope::OperationsRead, None)?;
                // a person it acts for would have to be an operator, which nobody is by x-act-as
                if calling.acting_for.is_some() { Err(Error::OperatorRequired) } else { Ok(Reader { _made_here: () }) }
            }
            _ if is_operator(caller) => Ok(Reader { _made_here: () }),
            _ => Err(Error::OperatorRequired),
        }
    }

    /// Admits anyone who is known.
    pub fn signed_in(&self, caller: &Caller) -> Result<(), Error> {
        if caller.who() == Who::Nobody { Err(Error::CredentialsMissing) } else { Ok(()) }
    }

    /// Admits anyone who is known, but by no personal token: it opens nothing of `Operations`.
    pub fn signed_in_to_operations(&self, caller: &Caller) -> Result<(), Error> {
        self.signed_in(caller)?;
        if matches!(caller.who(), Who::ApiToken(_)) { Err(Error::SessionRequired) } else { Ok(()) }
    }

    /// Admits anyone, but no service that acts for a person and no personal token: in `Identity` those open two calls and one.
    pub fn anyone(&self, caller: &Caller) -> Result<(), Error> {
        match caller.who() {
            Who::Service(Calling { acting_for: Some(_), .. }) | Who::ApiToken(_) => Err(Error::SessionRequired),
            _ => Ok(()),
        }
    }

    /// Admits a person in their own session.
    pub fn in_person(&self, caller: &Caller) -> Result<InPerson, Error> {
        match caller.who() {
            Who::Nobody => Err(Error::CredentialsMissing),
            Who::Person(signed_in) => Ok(InPerson { signed_in, origin: caller.origin().clone() }),
            Who::Operator(_) | Who::ApiToken(_) | Who::Service(_) => Err(Error::SessionRequired),
        }
    }

    /// Admits whoever is a person or calls for one, by a personal token too: to be told who that is.
    pub fn somebody(&self, caller: &Caller) -> Result<Oneself, Error> {
        match caller.who() {
            Who::ApiToken(holding) => Ok(Oneself { user: holding.user, within: Some(holding.account) }),
            _ => self.oneself(caller),
        }
    }

    /// Admits a person in their own session, or a service acting for one.
    pub fn oneself(&self, caller: &Caller) -> Result<Oneself, Error> {
        match caller.who() {
            Who::Nobody => Err(Error::CredentialsMissing),
            Who::Person(person) => Ok(Oneself { user: person.user, within: None }),
            Who::Service(Calling { acting_for: Some(user), bound, .. }) => Ok(Oneself { user, within: bound }),
            Who::Operator(_) | Who::ApiToken(_) | Who::Service(_) => Err(Error::SessionRequired),
        }
    }
}

fn admit_service(calling: Calling, scope: Scope, account: Option<AccountId>) -> Result<(), Error> {
    if !calling.scopes.contains(scope) {
        return Err(Error::ScopeMissing(scope));
    }
    if calling.bound.is_some() && calling.bound != account {
        return Err(Error::AccessDenied(Takes::Scope(scope)));
    }
    Ok(())
}
