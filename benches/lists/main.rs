//! What a page of each list costs with each filter, over gRPC, at 1,000 and at 1,000,000 memberships in one account: the promise is that it
//! is at most one and a half times as much. Both services run at once and are asked in turn, so that whatever else the machine does hits both.
//!
//! ```text
//! cargo bench --bench lists [-- <size>]
//! ```

mod filling;
mod queries;

use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint};
use user_management::config::Config;
use user_management::domain::clock::Clock;
use user_management::serve::Service;

use queries::{Asked, QUERIES};

/// Entries of a page, few enough that what one in fifty has fills one at the small size.
const PAGE: i32 = 20;

/// How often a page is asked for.
const ROUNDS: usize = 101;

fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(compare(1_000, asked.unwrap_or(1_000_000)));
}

async fn compare(small: u32, large: u32) {
    let (few, many) = (Site::of(small).await, Site::of(large).await);
    println!("µs a page of {PAGE}, at {small} and at {large}\n");
    println!("| list and filter | first | | middle | | last | | worst ratio |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, query) in QUERIES {
        let tokens = (few.tokens(query).await, many.tokens(query).await);
        let mut times = [const { (Vec::new(), Vec::new()) }; 3];
        for round in 0..ROUNDS {
            for (place, (times_few, times_many)) in times.iter_mut().enumerate() {
                times_few.push(few.time(query, tokens.0.at(place, round)).await);
                times_many.push(many.time(query, tokens.1.at(place, round)).await);
            }
        }
        let medians = times.map(|(few, many)| (median(few), median(many)));
        let worst = medians.iter().map(|(few, many)| many / few).fold(0.0, f64::max);
        let cells = medians.map(|(few, many)| format!("{few:.0} | {many:.0}"));
        println!("| {name} | {} | {worst:.2} |", cells.join(" | "));
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The tokens of pages at the places that are measured: one page at the beginning, several in the middle, the last full one at the end.
struct Tokens {
    middle: Vec<String>,
    last: String,
}

impl Tokens {
    fn at(&self, place: usize, round: usize) -> &str {
        match place {
            0 => "",
            1 => self.middle.get(round % self.middle.len()).map_or("", String::as_str),
            _ => &self.last,
        }
    }
}

/// A running service with its data.
struct Site {
    channel: Channel,
    _stop: DropGuard,
    _directory: tempfile::TempDir,
}

impl Site {
    async fn of(size: u32) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let data = directory.path().join("data");
        // the service makes its database, and is stopped, before it is filled
        let (stop, thread, _) = run(&data).await;
        drop(stop);
        thread.join().expect("it ends");
        let began = Instant::now();
        filling::fill(&data.join("user-management.db"), size).await;
        eprintln!("{size} of everything written in {:.0?}", began.elapsed());
        let (stop, _, socket) = run(&data).await;
        let address = format!("unix:{}", socket.display());
        let channel = Endpoint::from_shared(address).expect("an address").connect().await.expect("a connection");
        Self { channel, _stop: stop, _directory: directory }
    }

    /// Walks a list to its end in long pages, whose tokens are good for short ones too, and answers those of the middle and the end.
    async fn tokens(&self, query: Asked) -> Tokens {
        let mut long = vec![String::new()];
        while let (_, Some(next)) = self.ask(query, long.last().expect("one"), 1000).await {
            long.push(next);
        }
        let mut middle = vec![long.get(long.len() / 2).cloned().unwrap_or_default()];
        while middle.len() < ROUNDS {
            match self.ask(query, middle.last().expect("one"), PAGE).await {
                (_, Some(next)) => middle.push(next),
                (_, None) => break,
            }
        }
        // a short list's middle would be its end, which may be short
        if middle.len() > 1 {
            middle.pop();
        }
        // pages after the one before the last long one: the last may hold too few for one
        let mut last = long.get(long.len().saturating_sub(2)).cloned().unwrap_or_default();
        let mut token = last.clone();
        loop {
            let (entries, next) = self.ask(query, &token, PAGE).await;
            if entries == usize::try_from(PAGE).unwrap_or(usize::MAX) {
                last.clone_from(&token);
            }
            let Some(next) = next else { return Tokens { middle, last } };
            token = next;
        }
    }

    async fn ask(&self, query: Asked, token: &str, size: i32) -> (usize, Option<String>) {
        let (entries, next) = query(self.channel.clone(), token.to_owned(), size).await;
        (entries, Some(next).filter(|next| !next.is_empty()))
    }

    /// Microseconds that a page takes.
    async fn time(&self, query: Asked, token: &str) -> f64 {
        let began = Instant::now();
        query(self.channel.clone(), token.to_owned(), PAGE).await;
        began.elapsed().as_secs_f64() * 1e6
    }
}

/// Runs a service on a thread of its own.
async fn run(data: &Path) -> (DropGuard, std::thread::JoinHandle<()>, PathBuf) {
    let config = format!("data_dir = '{}'\ngrpc.listen = [\"127.0.0.1:0\"]\n", data.display());
    let config = Config::from_toml(&config).expect("a configuration");
    let (ready, bound) = tokio::sync::oneshot::channel();
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let service = Service::bind(&config, Clock::System).await.expect("the service starts");
            let _ = ready.send(service.addresses().socket.clone());
            service.run(stopped).await.expect("the service runs");
        });
    });
    (stop.drop_guard(), thread, bound.await.expect("an address"))
}
