//! What breaks from outside: the program killed at any moment, and a disk that refuses to write.
//!
//! kill -9 is no power cut: what was handed to the kernel survives it. That fsync is waited for before an answer is what the broken disk shows.
//!
//! ```text
//! KILLS=500 SECONDS=600 cargo test --test faults -- kills
//! ```

#[allow(dead_code, reason = "shared with the suite, which uses all of it")]
#[path = "../suite/client.rs"]
mod client;
mod disk;
mod first_start;
mod found;
mod kills;
mod load;
mod program;

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
    if wanted("disk") {
        runtime.block_on(disk::that_does_not_write_is_told_and_loses_nothing());
    }
}

/// Random enough for moments and choices.
pub(crate) struct Dice(u64);

impl Dice {
    /// `SEED` throws the same again, as far as the machine's own timing lets it matter.
    pub(crate) fn new(test: &str) -> Self {
        let given = std::env::var("SEED").ok().map(|seed| seed.parse().expect("a number"));
        let seed = given.unwrap_or_else(|| getrandom::u64().expect("random bits"));
        println!("{test}: seed {seed}");
        Self(seed | 1)
    }

    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % sides
    }
}
