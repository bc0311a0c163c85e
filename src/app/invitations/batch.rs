//! Many addresses invited at once, in as many statements as one takes; each has its own result.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Invited, draft, open_account, owed};
use crate::app::App;
use crate::app::admission::Admitted;
use crate::app::limits::spend_all;
use crate::app::returned::HandOver;
use crate::domain::edition::Edition;
use crate::domain::email::Email;
use crate::domain::error::Error;
use crate::domain::event::Change;
use crate::domain::id::{AccountId, InvitationId, UserId};
use crate::domain::invitation::State;
use crate::domain::permission::PermissionSet;
use crate::domain::policy::Standing;
use crate::domain::role::RoleSet;
use crate::store::invitations::{self, Invitation};
use crate::store::mails::{self, Pace};
use crate::store::requests::{Terms, once};
use crate::store::{Tx, addresses, members};

/// Whom to invite, to what.
pub struct Invitee {
    /// The address.
    pub email: Email,
    /// Where they will stand.
    pub grant: Standing,
}

/// Why one entry was refused, as it is kept for a retry: ids and enums.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
enum Refusal {
    /// The address belongs to a member.
    Member(UserId),
    /// The address has a pending invitation, perhaps by an entry before.
    Pending(InvitationId),
    /// The address is the manager's own.
    Oneself(PermissionSet),
    /// The edition doesn't have the roles.
    RolesOff(RoleSet),
}

impl Refusal {
    fn error(self, edition: Edition) -> Error {
        match self {
            Self::Member(user) => Error::MemberExists(user),
            Self::Pending(invitation) => Error::InvitationExists(invitation),
            Self::Oneself(gained) => Error::SelfGrant(gained),
            Self::RolesOff(roles) => Error::RoleOffInEdition { roles, edition },
        }
    }
}

/// What is to be written for one entry.
struct Granted {
    invitation: Invitation,
    fresh: bool,
}

impl App {
    /// Invites each address as `invite` would; what can't be done for one doesn't hinder the others.
    pub async fn invite_all(
        self: &Arc<Self>,
        manager: Admitted,
        invitees: Vec<Invitee>,
        hand_over: HandOver,
        terms: Terms,
    ) -> Result<(Vec<Result<Invited, Error>>, bool), Error> {
        let account = manager.account()?;
        let answers = hand_over.answers(&terms);
        let app = Arc::clone(self);
        let (outcomes, found, replayed) = self
            .store
            .write(manager.origin(), async move |tx| {
                manager.confirm(tx).await?;
                let work = async |tx: &mut Tx| app.invite_all_in(tx, &manager, account, &invitees, hand_over).await;
                let done = once(tx, &terms, work).await?;
                let ids: Vec<InvitationId> = done.outcome.iter().filter_map(|outcome| outcome.as_ref().ok()).copied().collect();
                let found = invitations::by_ids(tx.sql(), &ids).await?;
                Ok((done.outcome, found, done.replayed))
            })
            .await?;
        let mut found: BTreeMap<InvitationId, Invitation> = found.into_iter().map(|each| (each.id, each)).collect();
        let result = |outcome: Result<InvitationId, Refusal>| {
            let id = outcome.map_err(|refusal| refusal.error(self.edition))?;
            let invitation = found.remove(&id).ok_or_else(|| Error::internal("an invitation of the batch isn't in the store"))?;
            Ok(self.invited(invitation, answers, replayed))
        };
        Ok((outcomes.into_iter().map(result).collect(), replayed))
    }

    async fn invite_all_in(
        &self,
        tx: &mut Tx,
        manager: &Admitted,
        account: AccountId,
        invitees: &[Invitee],
        hand_over: HandOver,
    ) -> Result<Vec<Result<InvitationId, Refusal>>, Error> {
        let account = open_account(tx, account).await?;
        let emails: BTreeMap<&str, &Email> = invitees.iter().map(|invitee| (invitee.email.folded(), &invitee.email)).collect();
        let addresses = addresses::mention_all(tx, &emails.into_values().collect::<Vec<_>>()).await?;
        let ids: Vec<_> = addresses.values().copied().collect();
        let holders = members::holders(tx.sql(), account.id, &ids).await?;
        let unanswered = invitations::unanswered_of(tx.sql(), account.id, &ids).await?;
        let mut unanswered: BTreeMap<_, _> = unanswered.into_iter().map(|each| (each.address, each)).collect();
        let mut taken = BTreeMap::new();
        let (mut outcomes, mut granted) = (Vec::with_capacity(invitees.len()), Vec::<Granted>::new());
        for Invitee { email, grant } in invitees {
            let address = addresses.get(email.folded()).copied().ok_or_else(|| Error::internal("an address has no id"))?;
            let off = grant.roles.minus(self.edition.roles());
            let holder = holders.get(&address).copied();
            let pending = unanswered.get(&address).filter(|each| each.state_at(tx.now()) == State::Pending).map(|each| each.id);
            let refusal = if !off.is_empty() {
                Some(Refusal::RolesOff(off))
            } else if let Some(holder) = holder.filter(|holder| holder.is_member) {
                Some(Refusal::Member(holder.user))
            } else if holder.is_some_and(|holder| manager.is_oneself(holder.user)) {
                Some(Refusal::Oneself(grant.permissions(self.edition)))
            } else {
                taken.get(&address).copied().or(pending).map(Refusal::Pending)
            };
            if let Some(refusal) = refusal {
                outcomes.push(Err(refusal));
                continue;
            }
            let expired = unanswered.remove(&address);
            let fresh = expired.is_none();
            let mut invitation = match expired {
                Some(expired) => expired,
                None => draft(tx, &account, address)?,
            };
            email.as_typed().clone_into(&mut invitation.email);
            (invitation.privilege, invitation.roles) = (grant.privilege, grant.roles);
            let version = tx.next_version() + i64::try_from(granted.len()).map_err(Error::internal)?;
            self.grant_anew(tx, &mut invitation, manager, hand_over, version)?;
            taken.insert(address, invitation.id);
            outcomes.push(Ok(invitation.id));
            granted.push(Granted { invitation, fresh });
        }
        // nothing of a batch that is too much was written yet
        let wanted = granted.len().try_into().map_err(Error::internal)?;
        spend_all(tx, &self.invitations_of(manager.caller(), &account), wanted).await?;
        write(tx, &granted, self.pace_of(manager.caller())).await?;
        Ok(outcomes)
    }
}

/// Writes down what was granted, owes the mails, and records all of it in the order of the entries.
async fn write(tx: &mut Tx, granted: &[Granted], pace: Option<Pace>) -> Result<(), Error> {
    let of = |fresh: bool| granted.iter().filter(|each| each.fresh == fresh).map(|each| &each.invitation).collect::<Vec<_>>();
    invitations::insert_all(tx, &of(true)).await?;
    invitations::renew_all(tx, &of(false)).await?;
    let mails: Vec<_> = granted.iter().filter_map(|each| Some((each.invitation.mail?, owed(&each.invitation)))).collect();
    mails::owe_all(tx, &mails, pace).await?;
    let (mut changes, mut returned) = (Vec::with_capacity(granted.len()), Vec::new());
    for Granted { invitation, fresh } in granted {
        let state = invitation.event_state(tx)?;
        if invitation.mail.is_none() {
            returned.push(Change::InvitationLinkReturned(state.clone()));
        }
        changes.push(if *fresh { Change::InvitationCreated(state) } else { Change::InvitationRenewed(state) });
    }
    changes.extend(returned);
    tx.record_all(changes).await
}
