//! `trunkline reconcile`

use std::process::ExitCode;

mod status;

use super::tail::line;
use super::{Context, output};
use crate::event::envelope::Record;
use crate::event::time::Time;
use crate::provider::api::StreamInfo;
use crate::publish::topics;
use crate::reconcile::command::{Command, Options, StreamResult};
use crate::reconcile::compare::Counts;
use crate::reconcile::schedule::End;
use crate::reconcile::sweep::{CompareError, Step};
use crate::reconcile::table::exit::{Exit, RunOutcome, WindowNumbers};
use crate::reconcile::table::lines::{self, Summary, WindowState};
use crate::reconcile::table::{CellOutcome, StreamOutcome};
use crate::reconcile::window::Window;
use crate::settings::Settings;
use crate::settings::reconcile::PublishMissing;

/// Ask the provider what its webhooks did not bring, and publish it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline reconcile webex-partner                         since as long ago as the provider keeps
  trunkline reconcile webex-partner --dry-run               what would be published?
  trunkline reconcile --status                              how far has the schedule come?
  trunkline reconcile webex-partner --from 2026-02-03T00:00:00Z --to 2026-02-04T00:00:00Z --json

The provider's own list is compared with the topics, hour by hour and account by account. What the topics lack is
published under the ids that the webhooks would have had. It may run beside `serve`, and writes nothing but events,
dead letters of rows that can not be understood, and how far it has come: the same command goes on where it was
interrupted.

Exit codes: 0 all is there; 4 something is left, which is told; 1 it could not do its work; 2 wrong usage.")]
pub struct Reconcile {
    /// Name of the source in the configuration
    #[arg(required_unless_present = "status")]
    source: Option<String>,
    /// Products or streams, separated by commas [default: those of the source]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    product: Vec<String>,
    /// Compare from this time on: 2026-02-03T12:00:00Z, or a date in UTC
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Time>,
    /// Compare up to this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Time>,
    /// Print each event that would be published, and publish and remember nothing
    #[arg(long)]
    dry_run: bool,
    /// Begin anew, although an earlier run was interrupted
    #[arg(long)]
    restart: bool,
    /// Show every account and hour, not only those with something to tell
    #[arg(long)]
    all: bool,
    /// Publish also what the configuration withholds
    #[arg(long)]
    publish_missing: bool,
    /// Publish every row without looking what the topics hold, each under its own id
    #[arg(long)]
    without_comparison: bool,
    /// Show how far the comparisons by schedule have come, of all sources without a name; asks no provider
    #[arg(long, conflicts_with_all = ["product", "from", "to", "dry_run", "restart", "all", "publish_missing", "without_comparison"])]
    status: bool,
    /// Print lines of JSON, the last one a summary
    #[arg(long)]
    json: bool,
}

/// Reads a time, or a date as its first instant in UTC.
pub(super) fn time(text: &str) -> Result<Time, String> {
    let date = || Time::parse_iso(&format!("{text}T00:00:00Z"));
    Time::parse_iso(text).or_else(date).ok_or_else(|| "a time such as 2026-02-03T12:00:00Z, or a date".to_owned())
}

impl Reconcile {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let settings = context.load()?.settings;
        let Some(source_name) = self.source.as_deref().filter(|_| !self.status) else {
            status::show(&settings, self.source.as_deref(), self.json).await?;
            return Ok(ExitCode::SUCCESS);
        };
        let command = Command::start(&settings, source_name, self.options()).await?;
        let mut outcome = RunOutcome::default();
        let (mut requests, mut scanned_records, mut seconds) = (0, 0, 0);
        for stream in command.streams() {
            let (mut result, mut is_stopped) = (None, false);
            let mut tell = |step: Step<'_>| progress(stream, &step);
            tokio::select! {
                compared = command.compare(stream, &mut result, &mut tell) => compared?,
                _ = tokio::signal::ctrl_c() => is_stopped = true,
            }
            output::progress("");
            outcome.was_interrupted |= is_stopped;
            let Some(result) = result else { break };
            self.show(&settings, source_name, &result, command.publish_missing())?;
            note(&mut outcome, &result);
            requests += result.requests;
            scanned_records += result.scanned_records;
            seconds += result.elapsed.as_secs();
            if is_stopped {
                output::error("interrupted; the same command goes on");
                break;
            }
        }
        if self.json {
            let RunOutcome { windows, totals, .. } = outcome;
            output::line(&lines::summary(&Summary {
                source_name,
                windows,
                totals,
                requests,
                scanned_records,
                seconds,
            })?);
        }
        Ok(ExitCode::from(Exit::of(&outcome).code()))
    }

    fn options(&self) -> Options {
        Options {
            products: self.product.clone(),
            from: self.from,
            to: self.to,
            dry_run: self.dry_run,
            restart: self.restart,
            publish_missing: self.publish_missing,
            without_comparison: self.without_comparison,
        }
    }

    fn show(
        &self,
        settings: &Settings,
        source_name: &str,
        result: &StreamResult,
        policy: PublishMissing,
    ) -> anyhow::Result<()> {
        let cells = cells(result);
        let topics: Vec<String> =
            result.stream.kinds.iter().map(|kind| topics::full_name(&settings.kafka, kind.info().topic)).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let outcome = StreamOutcome {
            source_name,
            stream: result.stream.name,
            whole: result.whole,
            windows: result.numbers,
            topics: if self.without_comparison { &[] } else { &topics },
            scanned_records: result.scanned_records,
            cells: &cells,
            is_dry_run: self.dry_run,
            withheld_because: withheld_because(policy),
            tried_until: None,
        };
        match self.json {
            true => self.show_lines(result, &outcome)?,
            false => outcome.table(self.all).iter().for_each(|line| output::line(line)),
        }
        if let Some(error) = &result.error {
            output::error(&format!("{}: {error}", result.stream.name));
        }
        Ok(())
    }

    fn show_lines(&self, result: &StreamResult, outcome: &StreamOutcome<'_>) -> anyhow::Result<()> {
        for cell in outcome.shown(self.all) {
            output::line(&lines::cell(result.stream.name, cell)?);
        }
        for (window, end) in &result.windows {
            let mut counts = Counts::default();
            let within = result.cells.iter().filter(|((_, hour), _)| hour.contains(window.from()));
            within.for_each(|(_, cell)| counts += *cell);
            output::line(&lines::window(result.stream.name, *window, counts, state(end))?);
        }
        Ok(())
    }
}

fn cells(result: &StreamResult) -> Vec<CellOutcome<'_>> {
    let is_complete = |hour: Window| {
        let within = result.windows.iter().filter(|(window, _)| hour.contains(window.from()));
        within.fold(true, |all, (_, end)| all && matches!(end, End::Complete { .. }))
    };
    let cells = result.cells.iter();
    cells
        .map(|((account_id, hour), counts)| CellOutcome {
            account_id,
            hour: *hour,
            counts: *counts,
            is_complete: is_complete(*hour),
        })
        .collect()
}

fn withheld_because(policy: PublishMissing) -> &'static str {
    match policy {
        PublishMissing::KnownUsers => "billing_feed: of users of whom no webhook has told",
        PublishMissing::All | PublishMissing::None => "as the configuration says",
    }
}

fn state(end: &End) -> WindowState {
    match end {
        End::Complete { .. } => WindowState::Complete,
        End::Open { .. } => WindowState::Open,
        End::Expired { .. } => WindowState::Expired,
    }
}

fn note(outcome: &mut RunOutcome, result: &StreamResult) {
    let WindowNumbers { complete, open, expired } = result.numbers;
    outcome.windows.complete += complete;
    outcome.windows.open += open;
    outcome.windows.expired += expired;
    outcome.answered_windows += result.answered_windows;
    outcome.totals += result.totals();
    match result.error {
        // It goes on later, and nobody has to mend anything.
        Some(CompareError::Throttled(_)) => outcome.was_interrupted = true,
        Some(_) => outcome.has_failed = true,
        None => {}
    }
}

fn progress(stream: &StreamInfo, step: &Step<'_>) {
    let name = stream.name;
    match step {
        Step::Asked { windows, of } => output::progress(&format!("{name}: asked about {windows} of {of} windows")),
        Step::Scanning => output::progress(&format!("{name}: looking through the topics")),
        Step::Published(rows) => output::progress(&format!("{name}: {rows} published")),
        Step::WouldPublish(record) => output::line(&would_publish(record)),
    }
}

fn would_publish(record: &Record) -> String {
    match serde_json::from_slice::<serde_json::Value>(&record.value) {
        Ok(value) => line::of(line::event_in(&value)),
        // A number that is greater than this parser's is still valid JSON, and is published as it stands.
        Err(_) => record.key.clone(),
    }
}
