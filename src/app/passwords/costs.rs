//! What comparing a password costs where there is no login: what it costs at one of the logins.
//!
//! After the configured cost was changed, a login keeps its hash of the former one until somebody signs in to it. If an address without
//! a login were always compared at the present cost, the time would tell it from those. So each gets a cost that logins have, as many of
//! each as there are logins of it: which one hangs on the address and a secret alone, so that asking again, or after a restart, tells no
//! more. As logins go over to the present cost, so do addresses without one, and none goes back because of that. Some do when logins of the present
//! cost end, which makes the former ones a greater part of all, and a login never does: that much is left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::token::LinkKeys;
use crate::store::CostChange;

/// How many logins have a hash of each cost, always as of the last commit.
pub(in crate::app) struct Costs {
    /// The cost that passwords are hashed at.
    present: String,
    of_logins: Mutex<BTreeMap<String, u64>>,
    /// The current one of them is the secret: who got hold of a key that was exchanged since knows nothing.
    keys: Arc<ArcSwap<LinkKeys>>,
}

impl Costs {
    pub(super) const fn new(present: String, of_logins: BTreeMap<String, u64>, keys: Arc<ArcSwap<LinkKeys>>) -> Self {
        Self { present, of_logins: Mutex::new(of_logins), keys }
    }

    /// Takes in what was just committed.
    pub(in crate::app) fn apply(&self, changes: &[CostChange]) {
        if changes.is_empty() {
            return;
        }
        let mut of_logins = self.of_logins.lock().unwrap_or_else(PoisonError::into_inner);
        for CostChange { from, to } in changes {
            if let Some(logins) = from.as_ref().and_then(|cost| of_logins.get_mut(cost)) {
                *logins = logins.saturating_sub(1);
            }
            if let Some(cost) = to {
                *of_logins.entry(cost.clone()).or_default() += 1;
            }
        }
        of_logins.retain(|_, logins| *logins > 0);
    }

    pub(super) fn present(&self) -> &str {
        &self.present
    }

    /// The cost of an address that has no login: the present one stands last, so that an address leaves a former cost for it.
    pub(super) fn without_login(&self, address: &str) -> String {
        let of_logins = self.of_logins.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = self.place(address, of_logins.values().sum());
        for (cost, logins) in of_logins.iter().filter(|(cost, _)| **cost != self.present) {
            if place < *logins {
                return cost.clone();
            }
            place -= logins;
        }
        self.present.clone()
    }

    /// Where an address stands in a line of so many logins.
    fn place(&self, address: &str, logins: u64) -> u64 {
        let keys = self.keys.load();
        let mut mac =
            Hmac::<Sha256>::new_from_slice(keys.current().secret()).unwrap_or_else(|_| unreachable!("any key length will do"));
        // no link is made of anything that begins so
        mac.update(b"the cost of a password for ");
        mac.update(address.as_bytes());
        let code: [u8; 32] = mac.finalize().into_bytes().into();
        let fraction = code.first_chunk().copied().map_or(0, u64::from_be_bytes);
        u64::try_from((u128::from(fraction) * u128::from(logins)) >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::LinkKey;

    fn costs(of_logins: &[(&str, u64)]) -> Costs {
        let of_logins = of_logins.iter().map(|(cost, logins)| ((*cost).to_owned(), *logins)).collect();
        let keys = LinkKeys::new(LinkKey::new(1, [7; 32]), Vec::new());
        Costs::new("present".to_owned(), of_logins, Arc::new(ArcSwap::from_pointee(keys)))
    }

    fn drawn(costs: &Costs) -> Vec<String> {
        (0..2000).map(|number| costs.without_login(&format!("user-{number}@acme.test"))).collect()
    }

    fn share(costs: &Costs, cost: &str) -> usize {
        drawn(costs).iter().filter(|drawn| *drawn == cost).count()
    }

    #[test]
    fn without_logins_or_former_costs_every_address_has_the_present_one() {
        assert_eq!(share(&costs(&[]), "present"), 2000);
        assert_eq!(share(&costs(&[("present", 3)]), "present"), 2000);
    }

    #[test]
    fn addresses_have_each_cost_as_often_as_logins_have() {
        let costs = costs(&[("former", 10), ("older", 30), ("present", 60)]);
        for (cost, expected) in [("former", 200), ("older", 600), ("present", 1200)] {
            assert!(share(&costs, cost).abs_diff(expected) < 80, "{cost}: {}", share(&costs, cost));
        }
        assert_eq!(drawn(&costs), drawn(&costs), "the same each time");
        assert_eq!(share(&self::costs(&[("older", 5)]), "older"), 2000, "right after the cost was changed");
    }

    #[test]
    fn as_logins_go_over_to_the_present_cost_addresses_do_and_none_goes_back() {
        let costs = costs(&[("former", 100)]);
        let (mut before, mut went) = (drawn(&costs), 0);
        for _ in 0..100 {
            costs.apply(&[CostChange { from: Some("former".to_owned()), to: Some("present".to_owned()) }]);
            let now = drawn(&costs);
            for (before, now) in before.iter().zip(&now).filter(|(before, now)| before != now) {
                assert_eq!((before.as_str(), now.as_str()), ("former", "present"));
                went += 1;
            }
            before = now;
        }
        assert_eq!(went, 2000);
        assert_eq!(costs.of_logins.lock().unwrap().len(), 1, "what no login has any more is forgotten");
    }

    #[test]
    fn a_key_that_is_exchanged_draws_other_addresses_at_once() {
        let costs = costs(&[("former", 50), ("present", 50)]);
        let before = drawn(&costs);
        costs.keys.store(Arc::new(LinkKeys::new(LinkKey::new(2, [8; 32]), Vec::new())));
        assert_ne!(before, drawn(&costs));
    }
}
