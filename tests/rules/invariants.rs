//! What holds in every row, whatever the table says.

use user_management::domain::edition::Edition;
use user_management::domain::permission::{Permission, PermissionSet};
use user_management::domain::policy::{
    Effect, Grant, Person, Place, Reason, Standing, all_permissions, decide, decide_within, granted_via, super_admin_permissions,
    within, would_grant,
};
use user_management::domain::privilege::Privilege;
use user_management::domain::role::{Role, RoleSet};

use super::words;

const fn user(active: bool, super_admin: bool, member: Option<Standing>) -> Person {
    Person::User { active, super_admin, member }
}

/// Every user that there can be: active or not, super-admin or not, no member or one of the 48.
fn users() -> Vec<Person> {
    let members: Vec<Option<Standing>> = words::standings().into_iter().map(Some).chain([None]).collect();
    let marks = [(true, true), (true, false), (false, true), (false, false)];
    marks.into_iter().flat_map(|(active, marked)| members.iter().map(move |member| user(active, marked, *member))).collect()
}

/// The member after the change that a grant names.
fn changed(standing: Standing, grant: Grant) -> Standing {
    match grant {
        Grant::Role(role) => Standing { roles: standing.roles.with(role), ..standing },
        Grant::Privilege(privilege) => Standing { privilege, ..standing },
        Grant::SuperAdmin | Grant::Membership => panic!("not a change of a member: {grant:?}"),
    }
}

#[test]
fn who_may_manage_users_is_the_same_in_both_editions() {
    for standing in words::standings() {
        let manages = Edition::ALL.map(|edition| standing.permissions(edition).contains(Permission::ManageUsers));
        assert_eq!(manages[0], manages[1], "{standing:?}");
    }
}

#[test]
fn an_allowed_permission_is_granted_by_something_and_a_denied_one_by_nothing() {
    for edition in Edition::ALL {
        for person in users().into_iter().filter(|person| matches!(person, Person::User { active: true, .. })) {
            for permission in Permission::ALL {
                let allowed = decide(edition, person, Place::Open, permission).is_ok();
                let via = granted_via(edition, person, permission);
                assert_eq!(allowed, !via.is_empty(), "{edition:?} {person:?} {permission:?} {via:?}");
            }
        }
    }
    assert!(granted_via(Edition::Inside, Person::Unknown, Permission::View).is_empty());
}

#[test]
fn a_personal_token_gives_what_its_owner_and_its_cap_both_open_and_says_which_of_them_does_not() {
    for (edition, cap) in words::rows() {
        for person in users() {
            for place in [Place::Open, Place::Closed, Place::Unknown] {
                let owners = all_permissions(edition, person, place).unwrap_or_default();
                assert_eq!(within(edition, None, owners), owners, "without a cap it is all of it");
                assert_eq!(within(edition, Some(cap), owners), owners.intersection(cap.permissions(edition)));
                for permission in Permission::ALL {
                    let decided = decide(edition, person, place, permission);
                    assert_eq!(decide_within(edition, None, person, place, permission), decided);
                    let expected = decided.and_then(|()| {
                        if cap.permissions(edition).contains(permission) { Ok(()) } else { Err(Reason::TokenCapped) }
                    });
                    assert_eq!(decide_within(edition, Some(cap), person, place, permission), expected);
                }
            }
        }
    }
}

#[test]
fn each_thing_that_grants_would_be_enough_alone() {
    for (edition, standing) in words::rows() {
        for permission in Permission::ALL {
            for grant in granted_via(edition, user(true, true, Some(standing)), permission) {
                let enough = match grant {
                    Grant::SuperAdmin => super_admin_permissions().contains(permission),
                    Grant::Membership => permission == Permission::View,
                    // any column will do for a role, and the lowest opens nothing itself
                    Grant::Role(role) => {
                        standing.roles.contains(role) && {
                            let alone = Standing { privilege: Privilege::ReadOnly, roles: RoleSet::from_iter([role]) };
                            alone.permissions(edition).contains(permission)
                        }
                    }
                    Grant::Privilege(privilege) => {
                        privilege == standing.privilege && {
                            let others = standing.roles.iter().filter(|role| !role.opens().contains(permission)).collect();
                            Standing { privilege, roles: others }.permissions(edition).contains(permission)
                        }
                    }
                };
                assert!(enough, "{edition:?} {standing:?} {permission:?} {grant:?}");
            }
        }
    }
}

#[test]
fn what_would_grant_a_permission_grants_it_when_it_is_done() {
    let mut followed = 0;
    for (edition, standing) in words::rows() {
        for permission in Permission::ALL.into_iter().filter(|wanted| !standing.permissions(edition).contains(*wanted)) {
            for grant in would_grant(edition, standing, permission) {
                let after = changed(standing, grant);
                assert_ne!(after, standing, "{grant:?} changes something");
                assert!(after.permissions(edition).contains(permission), "{edition:?} {standing:?} {permission:?} {grant:?}");
                assert!(after.roles.minus(standing.roles).minus(edition.roles()).is_empty(), "a role that can't be assigned");
                followed += 1;
            }
        }
    }
    assert!(followed > 0);
}

#[test]
fn whoever_is_denied_can_be_told_what_would_help() {
    for (edition, standing) in words::rows() {
        for permission in Permission::ALL.into_iter().filter(|wanted| !standing.permissions(edition).contains(*wanted)) {
            assert!(!would_grant(edition, standing, permission).is_empty(), "{edition:?} {standing:?} {permission:?}");
        }
    }
}

#[test]
fn the_admin_column_and_the_admin_role_manage_users_and_nobody_else_does() {
    for (edition, standing) in words::rows() {
        let manager = standing.privilege == Privilege::Admin || standing.roles.contains(Role::Admin);
        assert_eq!(standing.permissions(edition).contains(Permission::ManageUsers), manager, "{edition:?} {standing:?}");
    }
}

#[test]
fn every_member_may_view_and_the_lowest_column_alone_may_do_no_more() {
    for (edition, standing) in words::rows() {
        assert!(standing.permissions(edition).contains(Permission::View), "{edition:?} {standing:?}");
    }
    let lowest = Standing { privilege: Privilege::ReadOnly, roles: RoleSet::EMPTY };
    for edition in Edition::ALL {
        assert_eq!(lowest.permissions(edition), PermissionSet::from_iter([Permission::View]));
    }
}

#[test]
fn a_step_that_people_may_take_themselves_never_gains_and_the_others_do() {
    for from in words::standings() {
        assert!(from.only_lowered_by(from), "{from:?}");
        for to in words::standings() {
            let gains = Edition::ALL
                .map(|edition| !Effect::between(from.permissions(edition), to.permissions(edition)).gained.is_empty());
            assert_eq!(from.only_lowered_by(to), gains == [false, false], "{from:?} to {to:?}");
        }
    }
}

#[test]
fn lowering_oneself_under_one_edition_is_no_rise_under_the_other() {
    let at = |privilege, roles: &[Role]| Standing { privilege, roles: roles.iter().copied().collect() };
    // on SaaS the dormant role says nothing, on Inside losing it would widen Normal to the whole column
    let narrowed = at(Privilege::Normal, &[Role::Alerts]);
    assert!(!narrowed.only_lowered_by(at(Privilege::Normal, &[])));
    // on Inside Read-Only with Trending may change graphs already, on SaaS Normal would be new
    let opened = at(Privilege::ReadOnly, &[Role::Trending]);
    assert!(!opened.only_lowered_by(at(Privilege::Normal, &[Role::Trending])));
    assert!(opened.only_lowered_by(at(Privilege::ReadOnly, &[])));
    assert!(at(Privilege::Admin, &[]).only_lowered_by(at(Privilege::Normal, &[Role::Data])));
}

#[test]
fn roles_that_an_edition_has_off_have_no_effect_there() {
    for standing in words::standings() {
        let without = Standing { roles: standing.roles.intersection(RoleSet::from_iter([Role::Admin])), ..standing };
        assert_eq!(standing.permissions(Edition::Saas), without.permissions(Edition::Saas), "{standing:?}");
    }
}

#[test]
fn switching_the_edition_there_and_back_gives_back_what_it_took() {
    let mut switched = 0;
    for standing in words::standings() {
        let [inside, saas] = Edition::ALL.map(|edition| standing.permissions(edition));
        let there = Effect::between(inside, saas);
        let back = Effect::between(saas, inside);
        assert_eq!((there.gained, there.lost), (back.lost, back.gained), "{standing:?}");
        assert_eq!(inside.minus(there.lost).union(there.gained), saas, "{standing:?}");
        assert_eq!(saas.minus(back.lost).union(back.gained), inside, "{standing:?}");
        switched += usize::from(inside != saas);
    }
    assert!(switched > 0, "the editions differ for some");
}

#[test]
fn a_super_admin_never_has_less_than_an_admin_or_than_their_membership() {
    for edition in Edition::ALL {
        for standing in words::standings() {
            let both = all_permissions(edition, user(true, true, Some(standing)), Place::Open).expect("an open account");
            assert!(super_admin_permissions().minus(both).is_empty());
            assert!(standing.permissions(edition).minus(both).is_empty());
        }
        let alone = all_permissions(edition, user(true, true, None), Place::Open);
        let admin = Standing { privilege: Privilege::Admin, roles: RoleSet::EMPTY };
        assert_eq!(alone, Ok(admin.permissions(edition)));
    }
}

#[test]
fn nobody_may_do_anything_while_deactivated_or_where_no_account_is_open() {
    for edition in Edition::ALL {
        for person in users() {
            let places = [Place::Open, Place::Closed, Place::Unknown];
            let inactive = matches!(person, Person::User { active: false, .. });
            for place in places.into_iter().filter(|place| inactive || *place != Place::Open) {
                assert!(all_permissions(edition, person, place).is_err(), "{person:?} {place:?}");
                for permission in Permission::ALL {
                    assert!(decide(edition, person, place, permission).is_err(), "{person:?} {place:?} {permission:?}");
                }
            }
        }
    }
}

#[test]
fn the_list_of_permissions_and_the_single_decision_agree() {
    for edition in Edition::ALL {
        for person in users().into_iter().chain([Person::Unknown]) {
            for place in [Place::Open, Place::Closed, Place::Unknown] {
                let listed = all_permissions(edition, person, place);
                for permission in Permission::ALL {
                    let decided = decide(edition, person, place, permission);
                    match listed {
                        Ok(set) => assert_eq!(decided.is_ok(), set.contains(permission), "{person:?} {place:?} {permission:?}"),
                        Err(reason) => assert_eq!(decided, Err(reason), "{person:?} {place:?} {permission:?}"),
                    }
                }
            }
        }
    }
}
