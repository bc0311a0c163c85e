//! The numbers and names that are stored, hashed and sent are those of the contract.

use std::collections::BTreeMap;

use user_management::domain::edition::Edition;
use user_management::domain::invitation::{Held, State, Stored};
use user_management::domain::permission::Permission;
use user_management::domain::policy::Reason;
use user_management::domain::privilege::Privilege;
use user_management::domain::role::{Role, RoleSet};
use user_management::proto;

use super::sample::{Ingredients, changes};
use super::words;

type Numbers = BTreeMap<i32, String>;

/// Every value of an enum of the contract but the unspecified one, by number, without the enum's own prefix.
fn contract<E: TryFrom<i32>>(name: impl Fn(E) -> &'static str, prefix: &str) -> Numbers {
    let known = (1..1000).filter_map(|number| E::try_from(number).ok().map(|value| (number, name(value))));
    known.map(|(number, name)| (number, name.strip_prefix(prefix).expect("the enum's prefix").to_owned())).collect()
}

/// `MemberJoined` as the contract spells it: `MEMBER_JOINED`.
fn screaming(camel: &str) -> String {
    let mut text = String::new();
    for (position, letter) in camel.chars().enumerate() {
        if position > 0 && letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

#[test]
fn kinds_of_events_have_the_numbers_of_the_contract() {
    let domain = changes(&Ingredients::fixed()).into_iter().map(|change| {
        let debug = format!("{change:?}");
        let name = debug.split('(').next().expect("the variant's name");
        (i32::from(change.kind()), screaming(name))
    });
    let domain: Vec<(i32, String)> = domain.collect();
    let contract = contract(|kind: proto::EventKind| kind.as_str_name(), "EVENT_KIND_");
    assert_eq!(domain.len(), contract.len(), "one sample for each kind");
    assert_eq!(domain.into_iter().collect::<Numbers>(), contract);
}

#[test]
fn words_of_the_model_have_the_numbers_of_the_contract() {
    let permissions = Permission::ALL.map(|permission| (permission.code().into(), permission.as_str().to_owned()));
    assert_eq!(Numbers::from(permissions), contract(|value: proto::Permission| value.as_str_name(), "PERMISSION_"));

    let privileges = Privilege::ALL.map(|privilege| (privilege.code().into(), screaming(&format!("{privilege:?}"))));
    assert_eq!(Numbers::from(privileges), contract(|value: proto::Privilege| value.as_str_name(), "PRIVILEGE_"));

    let roles = Role::ALL.map(|role| (role as i32, role.label().to_uppercase()));
    assert_eq!(Numbers::from(roles), contract(|value: proto::Role| value.as_str_name(), "ROLE_"));

    let editions = Edition::ALL.map(|edition| (edition.code().into(), edition.as_str().to_uppercase()));
    assert_eq!(Numbers::from(editions), contract(|value: proto::Edition| value.as_str_name(), "EDITION_"));
}

#[test]
fn answers_of_a_check_have_the_numbers_of_the_contract() {
    let reasons = [
        Reason::Granted,
        Reason::UnknownUser,
        Reason::UnknownAccount,
        Reason::NotAMember,
        Reason::Deactivated,
        Reason::AccountClosed,
        Reason::PrivilegeTooLow,
        Reason::RoleMissing,
        Reason::RoleOffInEdition,
        Reason::TokenInvalid,
        Reason::TokenCapped,
    ];
    let reasons = reasons.map(|reason| (reason as i32, words::reason(reason).to_owned()));
    assert_eq!(Numbers::from(reasons), contract(|value: proto::AccessReason| value.as_str_name(), "ACCESS_REASON_"));
}

#[test]
fn states_of_an_invitation_have_the_numbers_of_the_contract() {
    let states = [State::Pending, State::Accepted, State::Ignored, State::Withdrawn, State::Expired];
    let states = states.map(|state| (state as i32, state.as_str().to_owned()));
    assert_eq!(Numbers::from(states), contract(|value: proto::InvitationState| value.as_str_name(), "INVITATION_STATE_"));

    let held = [Held::GrantorLacksManageUsers, Held::ServiceNotEntitled, Held::RoleOffInEdition, Held::AccountClosed];
    let held = held.map(|held| (held as i32, held.as_str().to_owned()));
    assert_eq!(Numbers::from(held), contract(|value: proto::HeldReason| value.as_str_name(), "HELD_REASON_"));
}

#[test]
fn stored_codes_read_back_and_others_are_refused() {
    for code in -1..=300 {
        assert_eq!(
            Privilege::from_code(code).map(|privilege| i64::from(privilege.code())),
            (1..=3).contains(&code).then_some(code)
        );
        assert_eq!(Edition::from_code(code).map(|edition| i64::from(edition.code())), (1..=2).contains(&code).then_some(code));
        assert_eq!(Stored::from_code(code).map(|state| i64::from(state.code())), (1..=4).contains(&code).then_some(code));
        assert_eq!(RoleSet::from_bits(code).map(|roles| i64::from(roles.bits())), (0..16).contains(&code).then_some(code));
    }
}
