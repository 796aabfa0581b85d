//! `trunkline spool`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::output;
use crate::event::time::Time;
use crate::spool::{Listed, Opened, Options, SpoolError, Store};

/// Look into the disk spool
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline spool list --dir ./data/spool            what waits for Kafka, and the quarantine
  trunkline spool list --dir ./data/spool --json
  trunkline spool verify --dir ./data/spool          does everything on the disk hold?")]
pub struct Spool {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Verify(Verify),
}

impl Spool {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        match &self.command {
            Command::List(command) => command.run(),
            Command::Verify(command) => command.run(),
        }
    }
}

/// The spool of a service that does not run.
#[derive(Debug, clap::Args)]
struct Directory {
    /// Directory of the spool, which no running service uses
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Directory {
    /// Opens the spool. It is not made if it is not there, and not mended if it is damaged.
    fn open(&self) -> anyhow::Result<Opened> {
        let opened = Store::open_existing(&Options { dir: self.dir.clone(), vfs: None });
        opened.map_err(|error| match error {
            SpoolError::InUse { .. } => anyhow::Error::from(error).context("stop the service first"),
            SpoolError::Corrupt(_) => anyhow::Error::from(error)
                .context("`trunkline serve` sets the damaged file aside and saves every row whose checksum holds"),
            other => other.into(),
        })
    }
}

/// List what is in the spool and in the quarantine, without the values
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline spool list --dir ./data/spool
  trunkline spool list --dir ./data/spool --limit 20
  trunkline spool list --dir ./data/spool --json | jq -r .key")]
struct List {
    #[command(flatten)]
    directory: Directory,
    /// How many rows to list at most, of the spool and of the quarantine each
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Print one JSON object a row
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let opened = self.directory.open()?;
        let waiting = opened.store.list(self.limit)?;
        let quarantined = opened.store.list_quarantined(self.limit)?;
        if self.json {
            waiting.iter().chain(&quarantined).for_each(|row| output::line(&json_of(row).to_string()));
        } else {
            let now_ms = Time::now().unix_ms();
            print_section("waiting for Kafka", totals(&opened, now_ms), &waiting, now_ms);
            let of_quarantine = format!("{} rows, {} bytes", opened.quarantined, opened.quarantined_bytes);
            print_section("in the quarantine", of_quarantine, &quarantined, now_ms);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn totals(opened: &Opened, now_ms: i64) -> String {
    let bytes: u64 = opened.rows.iter().map(|row| row.bytes).sum();
    let oldest = opened.rows.iter().map(|row| row.spooled_at_ms).min();
    let oldest = oldest.map(|at_ms| format!(", the oldest for {}", age(now_ms, at_ms))).unwrap_or_default();
    let foreign = match opened.foreign {
        0 => String::new(),
        count => format!("; {count} rows of another version of trunkline"),
    };
    format!("{} rows, {bytes} bytes{oldest}{foreign}", opened.rows.len())
}

fn print_section(title: &str, totals: String, rows: &[Listed], now_ms: i64) {
    output::line(&format!("{}: {totals}", output::strong(title)));
    if rows.is_empty() {
        return;
    }
    let heading = ["NUMBER", "TOPIC", "KEY", "SOURCE", "BYTES", "AGE", "REASON"].map(str::to_owned).to_vec();
    let cells = rows.iter().map(|row| cells_of(row, now_ms));
    output::table(&std::iter::once(heading).chain(cells).collect::<Vec<_>>());
}

fn cells_of(row: &Listed, now_ms: i64) -> Vec<String> {
    let (key, source, reason) = match &row.label {
        Ok(label) => (
            label.key.as_str(),
            label.source_name.as_str(),
            label.quarantined.as_ref().map(|(reason, _)| reason.clone()).unwrap_or_default(),
        ),
        Err(damaged) => ("?", "?", format!("damaged: {}", damaged.what)),
    };
    vec![
        row.number.to_string(),
        row.topic.clone(),
        key.to_owned(),
        source.to_owned(),
        row.bytes.to_string(),
        age(now_ms, row.spooled_at_ms),
        reason,
    ]
}

fn json_of(row: &Listed) -> serde_json::Value {
    let time = |at_ms| Time::from_unix_ms(at_ms);
    let mut object = json!({
        "number": row.number,
        "topic": row.topic,
        "bytes": row.bytes,
        "spooled_at": time(row.spooled_at_ms),
    });
    match &row.label {
        Err(damaged) => object["damaged"] = damaged.what.into(),
        Ok(label) => {
            object["key"] = label.key.as_str().into();
            object["source_name"] = label.source_name.as_str().into();
            object["provider"] = label.provider.as_str().into();
            if let Some((reason, at_ms)) = &label.quarantined {
                object["quarantine"] = json!({"reason": reason, "at": time(*at_ms)});
            }
        }
    }
    object
}

/// How long ago something was, in the greatest unit that gives a whole number.
fn age(now_ms: i64, at_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(at_ms).max(0) / 1000;
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    let unit = units.iter().find(|(length, _)| seconds >= *length);
    unit.map_or_else(|| format!("{seconds} s"), |(length, name)| format!("{} {name}", seconds / length))
}

/// Check the files of the spool and the checksum of every row
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  trunkline spool verify --dir ./data/spool

Exit code 0 if everything holds, else 1. Nothing is changed.")]
struct Verify {
    #[command(flatten)]
    directory: Directory,
}

impl Verify {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let found = self.directory.open()?.store.verify()?;
        found.problems.iter().for_each(|problem| output::error(problem));
        output::line(&format!("{} rows and {} rows of the quarantine hold.", found.rows, found.quarantined));
        Ok(if found.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_the_unit_that_fits() {
        for (ms, text) in [(0, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (7_200_000, "2 h"), (172_800_000, "2 d")] {
            assert_eq!(age(1_000_000_000 + ms, 1_000_000_000), text);
        }
        assert_eq!(age(0, 5000), "0 s");
    }
}
