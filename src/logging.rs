//! Log lines, to standard error: systemd or a container's host keeps them.

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Turns logging on for the process. A second call changes nothing.
pub fn start(config: &LogConfig) {
    // the configuration has parsed the filter once
    let filter = EnvFilter::builder().parse_lossy(&config.filter);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
