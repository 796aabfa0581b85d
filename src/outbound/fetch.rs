//! Fetching files, which are written as they come.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::exchange::{Trouble, trouble_of};
use super::{Exchanged, Fetched, Line};
use crate::provider::api::{Request, Verdict};

/// Takes a body that is too large to be held. It is called on a thread that others wait for, so it writes to what
/// takes bytes at once, as the page cache does.
pub trait Target: Send {
    /// A body begins. What an earlier try has left is none of it.
    ///
    /// # Errors
    /// When nothing can be written there.
    fn begin(&mut self) -> io::Result<()>;

    /// Takes more of it.
    ///
    /// # Errors
    /// When it can not be written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// What became of fetching a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetching {
    /// It is there, with so many bytes.
    Whole {
        /// The answer that it was in.
        fetched: Arc<Fetched>,
        /// Its size.
        bytes: u64,
    },
    /// It could not be had because of this. What is larger than it may be is [`Verdict::Narrower`].
    Judged(Verdict),
    /// The provider wants to be left alone for so long.
    Throttled(Duration),
}

impl Line {
    /// Fetches a file, of so many bytes at most. What `target` holds is whole only if this says so.
    pub async fn fetch(&self, request: &Request, target: &mut dyn Target, max_bytes: u64) -> Fetching {
        let mut file = File { target, max_bytes, written_bytes: 0 };
        match self.exchange(request, Some(&mut file)).await {
            Exchanged::Answered(answer, fetched, word) if answer.status == 200 => {
                self.metrics.request(request.class, word);
                Fetching::Whole { fetched, bytes: file.written_bytes }
            }
            Exchanged::Answered(_, _, word) => {
                self.metrics.request(request.class, word);
                Fetching::Judged(Verdict::Empty)
            }
            Exchanged::Strange(..) => Fetching::Judged(Verdict::NotUnderstood),
            Exchanged::Judged(verdict) => Fetching::Judged(verdict),
            Exchanged::Throttled(wait) => Fetching::Throttled(wait),
        }
    }
}

/// Where the body of an answer 200 goes, unless it is held in memory.
pub(super) struct File<'t> {
    pub(super) target: &'t mut dyn Target,
    pub(super) max_bytes: u64,
    /// Bytes that the last try has written.
    pub(super) written_bytes: u64,
}

impl fmt::Debug for File<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("File").field("written_bytes", &self.written_bytes).finish_non_exhaustive()
    }
}

impl File<'_> {
    /// Writes the whole body.
    pub(super) async fn take(&mut self, response: &mut reqwest::Response) -> Result<(), Trouble> {
        self.written_bytes = 0;
        if response.content_length().is_some_and(|bytes| bytes > self.max_bytes) {
            return Err(Trouble::TooLarge);
        }
        self.target.begin().map_err(|error| not_written(&error))?;
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble_of(&error))? {
            self.written_bytes = self.written_bytes.saturating_add(chunk.len() as u64);
            if self.written_bytes > self.max_bytes {
                return Err(Trouble::TooLarge);
            }
            self.target.write(&chunk).map_err(|error| not_written(&error))?;
        }
        Ok(())
    }
}

fn not_written(error: &io::Error) -> Trouble {
    tracing::error!(%error, "a file of a provider can not be written");
    Trouble::NotWritten
}
