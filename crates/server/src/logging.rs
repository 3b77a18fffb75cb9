//! Log lines on standard error, one an event. Never bodies, keys or people's data.

use crate::cli::LogFormat;
use anyhow::Context;
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts to log; once in a program.
pub fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(filter).with_context(|| format!("--log {filter:?} is not a filter"))?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging could not be started: {error}"))
}
