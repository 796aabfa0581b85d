//! The configuration: read once, checked as a whole, resolved into [`Settings`].
//!
//! A TOML file is overlaid with environment variables (`TRUNKLINE_KAFKA__BOOTSTRAP_SERVERS` is
//! `kafka.bootstrap_servers`). Every key is read through a [`Section`](crate::section::Section), which knows where a
//! value came from, collects every problem instead of stopping at the first, refuses keys that nobody
//! asked for, and remembers the resolved value with secrets redacted.
//!
//! A message names the key, where its value came from, and what would be right. It repeats no value of a
//! secret, of `kafka.properties` or of the environment, and no sentence of a library, which might repeat one.
//!
//! Only this module reads the environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub mod document;
pub mod resolve;

use crate::section::report::Report;
pub use crate::section::report::{Environment, Problem, Problems};
pub use crate::section::secret::Secret;
pub use crate::settings::{
    KafkaSettings, Policy, ServerSettings, Settings, Source, SpoolSettings, TlsFiles, admin_url,
};
use document::Document;

/// Where the file is looked for when nothing names it.
const DEFAULT_FILE: &str = "trunkline.toml";

/// Where operators are served, unless told otherwise.
const DEFAULT_ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9100);

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
mod secrets_tests;
#[cfg(test)]
mod tests;
