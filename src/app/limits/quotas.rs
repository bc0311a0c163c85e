//! Allowances that a restart doesn't give back, since mail is caused by what they limit.

use std::time::Duration;

use sqlx::sqlite::SqliteConnection;

use crate::app::App;
use crate::app::caller::Caller;
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::id::UserId;
use crate::domain::limit::{Limit, Reached};
use crate::store::Tx;
use crate::store::accounts::Account;
use crate::store::mails::Pace;
use crate::store::spending::{self, Part};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What one subject may use up.
#[derive(Clone, Debug)]
pub(in crate::app) struct Quota {
    limit: Limit,
    subject: Vec<u8>,
    /// The subject, as refusals name it.
    told: String,
    allowance: u32,
    window: Duration,
}

impl Quota {
    /// Refuses unless there is as much left as is wanted.
    pub(in crate::app) async fn check(
        &self,
        connection: &mut SqliteConnection,
        now: Timestamp,
        wanted: u64,
    ) -> Result<(), Error> {
        if self.allowance == 0 {
            return Ok(());
        }
        let used = spending::of(connection, self.limit, &self.subject, now).await?;
        judge(&used, now, self, wanted).map_err(|(left, retry_after)| {
            Error::LimitReached(Reached { limit: self.limit, subject: self.told.clone(), left, retry_after })
        })
    }

    /// Uses up what is wanted, or refuses.
    pub(in crate::app) async fn spend(&self, tx: &mut Tx, wanted: u64) -> Result<(), Error> {
        if self.allowance == 0 || wanted == 0 {
            return Ok(());
        }
        let now = tx.now();
        self.check(tx.sql(), now, wanted).await?;
        spending::add(tx, self.limit, &self.subject, self.window, wanted).await
    }
}

impl App {
    /// What a caller may have mailed without being signed in; none for whom nothing limits.
    pub(in crate::app) fn requests_of(&self, caller: &Caller) -> Option<Quota> {
        (!caller.is_unlimited()).then(|| Quota {
            limit: Limit::RequestsPerPeer,
            subject: caller.peer().to_bytes(),
            told: "peer".to_owned(),
            allowance: self.limits.config.mails_per_peer,
            window: HOUR,
        })
    }

    /// What a person may have mailed to new addresses of theirs.
    pub(in crate::app) fn address_changes_of(&self, user: UserId) -> Quota {
        Quota {
            limit: Limit::AddressChangesPerUser,
            subject: user.as_bytes().to_vec(),
            told: "user".to_owned(),
            allowance: self.limits.config.address_changes_per_user,
            window: DAY,
        }
    }

    /// How many personal tokens a person may make.
    pub(in crate::app) fn api_tokens_of(&self, user: UserId) -> Quota {
        Quota {
            limit: Limit::ApiTokensPerUser,
            subject: user.as_bytes().to_vec(),
            told: "user".to_owned(),
            allowance: self.limits.config.api_tokens_per_user,
            window: DAY,
        }
    }

    /// What a caller may have mailed to invited people of an account: by the person and by the service that acts for them, and by all
    /// together; nothing for whom nothing limits.
    pub(in crate::app) fn invitations_of(&self, caller: &Caller, account: &Account) -> Vec<Quota> {
        if caller.is_unlimited() {
            return Vec::new();
        }
        let limits = &self.limits.config;
        let by = |subject: &[u8; 16], told: String| Quota {
            limit: Limit::InvitationsPerGrantor,
            subject: subject.to_vec(),
            told,
            allowance: limits.invitations_per_grantor,
            window: DAY,
        };
        let grantor = caller.grantor();
        let user = grantor.user.map(|user| by(user.as_bytes(), format!("user:{user}")));
        let service = grantor.service.map(|service| by(service.as_bytes(), format!("service:{service}")));
        let all = Quota {
            limit: Limit::InvitationsPerAccount,
            subject: account.id.as_bytes().to_vec(),
            told: format!("account:{}", account.name),
            allowance: limits.invitations_per_account,
            window: DAY,
        };
        user.into_iter().chain(service).chain([all]).collect()
    }

    /// How mails go that a caller causes to somebody who may not want them; none for whom nothing limits.
    pub(in crate::app) fn pace_of(&self, caller: &Caller) -> Option<Pace> {
        let limits = &self.limits.config;
        let pace = Pace { per_hour: limits.mails_per_recipient_hour, per_day: limits.mails_per_recipient_day };
        (!caller.is_unlimited() && pace != Pace { per_hour: 0, per_day: 0 }).then_some(pace)
    }
}

/// Uses up what is wanted of all quotas, or refuses.
pub(in crate::app) async fn spend_all(tx: &mut Tx, quotas: &[Quota], wanted: u64) -> Result<(), Error> {
    for quota in quotas {
        quota.spend(tx, wanted).await?;
    }
    Ok(())
}

/// Whether as much is left as is wanted; else how much is, and how long until there is enough: a window, if there never is.
fn judge(used: &[Part], now: Timestamp, quota: &Quota, wanted: u64) -> Result<(), (u64, Duration)> {
    let allowance = u64::from(quota.allowance);
    let mut in_use: u64 = used.iter().map(|part| part.count).sum();
    let left = allowance.saturating_sub(in_use);
    if wanted <= left {
        return Ok(());
    }
    if wanted > allowance {
        return Err((left, quota.window));
    }
    let mut retry = now;
    for part in used {
        in_use -= part.count;
        retry = part.ends;
        if in_use + wanted <= allowance {
            break;
        }
    }
    Err((left, retry.since(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros(minutes * 60_000_000)
    }

    fn mins(minutes: u64) -> Duration {
        Duration::from_mins(minutes)
    }

    fn of(allowance: u32) -> Quota {
        let (limit, told) = (Limit::InvitationsPerAccount, "account:acme".to_owned());
        Quota { limit, subject: Vec::new(), told, allowance, window: DAY }
    }

    #[test]
    fn as_much_as_is_left_is_granted_and_the_rest_when_enough_was_given_back() {
        let used = [Part { count: 3, ends: at(10) }, Part { count: 5, ends: at(20) }, Part { count: 1, ends: at(30) }];
        assert_eq!(judge(&used, at(0), &of(10), 1), Ok(()));
        assert_eq!(judge(&used, at(0), &of(10), 2), Err((1, mins(10))));
        assert_eq!(judge(&used, at(0), &of(10), 4), Err((1, mins(10))));
        assert_eq!(judge(&used, at(5), &of(10), 5), Err((1, mins(15))));
        assert_eq!(judge(&used, at(0), &of(10), 10), Err((1, mins(30))));
    }

    #[test]
    fn whoever_wants_more_than_there_ever_is_is_told_a_window() {
        assert_eq!(judge(&[Part { count: 1, ends: at(30) }], at(0), &of(10), 11), Err((9, DAY)));
        assert_eq!(judge(&[], at(0), &of(10), 11), Err((10, DAY)));
    }

    #[test]
    fn a_limit_that_was_lowered_below_what_is_used_leaves_nothing() {
        assert_eq!(judge(&[Part { count: 9, ends: at(30) }], at(0), &of(3), 1), Err((0, mins(30))));
    }
}
