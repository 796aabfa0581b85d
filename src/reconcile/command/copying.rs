//! Copying recordings because somebody asks for it.

use thiserror::Error;

use super::Command;
use crate::event::time::Time;
use crate::reconcile::copies::{Copied, CopyError, Copying};
use crate::reconcile::tools::SourceTools;
use crate::recordings::Recorder;
use crate::recordings::store::{Store, StoreError};

/// Why nothing was copied.
#[derive(Debug, Error)]
pub enum CopyCommandError {
    /// There is nowhere to copy to.
    #[error("{0} has no [sources.recordings] with copy_to, so that there is nowhere to copy to")]
    NoPlace(String),
    /// There is nothing to copy.
    #[error("{0}'s provider has no recordings that can be asked for")]
    NoRecordings(String),
    /// The store can not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It ended before its end.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

impl Command {
    /// Copies the recordings of calls that began in a stretch of time without its last instant.
    ///
    /// # Errors
    /// [`CopyCommandError`]. What was copied until then is.
    pub async fn copy_recordings(&self, from: Time, to: Time) -> Result<Copied, CopyCommandError> {
        self.tools.copy_recordings(from, to).await
    }
}

impl SourceTools {
    /// Copies the recordings of calls that began in a stretch of time without its last instant.
    ///
    /// # Errors
    /// [`CopyCommandError`]. What was copied until then is.
    pub async fn copy_recordings(&self, from: Time, to: Time) -> Result<Copied, CopyCommandError> {
        let name = || self.source.name.clone();
        let options = self.source.recordings.as_ref().ok_or_else(|| CopyCommandError::NoPlace(name()))?;
        let recorder = Recorder::of(self.line()).ok_or_else(|| CopyCommandError::NoRecordings(name()))?;
        let (store, outlet) = (Store::open(options)?, self.outlet());
        let copying = Copying {
            source: &self.source,
            recorder,
            store: &store,
            delay_s: options.delay_s,
            outlet: &outlet,
            mode: self.shared().envelope(),
            scheme: self.api.scheme(),
        };
        Ok(copying.copy(from, to, Time::now()).await?)
    }
}
