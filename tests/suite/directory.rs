//! The directory in memory: the same as the file says, whatever happened, and never behind an answer.

mod histories;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinSet;
use user_management::directory::Directory;
use user_management::proto::{self, AccessReason, Permission, Privilege, Role};
use user_management::store::server;

use crate::client::Client;
use crate::site::{Person, Site};
use crate::writes::bare::hold;

impl Site {
    /// The directory is what would be loaded from the file now.
    pub(crate) async fn directory_is_the_database(&self, when: &str) {
        let mut connection = self.app().store().read().await.expect("a reader");
        let recorded = server::recorded(&mut connection).await.expect("read").expect("there");
        let loaded = Directory::load(&mut connection, recorded).await.expect("loaded");
        let view = self.app().view();
        assert!(view.same_answers(&loaded.snapshot()), "{when}: the directory and the file differ at event {}", view.seq());
    }
}

fn check(user: &str, permission: Permission) -> proto::CheckAccessRequest {
    proto::CheckAccessRequest {
        account: "acme".to_owned(),
        user: user.to_owned(),
        permission: permission.into(),
        ..Default::default()
    }
}

async fn checked(client: &mut Client, user: &str, permission: Permission) -> proto::CheckAccessResponse {
    client.access.check_access(check(user, permission)).await.expect("the check is answered").into_inner()
}

/// One who changes one member, and asks right after each answer, on another connection, whether it counts.
struct Changer {
    writing: Client,
    asking: Client,
    as_person: Client,
    person: Person,
    checks: u64,
}

impl Changer {
    async fn expect(&mut self, permission: Permission, reason: AccessReason) {
        let answer = checked(&mut self.asking, &self.person.id, permission).await;
        assert_eq!(
            (answer.allowed, answer.reason()),
            (reason == AccessReason::Granted, reason),
            "a stale answer about {permission:?}"
        );
        self.checks += 1;
    }

    async fn moves(&mut self, privilege: Privilege) {
        let request = proto::ChangePrivilegeRequest {
            account: "acme".to_owned(),
            user: self.person.id.clone(),
            privilege: privilege.into(),
            ..Default::default()
        };
        self.writing.users.change_privilege(request).await.expect("moved");
    }

    async fn assigns(&mut self, role: Role) {
        let request = proto::AssignRolesRequest {
            account: "acme".to_owned(),
            user: self.person.id.clone(),
            roles: vec![role.into()],
            ..Default::default()
        };
        self.writing.users.assign_roles(request).await.expect("assigned");
    }

    async fn leaves_and_comes_back(&mut self) {
        let (account, user) = ("acme".to_owned(), self.person.id.clone());
        let request = proto::RemoveMemberRequest { account: account.clone(), user, ..Default::default() };
        self.writing.users.remove_member(request).await.expect("removed");
        self.expect(Permission::View, AccessReason::NotAMember).await;
        let email = self.person.email.clone();
        let request = proto::InviteUserRequest { account, email, privilege: Privilege::Normal.into(), ..Default::default() };
        let invited = self.writing.users.invite_user(request).await.expect("invited").into_inner();
        let invitation = invited.invitation.expect("an invitation").id;
        self.expect(Permission::View, AccessReason::NotAMember).await;
        let request = proto::AcceptInvitationRequest { invitation, ..Default::default() };
        self.as_person.identity.accept_invitation(request).await.expect("accepted");
        self.expect(Permission::ModifyGraphs, AccessReason::Granted).await;
    }

    async fn round(&mut self, round: usize) {
        self.moves(Privilege::ReadOnly).await;
        self.expect(Permission::ModifyGraphs, AccessReason::PrivilegeTooLow).await;
        self.assigns(Role::Trending).await;
        self.expect(Permission::ModifyGraphs, AccessReason::Granted).await;
        self.assigns(Role::Alerts).await;
        self.expect(Permission::ModifyGraphs, AccessReason::RoleMissing).await;
        self.moves(Privilege::Normal).await;
        self.expect(Permission::ModifyGraphs, AccessReason::Granted).await;
        if round.is_multiple_of(10) {
            self.leaves_and_comes_back().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_starts_after_an_answer_sees_the_change_whatever_else_is_asked() {
    const CHANGERS: usize = 8;
    const ROUNDS: usize = 160;
    let site = Site::start().await;
    site.account("acme").await;
    let service = site.service("gateway", &["access.check"], "").await;
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (mut changers, mut crowd) = (JoinSet::new(), JoinSet::new());
    for number in 0..CHANGERS {
        let person = site.member("acme", &format!("person-{number}@acme.test"), Privilege::Normal, &[]).await;
        let (done, asked, user) = (Arc::clone(&done), Arc::clone(&asked), person.id.clone());
        let mut asking = site.bearer(&service).await;
        crowd.spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let answer = checked(&mut asking, &user, Permission::ManageUsers).await;
                assert!(!answer.allowed, "never given");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        let as_person = site.bearer(&person.token).await;
        let (writing, asking) = (site.operator().await, site.bearer(&service).await);
        let mut changer = Changer { writing, asking, as_person, person, checks: 0 };
        changers.spawn(async move {
            for round in 0..ROUNDS {
                changer.round(round).await;
            }
            changer.checks
        });
    }
    let checks: u64 = changers.join_all().await.into_iter().sum();
    done.store(true, Ordering::Relaxed);
    crowd.join_all().await;
    println!("{checks} checks right after a change, none stale; {} beside them", asked.load(Ordering::Relaxed));
    assert!(checks >= 5000, "{checks}");
}

#[tokio::test]
async fn checks_need_no_database() {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let service = site.service("gateway", &["access.check", "users.read"], "").await;
    let (mut as_ann, mut as_service) = (site.bearer(&ann.token).await, site.bearer(&service).await);
    let store = site.app().store();
    let (release, held) = hold(store).await;
    let mut readers = Vec::new();
    // more than there are: the last one to be had is the last
    while readers.len() < READERS {
        readers.push(store.read().await.expect("a reader"));
    }
    let mut waiting = JoinSet::new();
    let mut reading = as_service.clone();
    waiting.spawn(async move { reading.users.get_account(proto::GetAccountRequest { account: "acme".to_owned() }).await });
    for round in 0..500 {
        let client = if round % 2 == 0 { &mut as_ann } else { &mut as_service };
        assert!(checked(client, "ann@acme.test", Permission::ManageUsers).await.allowed);
        let request = proto::ListPermissionsRequest { account: "acme".to_owned(), user: ann.id.clone() };
        assert_eq!(client.access.list_permissions(request).await.expect("answered").into_inner().permissions.len(), 8);
    }
    assert!(waiting.try_join_next().is_none(), "whatever reads the database waits");
    release.send(()).expect("held");
    drop(readers);
    held.await.expect("done");
    waiting.join_next().await.expect("one").expect("ended").expect("read");
}

/// How many connections there are to read with.
const READERS: usize = 4;
