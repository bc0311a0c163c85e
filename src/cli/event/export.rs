//! `events export`: history as lines that another program verifies alone.
//!
//! The first line says where the export begins, the last one how it ended: without that it is incomplete. Between them stands a line for each
//! event, which tells its canonical bytes part by part; whoever puts the parts together again and hashes them has proved every value that
//! they read. A file is written beside its name and renamed when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value as Json, json};

use crate::cli::Failure;
use crate::cli::console::Console;
use crate::cli::screen::note;
use crate::domain::event::{Event, Part, Personal, Salted, Value};
use crate::domain::head::Head;
use crate::proto;

/// What the first line says of how the lines are to be read.
const FORMAT: &str = "user-management events 1";

/// Events a call.
const PAGE: i32 = 1000;

/// What is exported, and where to.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    /// Begin with this event
    #[arg(long, value_name = "SEQ", default_value = "1", hide_default_value = true, value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,
    /// Write this file, for its owner alone, instead of to standard output
    #[arg(long, value_name = "FILE", default_value = "-", hide_default_value = true)]
    into: PathBuf,
}

impl Export {
    pub(in crate::cli) async fn run(self, console: &Console) -> Result<ExitCode, Failure> {
        if self.into.as_os_str() == "-" {
            let mut out = BufWriter::new(std::io::stdout());
            self.write(console, &mut out).await?;
            out.flush().map_err(Failure::Output)?;
            return Ok(ExitCode::SUCCESS);
        }
        let part = beside(&self.into);
        let outcome = async {
            let file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(|error| {
                    Failure::Output(std::io::Error::new(error.kind(), format!("{}: {error}", part.display())))
                })?;
            let mut out = BufWriter::new(file);
            let count = self.write(console, &mut out).await?;
            let file = out.into_inner().map_err(|error| Failure::Output(error.into_error()))?;
            file.sync_all().and_then(|()| std::fs::rename(&part, &self.into)).map_err(Failure::Output)?;
            sync_folder(&self.into).map_err(Failure::Output)?;
            Ok(count)
        };
        let count = outcome.await.inspect_err(|failure: &Failure| {
            // one that another export is writing stays
            if !matches!(failure, Failure::Output(error) if error.kind() == std::io::ErrorKind::AlreadyExists) {
                let _ = std::fs::remove_file(&part);
            }
        })?;
        note(&format!("{count} events are in {}", self.into.display()));
        Ok(ExitCode::SUCCESS)
    }

    /// Writes all that there is when it begins; what happens meanwhile is for the next time.
    async fn write(&self, console: &Console, out: &mut impl Write) -> Result<u64, Failure> {
        let mut next = self.from;
        let mut first = None;
        let mut end: Option<Head> = None;
        loop {
            let page = console.call(proto::ExportEventsRequest { from_seq: next, page_size: PAGE }).await?;
            let end = match end {
                Some(end) => end,
                None => *end.insert(head(page.head.as_ref())?),
            };
            if page.events.is_empty() {
                return Err(Failure::Answer(format!("there is no event {next}: the last one is {}", end.seq)));
            }
            for stored in page.events.into_iter().filter(|stored| stored.seq <= end.seq) {
                let (seq, hash) = (stored.seq, hex(&stored.hash));
                let event = decode(&stored)?;
                if first.is_none() {
                    if seq > self.from {
                        note(&format!("events before {seq} were dropped: the export begins there"));
                    }
                    let begin = json!({ "format": FORMAT, "epoch": end.epoch.map(|epoch| epoch.to_string()), "first": seq, "previous_hash": hex(&event.previous) });
                    line(out, &begin)?;
                } else if seq != next {
                    return Err(Failure::Answer(format!("events from {next} on were dropped meanwhile: export again")));
                }
                let first = *first.get_or_insert(seq);
                let parts: Vec<Json> = event.parts().iter().map(told).collect();
                line(out, &json!({ "seq": seq, "hash": hash, "event": parts }))?;
                if seq == end.seq {
                    let count = seq - first + 1;
                    line(out, &json!({ "events": count, "head": end.to_string() }))?;
                    return Ok(count);
                }
                next = seq + 1;
            }
        }
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn line(out: &mut impl Write, json: &Json) -> Result<(), Failure> {
    writeln!(out, "{json}").map_err(Failure::Output)
}

pub(super) fn head(told: Option<&proto::HistoryHead>) -> Result<Head, Failure> {
    let head = told.and_then(|head| {
        let epoch = if head.epoch.is_empty() { None } else { Some(head.epoch.parse().ok()?) };
        Some(Head { epoch, seq: head.seq, hash: head.hash[..].try_into().ok()? })
    });
    head.ok_or_else(|| Failure::Answer("it holds no head of history".to_owned()))
}

fn decode(stored: &proto::StoredEvent) -> Result<Event, Failure> {
    let unreadable = || Failure::Answer(format!("event {} can't be read: `events verify` says more", stored.seq));
    let mut personal = Vec::new();
    for known in &stored.personal_values {
        let salt = known.salt[..].try_into().map_err(|_| unreadable())?;
        personal.resize(usize::try_from(known.slot).unwrap_or(0).min(16), None);
        personal.push(Some(Salted { salt, value: known.value.clone() }));
    }
    Event::decode(&stored.canonical, personal).map_err(|_| unreadable())
}

/// A part as name, kind and value; of a personal value that wasn't erased, the salt and the value itself come behind its digest.
fn told(Part { name, value }: &Part) -> Json {
    match value {
        Value::Integer(width, number) => json!([name, format!("u{}", width * 8), number]),
        Value::Time(micros) => json!([name, "time", micros]),
        Value::Option(there) => json!([name, "option", there]),
        Value::Id(id) => json!([name, "id", id]),
        Value::Bytes(bytes) => json!([name, "bytes", hex(bytes)]),
        Value::Text(text) => json!([name, "text", text]),
        Value::Personal(Personal { digest, known: None }) => json!([name, "digest", hex(digest)]),
        Value::Personal(Personal { digest, known: Some(Salted { salt, value }) }) => {
            json!([name, "digest", hex(digest), hex(salt), value])
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
