//! Where an invitation stands, and what holds it.

use std::time::Duration;

use proptest::prelude::*;
use user_management::domain::clock::Timestamp;
use user_management::domain::edition::Edition;
use user_management::domain::invitation::{Held, State, Stored, held};
use user_management::domain::role::{Role, RoleSet};

const ANSWERS: [(Stored, State); 3] =
    [(Stored::Accepted, State::Accepted), (Stored::Ignored, State::Ignored), (Stored::Withdrawn, State::Withdrawn)];

proptest! {
    #[test]
    fn an_answer_is_final_whatever_the_clock_says(now: i64, expires: Option<i64>) {
        for (stored, state) in ANSWERS {
            prop_assert_eq!(stored.at(Timestamp::from_micros(now), expires.map(Timestamp::from_micros)), state);
        }
    }

    #[test]
    fn an_unanswered_one_is_pending_before_its_moment_and_expired_from_then_on(expires: i64, before in 1_u64.., after: u64) {
        let moment = Timestamp::from_micros(expires);
        let at = |now| Stored::Pending.at(now, Some(moment));
        let earlier = moment.minus(Duration::from_micros(before));
        prop_assume!(earlier < moment);
        prop_assert_eq!(at(earlier), State::Pending);
        prop_assert_eq!(at(moment), State::Expired);
        prop_assert_eq!(at(moment.plus(Duration::from_micros(after))), State::Expired);
    }

    #[test]
    fn one_without_a_lifetime_never_expires(now: i64) {
        prop_assert_eq!(Stored::Pending.at(Timestamp::from_micros(now), None), State::Pending);
    }
}

/// Everything that stands against accepting, each judged by itself, the first to be told first.
fn obstacles(edition: Edition, closed: bool, roles: RoleSet, user: Option<bool>, service: Option<bool>) -> Vec<Held> {
    let off = edition == Edition::Saas && [Role::Alerts, Role::Data, Role::Trending].iter().any(|role| roles.contains(*role));
    let judged = [
        (closed, Held::AccountClosed),
        (service.is_some_and(|entitled| !entitled), Held::ServiceNotEntitled),
        (user.is_some_and(|manages| !manages), Held::GrantorLacksManageUsers),
        (off, Held::RoleOffInEdition),
    ];
    judged.into_iter().filter_map(|(stands, held)| stands.then_some(held)).collect()
}

#[test]
fn a_grant_is_held_exactly_while_something_stands_against_it() {
    let answers = [None, Some(true), Some(false)];
    let mut seen = 0;
    for edition in Edition::ALL {
        for roles in (0..16).map(|bits| RoleSet::from_bits(bits).expect("four bits are four roles")) {
            for closed in [false, true] {
                for (user, service) in answers.into_iter().flat_map(|user| answers.map(|service| (user, service))) {
                    let expected = obstacles(edition, closed, roles, user, service);
                    let actual = held(edition, closed, roles, user, service);
                    assert_eq!(actual, expected.first().copied(), "{edition:?} {closed} {roles:?} {user:?} {service:?}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 2 * 16 * 2 * 9);
}

#[test]
fn an_operators_grant_of_roles_that_the_edition_has_is_never_held_in_an_open_account() {
    for edition in Edition::ALL {
        assert_eq!(held(edition, false, edition.roles(), None, None), None, "{edition:?}");
    }
    assert_eq!(held(Edition::Saas, false, RoleSet::ALL, None, None), Some(Held::RoleOffInEdition));
}

#[test]
fn a_service_that_acts_for_a_person_takes_both_to_be_entitled() {
    let both = |user, service| held(Edition::Inside, false, RoleSet::EMPTY, Some(user), Some(service));
    assert_eq!(both(true, true), None);
    assert_eq!(both(false, true), Some(Held::GrantorLacksManageUsers));
    assert_eq!(both(true, false), Some(Held::ServiceNotEntitled));
}
