//! Log lines, to standard error: systemd or a container's host keeps them.

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// What heads of history are logged as. Whoever keeps them elsewhere misses none for a filter.
pub(crate) const HEADS: &str = "user_management::head";

/// Turns logging on for a server. A second call changes nothing.
pub fn start(config: &LogConfig) {
    // the configuration has parsed the filter once
    let mut filter = EnvFilter::builder().parse_lossy(&config.filter);
    if let Ok(heads) = format!("{HEADS}=info").parse() {
        filter = filter.add_directive(heads);
    }
    write(config.format, filter);
}

/// Turns logging on for a command, which says itself what became of its call: faults alone.
pub fn start_with_faults(format: LogFormat) {
    write(format, EnvFilter::builder().parse_lossy("error"));
}

fn write(format: LogFormat, filter: EnvFilter) {
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
