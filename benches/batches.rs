//! Batches of 1,000 against as many single calls by one caller and by 64, on this disk: invitations, and moves of members.
//!
//! ```text
//! cargo bench --bench batches
//! ```
//!
//! Every figure is beside the one that it is compared with, from runs in turn, since machines are noisy.

use std::sync::Arc;
use std::time::Instant;

use user_management::app::App;
use user_management::app::UserRef;
use user_management::app::accounts::NewAccount;
use user_management::app::admission::{Admitted, Needs};
use user_management::app::caller::{Caller, Credentials};
use user_management::app::invitations::Invitee;
use user_management::app::members::{Update, What};
use user_management::app::returned::HandOver;
use user_management::config::Config;
use user_management::domain::clock::Clock;
use user_management::domain::email::Email;
use user_management::domain::event::Door;
use user_management::domain::id::{TraceId, UserId};
use user_management::domain::name::{DisplayName, Slug, Timezone};
use user_management::domain::peer::Peer;
use user_management::domain::policy::Standing;
use user_management::domain::privilege::Privilege;
use user_management::domain::role::RoleSet;
use user_management::store::Tuning;
use user_management::store::requests::Terms;

/// Entries of one batch.
const BATCH: usize = 1000;

/// How often a measurement is made; the medians are compared.
const ROUNDS: usize = 5;

fn main() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk");
    let data = directory.path().join("data");
    let config = Config::from_toml(&format!("data_dir = '{}'", data.display())).expect("a configuration");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let site = Site::open(&config).await;
        println!("entries/s                 single    64 callers     batch of {BATCH}     ratios");
        let (mut single, mut many, mut batch) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            single.push(site.invite_singly(&format!("a{round}"), 1).await);
            many.push(site.invite_singly(&format!("b{round}"), 64).await);
            batch.push(site.invite_at_once(&format!("c{round}")).await);
        }
        tell("invitations", single, many, batch);
        let (mut single, mut many, mut batch) = (Vec::new(), Vec::new(), Vec::new());
        let columns = [Privilege::Normal, Privilege::ReadOnly];
        for privilege in columns.into_iter().cycle().take(ROUNDS) {
            single.push(site.move_singly(privilege, 1).await);
            many.push(site.move_singly(if privilege == Privilege::Normal { columns[1] } else { columns[0] }, 64).await);
            batch.push(site.move_at_once(privilege).await);
        }
        tell("moves", single, many, batch);
        site.app.close().await;
    });
}

fn tell(what: &str, single: Vec<f64>, many: Vec<f64>, batch: Vec<f64>) {
    let [single, many, batch] = [single, many, batch].map(median);
    println!("{what:<20} {single:>11.0}  {many:>12.0}  {batch:>18.0}  {:>5.1}x {:>5.1}x", batch / single, batch / many);
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().expect("rounds were made")
}

struct Site {
    app: Arc<App>,
    operator: Caller,
    members: Vec<UserId>,
}

impl Site {
    async fn open(config: &Config) -> Self {
        let app = App::open(config, Clock::System, Tuning::default()).await.expect("the application opens");
        let operator = operator(&app);
        let new = NewAccount {
            name: Slug::parse("acme").expect("a name"),
            display_name: DisplayName::parse("Acme").expect("a name"),
            timezone: Timezone::utc(),
        };
        app.create_account(app.operator(&operator).expect("an operator"), new, Terms::default()).await.expect("an account");
        let members = add_members(&app, &operator).await;
        Self { app, operator, members }
    }

    fn manager(&self) -> Admitted {
        self.app.admit(&self.operator, "acme", Needs::MANAGE).expect("a manager")
    }

    async fn invite_singly(&self, round: &str, callers: usize) -> f64 {
        let began = Instant::now();
        let tasks = tokio_util::task::TaskTracker::new();
        for caller in 0..callers {
            let (app, manager, round) = (Arc::clone(&self.app), self.manager(), round.to_owned());
            tasks.spawn(async move {
                for number in (caller..BATCH).step_by(callers) {
                    let Invitee { email, grant } = invitee(&round, number);
                    app.invite(manager.clone(), email, grant, HandOver::Mail, Terms::default()).await.expect("invited");
                }
            });
        }
        tasks.close();
        tasks.wait().await;
        rate(began)
    }

    async fn invite_at_once(&self, round: &str) -> f64 {
        let invitees = (0..BATCH).map(|number| invitee(round, number)).collect();
        let began = Instant::now();
        let (results, _) =
            self.app.invite_all(self.manager(), invitees, HandOver::Mail, Terms::default()).await.expect("answered");
        assert!(results.iter().all(Result::is_ok));
        rate(began)
    }

    async fn move_singly(&self, privilege: Privilege, callers: usize) -> f64 {
        let began = Instant::now();
        let tasks = tokio_util::task::TaskTracker::new();
        for caller in 0..callers {
            let (app, manager) = (Arc::clone(&self.app), self.manager());
            let mine: Vec<UserId> = self.members.iter().skip(caller).step_by(callers).copied().collect();
            tasks.spawn(async move {
                for user in mine {
                    app.update_member(manager.clone(), moved(user, privilege), Terms::default()).await.expect("moved");
                }
            });
        }
        tasks.close();
        tasks.wait().await;
        rate(began)
    }

    async fn move_at_once(&self, privilege: Privilege) -> f64 {
        let updates = self.members.iter().map(|user| moved(*user, privilege)).collect();
        let began = Instant::now();
        self.app.update_members(self.manager(), updates, Terms::default()).await.expect("moved");
        rate(began)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a thousand")]
fn rate(began: Instant) -> f64 {
    BATCH as f64 / began.elapsed().as_secs_f64()
}

fn invitee(round: &str, number: usize) -> Invitee {
    let email = Email::parse(&format!("user-{round}-{number}@acme.test")).expect("an address");
    Invitee { email, grant: Standing { privilege: Privilege::Normal, roles: RoleSet::EMPTY } }
}

fn moved(user: UserId, privilege: Privilege) -> Update {
    Update { user: UserRef::Id(user), etag: String::new(), what: What::Move { privilege, keep_roles: false } }
}

/// Adds members beneath the application: how they came is not measured.
async fn add_members(app: &App, operator: &Caller) -> Vec<UserId> {
    app.store()
        .write(operator.origin().clone(), async |tx| {
            sqlx::raw_sql(
                "create temp table people as
                    with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000)
                    select i, randomblob(16) as user, randomblob(16) as address from n;
                 insert into addresses select address, 'member-' || i || '@acme.test' from people;
                 insert into users (id, address, email, display_name, created, version)
                    select user, address, 'member-' || i || '@acme.test', 'Member', 0, 1 from people;
                 insert into members (account, user, privilege, joined, version)
                    select (select id from accounts), user, 2, i, 1 from people",
            )
            .execute(tx.sql())
            .await?;
            let rows: Vec<(Vec<u8>,)> = sqlx::query_as("select user from members").fetch_all(tx.sql()).await?;
            Ok(rows.into_iter().map(|(id,)| UserId::from_bytes(id.try_into().expect("16 bytes"))).collect())
        })
        .await
        .expect("members")
}

fn operator(app: &App) -> Caller {
    app.caller(&Credentials {
        authorization: Vec::new(),
        certificate_names: Vec::new(),
        operators_socket_uid: Some(0),
        forwarded: false,
        act_as: Vec::new(),
        client: None,
        peer: Peer::Uid(0),
        door: Door::OperatorsSocket,
        trace: TraceId::from_bytes([0; 16]),
    })
    .expect("the operator")
}
