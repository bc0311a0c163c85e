//! What has to be there: a model of one writer's accounts and people that knows every answer given.
//!
//! It is written from the rules alone and shares no code with the service. One writer changes each region, one request after another, so that
//! what comes next is known exactly, whatever else goes on.

use std::collections::{BTreeMap, BTreeSet};

use user_management::proto::{Permission, Privilege, Role};

use crate::history::History;
use crate::mails::Mails;

/// Where somebody stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) privilege: Privilege,
    pub(crate) roles: BTreeSet<Role>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Pending,
    Accepted,
    Ignored,
    Withdrawn,
}

/// An invitation.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) email: String,
    pub(crate) seat: Seat,
    pub(crate) stand: Stand,
    /// The person who stands behind it; none for the operator.
    pub(crate) grantor: Option<String>,
    /// Mails that were asked for.
    pub(crate) sends: i32,
    /// Whether the newest link was mailed.
    pub(crate) mailed: bool,
    /// The newest link, if it was answered.
    pub(crate) token: Option<String>,
    /// Who answered it.
    pub(crate) answered_by: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) title: String,
    pub(crate) closed: bool,
    pub(crate) members: BTreeMap<String, Seat>,
    pub(crate) offers: BTreeMap<String, Offer>,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) token: String,
    /// How wrong the clock was, in microseconds: by a clock that is behind that one it hasn't begun yet.
    pub(crate) clock: i64,
    pub(crate) live: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) email: String,
    /// The addresses before.
    pub(crate) former: Vec<String>,
    /// Addresses that they asked for.
    pub(crate) asked_for: Vec<String>,
    pub(crate) name: String,
    pub(crate) password: Option<String>,
    pub(crate) active: bool,
    pub(crate) super_admin: bool,
    pub(crate) sessions: Vec<Session>,
    /// Tokens of links that set a password and were answered, and whether each is good.
    pub(crate) links: Vec<(String, bool)>,
    /// Whether a link that sets a password may be on its way by mail, and is good.
    pub(crate) mailed: bool,
    /// The address that is to be theirs once it is confirmed.
    pub(crate) moving: Option<Moving>,
}

/// An address that a person wants to have, and the session that asked.
#[derive(Clone, Debug)]
pub(crate) struct Moving {
    pub(crate) email: String,
    pub(crate) session: String,
}

/// A sign-up that nobody has confirmed yet.
#[derive(Clone, Debug)]
pub(crate) struct SigningUp {
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) name: String,
}

/// Everything of one writer.
#[derive(Default)]
pub(crate) struct Region {
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) signing_up: Vec<SigningUp>,
    /// Tokens of services, and whether each still counts.
    pub(crate) services: BTreeMap<String, (String, bool)>,
    pub(crate) history: History,
    pub(crate) mails: Mails,
}

const WORK: [(Role, [Permission; 2]); 3] = [
    (Role::Alerts, [Permission::RespondToAlerts, Permission::ModifyAlertRules]),
    (Role::Data, [Permission::ModifyChecks, Permission::ModifyTemplates]),
    (Role::Trending, [Permission::ModifyGraphs, Permission::ModifyWorksheets]),
];

impl Seat {
    pub(crate) fn manages(&self) -> bool {
        self.privilege == Privilege::Admin || self.roles.contains(&Role::Admin)
    }

    /// What it opens on Inside to an active member of an open account.
    pub(crate) fn opens(&self) -> BTreeSet<Permission> {
        let by_column = self.roles.is_empty() && self.privilege != Privilege::ReadOnly;
        let work = WORK.iter().filter(|(role, _)| by_column || self.roles.contains(role)).flat_map(|(_, opened)| *opened);
        let manage = self.manages().then_some(Permission::ManageUsers);
        work.chain(manage).chain([Permission::View]).collect()
    }

    /// What other roles would add that none of them opens.
    pub(crate) fn widened_by(&self, roles: &BTreeSet<Role>) -> bool {
        let after = Self { privilege: self.privilege, roles: roles.clone() };
        let theirs = Self { privilege: Privilege::ReadOnly, roles: roles.clone() };
        after.opens().iter().any(|permission| !self.opens().contains(permission) && !theirs.opens().contains(permission))
    }
}

impl Person {
    pub(crate) fn new(email: &str, name: &str, password: Option<&str>) -> Self {
        Self {
            email: email.to_owned(),
            former: Vec::new(),
            asked_for: Vec::new(),
            name: name.to_owned(),
            password: password.map(str::to_owned),
            active: true,
            super_admin: false,
            sessions: Vec::new(),
            links: Vec::new(),
            mailed: false,
            moving: None,
        }
    }

    pub(crate) fn end_sessions(&mut self, but: Option<&str>) {
        for session in &mut self.sessions {
            if Some(session.token.as_str()) != but {
                session.live = false;
            }
        }
    }

    pub(crate) fn end_password_links(&mut self) {
        self.mailed = false;
        for link in &mut self.links {
            link.1 = false;
        }
    }

    pub(crate) fn end_everything(&mut self) {
        self.end_sessions(None);
        self.end_password_links();
        self.moving = None;
    }

    /// The sessions that can be used while the clock is so wrong.
    pub(crate) fn live_sessions(&self, clock: i64) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(move |session| session.live && session.clock <= clock)
    }
}

impl Region {
    /// The person who has an address now.
    pub(crate) fn holder(&self, email: &str) -> Option<&String> {
        self.people.iter().find(|(_, person)| person.email == email).map(|(id, _)| id)
    }

    /// The active members of an account who may manage its users, as if it were open.
    pub(crate) fn managers(&self, account: &Account) -> BTreeSet<String> {
        let active = |user: &str| self.people.get(user).is_some_and(|person| person.active);
        account.members.iter().filter(|(user, seat)| seat.manages() && active(user)).map(|(user, _)| user.clone()).collect()
    }

    /// Whether the last manager of an account would be gone if it were like this.
    pub(crate) fn loses_last_manager(&self, account: &str, after: &Account) -> bool {
        self.accounts.get(account).is_some_and(|before| !self.managers(before).is_empty()) && self.managers(after).is_empty()
    }

    /// The accounts that would lose their last manager with a person.
    pub(crate) fn orphaned_by(&self, user: &str) -> Vec<String> {
        let only = |account: &Account| self.managers(account).iter().eq([user]);
        self.accounts.iter().filter(|(_, account)| only(account)).map(|(name, _)| name.clone()).collect()
    }

    /// What a person may do in an account.
    pub(crate) fn permissions(&self, account: &Account, user: &str) -> BTreeSet<Permission> {
        let Some(person) = self.people.get(user).filter(|person| person.active && !account.closed) else {
            return BTreeSet::new();
        };
        let by_mark = person.super_admin.then(|| Seat { privilege: Privilege::Admin, roles: BTreeSet::new() });
        by_mark.iter().chain(account.members.get(user)).flat_map(Seat::opens).collect()
    }

    /// Whether whoever stands behind an offer could make it now.
    pub(crate) fn held(&self, account: &Account, offer: &Offer) -> bool {
        let entitled = |user: &String| self.permissions(account, user).contains(&Permission::ManageUsers);
        account.closed || offer.grantor.as_ref().is_some_and(|user| !entitled(user))
    }

    /// The pending offer to an address.
    pub(crate) fn pending<'a>(account: &'a Account, email: &str) -> Option<&'a String> {
        let fits = |offer: &Offer| offer.stand == Stand::Pending && offer.email == email;
        account.offers.iter().find(|(_, offer)| fits(offer)).map(|(id, _)| id)
    }
}
