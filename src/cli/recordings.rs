//! `trunkline recordings`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

mod delete;
mod download;

use super::line::Connection;
use super::{Context, output};
use crate::event::time::Time;
use crate::provider::recordings::{Level, Recording, is_path_id};
#[cfg(feature = "object-store")]
use crate::reconcile::command::{Command, Options};
#[cfg(feature = "object-store")]
use crate::reconcile::copies::Copied;
use crate::recordings::{Recorder, RecordingsError};
#[cfg(feature = "object-store")]
use crate::settings::Settings;

/// Something was left undone.
pub(super) const LEFT: u8 = 4;

/// List, fetch and delete recordings of calls at the provider
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline recordings telphin list --from 2026-02-01 --to 2026-03-01
  trunkline recordings telphin list --from 2026-02-01 --to 2026-02-02 --extension 1138241 --json
  trunkline recordings telphin stats --from 2026-02-01 --to 2026-03-01 --group 77
  trunkline recordings telphin download --from 2026-02-01 --to 2026-02-02 --output recordings
  trunkline recordings telphin download 1138241-5D36E5557F1845FEB577EDE8A19C5108 --output .
  trunkline recordings telphin url 1138241-5D36E5557F1845FEB577EDE8A19C5108
  trunkline recordings telphin copy --from 2026-02-01 --to 2026-02-02
  trunkline recordings telphin archive --from 2026-02-01 --to 2026-02-08 --email ann@example.com
  trunkline recordings telphin delete --from 2025-01-01 --to 2025-02-01 --extension 1138241 --yes

Times are ISO with an offset, or a date in UTC; --to is the first moment that is left out. A link needs no login and does
not end: whoever has it has the recording.

Exit codes: 0 done; 4 something is left, which is told; 1 it could not do its work; 2 wrong usage.")]
pub struct Recordings {
    /// Name of the source in the configuration
    source: String,
    /// Only the recordings of this group of extensions
    #[arg(long, global = true, value_name = "ID", value_parser = path_id, conflicts_with = "extension")]
    group: Option<String>,
    /// Only the recordings of this extension
    #[arg(long, global = true, value_name = "ID", value_parser = path_id)]
    extension: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print the recordings of a stretch of time
    List {
        #[command(flatten)]
        stretch: Stretch,
        /// Print a line of JSON for each
        #[arg(long)]
        json: bool,
    },
    /// Print what the provider tells of their number and size
    Stats {
        #[command(flatten)]
        stretch: Stretch,
    },
    /// Print the links to recordings, which need no login
    Url {
        /// Ids of recordings
        #[arg(required = true, value_name = "UUID", value_parser = path_id)]
        ids: Vec<String>,
    },
    /// Fetch recordings into a folder
    Download {
        /// Ids of recordings
        #[arg(value_name = "UUID", value_parser = path_id, required_unless_present = "from", conflicts_with = "from")]
        ids: Vec<String>,
        #[command(flatten)]
        stretch: MaybeStretch,
        /// The folder, which is made if it is not there
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Copy recordings to where the configuration says, with an event for each
    #[cfg(feature = "object-store")]
    Copy {
        #[command(flatten)]
        stretch: Stretch,
    },
    /// Ask the provider to send an archive of recordings by mail
    Archive {
        #[command(flatten)]
        stretch: Stretch,
        /// Addresses, separated by commas
        #[arg(long, value_name = "ADDRESS")]
        email: String,
    },
    /// Delete recordings at the provider, for good
    Delete {
        /// Ids of recordings
        #[arg(value_name = "UUID", value_parser = path_id, required_unless_present = "from", conflicts_with = "from")]
        ids: Vec<String>,
        #[command(flatten)]
        stretch: MaybeStretch,
        /// Delete them; without it, only what would be deleted is printed
        #[arg(long)]
        yes: bool,
    },
}

/// A stretch of time.
#[derive(Debug, clap::Args)]
struct Stretch {
    /// From this time on: 2026-02-03T12:00:00Z, or a date in UTC
    #[arg(long, value_name = "TIME", value_parser = super::reconcile::time)]
    from: Time,
    /// Up to this time, which is left out
    #[arg(long, value_name = "TIME", value_parser = super::reconcile::time)]
    to: Time,
}

/// A stretch of time in place of ids.
#[derive(Debug, clap::Args)]
struct MaybeStretch {
    /// From this time on: 2026-02-03T12:00:00Z, or a date in UTC
    #[arg(long, value_name = "TIME", value_parser = super::reconcile::time, requires = "to")]
    from: Option<Time>,
    /// Up to this time, which is left out
    #[arg(long, value_name = "TIME", value_parser = super::reconcile::time, requires = "from")]
    to: Option<Time>,
}

impl MaybeStretch {
    fn given(&self) -> Option<Stretch> {
        Some(Stretch { from: self.from?, to: self.to? })
    }
}

fn path_id(text: &str) -> Result<String, String> {
    is_path_id(text).then(|| text.to_owned()).ok_or_else(|| "an id has letters, digits and `-`".to_owned())
}

impl Recordings {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let settings = context.load()?.settings;
        #[cfg(feature = "object-store")]
        if let Action::Copy { stretch } = &self.action {
            return copy(&settings, &self.source, stretch).await;
        }
        let connection = Connection::open(&settings, super::line::source(&settings, &self.source)?).await?;
        let none = || format!("{}'s provider has no recordings that can be asked for", self.source);
        let recorder = Recorder::of(connection.line()).with_context(none)?;
        tokio::select! {
            done = self.act(&recorder) => told(done),
            _ = tokio::signal::ctrl_c() => {
                output::progress("");
                output::error("interrupted; the same command goes on");
                Ok(ExitCode::from(LEFT))
            }
        }
    }

    async fn act(&self, recorder: &Recorder<'_>) -> anyhow::Result<ExitCode> {
        let level = self.level();
        match &self.action {
            // It needs Kafka, and is done without this.
            #[cfg(feature = "object-store")]
            Action::Copy { .. } => {}
            Action::List { stretch: Stretch { from, to }, json } => {
                show(&recorder.list(&level, *from, *to).await?, *json);
            }
            Action::Stats { stretch: Stretch { from, to } } => {
                recorder.stats(&level, *from, *to).await?.iter().for_each(|told| output::line(told));
            }
            Action::Url { ids } => return self.urls(recorder, &level, ids).await,
            Action::Download { ids, stretch, output } => {
                recorder.confirm().await?;
                return download::run(recorder, &level, ids, stretch.given(), output).await;
            }
            Action::Archive { stretch: Stretch { from, to }, email } => {
                recorder.confirm().await?;
                recorder.archive(*from, *to, email).await?.iter().for_each(|told| output::line(told));
            }
            Action::Delete { ids, stretch, yes } => {
                recorder.confirm().await?;
                return delete::run(recorder, &level, ids, stretch.given(), *yes).await;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn level(&self) -> Level {
        match (&self.group, &self.extension) {
            (Some(id), _) => Level::Group(id.clone()),
            (None, Some(id)) => Level::Extension(id.clone()),
            (None, None) => Level::Account,
        }
    }

    async fn urls(&self, recorder: &Recorder<'_>, level: &Level, ids: &[String]) -> anyhow::Result<ExitCode> {
        tracing::warn!("whoever has one of these links has the recording: it needs no login and does not end");
        let mut tally = Tally::default();
        for id in ids {
            match recorder.link(level, id).await {
                Ok(link) => {
                    output::line(link.as_str());
                    tally.done += 1;
                }
                Err(error) => tally.failed(id, error)?,
            }
        }
        Ok(tally.code())
    }
}

/// What is not ready yet, or can not be fetched, is left.
#[cfg(feature = "object-store")]
async fn copy(settings: &Settings, name: &str, stretch: &Stretch) -> anyhow::Result<ExitCode> {
    let command = Command::start(settings, name, Options::default()).await?;
    let Copied { copied, held, not_ready, failed } = tokio::select! {
        done = command.copy_recordings(stretch.from, stretch.to) => done?,
        _ = tokio::signal::ctrl_c() => {
            output::error("interrupted; the same command goes on");
            return Ok(ExitCode::from(LEFT));
        }
    };
    output::line(&format!("{copied} copied, {held} there before, {not_ready} not ready yet, {failed} failed"));
    Ok(if not_ready + failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(LEFT) })
}

/// How many worked, and how many did not.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    left: usize,
}

impl Tally {
    /// Tells one that did not work, and goes on unless nothing else would work either.
    fn failed(&mut self, id: &str, error: RecordingsError) -> Result<(), RecordingsError> {
        if error.is_of_the_source() {
            return Err(error);
        }
        output::error(&format!("{id}: {error}"));
        self.left += 1;
        Ok(())
    }

    fn code(&self) -> ExitCode {
        match (self.done, self.left) {
            (_, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::FAILURE,
            _ => ExitCode::from(LEFT),
        }
    }
}

/// What the provider puts off is left, and nothing has failed.
fn told(done: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    done.or_else(|error| match error.downcast_ref() {
        Some(RecordingsError::Throttled(_)) => {
            output::error(&error.to_string());
            Ok(ExitCode::from(LEFT))
        }
        _ => Err(error),
    })
}

fn show(recordings: &[Recording], is_json: bool) {
    if is_json {
        recordings.iter().for_each(|recording| output::line(&as_json(recording).to_string()));
        return;
    }
    let heading = ["RECORDING", "CALL", "EXTENSION", "BEGAN", "SECONDS", "BYTES", "RESULT"].map(str::to_owned).to_vec();
    output::table(&[vec![heading], recordings.iter().map(row).collect()].concat());
}

fn row(recording: &Recording) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        recording.id.clone(),
        or_dash(recording.call_id.clone()),
        or_dash(recording.extension_id.clone()),
        or_dash(recording.begins_at.map(|time| time.to_string())),
        or_dash(recording.duration_s.map(|seconds| seconds.to_string())),
        or_dash(recording.size_bytes.map(|bytes| bytes.to_string())),
        or_dash(recording.result.clone()),
    ]
}

fn as_json(recording: &Recording) -> serde_json::Value {
    json!({
        "kind": "recording",
        "id": recording.id,
        "call_id": recording.call_id,
        "extension_id": recording.extension_id,
        "begins_at": recording.begins_at,
        "ends_at": recording.ends_at,
        "duration_s": recording.duration_s,
        "size_bytes": recording.size_bytes,
        "result": recording.result,
    })
}
