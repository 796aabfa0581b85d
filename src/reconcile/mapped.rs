//! What becomes of a row: by what its events are known, and the records that are published of it.

use std::sync::Arc;

use crate::event::envelope::{Ingest, Mode, Reception, Record};
use crate::event::{Event, EventIdentity};
use crate::outbound::Fetched;
use crate::provider::api::{Api, Row};
use crate::provider::{Fault, Reply, Sink};
use crate::publish::dead_letter;
use crate::reconcile::sought::Print;
use crate::request::{Method, RawRequest};
use crate::settings::Source;
use crate::verify::{Proof, Verification};

/// A source, as its rows are mapped.
#[derive(Debug)]
pub struct Mapper<'m> {
    /// The source.
    pub source: &'m Source,
    /// The provider's API.
    pub api: &'m Arc<dyn Api>,
    /// Name of the stream.
    pub stream: &'static str,
    /// How events are laid out.
    pub mode: Mode,
}

/// By what the events of a row are known.
#[derive(Debug, Default)]
pub struct Prints {
    /// Each event's account and print.
    pub events: Vec<(String, Print)>,
    /// Codes of what can not be understood.
    pub faults: usize,
}

impl Mapper<'_> {
    fn row<'r>(&'r self, text: &'r str) -> Row<'r> {
        Row { stream: self.stream, text, account_id: self.source.account_id.as_deref() }
    }

    /// Tells by what the events of a row are known. Nothing is written.
    pub fn prints(&self, text: &str) -> Prints {
        let mut indexing = Indexing { provider: self.source.info.name, prints: Prints::default() };
        self.api.map(&self.row(text), &mut indexing);
        indexing.prints
    }

    /// The records of a row whose events are wanted, and the dead letters of what can not be understood.
    ///
    /// # Errors
    /// Only if a record could not be written as JSON, which its types do not allow.
    pub fn records(
        &self,
        text: &str,
        fetched: &Fetched,
        is_wanted: &dyn Fn(Print) -> bool,
    ) -> Result<Vec<Record>, serde_json::Error> {
        let ingest = Ingest {
            via: self.api.via(&fetched.path),
            verification: Verification::Api.as_str(),
            scheme: self.api.scheme(),
            raw_id: fetched.raw_id.clone(),
        };
        let mut writing = Writing { mapper: self, text, fetched, ingest: &ingest, is_wanted, records: Ok(Vec::new()) };
        self.api.map(&self.row(text), &mut writing);
        writing.records
    }
}

struct Indexing {
    provider: &'static str,
    prints: Prints,
}

fn print_of(event: &mut Event<'_>, provider: &str) -> Print {
    let EventIdentity { key, id, fact_hash } = event.identify(provider);
    Print::of(&key, id, fact_hash)
}

impl<'r> Sink<'r> for Indexing {
    fn event(&mut self, mut event: Event<'r>) {
        let print = print_of(&mut event, self.provider);
        self.prints.events.push((event.account_id.into_owned(), print));
    }

    fn fault(&mut self, _fault: Fault<'r>) {
        self.prints.faults += 1;
    }

    fn unmapped(&mut self, _field: &'static str) {}

    fn reply(&mut self, _reply: Reply) {}

    fn misdirected(&mut self, _advice: &'static str) {}
}

struct Writing<'w> {
    mapper: &'w Mapper<'w>,
    text: &'w str,
    fetched: &'w Fetched,
    ingest: &'w Ingest<'w>,
    is_wanted: &'w dyn Fn(Print) -> bool,
    records: Result<Vec<Record>, serde_json::Error>,
}

impl Writing<'_> {
    fn keep(&mut self, record: Result<Record, serde_json::Error>) {
        match (&mut self.records, record) {
            (Ok(records), Ok(record)) => records.push(record),
            (Ok(_), Err(error)) => self.records = Err(error),
            (Err(_), _) => {}
        }
    }
}

impl<'r> Sink<'r> for Writing<'_> {
    fn event(&mut self, mut event: Event<'r>) {
        let source = self.mapper.source;
        if !(self.is_wanted)(print_of(&mut event, source.info.name)) {
            return;
        }
        let reception = Reception {
            provider: source.info.name,
            source_name: &source.name,
            received_at: self.fetched.at,
            ingest: self.ingest,
        };
        self.keep(event.into_record(&reception, &source.privacy, self.mapper.mode));
    }

    fn fault(&mut self, fault: Fault<'r>) {
        let source = self.mapper.source;
        let fault = Fault { record: Some(self.text.into()), ..fault };
        let query = format!("stream={}&{}", self.mapper.stream, self.fetched.query);
        let request = RawRequest::new(Method::Get, &self.fetched.path, self.fetched.at).with_query(&query);
        let proof = Proof::of_api(self.mapper.api.scheme(), source.account_id.clone());
        let raw_id = &self.fetched.raw_id;
        self.keep(dead_letter::of_row(&fault, &request, &proof, raw_id, &source.name, source.info.name));
    }

    fn unmapped(&mut self, _field: &'static str) {}

    fn reply(&mut self, _reply: Reply) {}

    fn misdirected(&mut self, _advice: &'static str) {}
}
