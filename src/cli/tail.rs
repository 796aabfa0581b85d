//! `trunkline tail`

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use super::{Context, output};
use crate::config::KafkaSettings;
use crate::event::envelope::Mode;
use crate::event::kind;
use crate::event::time::Time;
use crate::publish::reader::{From, ReadRecord, Reader};

pub(super) mod line;

/// Follow the topics and print one readable line an event
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline tail --config trunkline.toml
  trunkline tail message-status --from 2026-02-03T12:00:00Z --filter status=failed
  trunkline tail --brokers 127.0.0.1:9092 --from beginning --until-end --json")]
pub struct Tail {
    /// Topics, with or without prefix and version, such as `message-status` [default: events and dead letters]
    topics: Vec<String>,
    /// Brokers, if not those of the configuration
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// What the topics' names begin with, together with --brokers
    #[arg(long, default_value = "telecom.", value_name = "PREFIX")]
    prefix: String,
    /// Where to start: beginning, end, or a time such as 2026-02-03T12:00:00Z
    #[arg(long, default_value = "end", value_name = "PLACE")]
    from: Start,
    /// Only events with this value; a path into the event, such as to.e164=+447700900000
    #[arg(long = "filter", value_name = "KEY=VALUE", value_parser = parse_filter)]
    filters: Vec<(String, String)>,
    /// Print each value as it is
    #[arg(long)]
    json: bool,
    /// Stop after this many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Stop when everything that is there now has been read
    #[arg(long)]
    until_end: bool,
}

#[derive(Debug, Clone, Copy)]
struct Start(From);

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = match text {
            "beginning" => Some(From::Beginning),
            "end" => Some(From::End),
            time => Time::parse_iso(time).map(From::Time),
        };
        place.map(Self).ok_or_else(|| "expected beginning, end, or a time such as 2026-02-03T12:00:00Z".to_owned())
    }
}

fn parse_filter(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value, such as status=failed")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Tail {
    pub(super) fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let settings = self.settings(context)?;
        let topics = self.topic_names(&settings.topic_prefix)?;
        let mut reader = Reader::open(&settings, &topics, self.from.0)?;
        let mut printed = 0;
        while self.count.is_none_or(|count| printed < count) {
            match reader.next(Duration::from_millis(200))? {
                Some(record) => printed += u64::from(self.print(&record)),
                None if self.until_end && reader.is_at_end() => break,
                None => {}
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn settings(&self, context: &Context) -> anyhow::Result<KafkaSettings> {
        let Some(brokers) = &self.brokers else {
            return Ok(context.load()?.settings.kafka);
        };
        Ok(KafkaSettings {
            bootstrap_servers: brokers.clone(),
            topic_prefix: self.prefix.clone(),
            create_topics: false,
            raw_topic: false,
            envelope: Mode::Binary,
            properties: Vec::new(),
        })
    }

    fn topic_names(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        if self.topics.is_empty() {
            return Ok(kind::topics().map(|topic| format!("{prefix}{}", topic.suffix)).collect());
        }
        let known: Vec<&str> = kind::all_topics().map(|topic| topic.suffix).collect();
        let find = |wanted: &String| {
            let short = wanted.strip_prefix(prefix).unwrap_or(wanted);
            let found = known.iter().find(|suffix| **suffix == short || suffix.split('.').next() == Some(short));
            let found = found
                .ok_or_else(|| anyhow::anyhow!("{wanted:?} is no topic of ours; they are: {}", known.join(", ")))?;
            Ok(format!("{prefix}{found}"))
        };
        self.topics.iter().map(find).collect()
    }

    /// Prints the record if the filters let it through, and tells whether they did.
    fn print(&self, record: &ReadRecord) -> bool {
        let Ok(value) = serde_json::from_slice::<Value>(&record.value) else {
            output::line(&format!("{}: not JSON, offset {}", record.topic, record.offset));
            return true;
        };
        let event = line::event_in(&value);
        if !self.filters.iter().all(|(key, wanted)| member_is(event, key, wanted)) {
            return false;
        }
        match self.json {
            true => output::line(&String::from_utf8_lossy(&record.value)),
            false => output::line(&line::of(event)),
        }
        true
    }
}

fn member_is(event: &Value, path: &str, wanted: &str) -> bool {
    let member = path.split('.').try_fold(event, |value, name| value.get(name));
    match member {
        Some(Value::String(text)) => text == wanted,
        Some(other) => other.to_string().as_str() == wanted,
        None => false,
    }
}
