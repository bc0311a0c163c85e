//! Running targets: how long, what was tried, and what is told of an input that breaks one.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::mutator::Mutator;
use crate::requests;
use crate::targets::Target;

/// What was asked for by the environment.
pub(crate) struct Asked {
    /// A part of the name of targets; all for want of it.
    target: Option<String>,
    /// Which way to bend.
    seed: u64,
    /// So many rounds, in place of the target's own number.
    rounds: Option<u64>,
    /// So long, in place of rounds.
    time: Option<Duration>,
}

impl Asked {
    /// None where only the names of tests were asked for.
    pub(crate) fn of_environment() -> Option<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if arguments.iter().any(|argument| argument == "--list") {
            return None;
        }
        let named = arguments.into_iter().find(|argument| !argument.starts_with('-'));
        let number =
            |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")));
        Some(Self {
            target: std::env::var("FUZZ_TARGET").ok().or(named),
            seed: number("FUZZ_SEED").unwrap_or(1),
            rounds: number("FUZZ_ROUNDS"),
            time: number("FUZZ_SECONDS").map(Duration::from_secs),
        })
    }

    fn is_for(&self, name: &str) -> bool {
        self.target.as_ref().is_none_or(|part| name.contains(part.as_str()))
    }
}

/// How much of a target's work is done.
pub(crate) struct Budget {
    rounds: u64,
    until: Option<Instant>,
    done: u64,
}

impl Budget {
    fn new(asked: &Asked, rounds: u64) -> Self {
        let until = asked.time.map(|time| Instant::now() + time);
        Self { rounds: asked.rounds.unwrap_or(rounds), until, done: 0 }
    }

    /// Whether there is another round.
    pub(crate) fn another(&mut self) -> bool {
        let more = self.until.map_or(self.done < self.rounds, |until| Instant::now() < until);
        self.done += u64::from(more);
        more
    }
}

/// All targets in turn.
pub(crate) struct Run {
    asked: Asked,
    targets: u32,
    findings: u32,
}

impl Run {
    pub(crate) fn new(asked: Asked) -> Self {
        Self { asked, targets: 0, findings: 0 }
    }

    /// Runs a target, unless another was asked for: its seeds as they are, and then what is made of them.
    pub(crate) fn target(&mut self, target: &Target) {
        if !self.asked.is_for(target.name) {
            return;
        }
        let began = Instant::now();
        let seeds = (target.seeds)(target.name);
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        let mut budget = Budget::new(&self.asked, target.rounds);
        let mut mutator = Mutator::new(self.asked.seed, seeds.clone());
        let (mut taken, mut broken) = (0_u64, None);
        for seed in seeds {
            broken = broken.or_else(|| catch_unwind(AssertUnwindSafe(|| (target.holds)(&seed))).err().map(|_| seed));
        }
        while broken.is_none() && budget.another() {
            let input = mutator.next();
            match catch_unwind(AssertUnwindSafe(|| (target.holds)(&input))) {
                Ok(true) => {
                    taken += 1;
                    mutator.keep(&input);
                }
                Ok(false) => {}
                Err(_) => broken = Some(input),
            }
        }
        self.tell(target.name, budget.done, &format!("{taken} taken"), began);
        if let Some(input) = broken {
            self.findings += 1;
            explain(target, &shorter(target, input));
        }
    }

    /// Runs requests against a server, unless other targets were asked for.
    pub(crate) fn requests(&mut self) {
        if !self.asked.is_for("requests") {
            return;
        }
        let began = Instant::now();
        let mut budget = Budget::new(&self.asked, 2400);
        let outcome = catch_unwind(AssertUnwindSafe(|| requests::run(self.asked.seed, &mut budget)));
        let told = outcome.as_ref().map_or_else(|_| "broken".to_owned(), Clone::clone);
        self.tell("requests", budget.done, &told, began);
        if let Err(fault) = outcome {
            self.findings += 1;
            println!(
                "    requests: {}\n    again: FUZZ_SEED={} cargo test --test fuzz -- requests",
                said(&*fault),
                self.asked.seed
            );
        }
    }

    fn tell(&mut self, name: &str, rounds: u64, what: &str, began: Instant) {
        self.targets += 1;
        println!("{name:16} {rounds:>10} rounds, {what}, {:.1} s", began.elapsed().as_secs_f64());
    }

    /// Says how it went.
    pub(crate) fn end(self) -> ExitCode {
        // a name that cargo was given is another test's, as like as not
        println!("{} targets, {} findings, seed {}", self.targets, self.findings, self.asked.seed);
        ExitCode::from(u8::from(self.findings > 0))
    }
}

/// Drops whatever can be dropped from an input that breaks a target.
fn shorter(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    std::panic::set_hook(Box::new(|_| {}));
    let mut size = input.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < input.len() {
            let end = (at + size).min(input.len());
            let without = [&input[..at], &input[end..]].concat();
            if catch_unwind(AssertUnwindSafe(|| (target.holds)(&without))).is_err() {
                input = without;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    let _ = std::panic::take_hook();
    input
}

/// Says what broke and how to see it again.
fn explain(target: &Target, input: &[u8]) {
    let name = target.name;
    let fault = catch_unwind(AssertUnwindSafe(|| (target.holds)(input))).expect_err("it breaks again");
    let place = scratch().join(format!("{name}-{}", input.len()));
    std::fs::write(&place, input).expect("the input is kept");
    println!("    {name}: {}\n    input: b\"{}\"", said(&*fault), input.escape_ascii());
    println!("    again: cp {} tests/fuzz/seeds/{name}/ && cargo test --test fuzz -- {name}", place.display());
}

fn said(fault: &(dyn Any + Send)) -> String {
    let text = fault.downcast_ref::<String>().cloned();
    text.or_else(|| fault.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Where inputs are kept that broke something.
fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned()
}
