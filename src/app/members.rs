//! Members: moving, roles, removing, listing.

mod batch;

use std::sync::Arc;

use super::admission::{Admitted, as_policy_sees};
use super::api_tokens::record_ended;
use super::page::{Page, PageRequest, Query};
use super::{App, UserRef};
use crate::domain::clock::Timestamp;
use crate::domain::email::EmailPrefix;
use crate::domain::error::Error;
use crate::domain::event::{Change, MemberState};
use crate::domain::id::{AccountId, AddressId, UserId};
use crate::domain::permission::PermissionSet;
use crate::domain::policy::{self, Effect, Standing};
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;
use crate::store::members::{self, Member, Membership, Which};
use crate::store::requests::{Terms, once};
use crate::store::{Tx, addresses, api_tokens, users};

/// A member after a change, with what it did.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The member; as they last were if they are none any more.
    pub member: Member,
    /// What the person gained and lost.
    pub effect: Effect,
}

/// What is kept of a change for its retry.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(super) struct Outcome {
    pub(super) membership: Membership,
    pub(super) effect: Effect,
}

/// What is to become of a member.
pub struct Update {
    /// Who.
    pub user: UserRef,
    /// The etag that was read, or empty.
    pub etag: String,
    /// What.
    pub what: What,
}

/// What can become of a member.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// They stand in a column, without roles unless they are kept.
    Move {
        /// Which.
        privilege: Privilege,
        /// Keep the roles.
        keep_roles: bool,
    },
    /// They have other roles: those that the edition has; dormant ones stay unless they are cleared.
    Assign {
        /// The whole set.
        roles: RoleSet,
        /// Allow what none of the roles opens.
        allow_widening: bool,
        /// Clear what is dormant too.
        clear_dormant: bool,
    },
    /// They are no member any more.
    Remove,
}

impl What {
    /// The event of the change.
    fn change(self, state: MemberState) -> Change {
        match self {
            Self::Move { .. } => Change::MemberPrivilegeChanged(state),
            Self::Assign { .. } => Change::MemberRolesAssigned(state),
            Self::Remove => Change::MemberRemoved(state),
        }
    }
}

impl App {
    /// Moves a member, gives them other roles, or removes them; removal leaves the user and their other accounts untouched.
    pub async fn update_member(self: &Arc<Self>, manager: Admitted, update: Update, terms: Terms) -> Result<Changed, Error> {
        let account = manager.account()?;
        let app = Arc::clone(self);
        self.store
            .write(manager.origin(), async move |tx| {
                manager.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| {
                    let mut target = find(tx, account, &update.user).await?;
                    app.check_etag(&update.etag, target.version)?;
                    let Some(standing) = app.standing_after(&manager, &target, update.what)? else {
                        return app.end_membership(tx, target, |state| update.what.change(state)).await;
                    };
                    let before = app.permissions_in(tx, &target).await?;
                    if target.standing() != standing {
                        (target.privilege, target.roles) = (standing.privilege, standing.roles);
                        target.version = tx.next_version();
                        members::update(tx, &target).await?;
                        tx.record(update.what.change(target.state())).await?;
                    }
                    let after = app.permissions_in(tx, &target).await?;
                    Ok(Outcome { membership: target, effect: Effect::between(before, after) })
                })
                .await?;
                changed(tx, done.outcome).await
            })
            .await
    }

    /// Where a member stands after an update, if they are one still, or why it can't be made.
    fn standing_after(&self, manager: &Admitted, target: &Membership, what: What) -> Result<Option<Standing>, Error> {
        let before = target.standing();
        let after = match what {
            What::Remove => return Ok(None),
            What::Move { privilege, keep_roles } => {
                Standing { privilege, roles: if keep_roles { before.roles } else { RoleSet::EMPTY } }
            }
            What::Assign { roles, allow_widening, clear_dormant } => {
                self.check_roles(roles)?;
                let dormant = if clear_dormant { RoleSet::EMPTY } else { before.roles.minus(self.edition.roles()) };
                let after = Standing { roles: roles.union(dormant), ..before };
                let gained = after.permissions(self.edition).minus(before.permissions(self.edition));
                let widened = gained.minus(roles.opens());
                if !widened.is_empty() && !allow_widening {
                    return Err(Error::RolesWiden(widened));
                }
                after
            }
        };
        if manager.is_oneself(target.user) && !before.only_lowered_by(after) {
            return Err(Error::SelfGrant(gained_in_any_edition(before, after)));
        }
        Ok(Some(after))
    }

    /// Deletes a membership and records why, and ends the person's tokens for the account; shared with leaving.
    async fn end_membership(
        &self,
        tx: &mut Tx,
        membership: Membership,
        kind: impl FnOnce(MemberState) -> Change,
    ) -> Result<Outcome, Error> {
        let before = self.permissions_in(tx, &membership).await?;
        members::delete(tx, &membership).await?;
        let after = self.permissions_in(tx, &membership).await?;
        tx.record(kind(membership.state())).await?;
        let ended = api_tokens::end_in(tx, membership.account, &[membership.user]).await?;
        record_ended(tx, &ended).await?;
        Ok(Outcome { membership, effect: Effect::between(before, after) })
    }

    /// Ends a person's own membership; none if they have none.
    pub(super) async fn leave(&self, tx: &mut Tx, account: AccountId, user: UserId) -> Result<Option<Outcome>, Error> {
        let Some(membership) = members::find(tx.sql(), account, user).await? else { return Ok(None) };
        self.end_membership(tx, membership, Change::MemberLeft).await.map(Some)
    }

    /// Makes a person a member and records it.
    pub(super) async fn join(&self, tx: &mut Tx, membership: Membership) -> Result<Outcome, Error> {
        let before = self.permissions_in(tx, &membership).await?;
        if !members::insert(tx, &membership).await? {
            return Err(Error::MemberExists(membership.user));
        }
        tx.record(Change::MemberJoined(membership.state())).await?;
        let after = self.permissions_in(tx, &membership).await?;
        Ok(Outcome { membership, effect: Effect::between(before, after) })
    }

    /// What a person may do in an account at this point of the write.
    async fn permissions_in(&self, tx: &mut Tx, membership: &Membership) -> Result<PermissionSet, Error> {
        let Some(authority) = members::authority(tx.sql(), membership.account, membership.user).await? else {
            return Ok(PermissionSet::EMPTY);
        };
        let (person, place) = as_policy_sees(authority);
        Ok(policy::all_permissions(self.edition, person, place).unwrap_or_default())
    }

    /// Answers one member.
    pub async fn member(&self, reader: &Admitted, user: &UserRef) -> Result<Member, Error> {
        let account = reader.account()?;
        let not_found = || Error::MemberNotFound(user.to_string());
        // nobody is looked for too, so that somebody who is a user elsewhere takes as long as who is none
        let id = self.resolve(user).unwrap_or(UserId::from_bytes([0; 16]));
        let mut connection = self.store.read().await?;
        let membership = members::find(&mut connection, account, id).await?.ok_or_else(not_found)?;
        members::with_person(&mut connection, membership).await?.ok_or_else(not_found)
    }

    /// Lists an account's members in the order in which they joined, or, where a prefix is given, in the order of their addresses.
    pub async fn members(
        &self,
        reader: &Admitted,
        which: Which,
        prefix: Option<EmailPrefix>,
        page: &PageRequest,
    ) -> Result<Page<Member>, Error> {
        let account = reader.account()?;
        let role = which.role.map_or(0, |role| role as u8);
        let query = Query::of("members").with(account.as_bytes()).with(&[which.privileges, role]).with_choice(which.active);
        if let Some(prefix) = prefix {
            let query = query.with_text(prefix.first());
            let range = (&*query.from_text(page, prefix.first())?, &*prefix.end());
            let mut connection = self.store.read().await?;
            let entries = members::page_by_address(&mut connection, account, which, range, Query::limit(page)).await?;
            return Ok(query.page(page, entries, |(folded, _)| folded.clone().into_bytes()).map(|(_, member)| member));
        }
        let after = match query.after::<24>(page)? {
            None => (Timestamp::from_micros(i64::MIN), UserId::from_bytes([0; 16])),
            Some(key) => {
                let (joined, user) = key.split_first_chunk::<8>().ok_or(Error::PageTokenInvalid)?;
                let user = user.try_into().map_err(|_| Error::PageTokenInvalid)?;
                (Timestamp::from_micros(i64::from_be_bytes(*joined)), UserId::from_bytes(user))
            }
        };
        let entries = members::page(&mut *self.store.read().await?, account, which, after, Query::limit(page)).await?;
        Ok(query.page(page, entries, |member| {
            let joined = member.membership.joined.as_micros().to_be_bytes();
            [&joined[..], &member.membership.user.as_bytes()[..]].concat()
        }))
    }

    /// The user who is meant, as the directory knows them.
    #[must_use]
    pub(super) fn resolve(&self, user: &UserRef) -> Option<UserId> {
        let view = self.directory.view();
        match user {
            UserRef::Id(id) => view.user(*id).map(|_| *id),
            UserRef::Email(email) => view.holder(email),
        }
    }
}

fn gained_in_any_edition(from: Standing, to: Standing) -> PermissionSet {
    let editions = crate::domain::edition::Edition::ALL.into_iter();
    editions
        .map(|edition| to.permissions(edition).minus(from.permissions(edition)))
        .fold(PermissionSet::EMPTY, PermissionSet::union)
}

/// The member who is meant, at this point of the write. Nobody is looked for too, so that an address with a login takes as long as one without.
async fn find(tx: &mut Tx, account: AccountId, user: &UserRef) -> Result<Membership, Error> {
    let id = match user {
        UserRef::Id(id) => *id,
        UserRef::Email(email) => {
            let address = addresses::find(tx.sql(), email).await?.unwrap_or(AddressId::from_bytes([0; 16]));
            users::by_address(tx.sql(), address).await?.map_or(UserId::from_bytes([0; 16]), |user| user.id)
        }
    };
    members::find(tx.sql(), account, id).await?.ok_or_else(|| Error::MemberNotFound(user.to_string()))
}

pub(super) async fn changed(tx: &mut Tx, outcome: Outcome) -> Result<Changed, Error> {
    let member = members::with_person(tx.sql(), outcome.membership).await?;
    let member = member.ok_or_else(|| Error::internal("a member's user isn't in the store"))?;
    Ok(Changed { member, effect: outcome.effect })
}
