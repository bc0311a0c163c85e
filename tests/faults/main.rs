//! What breaks from outside: the program killed at any moment, disks that refuse to write, clocks that jump, and relays that fail.
//!
//! Clients write all the while, as operators, members and strangers do (`writer`). Each knows what every answer has to be, from a model that
//! shares no code with the service (`model`, `history`, `mails`); at the end everything that was answered must be there, and nothing else
//! (`reckoning`).
//!
//! kill -9 is no power cut: what was handed to the kernel survives it. That fsync is waited for before an answer is what the broken disk shows.
//!
//! ```text
//! KILLS=1000 ANSWERS=100000 PROGRAM=target/release/user-management cargo test --test faults -- kills
//! SEED=7 cargo test --test faults -- relay
//! ```

#![allow(clippy::indexing_slicing, reason = "what isn't there fails the test")]

mod ask;
#[allow(dead_code, reason = "shared with the suite, which uses all of it")]
#[path = "../suite/client.rs"]
mod client;
mod clock;
mod dice;
mod disk;
mod first_start;
mod full_disk;
mod history;
mod kills;
mod mails;
mod model;
mod postbox;
mod program;
mod reckoning;
mod relay;
mod run;
mod shim;
#[allow(dead_code, reason = "shared with the suite, which uses all of it")]
#[path = "../suite/smtp_sink.rs"]
mod smtp_sink;
mod taken;
mod writer;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // cargo gives every test binary the same arguments; a name says which tests are meant
    let named = arguments.iter().find(|argument| !argument.starts_with('-'));
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let wanted = |name: &str| named.is_none_or(|part| name.contains(part.as_str()));
    if wanted("first_start") {
        runtime.block_on(first_start::can_be_killed_at_any_moment());
    }
    if wanted("kills") {
        runtime.block_on(kills::lose_nothing_that_was_answered());
    }
    if wanted("broken_disk") {
        runtime.block_on(disk::that_does_not_write_is_told_and_loses_nothing());
    }
    if wanted("slow_disk") {
        runtime.block_on(disk::that_is_slow_and_fails_at_times_loses_nothing());
    }
    if wanted("full_disk") {
        runtime.block_on(full_disk::that_fills_and_empties_loses_nothing());
    }
    if wanted("clock") {
        runtime.block_on(clock::that_jumps_loses_nothing());
    }
    if wanted("relay") {
        runtime.block_on(relay::that_fails_loses_no_mail());
    }
    if wanted("taken") {
        runtime.block_on(taken::by_the_relay_is_sent_again_under_the_same_id());
    }
}
