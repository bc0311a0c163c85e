//! `PreviewEdition` says what really happens when the server starts as the other edition.

use std::collections::{BTreeMap, BTreeSet};

use user_management::proto::edition_change::Of;
use user_management::proto::{self, HeldReason, Permission, Privilege, Role};

use super::{INSIDE, SAAS};
use crate::acme::ACME;
use crate::site::{Person, Site};

const ROLES: [Role; 4] = [Role::Admin, Role::Alerts, Role::Data, Role::Trending];
const WORK: [Permission; 8] = [
    Permission::View,
    Permission::ManageUsers,
    Permission::RespondToAlerts,
    Permission::ModifyAlertRules,
    Permission::ModifyChecks,
    Permission::ModifyTemplates,
    Permission::ModifyGraphs,
    Permission::ModifyWorksheets,
];

/// What is gained and what is lost.
type Differences = BTreeMap<String, (Vec<i32>, Vec<i32>)>;

/// Somebody with a personal token.
struct Owner {
    id: String,
    api_token: String,
    token: String,
}

async fn permissions(site: &Site, user: &str) -> Vec<i32> {
    let request = proto::ListPermissionsRequest { account: ACME.to_owned(), user: user.to_owned() };
    site.operator().await.access.list_permissions(request).await.expect("the operator may").into_inner().permissions
}

async fn opened(site: &Site, token: &str) -> Vec<i32> {
    let mut operator = site.operator().await;
    let mut opened = Vec::new();
    for permission in WORK {
        let request = proto::CheckAccessRequest {
            account: ACME.to_owned(),
            token: token.to_owned(),
            permission: permission.into(),
            ..Default::default()
        };
        if operator.access.check_access(request).await.expect("the operator may").into_inner().allowed {
            opened.push(permission.into());
        }
    }
    opened
}

/// Everything that a switch may change: what users and tokens open, and why invitations are held.
async fn state(site: &Site, users: &[String], owners: &[Owner], invitations: &[String]) -> BTreeMap<String, Vec<i32>> {
    let mut state = BTreeMap::new();
    for user in users {
        state.insert(user.clone(), permissions(site, user).await);
    }
    for owner in owners {
        state.insert(owner.api_token.clone(), opened(site, &owner.token).await);
    }
    for invitation in invitations {
        let held = site.operator().await.invitation(invitation).await.held_reason();
        state.insert(invitation.clone(), if held == HeldReason::Unspecified { Vec::new() } else { vec![held.into()] });
    }
    state
}

fn differences(before: &BTreeMap<String, Vec<i32>>, after: &BTreeMap<String, Vec<i32>>) -> Differences {
    let minus = |of: &[i32], other: &[i32]| of.iter().copied().filter(|each| !other.contains(each)).collect::<Vec<_>>();
    let all = before.iter().map(|(of, before)| (of.clone(), (minus(&after[of], before), minus(before, &after[of]))));
    all.filter(|(_, (gained, lost))| !gained.is_empty() || !lost.is_empty()).collect()
}

/// The whole preview, read in pages.
async fn previewed(site: &Site, account: &str, page_size: i32) -> (Vec<proto::EditionChange>, proto::EditionTotals) {
    let mut operator = site.operator().await;
    let mut request = proto::PreviewEditionRequest { account: account.to_owned(), page_size, ..Default::default() };
    let (mut changes, mut totals) = (Vec::new(), None);
    loop {
        let page = operator.operations.preview_edition(request.clone()).await.expect("the operator may").into_inner();
        assert_eq!(page.totals.is_some(), request.page_token.is_empty(), "on the first page alone");
        totals = totals.or(page.totals);
        changes.extend(page.changes);
        if page.next_page_token.is_empty() {
            return (changes, totals.expect("on the first page"));
        }
        request.page_token = page.next_page_token;
    }
}

/// What the changes come to.
fn counted(changes: &[proto::EditionChange]) -> proto::EditionTotals {
    let (mut totals, mut accounts) = (proto::EditionTotals::default(), BTreeSet::new());
    for change in changes {
        let Some(Of::Member(member)) = &change.of else { continue };
        let effect = member.effect.as_ref().expect("an effect");
        let tokens = &member.api_tokens;
        let gaining = tokens.iter().filter(|token| !token.gained.is_empty()).count();
        let losing = tokens.iter().filter(|token| !token.lost.is_empty()).count();
        let (gains, loses) = (gaining > 0 || !effect.gained.is_empty(), losing > 0 || !effect.lost.is_empty());
        totals.members_gaining += i64::from(gains);
        totals.members_losing += i64::from(loses);
        totals.api_tokens_gaining += i64::try_from(gaining).expect("few");
        totals.api_tokens_losing += i64::try_from(losing).expect("few");
        if gains || loses {
            accounts.insert(&change.account);
        }
    }
    totals.accounts = i64::try_from(accounts.len()).expect("few");
    totals
}

fn told(changes: &[proto::EditionChange]) -> Differences {
    let held = |reason: i32| if reason == 0 { Vec::new() } else { vec![reason] };
    let mut told = Differences::new();
    for change in changes {
        match change.of.as_ref().expect("of something") {
            Of::Member(member) => {
                let effect = member.effect.as_ref().expect("an effect");
                if !effect.gained.is_empty() || !effect.lost.is_empty() {
                    told.insert(effect.user.clone(), (effect.gained.clone(), effect.lost.clone()));
                }
                told.extend(
                    member.api_tokens.iter().map(|token| (token.api_token.clone(), (token.gained.clone(), token.lost.clone()))),
                );
            }
            Of::Invitation(it) => {
                told.insert(it.invitation.clone(), (held(it.held_reason_then), held(it.held_reason)));
            }
        }
    }
    told
}

async fn owner(site: &Site, person: &Person, cap: Option<proto::ApiTokenCap>) -> Owner {
    let request =
        proto::CreateApiTokenRequest { account: ACME.to_owned(), name: "program".to_owned(), cap, ..Default::default() };
    let made = site.bearer(&person.token).await.identity.create_api_token(request).await.expect("a member may").into_inner();
    Owner { id: person.id.clone(), api_token: made.api_token.expect("what was made").id, token: made.token }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_tells_what_happens_to_everybody_in_both_directions() {
    let mut site = Site::with(INSIDE).await;
    site.account(ACME).await;
    let (mut users, mut owners) = (Vec::new(), Vec::new());
    for privilege in [Privilege::Admin, Privilege::Normal, Privilege::ReadOnly] {
        for bits in 0..16_usize {
            let roles: Vec<Role> =
                ROLES.into_iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, role)| role).collect();
            let name = format!("p{}-{bits}@acme.test", privilege as i32);
            let person = site.member(ACME, &name, privilege, &roles).await;
            if bits % 3 == 0 {
                let roles = vec![ROLES[bits / 3 % 4].into()];
                let cap = (bits > 0).then_some(proto::ApiTokenCap { privilege: Privilege::Normal.into(), roles });
                owners.push(owner(&site, &person, cap).await);
            }
            users.push(person.id);
        }
    }
    let mut operator = site.operator().await;
    operator.deactivate(&users[17], false).await.expect("the operator may");
    let mark = proto::SetSuperAdminRequest { user: users[18].clone(), super_admin: true, ..Default::default() };
    operator.operations.set_super_admin(mark).await.expect("the operator may");
    let mut invitations = Vec::new();
    for roles in [&[][..], &[Role::Admin], &[Role::Data], &[Role::Admin, Role::Trending]] {
        let (invitation, _) = site.invited(ACME, &format!("i{}@acme.test", invitations.len()), Privilege::Normal, roles).await;
        invitations.push(invitation.id);
    }
    site.account("closed").await;
    site.invited("closed", "i@acme.test", Privilege::Normal, &[Role::Data]).await;
    let close = proto::CloseAccountRequest { account: "closed".to_owned(), ..Default::default() };
    operator.users.close_account(close).await.expect("the operator may");

    let owners = owners.into_iter().filter(|owner| owner.id != users[17]).collect::<Vec<_>>();
    let mut before = state(&site, &users, &owners, &invitations).await;
    for edition in [SAAS, INSIDE] {
        let (changes, totals) = previewed(&site, "", 7).await;
        assert_eq!((&changes, &totals), (&previewed(&site, "", 1000).await.0, &previewed(&site, ACME, 1).await.1));
        assert_eq!(changes, previewed(&site, ACME, 1).await.0, "all of it is acme's");
        assert_eq!(totals, counted(&changes));
        assert!(totals.api_tokens_gaining + totals.api_tokens_losing > 0, "{totals:?}");
        site.restart(Some(edition)).await;
        let after = state(&site, &users, &owners, &invitations).await;
        assert_eq!(told(&changes), differences(&before, &after), "as {edition}");
        before = after;
    }
}
