//! How far a stream has been read, as a record of the state topic: what a restart or another process goes on from.
//!
//! It is written within bounds, so that no record grows too large, and read leniently, so that a later release may add
//! members. What can not be read counts as nothing at all, since half of a cursor would hide windows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::kind::SCHEMA_VERSION;
use crate::event::time::Time;
use crate::reconcile::compare::Counts;
use crate::reconcile::schedule::progress::{DoneWindow, OpenWindow, Progress, Reached};
use crate::reconcile::window::Window;

mod bounds;
pub mod run;

use bounds::{ACCOUNTS_AT_MOST, REGIONS_AT_MOST, REPORTS_AT_MOST, is_short, shortened};

/// The layout that this release writes, and the greatest that it reads.
const VERSION: u64 = 1;

const KIND: &str = "reconcile_cursor";

/// A stream's cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The source.
    pub source_name: String,
    /// The stream.
    pub stream: String,
    /// How far it has been read.
    pub progress: Progress,
    /// Reports that were asked for and not yet read.
    pub reports: Vec<PendingReport>,
    /// Where the provider wants to be asked about an account, by account; about all others under the empty text.
    pub region: BTreeMap<String, String>,
    /// The process that wrote it.
    pub instance: String,
    /// When.
    pub written_at: Time,
}

/// A report that the provider makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingReport {
    /// The provider's id of it.
    pub id: String,
    /// The first instant that it is about.
    pub from: Time,
    /// The first instant after that.
    pub to: Time,
    /// When it was asked for.
    pub asked_at: Time,
}

/// Why a record can not be gone on from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CursorFault {
    /// A later release wrote it. The stream must not be run, or it would read half of it.
    #[error("it was written by a later release (version {version}, and {VERSION} is the greatest known here)")]
    Newer {
        /// The version that it names.
        version: u64,
    },
    /// It is damaged. It counts as none.
    #[error("it can not be read: {why}")]
    Unreadable {
        /// In words, without anything of the record's text.
        why: &'static str,
    },
}

/// The key of a stream's cursor in the state topic.
pub fn key(source_name: &str, stream: &str) -> String {
    format!("reconcile/{source_name}/{stream}")
}

#[derive(Serialize)]
struct Written<'c> {
    schema_version: &'static str,
    kind: &'static str,
    version: u64,
    source_name: &'c str,
    stream: &'c str,
    since: Time,
    ages: Vec<AgeText>,
    open: Vec<OpenText>,
    windows: Vec<DoneText>,
    reports: &'c [PendingReport],
    region: BTreeMap<&'c str, &'c str>,
    instance: &'c str,
    written_at: Time,
}

#[derive(Deserialize)]
struct Head {
    kind: String,
    version: u64,
}

#[derive(Deserialize)]
struct ReadCursor {
    source_name: String,
    stream: String,
    since: Time,
    ages: Vec<AgeText>,
    open: Vec<OpenText>,
    #[serde(default)]
    windows: Value,
    #[serde(default)]
    reports: Value,
    #[serde(default)]
    region: Value,
    #[serde(default)]
    instance: String,
    written_at: Time,
}

#[derive(Serialize, Deserialize)]
struct AgeText {
    age_s: u32,
    through: Time,
}

#[derive(Serialize, Deserialize)]
struct OpenText {
    from: Time,
    to: Time,
    age_s: u32,
    why: String,
    tries: u32,
    tried_at: Time,
    #[serde(flatten)]
    counts: Counts,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<(String, u64)>,
}

#[derive(Serialize, Deserialize)]
struct DoneText {
    from: Time,
    #[serde(flatten)]
    done: DoneWindow,
}

impl Cursor {
    /// The record's value: JSON of less than 350 KB, whatever happened.
    ///
    /// # Errors
    /// Only if it could not be written as JSON, which its types do not allow.
    pub fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Self { source_name, stream, progress, reports, region, instance, written_at } = self;
        let reached = progress.reached().iter();
        let regions = region.iter().filter(|(account, url)| is_short(account) && is_short(url));
        serde_json::to_vec(&Written {
            schema_version: SCHEMA_VERSION,
            kind: KIND,
            version: VERSION,
            source_name,
            stream,
            since: progress.since(),
            ages: reached.map(|reached| AgeText { age_s: reached.age_s, through: reached.through }).collect(),
            open: open_texts(progress),
            windows: progress.done().map(|(from, done)| DoneText { from, done: *done }).collect(),
            reports: reports.get(..REPORTS_AT_MOST).unwrap_or(reports),
            region: regions.take(REGIONS_AT_MOST).map(|(account, url)| (account.as_str(), url.as_str())).collect(),
            instance,
            written_at: *written_at,
        })
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// When a later release wrote it, or it is damaged, or is about another stream than its key says.
    pub fn read(value: &[u8], source_name: &str, stream: &str) -> Result<Self, CursorFault> {
        check_head(value, KIND)?;
        let read: ReadCursor = serde_json::from_slice(value).map_err(|_| unreadable("members are missing or wrong"))?;
        if (read.source_name.as_str(), read.stream.as_str()) != (source_name, stream) {
            return Err(unreadable("it is about another stream than its key says"));
        }
        let open: Option<Vec<OpenWindow>> = read.open.into_iter().map(OpenText::into_window).collect();
        let open = open.ok_or_else(|| unreadable("an open window is no hour"))?;
        let reached = read.ages.iter().map(|age| Reached { age_s: age.age_s, through: age.through }).collect();
        let done = each::<DoneText>(read.windows).map(|text| (text.from, text.done));
        Ok(Self {
            source_name: read.source_name,
            stream: read.stream,
            progress: Progress::restored(read.since, reached, open, done.collect()),
            reports: each(read.reports).take(REPORTS_AT_MOST).collect(),
            region: serde_json::from_value(read.region).unwrap_or_default(),
            instance: read.instance,
            written_at: read.written_at,
        })
    }
}

/// Kind and version are read first, so that a later layout is told from damage.
fn check_head(value: &[u8], kind: &str) -> Result<(), CursorFault> {
    let head: Head = serde_json::from_slice(value).map_err(|_| unreadable("it names no kind and version"))?;
    match head {
        head if head.kind != kind => Err(unreadable("it is of another kind")),
        head if head.version > VERSION => Err(CursorFault::Newer { version: head.version }),
        _ => Ok(()),
    }
}

fn unreadable(why: &'static str) -> CursorFault {
    CursorFault::Unreadable { why }
}

/// Entries of a list without which nothing is lost: those that can not be read are left out.
fn each<T: for<'de> Deserialize<'de>>(list: Value) -> impl Iterator<Item = T> {
    let entries = if let Value::Array(entries) = list { entries } else { Vec::new() };
    entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok())
}

fn open_texts(progress: &Progress) -> Vec<OpenText> {
    let mut accounts_left = ACCOUNTS_AT_MOST;
    let text = |open: &OpenWindow| {
        let short = open.accounts.iter().filter(|(account, _)| is_short(account));
        let accounts: Vec<(String, u64)> = short.take(accounts_left).cloned().collect();
        accounts_left -= accounts.len();
        let (from, to) = (open.window.from(), open.window.to());
        let OpenWindow { age_s, tries, tried_at, counts, .. } = *open;
        OpenText { from, to, age_s, why: shortened(&open.why), tries, tried_at, counts, accounts }
    };
    progress.open().map(text).collect()
}

impl OpenText {
    /// An open window that was left out would be lost, so one that is no hour makes the whole cursor unreadable.
    fn into_window(self) -> Option<OpenWindow> {
        let Self { from, to, age_s, why, tries, tried_at, counts, accounts } = self;
        let window = Window::new(from, to).filter(|window| window.is_of_the_grid())?;
        Some(OpenWindow { window, age_s, why, tries, tried_at, counts, accounts })
    }
}

#[cfg(test)]
mod tests;
