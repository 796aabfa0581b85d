//! Logs and metrics.

use std::io::IsTerminal as _;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

pub mod api;
pub mod metrics;
pub mod reconcile;
pub mod warnings;

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Reads the name of a format.
    ///
    /// # Errors
    /// When there is no such format.
    pub fn from_name(name: &str) -> anyhow::Result<Self> {
        clap::ValueEnum::from_str(name, true)
            .map_err(|_| anyhow::anyhow!("TRUNKLINE_LOG_FORMAT names no log format; text and json are"))
    }
}

/// Starts logging to standard error. `filter` is in the syntax of `RUST_LOG`.
///
/// # Errors
/// When the filter can not be understood, or logging was started before.
pub fn init(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    // The filter may come from the environment, whose values are not repeated.
    let filter = EnvFilter::from_str(filter)
        .map_err(|_| anyhow::anyhow!("--log or TRUNKLINE_LOG is not a log filter such as \"info\""))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging can not be started: {error}"))
}
