//! What each call cost, as the service traces it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use tokio::sync::{Mutex as Turn, MutexGuard, mpsc};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry};

/// What one call cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Statements that read, by their text: connections that read take turns as they like.
    pub(crate) read: BTreeMap<String, usize>,
    /// Statements of writes in their order, each with how many rows it changed.
    pub(crate) written: Vec<(String, u64)>,
    /// Whether each write was kept.
    pub(crate) writes: Vec<bool>,
    /// What each password hash cost.
    pub(crate) hashes: Vec<String>,
}

/// The costs of all calls that ended, for the one test whose turn it is: the process has one subscriber.
pub(crate) struct Ledger {
    calls: MutexGuard<'static, mpsc::UnboundedReceiver<(String, Cost)>>,
}

impl Ledger {
    /// Waits for its turn.
    pub(crate) async fn open() -> Self {
        static CALLS: LazyLock<Turn<mpsc::UnboundedReceiver<(String, Cost)>>> = LazyLock::new(|| {
            let (ended, calls) = mpsc::unbounded_channel();
            let filter = EnvFilter::new("off,sqlx::query=debug,user_management=trace");
            let subscriber = Registry::default().with(filter).with(Calls { ended: Mutex::new(ended) });
            tracing::subscriber::set_global_default(subscriber).expect("the first");
            Turn::new(calls)
        });
        Self { calls: CALLS.lock().await }
    }

    /// What a call does, and what it cost: known when nothing of it is under way any more.
    pub(crate) async fn cost_of<T>(&mut self, rpc: &str, call: impl Future<Output = T>) -> (T, Cost) {
        let (answer, mut costs) = self.costs_of(rpc, 1, call).await;
        (answer, costs.remove(0))
    }

    /// The same of many calls of one kind, in the order in which they ended.
    pub(crate) async fn costs_of<T>(&mut self, rpc: &str, calls: usize, all: impl Future<Output = T>) -> (T, Vec<Cost>) {
        while self.calls.try_recv().is_ok() {}
        let (answer, mut costs) = (all.await, Vec::new());
        while costs.len() < calls {
            let (ended, cost) = self.calls.recv().await.expect("the subscriber stays");
            if ended == rpc {
                costs.push(cost);
            }
        }
        (answer, costs)
    }
}

/// Gathers what happens inside of calls.
struct Calls {
    ended: Mutex<mpsc::UnboundedSender<(String, Cost)>>,
}

/// A call under way.
struct Call {
    rpc: String,
    cost: Cost,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Calls {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() == "call" {
            let mut said = Said::default();
            attributes.record(&mut said);
            let rpc = said.text("rpc").rsplit('/').next().unwrap_or_default().to_owned();
            let call = Call { rpc, cost: Cost::default() };
            context.span(id).expect("it was just made").extensions_mut().insert(call);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(scope) = context.event_scope(event) else { return };
        let (mut in_write, mut call) = (false, None);
        for span in scope {
            in_write |= span.name() == "write";
            call = (span.name() == "call").then_some(span).or(call);
        }
        let Some(call) = call else { return };
        let mut said = Said::default();
        event.record(&mut said);
        let mut extensions = call.extensions_mut();
        let Some(Call { cost, .. }) = extensions.get_mut() else { return };
        match (event.metadata().target(), &*said.text("message")) {
            ("sqlx::query", _) => {
                let whole = said.text("db.statement");
                let statement = if whole.is_empty() { said.text("summary") } else { whole };
                let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
                if statement.starts_with("PRAGMA ") {
                    // a reader's connection is opened when one is wanted beside others, whatever for
                } else if in_write {
                    // of one that only reads, the number is that of the last one that changed something
                    let reads = statement.starts_with("select ");
                    let changed = if reads { 0 } else { said.text("rows_affected").parse().expect("a number") };
                    cost.written.push((statement, changed));
                } else {
                    *cost.read.entry(statement).or_default() += 1;
                }
            }
            (_, "a write ended") => cost.writes.push(said.text("kept") == "true"),
            (_, "a password is hashed" | "a password is compared") => cost.hashes.push(said.text("cost")),
            _ => {}
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is still there");
        if let Some(Call { rpc, cost }) = span.extensions_mut().remove() {
            // nobody listens between tests
            let _ = self.ended.lock().unwrap_or_else(PoisonError::into_inner).send((rpc, cost));
        }
    }
}

/// The fields of a span or an event, as text.
#[derive(Default)]
struct Said(BTreeMap<&'static str, String>);

impl Said {
    fn text(&self, field: &str) -> String {
        self.0.get(field).cloned().unwrap_or_default()
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}
