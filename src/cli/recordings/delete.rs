//! Deleting recordings at the provider.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::{Stretch, Tally, output, show};
use crate::provider::recordings::{Level, Recording};
use crate::recordings::{Recorder, RecordingsError};

/// Wrong usage: it has to be asked for with `--yes`.
const NOT_ASKED_FOR: u8 = 2;

/// Deletes the recordings of these ids, or of a stretch of time. Without `is_sure` it only prints them.
pub(super) async fn run(
    recorder: &Recorder<'_>,
    level: &Level,
    ids: &[String],
    stretch: Option<Stretch>,
    is_sure: bool,
) -> anyhow::Result<ExitCode> {
    let listed = match &stretch {
        Some(Stretch { from, to }) => recorder.list(level, *from, *to).await?,
        None => ids.iter().map(|id| Recording { id: id.clone(), ..Recording::default() }).collect(),
    };
    if !is_sure {
        show(&listed, false);
        output::error(&format!("nothing is deleted without --yes; these {} would be", listed.len()));
        return Ok(ExitCode::from(NOT_ASKED_FOR));
    }
    let mut tally = Tally::default();
    match (stretch, level) {
        (Some(stretch), Level::Account | Level::Extension(_)) => {
            by_extension(recorder, &listed, &stretch, &mut tally).await?;
        }
        _ => one_by_one(recorder, &listed, &mut tally).await?,
    }
    output::line(&format!("{} deleted", tally.done));
    Ok(tally.code())
}

async fn one_by_one(recorder: &Recorder<'_>, listed: &[Recording], tally: &mut Tally) -> Result<(), RecordingsError> {
    for recording in listed {
        match recorder.delete(&recording.id).await {
            Ok(()) => tally.done += 1,
            Err(error) => tally.failed(&recording.id, error)?,
        }
    }
    Ok(())
}

/// A request deletes all of an extension. What names no extension is deleted by itself.
async fn by_extension(
    recorder: &Recorder<'_>,
    listed: &[Recording],
    stretch: &Stretch,
    tally: &mut Tally,
) -> Result<(), RecordingsError> {
    let extensions: BTreeSet<&String> = listed.iter().filter_map(|recording| recording.extension_id.as_ref()).collect();
    for extension in extensions {
        let count = listed.iter().filter(|recording| recording.extension_id.as_ref() == Some(extension)).count();
        match recorder.delete_range(extension, stretch.from, stretch.to).await {
            Ok(()) => tally.done += count,
            Err(error) => tally.failed(extension, error)?,
        }
    }
    let others: Vec<Recording> = listed.iter().filter(|recording| recording.extension_id.is_none()).cloned().collect();
    one_by_one(recorder, &others, tally).await
}
