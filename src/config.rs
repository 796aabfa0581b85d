//! The configuration: read once, checked as a whole, resolved into [`Settings`].
//!
//! A TOML file is overlaid with environment variables (`TRUNKLINE_KAFKA__BOOTSTRAP_SERVERS` is
//! `kafka.bootstrap_servers`). Every key is read through a [`section::Section`], which knows where a
//! value came from, collects every problem instead of stopping at the first, refuses keys that nobody
//! asked for, and remembers the resolved value with secrets redacted.
//!
//! A message names the key, where its value came from, and what would be right. It repeats no value of a
//! secret, of `kafka.properties` or of the environment, and no sentence of a library, which might repeat one.
//!
//! Only this module reads the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub mod document;
pub mod report;
pub mod resolve;
pub mod secret;
pub mod section;
pub mod settings;

pub use secret::Secret;
pub use settings::{KafkaSettings, ServerSettings, Settings, Source, SpoolSettings, TlsFiles};

use document::Document;
use report::Report;

/// Where the file is looked for when nothing names it.
const DEFAULT_FILE: &str = "trunkline.toml";

/// Where operators are served, unless told otherwise.
const DEFAULT_ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9100);

/// The environment variables at the start of the process.
pub type Environment = BTreeMap<String, String>;

/// One thing that is wrong, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File or environment variable.
    pub origin: String,
    /// Line of the file, counted from 1. Of a key that is missing it is the line of the table that lacks it.
    pub line: Option<usize>,
    /// Path of the key, such as `kafka.ack_timeout_ms`.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(formatter, ": {}", self.key)?;
        }
        write!(formatter, ": {}", self.message)
    }
}

/// Every problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// A configuration that holds, with what else is worth telling.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Things that are allowed and unwise.
    pub warnings: Vec<Problem>,
    /// The resolved configuration as TOML, secrets redacted.
    pub redacted: String,
}

/// The environment of this process. Variables that are not text are none of ours.
pub fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Finds the file: the argument, else `TRUNKLINE_CONFIG`, else `./trunkline.toml` if it is there.
pub fn find_file(argument: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    let named = argument.map(Path::to_path_buf).or_else(|| environment.get("TRUNKLINE_CONFIG").map(PathBuf::from));
    named.or_else(|| Path::new(DEFAULT_FILE).exists().then(|| PathBuf::from(DEFAULT_FILE)))
}

/// Loads and resolves the configuration.
///
/// # Errors
/// Every problem at once.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Loaded, Problems> {
    let document = Document::read(file, environment)?;
    resolve_document(document, environment)
}

/// The address of the operators' server by a configuration that need not hold: what can be read of it, else the default.
pub fn admin_listen(file: Option<&Path>, environment: &Environment) -> SocketAddr {
    let listen = document::text_at(file, environment, ["admin", "listen"]);
    listen.and_then(|address| address.parse().ok()).unwrap_or(DEFAULT_ADMIN_LISTEN)
}

/// The URL of the operators' server. An address that listens everywhere is asked on loopback.
pub fn admin_url(mut listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
        listen.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{listen}")
}

/// Resolves a configuration given as text, for tests and for `trunkline dev`.
///
/// # Errors
/// Every problem at once.
pub fn load_text(name: &str, text: &str, environment: &Environment) -> Result<Loaded, Problems> {
    let document = Document::parse(name, text, environment)?;
    resolve_document(document, environment)
}

fn resolve_document(document: Document, environment: &Environment) -> Result<Loaded, Problems> {
    let report = Report::new(document.origins, environment);
    let settings = resolve::resolve(document.table, &report);
    let (problems, warnings, redacted) = report.into_parts();
    if problems.is_empty() { Ok(Loaded { settings, warnings, redacted }) } else { Err(Problems(problems)) }
}

#[cfg(test)]
mod tests;
