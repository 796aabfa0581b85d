//! Fetching recordings into a folder, each under its id.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::{Stretch, Tally, output};
use crate::outbound::Target;
use crate::provider::recordings::{Level, Recording, is_path_id};
use crate::recordings::{Recorder, RecordingsError};

/// No recording is as large: a day in the best quality.
const MAX_BYTES: u64 = 4 << 30;

/// Fetches the recordings of these ids, or of a stretch of time.
pub(super) async fn run(
    recorder: &Recorder<'_>,
    level: &Level,
    ids: &[String],
    stretch: Option<Stretch>,
    folder: &Path,
) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} can not be made", folder.display()))?;
    let wanted = match stretch {
        Some(Stretch { from, to }) => recorder.list(level, from, to).await?,
        None => ids.iter().map(|id| Recording { id: id.clone(), ..Recording::default() }).collect(),
    };
    let (mut tally, count) = (Tally::default(), wanted.len());
    for (index, recording) in wanted.iter().enumerate() {
        output::progress(&format!("{index} of {count} recordings"));
        let fetched = fetch(recorder, level, recording, folder).await;
        output::progress("");
        match fetched {
            Ok(path) => {
                output::line(&path.display().to_string());
                tally.done += 1;
            }
            Err(Fault::Provider(error)) => tally.failed(&recording.id, error)?,
            Err(Fault::Here(error)) => {
                return Err(error).with_context(|| format!("{} can not be written", folder.display()));
            }
        }
    }
    Ok(tally.code())
}

/// Why a recording is not there.
enum Fault {
    Provider(RecordingsError),
    Here(io::Error),
}

/// Fetches one, unless it is there already. Until it is whole, its name ends with `.part`.
async fn fetch(recorder: &Recorder<'_>, level: &Level, recording: &Recording, folder: &Path) -> Result<PathBuf, Fault> {
    // The provider's id becomes a name of a file.
    if !is_path_id(&recording.id) {
        return Err(Fault::Provider(RecordingsError::Failed("its id can not be the name of a file")));
    }
    let path = folder.join(format!("{}.mp3", recording.id));
    if recording.size_bytes.is_some_and(|bytes| std::fs::metadata(&path).is_ok_and(|known| known.len() == bytes)) {
        return Ok(path);
    }
    let part = folder.join(format!("{}.mp3.part", recording.id));
    let mut target = Part { file: create(&part).map_err(Fault::Here)? };
    let fetched = recorder.fetch(level, &recording.id, &mut target, MAX_BYTES).await;
    let bytes = match fetched {
        Ok(bytes) if recording.size_bytes.is_none_or(|told| told == bytes) => bytes,
        other => {
            std::fs::remove_file(&part).map_err(Fault::Here)?;
            return Err(Fault::Provider(
                other.err().unwrap_or(RecordingsError::Failed("its size is not the told one")),
            ));
        }
    };
    tracing::debug!(bytes, "a recording was fetched");
    target.file.sync_all().and_then(|()| std::fs::rename(&part, &path)).map_err(Fault::Here)?;
    Ok(path)
}

/// For its owner alone: somebody speaks there.
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

struct Part {
    file: File,
}

impl Target for Part {
    fn begin(&mut self) -> io::Result<()> {
        use std::io::Seek as _;
        self.file.set_len(0)?;
        self.file.rewind()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }
}
