//! A client that writes without a pause, knows what each answer has to be, and remembers it.

mod accounts;
mod at_once;
mod invitations;
mod logins;
mod members;
mod operators;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use user_management::proto::{self, Permission, Privilege, Role};

use crate::ask::{Asked, Tally, Told, ask};
use crate::client::{Client, Identified};
use crate::dice::Dice;
use crate::model::{Account, Person, Region, Seat};
use crate::postbox::Postbox;
use crate::program::Place;

/// What a writer may do next, each with how often beside the others.
macro_rules! acts {
    ($($weight:literal $act:ident,)*) => {
        impl Writer {
            async fn act(&mut self) {
                self.round += 1;
                let mut thrown = self.dice.throw(0 $(+ $weight)*);
                $(
                    if thrown < $weight {
                        self.doing = stringify!($act);
                        self.$act().await;
                        return self.decide_about_changed().await;
                    }
                    thrown -= $weight;
                )*
                unreachable!("{thrown} beyond all weights");
            }
        }
    };
}

acts! {
    6 create_account,
    6 update_account,
    3 close_or_reopen_account,
    40 invite,
    6 invite_many,
    14 update_invitation,
    14 resend_invitation,
    14 withdraw_invitation,
    45 accept,
    8 ignore,
    4 leave,
    16 change_privilege,
    16 assign_roles,
    8 remove,
    8 update_many,
    6 sign_up,
    2 resend_confirmation,
    12 confirm_sign_up,
    16 sign_in,
    4 sign_out,
    6 change_password,
    4 request_reset,
    8 set_password,
    4 change_email,
    6 confirm_email,
    6 update_me,
    5 create_user,
    4 send_reset,
    3 deactivate,
    6 reactivate,
    1 delete,
    2 revoke_sessions,
    2 set_super_admin,
    2 create_or_revoke_service,
    6 accept_and_withdraw_at_once,
    4 accept_twice_at_once,
    4 invite_twice_at_once,
    4 remove_two_at_once,
    40 decide,
}

/// How many people a writer looks after at most; more would only make each less busy.
const PEOPLE: usize = 16;

/// How many accounts each has at most, so that people meet in them.
const ACCOUNTS: usize = 16;

/// The writers at work.
pub(crate) struct Writers {
    tasks: JoinSet<Region>,
    done: Arc<AtomicBool>,
    pub(crate) tally: Arc<Tally>,
}

impl Writers {
    /// Starts them.
    pub(crate) async fn start(place: &Place, postbox: &Postbox, dice: &mut Dice, clock: &Arc<RwLock<i64>>) -> Self {
        let (done, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
        let mut tasks = JoinSet::new();
        for number in 0..8 {
            let mut writer = Writer {
                number,
                dice: dice.fork(),
                region: Region::default(),
                operator: Client::new(place.operators_channel().await, Identified::default()),
                tools: place.tools_channel().await,
                postbox: postbox.clone(),
                tally: Arc::clone(&tally),
                round: 0,
                doing: "",
                changed: Vec::new(),
                clock: 0,
            };
            let (done, clock) = (Arc::clone(&done), Arc::clone(clock));
            tasks.spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let clock = clock.read().await;
                    writer.clock = *clock;
                    writer.act().await;
                }
                writer.region
            });
        }
        Self { tasks, done, tally }
    }

    /// How many writes were answered so far. Panics if a writer has: it saw an answer that mustn't be.
    pub(crate) fn answered(&mut self) -> u64 {
        if let Some(ended) = self.tasks.try_join_next() {
            drop(ended.expect("a writer saw what mustn't be"));
        }
        self.tally.answered.load(Ordering::Relaxed)
    }

    /// Lets each end what it does, with nothing unanswered, and answers what has to be there now.
    pub(crate) async fn finish(self) -> Vec<Region> {
        self.done.store(true, Ordering::Relaxed);
        self.tasks.join_all().await
    }
}

struct Writer {
    number: u64,
    dice: Dice,
    region: Region,
    operator: Client,
    tools: Channel,
    postbox: Postbox,
    tally: Arc<Tally>,
    round: u64,
    doing: &'static str,
    /// Whose memberships were changed by this act, in which accounts.
    changed: Vec<(String, String)>,
    /// How wrong the clock is, in microseconds, as long as this act takes.
    clock: i64,
}

/// Who does something.
#[derive(Clone)]
struct Doer {
    client: Client,
    /// The person with the session; none for the operator.
    person: Option<(String, String)>,
}

impl Doer {
    fn user(&self) -> Option<String> {
        self.person.as_ref().map(|(user, _)| user.clone())
    }
}

impl Writer {
    async fn decide(&mut self) {
        let Some(account) = self.account(false) else { return };
        let Some(user) = self.dice.pick(self.region.people.keys().cloned().collect::<Vec<_>>()) else { return };
        self.decide_about(account, user).await;
    }

    /// Asks about whose membership was changed just now: a change counts from its answer on.
    async fn decide_about_changed(&mut self) {
        for (account, user) in std::mem::take(&mut self.changed) {
            if self.dice.once_in(2) {
                self.decide_about(account, user).await;
            }
        }
    }

    /// Asks what somebody may do: what the answers so far make of it.
    async fn decide_about(&self, account: String, user: String) {
        let request = proto::ListPermissionsRequest { account: account.clone(), user: user.clone() };
        let told = ask!(&self.tally, &self.operator, access.list_permissions, request).told;
        let Told::Done(answer) = told else { panic!("{user} in {account}: {told:?}") };
        let there: BTreeSet<Permission> = answer.permissions().collect();
        assert_eq!(there, self.region.permissions(&self.region.accounts[&account], &user), "{user} in {account}");
        self.tally.decided.fetch_add(1, Ordering::Relaxed);
    }

    /// The same whenever the same request is sent again.
    fn request_id(&self, step: u64) -> String {
        format!("00000000-0000-4{step:03x}-8{:03x}-{:012x}", self.number, self.round)
    }

    /// A name that was never used.
    fn fresh(&self, what: &str) -> String {
        format!("{what}-{}-{}", self.number, self.round)
    }

    fn fresh_address(&self) -> String {
        format!("p{}.{}@acme.test", self.number, self.round)
    }

    fn fresh_password(&self) -> String {
        format!("correct horse battery {} {}", self.number, self.round)
    }

    fn nobody(&self) -> Client {
        Client::new(self.tools.clone(), Identified::default())
    }

    fn bearer(&self, token: &str) -> Client {
        Client::new(self.tools.clone(), Identified::by(token))
    }

    fn operator(&self) -> Doer {
        Doer { client: self.operator.clone(), person: None }
    }

    /// A person in one of their sessions; none if they have none.
    fn in_person(&mut self, user: &str) -> Option<Doer> {
        let person = self.region.people.get(user)?;
        let token = self.dice.pick(person.live_sessions(self.clock))?.token.clone();
        Some(Doer { client: self.bearer(&token), person: Some((user.to_owned(), token)) })
    }

    /// Anybody in one of their sessions.
    fn anybody(&mut self) -> Option<Doer> {
        let signed_in = self.region.people.iter().filter(|(_, person)| person.live_sessions(self.clock).next().is_some());
        let user = self.dice.pick(signed_in.map(|(user, _)| user))?.clone();
        self.in_person(&user)
    }

    /// Somebody who may manage the users of an account.
    fn manager(&mut self, account: &str) -> Doer {
        if self.dice.once_in(2)
            && let Some(found) = self.region.accounts.get(account).filter(|account| !account.closed)
            // a super-admin's session is an operator's
            && let managers = self.region.managers(found).into_iter().filter(|user| !self.region.people[user].super_admin)
            && let Some(user) = self.dice.pick(managers)
            && let Some(doer) = self.in_person(&user)
        {
            return doer;
        }
        self.operator()
    }

    /// An account, open ones only where that is asked for.
    fn account(&mut self, open: bool) -> Option<String> {
        let accounts = self.region.accounts.iter().filter(|(_, account)| !open || !account.closed);
        self.dice.pick(accounts.map(|(name, _)| name)).cloned()
    }

    fn account_mut(&mut self, name: &str) -> &mut Account {
        self.region.accounts.get_mut(name).expect("an account of the region")
    }

    /// Seats a person in an account anew, or no longer.
    fn seat(&mut self, account: &str, user: &str, seat: Option<Seat>) {
        let members = &mut self.account_mut(account).members;
        match seat {
            Some(seat) => members.insert(user.to_owned(), seat),
            None => members.remove(user),
        };
        self.changed.push((account.to_owned(), user.to_owned()));
    }

    fn person_mut(&mut self, user: &str) -> &mut Person {
        self.region.people.get_mut(user).expect("a person of the region")
    }

    fn any_seat(&mut self) -> Seat {
        let privilege = self.dice.pick([Privilege::Admin, Privilege::Normal, Privilege::ReadOnly]).expect("one of three");
        Seat { privilege, roles: self.any_roles() }
    }

    fn any_roles(&mut self) -> BTreeSet<Role> {
        let all = [Role::Admin, Role::Alerts, Role::Data, Role::Trending];
        if self.dice.once_in(2) { BTreeSet::new() } else { all.into_iter().filter(|_| self.dice.once_in(2)).collect() }
    }

    /// Holds an answer against what it has to be. Done answers come back.
    fn hold<T: Debug>(&self, what: &dyn Debug, asked: Asked<T>, must: Result<(), &str>) -> Option<T> {
        match (asked.told, must) {
            (Told::Done(answer), Ok(())) => {
                self.tally.answered.fetch_add(1, Ordering::Relaxed);
                self.tally.count(self.doing, false);
                Some(answer)
            }
            (Told::Refused(reason), Err(must)) if reason == must => {
                self.tally.count(self.doing, true);
                None
            }
            (told, must) => panic!(
                "writer {} round {}: {what:?} had to be {must:?} and was {told:?} after {} tries without an answer",
                self.number, self.round, asked.unanswered
            ),
        }
    }
}
