//! `trunkline spool`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Context, output};
use crate::event::time::Time;

mod place;

use place::{Offline, SpoolArgs};

/// Exit code of a spool that is not empty.
pub(super) const NOT_EMPTY: u8 = 3;

/// How often a drain is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Look into the disk spool, of a running service or of a directory
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline spool list                               of the running service, asked at admin.listen
  trunkline spool list --dir ./data/spool            of a service that does not run
  trunkline spool verify --dir ./data/spool          does everything on the disk hold?
  trunkline spool drain --dir ./data/spool           publish what a stopped service left behind")]
pub struct Spool {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Verify(Verify),
    Drain(Drain),
}

impl Spool {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        match &self.command {
            Command::List(command) => command.run(context).await,
            Command::Verify(command) => command.run(context).await,
            Command::Drain(command) => command.run(context).await,
        }
    }
}

/// List what is in the spool and in the quarantine, without the values
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline spool list
  trunkline spool list --dir ./data/spool --limit 20
  trunkline spool list --json | jq -r .key")]
struct List {
    #[command(flatten)]
    place: SpoolArgs,
    /// How many rows to list at most, of the spool and of the quarantine each
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Print one JSON object a row
    #[arg(long)]
    json: bool,
}

impl List {
    async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let found = self.place.overview(context, self.limit).await?;
        let sections = [("waiting for Kafka", &found["waiting"]), ("in the quarantine", &found["quarantined"])];
        for (title, section) in sections {
            match self.json {
                true => rows_of(section).for_each(|row| output::line(&row.to_string())),
                false => print_section(title, section),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn rows_of(section: &Value) -> impl Iterator<Item = &Value> {
    section["list"].as_array().into_iter().flatten()
}

fn print_section(title: &str, section: &Value) {
    let now_ms = Time::now().unix_ms();
    let oldest = match section["oldest_at"].as_str() {
        Some(at) => format!(", the oldest for {}", age(now_ms, at)),
        None => String::new(),
    };
    output::line(&format!("{}: {} rows, {} bytes{oldest}", output::strong(title), section["rows"], section["bytes"]));
    let mut rows = rows_of(section).map(|row| cells_of(row, now_ms)).peekable();
    if rows.peek().is_some() {
        let heading = ["NUMBER", "TOPIC", "KEY", "SOURCE", "BYTES", "AGE", "REASON"].map(str::to_owned).to_vec();
        output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
    }
}

fn cells_of(row: &Value, now_ms: i64) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let reason = match (row["damaged"].as_str(), row["quarantine"]["reason"].as_str()) {
        (Some(damaged), _) => format!("damaged: {damaged}"),
        (None, reason) => reason.unwrap_or_default().to_owned(),
    };
    vec![
        row["number"].to_string(),
        text(&row["topic"]),
        text(&row["key"]),
        text(&row["source_name"]),
        row["bytes"].to_string(),
        age(now_ms, row["spooled_at"].as_str().unwrap_or_default()),
        reason,
    ]
}

/// How long ago something was, in the greatest unit that gives a whole number.
fn age(now_ms: i64, at: &str) -> String {
    let Some(at) = Time::parse_iso(at) else { return "?".to_owned() };
    let seconds = now_ms.saturating_sub(at.unix_ms()).max(0) / 1000;
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    let unit = units.iter().find(|(length, _)| seconds >= *length);
    unit.map_or_else(|| format!("{seconds} s"), |(length, name)| format!("{} {name}", seconds / length))
}

/// Check the files of the spool and the checksum of every row
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline spool verify
  trunkline spool verify --dir ./data/spool

Exit code 0 if everything holds, else 1. Nothing is changed. A running service keeps no events on disk
while its spool is read through.")]
struct Verify {
    #[command(flatten)]
    place: SpoolArgs,
}

impl Verify {
    async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let found = self.place.verification(context).await?;
        let problems = found["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
        problems.iter().filter_map(Value::as_str).for_each(output::error);
        output::line(&format!("{} rows and {} rows of the quarantine hold.", found["rows"], found["quarantined"]));
        Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Publish what is in the spool, in order
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline spool drain                              a running service tries Kafka again at once
  trunkline spool drain --dir /mnt/orphaned/spool    to the Kafka of the configuration

Exit code 0 when the spool is empty, 3 when it is not after --timeout-s. What Kafka refuses for good
stays in the quarantine and counts as not empty.")]
struct Drain {
    #[command(flatten)]
    place: SpoolArgs,
    /// How long to wait until the spool is empty, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout_s: u64,
}

impl Drain {
    async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let deadline = Instant::now() + Duration::from_secs(self.timeout_s);
        let state = match &self.place.dir {
            None => self.drain_running(context, deadline).await?,
            Some(dir) => Offline::start(context, dir)?.drain(deadline).await?,
        };
        let (events, quarantined) = (&state["events"], &state["quarantined"]);
        output::line(&format!("{events} events wait in the spool, {quarantined} are in the quarantine."));
        let empty = *events == 0 && *quarantined == 0;
        Ok(if empty { ExitCode::SUCCESS } else { ExitCode::from(NOT_EMPTY) })
    }

    async fn drain_running(&self, context: &Context, deadline: Instant) -> anyhow::Result<Value> {
        let mut state = self.place.ask_to_drain(context).await?;
        while state["events"] != 0 && Instant::now() < deadline {
            place::progress(&state);
            tokio::time::sleep(LOOK).await;
            state = self.place.state(context).await?;
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_the_unit_that_fits() {
        let at = Time::parse_iso("2026-02-03T12:00:00Z").unwrap();
        for (ms, text) in [(0, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (7_200_000, "2 h"), (172_800_000, "2 d")] {
            assert_eq!(age(at.unix_ms() + ms, "2026-02-03T12:00:00Z"), text);
        }
        assert_eq!(age(0, "2026-02-03T12:00:00Z"), "0 s");
        assert_eq!(age(0, ""), "?");
    }
}
