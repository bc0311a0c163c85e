//! Many members at once: all or none, in as many statements as one takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Changed, Outcome, Update};
use crate::app::admission::Admitted;
use crate::app::api_tokens::record_ended;
use crate::app::{App, UserRef};
use crate::domain::error::Error;
use crate::domain::event::Change;
use crate::domain::id::{AccountId, UserId};
use crate::domain::policy::{self, Effect, Person, Place, Standing};
use crate::store::members::{self, Target};
use crate::store::requests::{Terms, once};
use crate::store::{Tx, accounts, api_tokens, users};

impl App {
    /// Makes every update or none; the last-admin rule is judged on the whole.
    pub async fn update_members(
        self: &Arc<Self>,
        manager: Admitted,
        updates: Vec<Update>,
        terms: Terms,
    ) -> Result<Vec<Changed>, Error> {
        let account = manager.account()?;
        let app = Arc::clone(self);
        self.store
            .write(manager.origin(), async move |tx| {
                manager.confirm(tx).await?;
                let done = once(tx, &terms, async |tx| app.update_all(tx, &manager, account, &updates).await).await?;
                changed(tx, account, done.outcome).await
            })
            .await
    }

    async fn update_all(
        &self,
        tx: &mut Tx,
        manager: &Admitted,
        account: AccountId,
        updates: &[Update],
    ) -> Result<Vec<Outcome>, Error> {
        let found = accounts::by_id(tx.sql(), account).await?;
        let place = if found.is_some_and(|account| account.closed) { Place::Closed } else { Place::Open };
        let targets = targets(tx, account, updates).await?;
        let mut seen = BTreeSet::new();
        let (mut outcomes, mut kept, mut removed, mut events) = (Vec::new(), Vec::new(), Vec::new(), Vec::<Change>::new());
        for (position, (update, target)) in updates.iter().zip(targets).enumerate() {
            let entry = |error| Error::Entry { position, error: Box::new(error) };
            let Target { mut membership, active, super_admin } =
                target.ok_or_else(|| entry(Error::MemberNotFound(update.user.to_string())))?;
            if !seen.insert(membership.user) {
                return Err(Error::field(format!("updates[{position}].user"), &"stands in another entry too"));
            }
            self.check_etag(&update.etag, membership.version).map_err(entry)?;
            let after = self.standing_after(manager, &membership, update.what).map_err(entry)?;
            let permissions = |member: Option<Standing>| {
                let person = Person::User { active, super_admin, member };
                policy::all_permissions(self.edition, person, place).unwrap_or_default()
            };
            let effect = Effect::between(permissions(Some(membership.standing())), permissions(after));
            match after {
                None => removed.push(membership.user),
                Some(standing) if standing == membership.standing() => {
                    outcomes.push(Outcome { membership, effect });
                    continue;
                }
                Some(standing) => {
                    (membership.privilege, membership.roles) = (standing.privilege, standing.roles);
                    membership.version = tx.next_version() + i64::try_from(events.len()).map_err(Error::internal)?;
                    kept.push(membership);
                }
            }
            events.push(update.what.change(membership.state()));
            outcomes.push(Outcome { membership, effect });
        }
        members::update_all(tx, &kept).await?;
        members::delete_all(tx, account, &removed).await?;
        tx.record_all(events).await?;
        let ended = api_tokens::end_in(tx, account, &removed).await?;
        record_ended(tx, &ended).await?;
        Ok(outcomes)
    }
}

/// The members whom the updates name, each with what decides about them.
async fn targets(tx: &mut Tx, account: AccountId, updates: &[Update]) -> Result<Vec<Option<Target>>, Error> {
    let emails: Vec<&str> = updates
        .iter()
        .filter_map(|update| match &update.user {
            UserRef::Email(email) => Some(email.folded()),
            UserRef::Id(_) => None,
        })
        .collect();
    let holders = if emails.is_empty() { BTreeMap::new() } else { users::holders(tx.sql(), &emails).await? };
    let ids: Vec<Option<UserId>> = updates
        .iter()
        .map(|update| match &update.user {
            UserRef::Id(id) => Some(*id),
            UserRef::Email(email) => holders.get(email.folded()).copied(),
        })
        .collect();
    let known: Vec<UserId> = ids.iter().flatten().copied().collect();
    let found = members::targets(tx.sql(), account, &known).await?;
    Ok(ids.into_iter().map(|id| id.and_then(|id| found.get(&id).copied())).collect())
}

/// The members as they are answered, in the order of the outcomes.
async fn changed(tx: &mut Tx, account: AccountId, outcomes: Vec<Outcome>) -> Result<Vec<Changed>, Error> {
    let memberships: Vec<_> = outcomes.iter().map(|outcome| outcome.membership).collect();
    let members = members::with_people(tx.sql(), account, &memberships).await?;
    if members.len() != outcomes.len() {
        // a replay after somebody of them was deleted
        return Err(Error::MemberNotFound("somebody of the batch was deleted since".to_owned()));
    }
    Ok(members.into_iter().zip(outcomes).map(|(member, outcome)| Changed { member, effect: outcome.effect }).collect())
}
