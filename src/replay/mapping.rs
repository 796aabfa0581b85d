//! Today's mapping of a letter.

use super::letter::{Letter, Scope};
use crate::event::Event;
use crate::event::envelope::{Ingest, Mode, Reception, Record};
use crate::event::privacy::Privacy;
use crate::provider::api::Row;
use crate::provider::{Fault, Reply, Sink};
use crate::settings::Source;
use crate::verify::{self, Verification};

/// What a letter turns out to hold.
#[derive(Debug, Default)]
pub(super) struct Mapped {
    /// The events, written as records.
    pub(super) records: Vec<Record>,
    /// The codes of what still can not be understood.
    pub(super) faults: Vec<&'static str>,
}

/// Maps a letter as its webhook would be mapped today. A fault is only told: its dead letter is there.
///
/// # Errors
/// Only if an event could not be written as JSON, which its types do not allow.
pub(super) fn map(letter: &Letter, source: &Source, mode: Mode) -> Result<Mapped, serde_json::Error> {
    if let Some(code) = letter.refused_event() {
        return Ok(Mapped { records: Vec::new(), faults: vec![code] });
    }
    if let Some((stream, text)) = letter.fetched() {
        return map_fetched(letter, source, mode, &stream, &text);
    }
    let request = letter.request();
    let verified = match verify::accept_again(&request, letter.proof(), &*source.provider, &source.doors) {
        Ok(verified) => verified,
        Err(error) => return Ok(Mapped { records: Vec::new(), faults: vec![error.code()] }),
    };
    let proof = verified.proof();
    let ingest = Ingest {
        via: "replay",
        verification: proof.verification.as_str(),
        scheme: &proof.scheme,
        raw_id: letter.raw_id().to_owned(),
    };
    let mut writer = Writer::new(letter, source, mode, &ingest);
    match letter.scope() {
        Scope::Request => source.provider.normalize(&verified, &mut writer),
        Scope::Record => source.provider.normalize_row(&verified, &mut writer),
    }
    writer.mapped
}

/// Maps what the provider's API told, as its row would be mapped today. An answer that was none of this API has no rows.
fn map_fetched(
    letter: &Letter,
    source: &Source,
    mode: Mode,
    stream: &str,
    text: &str,
) -> Result<Mapped, serde_json::Error> {
    let fails = |code| Ok(Mapped { records: Vec::new(), faults: vec![code] });
    if letter.scope() == Scope::Request {
        return fails("not_understood");
    }
    let Some(api) = &source.api else { return fails("no_credentials") };
    let Some(stream) = source.info.streams.iter().find(|known| known.name == stream) else {
        return fails("unknown_stream");
    };
    let raw_id = letter.raw_id().to_owned();
    let ingest = Ingest { via: "replay", verification: Verification::Api.as_str(), scheme: api.scheme(), raw_id };
    let mut writer = Writer::new(letter, source, mode, &ingest);
    api.map(&Row { stream: stream.name, text, account_id: source.account_id.as_deref() }, &mut writer);
    writer.mapped
}

/// Writes each event as soon as the provider hands it over.
struct Writer<'w> {
    reception: Reception<'w>,
    privacy: &'w Privacy,
    mode: Mode,
    mapped: Result<Mapped, serde_json::Error>,
}

impl<'w> Writer<'w> {
    fn new(letter: &Letter, source: &'w Source, mode: Mode, ingest: &'w Ingest<'w>) -> Self {
        let reception = Reception {
            provider: source.info.name,
            source_name: &source.name,
            received_at: letter.received_at,
            ingest,
        };
        Self { reception, privacy: &source.privacy, mode, mapped: Ok(Mapped::default()) }
    }
}

impl<'r> Sink<'r> for Writer<'_> {
    fn event(&mut self, event: Event<'r>) {
        let Ok(mapped) = &mut self.mapped else { return };
        match event.into_record(&self.reception, self.privacy, self.mode) {
            Ok(record) => mapped.records.push(record),
            Err(error) => self.mapped = Err(error),
        }
    }

    fn fault(&mut self, fault: Fault<'r>) {
        if let Ok(mapped) = &mut self.mapped {
            mapped.faults.push(fault.code);
        }
    }

    /// The event says so itself, and the process ends too soon for a metric to be read.
    fn unmapped(&mut self, _field: &'static str) {}

    /// Nobody waits for an answer.
    fn reply(&mut self, _reply: Reply) {}

    fn misdirected(&mut self, _advice: &'static str) {}
}
