//! Every RPC that changes what somebody may do in an account says so in its answer, and says no more than that.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::DynamicMessage;
use serde_json::{Value as Json, json};
use user_management::domain::permission::PermissionSet;
use user_management::domain::policy;
use user_management::proto::{self, Privilege};

use super::call;
use super::retried::{operator, session};
use super::rows::{self, ROWS};
use super::stage::Stage;
use crate::acme::ACME;
use crate::site::Site;

/// What changes somebody's permissions and can't list whose, with why.
const UNLISTED: [(&str, &str); 3] = [
    ("CreateAccount", "has no members, so it opens something to super-admins alone, of whom there may be any number"),
    ("CloseAccount", "takes from all members, of whom there may be any number"),
    ("ReopenAccount", "gives back to all members, of whom there may be any number"),
];

/// What changes somebody's permissions and says whose.
const TOLD: [&str; 10] = [
    "AcceptInvitation",
    "AssignRoles",
    "BatchUpdateMembers",
    "ChangePrivilege",
    "DeactivateUser",
    "DeleteUser",
    "LeaveAccount",
    "ReactivateUser",
    "RemoveMember",
    "SetSuperAdmin",
];

/// By account and user.
type Place = (String, String);

/// Where somebody is a member, and what everybody may do anywhere.
struct Rights {
    members: BTreeSet<Place>,
    permissions: BTreeMap<Place, PermissionSet>,
}

impl Rights {
    async fn of(site: &Site) -> Self {
        let mut operator = site.operator().await;
        let accounts = proto::ListAccountsRequest { page_size: 1000, ..Default::default() };
        let users = proto::ListUsersRequest { page_size: 1000, ..Default::default() };
        let accounts = operator.users.list_accounts(accounts).await.expect("the operator may").into_inner();
        let users = operator.users.list_users(users).await.expect("the operator may").into_inner();
        assert_eq!((accounts.next_page_token, users.next_page_token), (String::new(), String::new()), "all of them");
        let view = site.app().view();
        let mut rights = Self { members: BTreeSet::new(), permissions: BTreeMap::new() };
        for account in &accounts.accounts {
            let id = view.account_named(&account.name);
            for user in &users.users {
                let (place, user) = ((account.name.clone(), user.id.clone()), user.id.parse().ok());
                let permissions = policy::all_permissions(view.edition(), view.person(id, user), view.place(id));
                if id.zip(user).is_some_and(|(account, user)| view.standing(account, user).is_some()) {
                    rights.members.insert(place.clone());
                }
                rights.permissions.insert(place, permissions.unwrap_or_default());
            }
        }
        rights
    }

    fn at(&self, place: &Place) -> PermissionSet {
        self.permissions.get(place).copied().unwrap_or_default()
    }
}

/// An effect as the contract shows it.
fn effect((account, user): &Place, gained: PermissionSet, lost: PermissionSet) -> Json {
    let names = |set: PermissionSet| set.iter().map(|each| format!("PERMISSION_{}", each.as_str())).collect::<Vec<_>>();
    let mut effect = json!({ "user": user, "account": account });
    for (name, set) in [("gained", gained), ("lost", lost)] {
        if !set.is_empty() {
            effect[name] = json!(names(set));
        }
    }
    effect
}

/// The effects in an answer, but for those in which nothing changed.
fn told(answer: &Json) -> Vec<Json> {
    let effects = answer["effects"].as_array().cloned().unwrap_or_default();
    effects.into_iter().filter(|effect| effect.get("gained").or(effect.get("lost")).is_some()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_tells_whose_permissions_its_call_changed_and_how_or_the_contract_says_why_not() {
    let stage = Stage::set().await;
    let bob = stage.site.member(ACME, "bob@site.test", Privilege::Normal, &[]).await;
    let sue = stage.site.person("sue@site.test").await;
    let request = proto::SetSuperAdminRequest { user: sue.id, super_admin: true, ..Default::default() };
    stage.operator.clone().operations.set_super_admin(request).await.expect("the operator may");
    stage.site.mails_settled().await;
    stage.lose_mail();
    let (by_socket, as_bob) = (operator(&stage.site).await, session(&stage.site, bob).await);

    let unlisted: BTreeSet<&str> = UNLISTED.into_iter().map(|(rpc, _)| rpc).collect();
    let mut found = BTreeSet::new();
    let (last, others): (Vec<_>, Vec<_>) = call::methods().into_iter().partition(|method| method.name() == "SignOut");
    for method in others.into_iter().chain(last) {
        let (name, of_persons) = (method.name(), method.parent_service().name() == "Identity");
        let caller = if of_persons { &as_bob } else { &by_socket };
        let row = ROWS.into_iter().find(|(rpc, about)| *rpc == name && (of_persons || *about != "of the caller"));
        let encoded = rows::request(&stage, caller, row.unwrap_or_else(|| panic!("{name} has no row in the matrix"))).await;
        let request = DynamicMessage::decode(method.input(), &encoded[..]).expect("a request of the RPC");
        let before = Rights::of(&stage.site).await;
        let answer = call::answer(caller.channel.clone(), caller.identified.clone(), &method, request).await;
        let answer = answer.unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
        let answer = serde_json::to_value(&answer).expect("an answer as JSON");
        let after = Rights::of(&stage.site).await;
        let places: BTreeSet<&Place> = before.permissions.keys().chain(after.permissions.keys()).collect();
        let changed = places.into_iter().filter(|place| before.at(place) != after.at(place));
        let (own, by_mark): (Vec<_>, Vec<_>) =
            changed.partition(|place| before.members.contains(*place) || after.members.contains(*place));
        if unlisted.contains(name) {
            assert!(answer.get("effects").is_none() && !by_mark.is_empty(), "{name} tells {answer}");
            continue;
        }
        let differences = own.iter().map(|place| {
            let (before, after) = (before.at(place), after.at(place));
            effect(place, after.minus(before), before.minus(after))
        });
        assert_eq!(told(&answer), differences.collect::<Vec<_>>(), "by {name}");
        let counted = answer["otherAccounts"].as_str().map_or(0, |count| count.parse().expect("a number"));
        assert_eq!(counted, by_mark.len(), "by {name}");
        if !own.is_empty() {
            found.insert(name.to_owned());
        }
    }
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), TOLD);
}
