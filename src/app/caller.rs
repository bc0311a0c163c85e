//! Who is calling: the one place where a [`Caller`] is made, from credentials that `api` only extracted.
//!
//! In this order, and never falling back from one to the next: a bearer token; else a client certificate whose name is registered to a
//! service (of two services it is neither's, and refused); else, on the operators' socket alone, the peer's uid; else nobody.

use secrecy::{ExposeSecret as _, SecretString};

use super::App;
use crate::directory::{ApiToken, Service, View};
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::error::{Error, Takes};
use crate::domain::event::{Actor, Door, Grantor, Origin};
use crate::domain::id::{AccountId, ApiTokenId, ServiceId, SessionId, TraceId, UserId};
use crate::domain::peer::Peer;
use crate::domain::permission::Permission;
use crate::domain::policy::{self, Standing};
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::token::{Bearer, TokenDigest};

/// The uid that the kernel shows for users of another namespace: it is nobody's.
const OVERFLOW_UID: u32 = 65534;

/// How long after typing the password a super-admin's session is an operator's.
const FRESH: std::time::Duration = std::time::Duration::from_mins(15);

/// What came with a request, judged by nobody yet.
pub struct Credentials {
    /// Every `authorization` header; one that isn't text is empty.
    pub authorization: Vec<SecretString>,
    /// SAN URIs and DNS names of a verified client certificate.
    pub certificate_names: Vec<String>,
    /// The peer's uid, on the operators' socket alone.
    pub operators_socket_uid: Option<u32>,
    /// A header says that a proxy forwarded the request.
    pub forwarded: bool,
    /// Every `x-act-as` header; one that isn't text is empty.
    pub act_as: Vec<String>,
    /// The client's network address, if it has one.
    pub client: Option<String>,
    /// Whom limits take it for.
    pub peer: Peer,
    /// The door that the request came through.
    pub door: Door,
    /// The request.
    pub trace: TraceId,
}

/// A signed-in person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub user: UserId,
    /// By which session.
    pub session: SessionId,
    /// What the session's token is known by.
    pub token: TokenDigest,
    /// A super-admin whose password was typed within the last 15 minutes.
    pub operator: bool,
}

/// Whoever holds a personal token: less than its owner, in one account, and never an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Which token.
    pub token: ApiTokenId,
    /// Whose it is.
    pub user: UserId,
    /// The one account that it opens.
    pub account: AccountId,
    /// The standing whose permissions it has at most; none for all that its owner has.
    pub cap: Option<Standing>,
}

impl Holding {
    pub(super) const fn of(token: &ApiToken) -> Self {
        Self { token: token.id, user: token.user, account: token.account, cap: token.cap }
    }
}

/// A service, as it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calling {
    /// Which.
    pub service: ServiceId,
    /// What it may call.
    pub scopes: ScopeSet,
    /// The account that it is bound to.
    pub bound: Option<AccountId>,
    /// The person it acts for.
    pub acting_for: Option<UserId>,
}

/// Who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The operator of the host, by uid.
    Operator(u32),
    /// A person.
    Person(SignedIn),
    /// A person's program, by a personal token.
    ApiToken(Holding),
    /// A service.
    Service(Calling),
    /// Nobody who is known.
    Nobody,
}

/// Who is calling, with what history needs to know. Only this file makes one.
#[derive(Clone, Debug)]
pub struct Caller {
    who: Who,
    origin: Origin,
    peer: Peer,
}

impl Caller {
    /// Who it is.
    #[must_use]
    pub const fn who(&self) -> Who {
        self.who
    }

    /// Whom limits take it for, if it isn't known otherwise.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// Whether it is the operator of the host, whom nothing limits.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        matches!(self.who, Who::Operator(_))
    }

    /// What events say of it.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What an event says that concerns somebody who isn't signed in, whoever carried the request.
    #[must_use]
    pub fn anonymous_origin(&self) -> Origin {
        Origin { actor: Actor::Anonymous, on_behalf_of: None, ..self.origin.clone() }
    }

    /// What keeps this caller's request ids apart from everybody else's.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        let (kind, parts): (u8, Vec<&[u8]>) = match &self.who {
            Who::Operator(_) => (b'o', Vec::new()),
            Who::Person(person) => (b'u', vec![person.user.as_bytes()]),
            Who::ApiToken(holding) => (b't', vec![holding.token.as_bytes()]),
            Who::Service(calling) => {
                let service: &[u8] = calling.service.as_bytes();
                (b's', std::iter::once(service).chain(calling.acting_for.iter().map(|user| &user.as_bytes()[..])).collect())
            }
            Who::Nobody => (b'n', Vec::new()),
        };
        let mut key = vec![kind];
        if let Who::Operator(uid) = self.who {
            key.extend_from_slice(&uid.to_be_bytes());
        }
        key.extend(parts.concat());
        key
    }

    /// Who stands behind what this caller grants.
    #[must_use]
    pub const fn grantor(&self) -> Grantor {
        match self.who {
            Who::Operator(_) | Who::Nobody => Grantor { user: None, service: None },
            Who::Person(SignedIn { user, .. }) | Who::ApiToken(Holding { user, .. }) => {
                Grantor { user: Some(user), service: None }
            }
            Who::Service(calling) => Grantor { user: calling.acting_for, service: Some(calling.service) },
        }
    }

    /// The person whom the caller is or acts for.
    #[must_use]
    pub const fn person(&self) -> Option<UserId> {
        match self.who {
            Who::Person(SignedIn { user, .. }) | Who::ApiToken(Holding { user, .. }) => Some(user),
            Who::Service(calling) => calling.acting_for,
            Who::Operator(_) | Who::Nobody => None,
        }
    }

    /// Whether the person whom the caller is or acts for has a permission in an account; by a personal token, whether that leaves it to its
    /// holder.
    #[must_use]
    pub(super) fn has(&self, view: &View, account: AccountId, permission: Permission) -> bool {
        match self.who {
            Who::ApiToken(Holding { user, account: only, cap, .. }) => {
                let (person, place) = (view.person(Some(account), Some(user)), view.place(Some(account)));
                account == only && policy::decide_within(view.edition(), cap, person, place, permission).is_ok()
            }
            _ => self.person().is_some_and(|user| view.allows(account, user, permission)),
        }
    }
}

impl App {
    /// Judges credentials.
    pub fn caller(&self, credentials: &Credentials) -> Result<Caller, Error> {
        let view = self.directory.view();
        let now = self.now();
        let who = match &credentials.authorization[..] {
            [] => self.without_bearer(&view, credentials, now)?,
            [header] => self.bearer(&view, header.expose_secret(), now)?,
            _ => return Err(Error::CredentialsInvalid),
        };
        let who = act_as(&view, who, &credentials.act_as)?;
        let (actor, on_behalf_of) = match who {
            Who::Operator(uid) => (Actor::Operator(uid), None),
            Who::Person(SignedIn { user, session, operator, .. }) => {
                (Actor::User { user, session: Some(session), as_operator: operator }, None)
            }
            Who::ApiToken(Holding { user, token, .. }) => (Actor::ApiToken { user, token }, None),
            Who::Service(calling) => (Actor::Service(calling.service), calling.acting_for),
            Who::Nobody => (Actor::Anonymous, None),
        };
        let origin =
            Origin { actor, on_behalf_of, client: credentials.client.clone(), door: credentials.door, trace: credentials.trace };
        Ok(Caller { who, origin, peer: credentials.peer })
    }

    fn bearer(&self, view: &View, header: &str, now: Timestamp) -> Result<Who, Error> {
        let (scheme, token) = header.split_once(' ').ok_or(Error::CredentialsInvalid)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Error::CredentialsInvalid);
        }
        let token = token.trim();
        let digest = TokenDigest::of(token);
        match Bearer::of(token).ok_or(Error::CredentialsInvalid)? {
            Bearer::Session => {
                let session = view.session(&digest).ok_or(Error::CredentialsInvalid)?;
                let user = view.user(session.user).filter(|user| user.active).ok_or(Error::CredentialsInvalid)?;
                // history never goes back, so by its time a clock that was ahead would make a session last until it has caught up
                let now = self.clock.now();
                if !session.counts(now, self.session.idle) {
                    return Err(Error::CredentialsInvalid);
                }
                session.touch(now);
                let operator = user.super_admin && now < session.authenticated.plus(FRESH);
                Ok(Who::Person(SignedIn { user: session.user, session: session.id, token: digest, operator }))
            }
            Bearer::Personal => {
                let token = view.api_token(&digest, now).ok_or(Error::CredentialsInvalid)?;
                // a login that was deactivated took its tokens with it; whoever has none is no caller though
                view.user(token.user).filter(|user| user.active).ok_or(Error::CredentialsInvalid)?;
                token.touch(now);
                Ok(Who::ApiToken(Holding::of(token)))
            }
            Bearer::Service => {
                let service = view.service_of_token(&digest).filter(|service| service.counts(now));
                service.map(calling).ok_or(Error::CredentialsInvalid)
            }
        }
    }

    fn without_bearer(&self, view: &View, credentials: &Credentials, now: Timestamp) -> Result<Who, Error> {
        let names = credentials.certificate_names.iter();
        let mut services =
            names.filter_map(|name| view.service_of_certificate(name).filter(|service| service.counts(now))).map(calling);
        if let Some(who) = services.next() {
            // which of two it is must not hang on the order in a certificate
            return if services.all(|other| other == who) { Ok(who) } else { Err(Error::CredentialsInvalid) };
        }
        Ok(match credentials.operators_socket_uid {
            Some(uid) if !credentials.forwarded && uid != OVERFLOW_UID && self.operator_uids.contains(&uid) => Who::Operator(uid),
            _ => Who::Nobody,
        })
    }
}

const fn calling(service: &Service) -> Who {
    Who::Service(Calling { service: service.id, scopes: service.scopes, bound: service.account, acting_for: None })
}

/// `x-act-as` counts from a service with `users.act_as` alone; from anyone else it is a mistake that must not pass unseen.
fn act_as(view: &View, who: Who, headers: &[String]) -> Result<Who, Error> {
    let header = match headers {
        [] => return Ok(who),
        [header] => header,
        _ => return Err(Error::ActAsInvalid("it was sent twice")),
    };
    let calling = match who {
        Who::Service(calling) if calling.scopes.contains(Scope::UsersActAs) => calling,
        _ => return Err(Error::ActAsInvalid("only a service with scope users.act_as may send it")),
    };
    let user = if header.starts_with(UserId::PREFIX) && !header.contains('@') {
        let id: UserId = header.parse().map_err(|_| Error::ActAsInvalid("it is neither a user's id nor an address"))?;
        Some(id).filter(|id| view.user(*id).is_some())
    } else {
        let email = Email::parse(header).map_err(|_| Error::ActAsInvalid("it is neither a user's id nor an address"))?;
        view.holder(&email)
    };
    // unknown, deactivated and a stranger to the bound account look alike
    let user = user
        .filter(|user| view.user(*user).is_some_and(|user| user.active))
        .filter(|user| calling.bound.is_none_or(|account| view.standing(account, *user).is_some()))
        .ok_or(Error::AccessDenied(Takes::Scope(Scope::UsersActAs)))?;
    Ok(Who::Service(Calling { acting_for: Some(user), ..calling }))
}
