//! `trunkline replay`

use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::Value;

use super::tail::line;
use super::{Context, output};
use crate::event::envelope::Record;
use crate::event::time::Time;
use crate::replay::{self, Options, Replayable, Step, Summary};

/// Map kept requests anew and publish what now succeeds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline replay dead-letter --dry-run             what would be published?
  trunkline replay dead-letter --source webex-partner
  trunkline replay raw --from 2026-02-03T00:00:00Z --to 2026-02-04T00:00:00Z

Events keep the ids that the webhooks would have had. What was replayed is marked in the topic
`state.v1`, which is created if it is missing, so that a second run does nothing. What still fails
is told by its reason, is not marked, and is tried again next time. It may run beside `serve`.

Exit codes: 0 done, also if something still fails; 1 failed on the way, run it again to go on.")]
pub struct Replay {
    /// What to read
    #[arg(value_enum)]
    kept: Topic,
    /// Only what was received at this time or later, such as 2026-02-03T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Time>,
    /// Only what was received before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Time>,
    /// Only what this source received
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Print what would be published; publish nothing and mark nothing
    #[arg(long)]
    dry_run: bool,
    /// Also what was replayed earlier
    #[arg(long)]
    again: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Topic {
    /// What was authentic and could not be understood
    DeadLetter,
    /// Every authentic request, where `kafka.raw_topic` is on
    Raw,
}

fn time(text: &str) -> Result<Time, String> {
    Time::parse_iso(text).ok_or_else(|| "expected a time such as 2026-02-03T12:00:00Z".to_owned())
}

impl Replay {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let settings = context.load()?.settings;
        let summary = replay::run(&settings, &self.options(), &mut tell).await;
        output::progress("");
        let summary = match self.kept {
            Topic::DeadLetter => summary?,
            Topic::Raw => summary.with_context(|| match settings.kafka.raw_topic {
                true => "the raw requests could not be replayed",
                false => "the raw requests could not be replayed; they are kept only with kafka.raw_topic = true",
            })?,
        };
        lines(&summary, self.dry_run).iter().for_each(|line| output::line(line));
        Ok(ExitCode::SUCCESS)
    }

    fn options(&self) -> Options {
        let kept = match self.kept {
            Topic::DeadLetter => Replayable::DeadLetters,
            Topic::Raw => Replayable::RawRequests,
        };
        let source = self.source.clone();
        Options { kept, from: self.from, to: self.to, source, dry_run: self.dry_run, again: self.again }
    }
}

fn tell(step: Step<'_>) {
    match step {
        Step::WouldPublish(record) => output::line(&would_publish(record)),
        Step::Progress(summary) if summary.read % 100 != 0 => {}
        Step::Progress(summary) => output::progress(&format!("{} read, {} events", summary.read, summary.events)),
    }
}

fn would_publish(record: &Record) -> String {
    match serde_json::from_slice::<Value>(&record.value) {
        Ok(value) => line::of(line::event_in(&value)),
        // A number that is greater than this parser's is still valid JSON, and is published as it stands.
        Err(_) => record.key.clone(),
    }
}

fn lines(summary: &Summary, dry_run: bool) -> Vec<String> {
    let [replayed, events] = match dry_run {
        true => ["would be replayed", "events to publish"],
        false => ["replayed", "events published"],
    };
    let mut lines = vec![
        row("read", summary.read),
        row(replayed, summary.replayed),
        row(events, summary.events),
        row("replayed earlier", summary.done_earlier),
        row("still failing", summary.failing),
    ];
    let reasons = summary.faults.iter().map(|((source, code), count)| row(&format!("  {source} {code}"), *count));
    lines.extend(reasons);
    lines.push(row("source unknown", summary.unknown_sources.values().sum()));
    lines.extend(summary.unknown_sources.iter().map(|(source, count)| row(&format!("  {source}"), *count)));
    lines
}

fn row(name: &str, count: u64) -> String {
    format!("{name:<40} {count:>8}")
}
