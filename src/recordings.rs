//! Recordings of calls at the provider: found, fetched and deleted through a source's [`Line`].
//!
//! A link to a recording may need no login and never end. So it is asked for when it is needed, and neither kept nor
//! shown, but to whoever asks for it by name.

#[cfg(feature = "object-store")]
pub mod store;

use std::collections::HashSet;
use std::time::Duration;

use thiserror::Error;
use url::Url;

use crate::event::time::Time;
use crate::outbound::{Fetching, Line, Target};
use crate::provider::api::{Answer, Request, Verdict};
use crate::provider::recordings::{Level, Recording, Recordings};

/// Class of what links lead to, in metrics.
const STORE: &str = "store";

/// Why nothing came of it.
#[derive(Debug, Error)]
pub enum RecordingsError {
    /// The operator has something to do.
    #[error("{word}: {mend}")]
    Misconfigured {
        /// A short word.
        word: &'static str,
        /// What is to be done.
        mend: String,
    },
    /// The provider wants to be left alone.
    #[error("the provider wants to be asked again in {0} s")]
    Throttled(u64),
    /// It is not there, or not yet.
    #[error("there is no such recording, or it is not ready yet")]
    NotThere,
    /// It is larger than it may be.
    #[error("the recording is too large")]
    TooLarge,
    /// It failed for now.
    #[error("it failed for now: {0}")]
    Failed(&'static str),
}

impl RecordingsError {
    /// Whether nothing else will come of anything until somebody has done something.
    pub fn is_of_the_source(&self) -> bool {
        matches!(self, Self::Misconfigured { .. } | Self::Throttled(_))
    }
}

/// A source's recordings.
#[derive(Debug, Clone, Copy)]
pub struct Recorder<'l> {
    line: &'l Line,
    api: &'l dyn Recordings,
}

impl<'l> Recorder<'l> {
    /// Of a line to a provider that has recordings.
    pub fn of(line: &'l Line) -> Option<Self> {
        Some(Self { line, api: line.api().recordings()? })
    }

    /// Makes sure that the credentials are the account's: before anything is fetched or deleted.
    ///
    /// # Errors
    /// When they are not, or that is not known.
    pub async fn confirm(&self) -> Result<(), RecordingsError> {
        let answer = self.ask(&self.api.whose()).await?;
        self.api.is_ours(&answer).map_err(|mend| RecordingsError::Misconfigured { word: "wrong_account", mend })
    }

    async fn ask(&self, request: &Request) -> Result<Answer, RecordingsError> {
        match self.line.request(request).await {
            Ok(answer) if answer.status == 404 => Err(RecordingsError::NotThere),
            Ok(answer) => Ok(answer),
            Err(Verdict::Throttled { otherwise }) => Err(throttled(otherwise)),
            Err(verdict) => Err(of_verdict(verdict)),
        }
    }

    async fn ask_all(&self, requests: Vec<Request>) -> Result<Vec<Answer>, RecordingsError> {
        let mut answers = Vec::new();
        for request in requests {
            answers.push(self.ask(&request).await?);
        }
        Ok(answers)
    }

    /// The recordings of a stretch of time without its last instant, each once.
    ///
    /// # Errors
    /// When not all of them were told.
    pub async fn list(&self, level: &Level, from: Time, to: Time) -> Result<Vec<Recording>, RecordingsError> {
        let (mut all, mut known) = (Vec::new(), HashSet::new());
        for answer in self.ask_all(self.api.list(level, from, to)).await? {
            let listed = self.api.listed(&answer).ok_or(RecordingsError::Failed("not_understood"))?;
            all.extend(listed.into_iter().filter(|recording| known.insert(recording.id.clone())));
        }
        Ok(all)
    }

    /// What the provider tells of their number and size, as it comes.
    ///
    /// # Errors
    /// When it does not tell it.
    pub async fn stats(&self, level: &Level, from: Time, to: Time) -> Result<Vec<String>, RecordingsError> {
        let answers = self.ask_all(self.api.stats(level, from, to)).await?;
        Ok(answers.iter().map(|answer| answer.text().into_owned()).collect())
    }

    /// The link to a recording.
    ///
    /// # Errors
    /// When there is none.
    pub async fn link(&self, level: &Level, id: &str) -> Result<Url, RecordingsError> {
        let answer = self.ask(&self.api.link(level, id)).await?;
        self.api.linked(&answer).ok_or(RecordingsError::NotThere)
    }

    /// Fetches a recording, by its link, else from the API. Returns its size in bytes.
    ///
    /// # Errors
    /// When it is not whole.
    pub async fn fetch(
        &self,
        level: &Level,
        id: &str,
        target: &mut dyn Target,
        max_bytes: u64,
    ) -> Result<u64, RecordingsError> {
        let by_link = match self.link(level, id).await {
            Ok(link) => whole(self.line.fetch_link(&link, STORE, target, max_bytes).await),
            Err(error) => Err(error),
        };
        match by_link {
            Err(RecordingsError::NotThere) => {
                whole(self.line.fetch(&self.api.file(level, id), target, max_bytes).await)
            }
            other => other,
        }
    }

    /// Asks for archives, which are sent by mail, and tells the answers as they come.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn archive(&self, from: Time, to: Time, emails: &str) -> Result<Vec<String>, RecordingsError> {
        let answers = self.ask_all(self.api.archive(from, to, emails)).await?;
        Ok(answers.iter().map(|answer| answer.text().into_owned()).collect())
    }

    /// Deletes a recording.
    ///
    /// # Errors
    /// When it is not deleted.
    pub async fn delete(&self, id: &str) -> Result<(), RecordingsError> {
        self.ask(&self.api.delete(id)).await.map(drop)
    }

    /// Deletes all recordings of an extension in a stretch of time without its last instant.
    ///
    /// # Errors
    /// When not all are deleted.
    pub async fn delete_range(&self, extension_id: &str, from: Time, to: Time) -> Result<(), RecordingsError> {
        self.ask_all(self.api.delete_range(extension_id, from, to)).await.map(drop)
    }
}

fn whole(fetching: Fetching) -> Result<u64, RecordingsError> {
    match fetching {
        Fetching::Whole { bytes, .. } => Ok(bytes),
        Fetching::Judged(verdict) => Err(of_verdict(verdict)),
        Fetching::Throttled(wait) => Err(throttled(wait)),
    }
}

fn throttled(wait: Duration) -> RecordingsError {
    RecordingsError::Throttled(wait.as_secs())
}

fn of_verdict(verdict: Verdict) -> RecordingsError {
    match verdict {
        Verdict::Misconfigured { word, mend } => RecordingsError::Misconfigured { word, mend },
        Verdict::Empty => RecordingsError::NotThere,
        Verdict::Narrower => RecordingsError::TooLarge,
        other => RecordingsError::Failed(other.word()),
    }
}
