//! Everything that parses what a stranger sends, given what nobody would send.
//!
//! A target is a function of some bytes that says what must hold of them, whatever they are: that it comes to an end is the least. It is given
//! its seeds (`seeds/<target>/`) as they are, then bent ones: bytes flipped, dropped, repeated, spliced with others, and words put in that
//! parsers trip over. The same seed bends them the same way, so that a run can be had again; what is found is kept as a seed.
//!
//! ```text
//! cargo test --test fuzz                                   # as in CI: some rounds of every target
//! cargo test --test fuzz -- names                          # one target
//! FUZZ_SECONDS=600 FUZZ_SEED=7 cargo test --profile fuzz --test fuzz -- names
//! FUZZ_ROUNDS=1000000 cargo test --profile fuzz --test fuzz
//! ```

#![allow(clippy::indexing_slicing, reason = "what isn't there fails the test, which is what it is for")]

#[path = "../suite/acme.rs"]
#[allow(dead_code, reason = "shared with the suite, which uses all of it")]
mod acme;
#[path = "../suite/matrix/call.rs"]
#[allow(dead_code, reason = "shared with the suite, which uses all of it")]
mod call;
#[path = "../suite/client.rs"]
#[allow(dead_code, reason = "shared with the suite, which uses all of it")]
mod client;
#[path = "../suite/mailbox.rs"]
#[allow(dead_code, reason = "shared with the suite, which uses all of it")]
mod mailbox;
mod mutator;
mod requests;
mod run;
#[path = "../suite/site.rs"]
#[allow(dead_code, reason = "shared with the suite, which uses all of it")]
mod site;
mod targets;

use std::process::ExitCode;

use run::{Asked, Run};

fn main() -> ExitCode {
    let Some(asked) = Asked::of_environment() else { return ExitCode::SUCCESS };
    let mut run = Run::new(asked);
    for target in targets::ALL {
        run.target(&target);
    }
    run.requests();
    run.end()
}
