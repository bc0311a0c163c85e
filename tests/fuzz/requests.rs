//! Requests that nobody would send, to a real server over real connections, by every kind of caller.
//!
//! Whatever is sent, the answer is one that the contract has, a refusal has changed nothing, a rehearsal changes nothing, neither answer nor log
//! tells a secret, no account loses its last Admin unless an operator wrote that out, and history is whole at the end.

mod cast;
mod check;
mod frames;
mod logs;
mod messages;
mod pool;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::{Code, Status};

use self::cast::{Caller, Stage};
use self::pool::Pool;
use crate::call;
use crate::client::Identified;
use crate::mutator::{Dice, Mutator};
use crate::run::Budget;

/// Calls on one site; then another begins, since much of it is closed, deleted or locked by now.
const CALLS: u32 = 300;

/// What came of them, by the code of the answer.
#[derive(Default)]
struct Tally {
    sites: u32,
    codes: BTreeMap<String, u64>,
    /// The RPCs that did what was asked for at least once.
    done: BTreeSet<String>,
}

/// Makes calls until the budget is spent, and answers what came of them.
pub(crate) fn run(seed: u64, budget: &mut Budget) -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    logs::keep();
    let mut tally = Tally::default();
    let mut dice = Dice::new(seed);
    while budget.another() {
        tally.sites += 1;
        runtime.block_on(site(&mut dice, budget, &mut tally));
    }
    let codes: Vec<String> = tally.codes.iter().map(|(code, times)| format!("{times} {code}")).collect();
    let never: Vec<String> =
        call::methods().iter().map(|method| method.name().to_owned()).filter(|name| !tally.done.contains(name)).collect();
    let never = if never.is_empty() { "every RPC did its work".to_owned() } else { format!("never done: {}", never.join(" ")) };
    assert!(logs::looked_at() > 0, "the log was kept");
    format!("{} sites, {}; {} bytes of log; {never}", tally.sites, codes.join(", "), logs::looked_at())
}

async fn site(dice: &mut Dice, budget: &mut Budget, tally: &mut Tally) {
    let mut stage = Stage::set(tally.sites).await;
    let (methods, mut pool) = (call::methods(), Pool::new(&stage));
    let mut bender = Mutator::new(dice.any(), vec![b"\x0a\x04acme\x12\x0dann@acme.test".to_vec()]);
    let mut admins = check::accounts(&stage).await;
    for round in 0..CALLS {
        if round > 0 && !budget.another() {
            break;
        }
        if round % 32 == 0 {
            pool.read_mails(&stage.site.mail_dir());
        }
        let method = dice.pick(&methods);
        let at = stage.pick(dice, method);
        let caller = &stage.callers[at];
        let mut request = messages::any(dice, &mut pool, &method.input()).encode_to_vec();
        if dice.once_in(10) {
            bender.bend(&mut request);
        }
        // of a stream that begins there is no end to wait for
        if dice.once_in(12) && !method.is_server_streaming() {
            frames::send(dice, caller, method, &request).await;
            admins = check::accounts(&stage).await;
            continue;
        }
        let call = Call { caller, headers: headers(dice, &pool, caller), method, request };
        let code = call.make(&stage, &mut pool, &mut admins).await;
        if code == Code::Ok {
            tally.done.insert(method.name().to_owned());
        }
        *tally.codes.entry(format!("{code:?}")).or_default() += 1;
        if code == Code::Unauthenticated {
            stage.callers[at].come_back(&stage.site).await;
        }
    }
    check::history(&stage).await;
}

/// What the caller sends with a request: who they are, now and then bent or with more.
fn headers(dice: &mut Dice, pool: &Pool, caller: &Caller) -> Identified {
    let mut headers = match &caller.token {
        Some(token) if dice.once_in(40) => {
            Identified::default().with("authorization", &format!("Bearer {}x", &token[..token.len() - 1]))
        }
        Some(token) => Identified::by(token),
        None => Identified::default(),
    };
    if let Some(user) = &caller.acts_for {
        headers = headers.with("x-act-as", user);
    }
    if dice.once_in(20) {
        let name = *dice.pick(&["x-act-as", "x-forwarded-for", "authorization", "via", "user-agent", "grpc-timeout"]);
        let word = dice.word();
        let value = if dice.once_in(2) { pool.any(dice) } else { word };
        let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !(name == "grpc-timeout" && value.len() < 4);
        headers = headers.with(name, if plain { &value } else { "99999999H" });
    }
    headers
}

/// One call.
struct Call<'a> {
    caller: &'a Caller,
    headers: Identified,
    method: &'a MethodDescriptor,
    request: Vec<u8>,
}

impl Call<'_> {
    /// Makes it, and looks at what came of it.
    async fn make(self, stage: &Stage, pool: &mut Pool, admins: &mut check::Accounts) -> Code {
        let request = DynamicMessage::decode(self.method.input(), &self.request[..]).ok();
        let told = format!(
            "{} by {}: {}",
            self.method.name(),
            self.caller.name,
            request.as_ref().map_or_else(|| self.request.escape_ascii().to_string(), ToString::to_string)
        );
        logs::taken();
        let before = stage.site.app().view().seq();
        let answer = self.send().await;
        let changed = stage.site.app().view().seq() != before;
        let is_set = |field: &str| {
            request
                .as_ref()
                .and_then(|request| request.get_field_by_name(field))
                .is_some_and(|value| value.as_bool() == Some(true))
        };
        let secrets = request.as_ref().map(check::secrets).unwrap_or_default();
        let code = match &answer {
            Err(status) => {
                check::refusal(status, &told);
                check::tells_none(&secrets, &format!("{status:?}"), &told);
                assert!(!changed, "a refusal changed something: {told}: {status:?}");
                status.code()
            }
            Ok(answer) => {
                check::tells_none(&secrets, &answer.to_string(), &told);
                assert!(!changed || !is_set("validate_only"), "a rehearsal changed something: {told}");
                pool.learn(answer);
                Code::Ok
            }
        };
        let logged = logs::taken();
        check::tells_none(&secrets, &logged, &format!("{told}, in the log"));
        assert!(stage.loses_mail || !logged.contains("ERROR"), "a fault of the server at {told}: {logged}");
        if changed {
            check::last_admins(stage, admins, is_set("leave_without_admin"), &told).await;
        }
        code
    }

    async fn send(&self) -> Result<DynamicMessage, Status> {
        let channel = self.caller.channel.clone();
        wire::call(channel, self.headers.clone(), self.method, self.request.clone()).await
    }
}
