//! Copies of recordings: each finished one is put into the store once, and an event tells where it lies.
//!
//! The store itself tells what was copied, so that there is no list of it that could be wrong. A copy gets its own name
//! only after its event was acknowledged: whoever dies in between copies it again, and the event comes twice under one id.

use std::io;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use ulid::Ulid;

use super::outlet::{NotPublished, Outlet};
use crate::event::address::Address;
use crate::event::call::{CallEvent, CallEventIdentity, CallEventKind, CallOccurrence, StoredRecording};
use crate::event::direction::Direction;
use crate::event::envelope::{Ingest, Mode, Reception, Record};
use crate::event::time::Time;
use crate::event::{Event, Fact, Leftovers, Occurrence};
use crate::outbound::Target;
use crate::provider::recordings::{Level, Recording, is_path_id};
use crate::recordings::store::{CONTENT_TYPE, Store, StoreError};
use crate::recordings::{Recorder, RecordingsError};
use crate::settings::Source;
use crate::verify::Verification;

/// A recording is held in memory while it is copied. At 16 kbit/s this is nine hours of talk.
const MAX_BYTES: u64 = 64 << 20;

/// Until this age a recording that can not be fetched is not ready yet; later it is missing.
const NOT_READY: Duration = Duration::from_secs(24 * 3600);

/// What a copy is called until its event was acknowledged.
const UNTOLD: &str = ".part";

/// Why nothing more can be copied now.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The provider does not tell the recordings.
    #[error(transparent)]
    Recordings(#[from] RecordingsError),
    /// The store does not take them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Kafka does not take the event.
    #[error(transparent)]
    NotPublished(#[from] NotPublished),
}

/// What became of the recordings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// They were copied now.
    pub copied: u64,
    /// They had been copied before.
    pub held: u64,
    /// They are too young, or not ready yet.
    pub not_ready: u64,
    /// They could not be fetched.
    pub failed: u64,
}

/// Copies the recordings of one source.
#[derive(Debug)]
pub struct Copying<'c> {
    /// The source, whose configuration has a place for copies.
    pub source: &'c Source,
    /// The provider's recordings.
    pub recorder: Recorder<'c>,
    /// Where they are copied to.
    pub store: &'c Store,
    /// How long after the end of a call, in seconds.
    pub delay_s: u32,
    /// Where events go.
    pub outlet: &'c Outlet<'c>,
    /// How events are laid out.
    pub mode: Mode,
    /// What events say of how they are proven.
    pub scheme: &'static str,
}

/// What became of one recording.
enum Outcome {
    Copied,
    Held,
    NotReady,
    Failed(RecordingsError),
}

impl Copying<'_> {
    /// Copies the recordings of calls that began in a stretch of time without its last instant.
    ///
    /// # Errors
    /// When nothing more can be copied now. What was copied until then is.
    pub async fn copy(&self, from: Time, to: Time, now: Time) -> Result<Copied, CopyError> {
        self.recorder.confirm().await?;
        let mut copied = Copied::default();
        for recording in self.recorder.list(&Level::Account, from, to).await? {
            match self.one(&recording, now).await? {
                Outcome::Copied => copied.copied += 1,
                Outcome::Held => copied.held += 1,
                Outcome::NotReady => copied.not_ready += 1,
                Outcome::Failed(error) => {
                    tracing::warn!(source.name = %self.source.name, recording.id = %recording.id, %error, "a recording is not copied");
                    copied.failed += 1;
                }
            }
        }
        Ok(copied)
    }

    async fn one(&self, recording: &Recording, now: Time) -> Result<Outcome, CopyError> {
        let Some((name, ends_at)) = self.name(recording).zip(recording.ends_at.or(recording.begins_at)) else {
            return Ok(Outcome::Failed(RecordingsError::Failed("it tells neither its time nor an id for a name")));
        };
        let age_s = now.unix_seconds() - ends_at.unix_seconds();
        if age_s < i64::from(self.delay_s) {
            return Ok(Outcome::NotReady);
        }
        let held = self.store.size_bytes(&name).await?;
        if held.is_some() && recording.size_bytes.is_none_or(|bytes| held == Some(bytes)) {
            return Ok(Outcome::Held);
        }
        let mut buffer = Buffer::default();
        match self.recorder.fetch(&Level::Account, &recording.id, &mut buffer, MAX_BYTES).await {
            Ok(bytes) if recording.size_bytes.is_some_and(|told| told != bytes) => {
                Ok(Outcome::Failed(RecordingsError::Failed("its size is not the told one")))
            }
            Ok(_) => self.keep(recording, &name, buffer.0, now).await.map(|()| Outcome::Copied),
            Err(RecordingsError::NotThere) if age_s < NOT_READY.as_secs().cast_signed() => Ok(Outcome::NotReady),
            Err(error) if error.is_of_the_source() => Err(error.into()),
            Err(error) => Ok(Outcome::Failed(error)),
        }
    }

    /// Where a recording belongs: below the day on which its leg began.
    fn name(&self, recording: &Recording) -> Option<String> {
        let day = recording.begins_at?.to_string();
        let day = day.get(..10)?.replace('-', "/");
        is_path_id(&recording.id).then(|| format!("{}/{day}/{}.mp3", self.source.name, recording.id))
    }

    async fn keep(&self, recording: &Recording, name: &str, bytes: Vec<u8>, now: Time) -> Result<(), CopyError> {
        let stored = StoredRecording {
            uri: self.store.uri(name).into(),
            bytes: bytes.len() as u64,
            content_type: CONTENT_TYPE,
            sha256: hex::encode(Sha256::digest(&bytes)).into(),
        };
        let untold = format!("{name}{UNTOLD}");
        self.store.put(&untold, bytes.into()).await?;
        let raw_id = Ulid::generate().to_string();
        let record = || self.record(recording, &stored, &raw_id, now).map(|record| vec![(record, now)]);
        self.outlet.publish(record).await?;
        Ok(self.store.rename(&untold, name).await?)
    }

    fn record(
        &self,
        recording: &Recording,
        stored: &StoredRecording<'_>,
        raw_id: &str,
        now: Time,
    ) -> Result<Record, serde_json::Error> {
        let ingest = Ingest {
            via: "poll",
            verification: Verification::Api.as_str(),
            scheme: self.scheme,
            raw_id: raw_id.to_owned(),
        };
        let reception = Reception {
            provider: self.source.info.name,
            source_name: &self.source.name,
            received_at: now,
            ingest: &ingest,
        };
        let account_id = self.source.account_id.as_deref().unwrap_or_default();
        event(recording, stored, account_id).into_record(&reception, &self.source.privacy, self.mode)
    }
}

/// The event of a copy. Its id is made of the call and the recording, so that a copy that is made again is no other fact.
fn event<'e>(recording: &'e Recording, stored: &'e StoredRecording<'_>, account_id: &'e str) -> Event<'e> {
    let call_id = recording.call_id.as_deref().unwrap_or(&recording.id);
    let word = CallEventKind::RecordingReady.as_str();
    let fact = CallEvent {
        call_id: call_id.into(),
        leg_id: call_id.into(),
        event: CallEventKind::RecordingReady,
        event_rank: CallEventKind::RecordingReady.rank(),
        event_raw: word.into(),
        sequence: None,
        direction: Direction::Unknown,
        from: Address::unknown(),
        to: Address::unknown(),
        did: None,
        outcome: None,
        answered: None,
        cause: None,
        talk_ms: None,
        price: None,
        recording_id: Some(recording.id.as_str().into()),
        recording: Some(StoredRecording {
            uri: stored.uri.as_ref().into(),
            sha256: stored.sha256.as_ref().into(),
            ..*stored
        }),
        identity: CallEventIdentity {
            event: word.into(),
            occurrence: CallOccurrence::EventId(recording.id.as_str().into()),
        },
    };
    Event {
        product: "recordings".into(),
        account_id: account_id.into(),
        parent_account_id: None,
        provider_event_id: None,
        occurred: Occurrence::by_provider(None),
        fact: Fact::CallEvent(Box::new(fact)),
        leftovers: Leftovers::none(),
    }
}

/// A recording in memory.
#[derive(Debug, Default)]
struct Buffer(Vec<u8>);

impl Target for Buffer {
    fn begin(&mut self) -> io::Result<()> {
        self.0.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
