//! Replay: what was kept is mapped anew, and what now succeeds is published under the same ids.
//!
//! Dead letters and raw requests hold what a provider sent. Ids are made of facts alone, so an event that
//! a later mapping makes of them has the id that the webhook would have had, and copies collapse where
//! copies always do.
//!
//! # Order of steps
//! A letter's events are published and acknowledged first, its mark in the state topic is written
//! second. A replay that dies in between publishes some events again, under equal ids, and loses nothing.
//!
//! # Bounds
//! A replay reads what was in the topic when it started. What cannot be acknowledged or read for
//! [`PATIENCE`] ends it with an error; running it again goes on where it was.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use thiserror::Error;

mod letter;
mod mapping;
mod marks;
mod outlet;

use crate::event::envelope::Record;
use crate::event::kind::{DEAD_LETTER_TOPIC, RAW_TOPIC, STATE_TOPIC, TopicInfo};
use crate::event::time::Time;
use crate::publish::client::StartError;
use crate::publish::reader::{From, ReadError, ReadRecord, Reader};
use crate::publish::topics::{self, TopicsError};
use crate::settings::{Settings, Source};
use letter::Letter;
use mapping::Mapped;
use marks::{Mark, Marks};
use outlet::Outlet;

/// How long a replay waits for the next record or acknowledgement before it gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(200);

/// What is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayable {
    /// What was authentic and could not be understood.
    DeadLetters,
    /// Every authentic request.
    RawRequests,
}

impl Replayable {
    fn topic(self) -> &'static TopicInfo {
        match self {
            Self::DeadLetters => &DEAD_LETTER_TOPIC,
            Self::RawRequests => &RAW_TOPIC,
        }
    }
}

/// What a replay is asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which topic it reads.
    pub kept: Replayable,
    /// Only what was received at this time or later.
    pub from: Option<Time>,
    /// Only what was received before this time.
    pub to: Option<Time>,
    /// Only what this source received.
    pub source: Option<String>,
    /// Publish nothing and mark nothing.
    pub dry_run: bool,
    /// Also what an earlier replay has done.
    pub again: bool,
}

/// What came of a replay so far. A letter is a dead letter or a raw request.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Letters within the asked range.
    pub read: u64,
    /// Letters of which nothing is left to do.
    pub replayed: u64,
    /// Events published; of a dry run, those that would be.
    pub events: u64,
    /// Letters of which something still fails.
    pub failing: u64,
    /// What still fails, counted by source and reason.
    pub faults: BTreeMap<(String, String), u64>,
    /// Letters that an earlier replay has done.
    pub done_earlier: u64,
    /// Letters of sources that are not configured, counted by source.
    pub unknown_sources: BTreeMap<String, u64>,
}

/// Why a replay ended early. What it published and marked until then stays.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The asked source is not there.
    #[error("there is no source {name:?} in the configuration; the sources are: {known}")]
    NoSource {
        /// The name asked for.
        name: String,
        /// Those that are there.
        known: String,
    },
    /// The state topic could not be made.
    #[error(transparent)]
    Topics(#[from] TopicsError),
    /// A topic could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Reading came to a halt.
    #[error("nothing more could be read for {} s; run the replay again to go on", PATIENCE.as_secs())]
    Stuck,
    /// The producer could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Kafka did not take what was published.
    #[error("Kafka does not acknowledge what is published; run the replay again to go on")]
    NotAcknowledged,
    /// A record could not be written, which its types do not allow.
    #[error("a record could not be written as JSON")]
    NotJson(#[from] serde_json::Error),
}

/// Something that a replay tells while it runs.
#[derive(Debug)]
pub enum Step<'s> {
    /// A dry run has come to a record that would be published.
    WouldPublish(&'s Record),
    /// A letter was dealt with.
    Progress(&'s Summary),
}

/// Runs a replay to its end. Needs a runtime of several threads, since reading blocks one of them.
///
/// # Errors
/// [`ReplayError`].
pub async fn run(
    settings: &Settings,
    options: &Options,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<Summary, ReplayError> {
    let sources = sources(settings, options)?;
    let marks = marks(settings, options).await?;
    let name = topics::full_name(&settings.kafka, options.kept.topic());
    let from = options.from.map_or(From::Beginning, From::Time);
    let mut reader = tokio::task::block_in_place(|| Reader::open(&settings.kafka, &[name], from))?;
    let outlet = if options.dry_run { None } else { Some(Outlet::start(settings).await?) };
    let mut run = Run { settings, options, sources, marks, outlet, tell, summary: Summary::default() };
    while let Some(record) = tokio::task::block_in_place(|| next(&mut reader))? {
        run.take(&record).await?;
    }
    run.finish().await
}

fn sources<'s>(settings: &'s Settings, options: &Options) -> Result<HashMap<&'s str, &'s Source>, ReplayError> {
    let sources: HashMap<&str, &Source> =
        settings.sources.iter().map(|source| (source.name.as_str(), &**source)).collect();
    match &options.source {
        Some(name) if !sources.contains_key(name.as_str()) => {
            let known: Vec<&str> = settings.sources.iter().map(|source| source.name.as_str()).collect();
            Err(ReplayError::NoSource { name: name.clone(), known: known.join(", ") })
        }
        _ => Ok(sources),
    }
}

/// What earlier replays did. It is read also from a topic that has just been made: that every partition
/// answers shows that its leader is ready for the marks to come.
async fn marks(settings: &Settings, options: &Options) -> Result<Marks, ReplayError> {
    let created = match options.dry_run {
        true => Vec::new(),
        false => topics::create_missing_of(&settings.kafka, vec![&STATE_TOPIC]).await?,
    };
    let marks = tokio::task::block_in_place(|| match open_state(settings, !created.is_empty()) {
        Ok(mut reader) => Marks::read(&mut reader, options.kept.topic()),
        Err(ReadError::NoTopic(_)) if options.dry_run => Ok(Marks::default()),
        Err(error) => Err(error.into()),
    })?;
    Ok(if options.again { Marks::default() } else { marks })
}

/// Opens the state topic. One that has just been made is asked again until its leaders know of it.
fn open_state(settings: &Settings, is_new: bool) -> Result<Reader, ReadError> {
    let name = [topics::full_name(&settings.kafka, &STATE_TOPIC)];
    let deadline = Instant::now() + PATIENCE;
    loop {
        let opened = Reader::open(&settings.kafka, &name, From::Beginning);
        if opened.is_ok() || !is_new || Instant::now() >= deadline {
            return opened;
        }
    }
}

/// The next record of those that were there at the start; `None` behind the last of them.
fn next(reader: &mut Reader) -> Result<Option<ReadRecord>, ReplayError> {
    let deadline = Instant::now() + PATIENCE;
    while !reader.is_at_end() {
        if let Some(record) = reader.next_before_end(POLL)? {
            return Ok(Some(record));
        }
        if Instant::now() >= deadline {
            return Err(ReplayError::Stuck);
        }
    }
    Ok(None)
}

struct Run<'r> {
    settings: &'r Settings,
    options: &'r Options,
    sources: HashMap<&'r str, &'r Source>,
    marks: Marks,
    outlet: Option<Outlet>,
    tell: &'r mut dyn FnMut(Step<'_>),
    summary: Summary,
}

impl Run<'_> {
    async fn take(&mut self, record: &ReadRecord) -> Result<(), ReplayError> {
        match Letter::read(&record.value) {
            Ok(letter) if !self.options.covers(&letter) => return Ok(()),
            Ok(letter) => self.take_letter(&letter).await?,
            Err(error) => {
                tracing::warn!(%error, record.topic, record.partition, record.offset, "a record is no letter");
                self.summary.read += 1;
                self.fails("?", &["unreadable"]);
            }
        }
        (self.tell)(Step::Progress(&self.summary));
        Ok(())
    }

    async fn take_letter(&mut self, letter: &Letter) -> Result<(), ReplayError> {
        self.summary.read += 1;
        let key = marks::key(self.options.kept.topic(), letter);
        if self.marks.is_complete(&key) {
            self.summary.done_earlier += 1;
            return Ok(());
        }
        let source = self.sources.get(letter.source_name.as_str()).copied();
        let Some(source) = source.filter(|source| source.info.name == letter.provider) else {
            *self.summary.unknown_sources.entry(letter.source_name.clone()).or_default() += 1;
            return Ok(());
        };
        let mapped = mapping::map(letter, source, self.settings.kafka.envelope)?;
        match mapped.faults.is_empty() {
            true => self.summary.replayed += 1,
            false => self.fails(&letter.source_name, &mapped.faults),
        }
        let mark = Mark::of(&mapped);
        if self.marks.says(&key, &mark) || !mark.is_worth_writing() {
            return Ok(());
        }
        self.publish(letter, source, mapped, key, &mark).await
    }

    async fn publish(
        &mut self,
        letter: &Letter,
        source: &Source,
        mapped: Mapped,
        key: String,
        mark: &Mark,
    ) -> Result<(), ReplayError> {
        let Some(outlet) = &mut self.outlet else {
            self.summary.events += mapped.records.len() as u64;
            mapped.records.iter().for_each(|record| (self.tell)(Step::WouldPublish(record)));
            return Ok(());
        };
        let mark = mark.record(key, Time::now())?;
        self.summary.events +=
            outlet.publish(letter.origin(source, outlet.metrics(source)), mapped.records, mark).await?;
        Ok(())
    }

    fn fails(&mut self, source: &str, codes: &[&'static str]) {
        self.summary.failing += 1;
        for code in codes {
            *self.summary.faults.entry((source.to_owned(), (*code).to_owned())).or_default() += 1;
        }
    }

    async fn finish(mut self) -> Result<Summary, ReplayError> {
        if let Some(outlet) = &mut self.outlet {
            outlet.settle().await?;
        }
        Ok(self.summary)
    }
}

impl Options {
    fn covers(&self, letter: &Letter) -> bool {
        self.source.as_ref().is_none_or(|name| *name == letter.source_name)
            && self.from.is_none_or(|from| letter.received_at >= from)
            && self.to.is_none_or(|to| letter.received_at < to)
    }
}

#[cfg(test)]
mod tests;
