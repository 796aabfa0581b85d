//! What becomes of a row: by what its events are known, and the records that are published of it.

use std::sync::Arc;

use crate::event::envelope::{Ingest, Mode, Reception, Record};
use crate::event::{Event, EventIdentity};
use crate::outbound::Fetched;
use crate::provider::api::{Answer, Api, Row};
use crate::provider::{Fault, Reply, Sink};
use crate::publish::dead_letter;
use crate::reconcile::sought::Print;
use crate::request::{Method, RawRequest};
use crate::settings::Source;
use crate::verify::{Proof, Verification};

/// So much is kept of an answer that is none: enough to see what it is, and little enough for any topic.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

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
    /// How much can not be understood.
    pub faults: usize,
    /// Fields whose values are in no map.
    pub unmapped: Vec<&'static str>,
}

impl Mapper<'_> {
    fn row<'r>(&'r self, text: &'r str) -> Row<'r> {
        Row { stream: self.stream, text, account_id: self.source.account_id.as_deref() }
    }

    /// The id of the user whose row it is, where that matters.
    pub(super) fn user(&self, text: &str) -> Option<String> {
        self.api.user_of(&self.row(text))
    }

    /// Tells by what the events of a row are known. Nothing is written.
    pub fn prints(&self, text: &str) -> Prints {
        let mut indexing = Indexing { provider: self.source.info.name, prints: Prints::default() };
        self.api.map(&self.row(text), &mut indexing);
        indexing.prints
    }

    /// The dead letter of an answer that is none of this API.
    ///
    /// # Errors
    /// Only if a record could not be written as JSON, which its types do not allow.
    pub fn letter_of_answer(&self, answer: &Answer, fetched: &Fetched) -> Result<Record, serde_json::Error> {
        let source = self.source;
        let sort = answer.header("content-type").unwrap_or("no content-type");
        let message = format!("status {}, {sort}, {} bytes: no answer of this API", answer.status, answer.body.len());
        let body = answer.body.get(..MAX_ANSWER_BYTES).unwrap_or(&answer.body);
        let query = self.query(fetched);
        let request = RawRequest::new(Method::Get, &fetched.path, fetched.at).with_query(&query).with_body(body, false);
        let fault = Fault::of_request("not_understood", message);
        let proof = Proof::of_api(self.api.scheme(), source.account_id.clone());
        let names = (source.name.as_str(), source.info.name);
        dead_letter::of_answer(&fault, &request, &proof, &fetched.raw_id, self.stream, names)
    }

    /// What was asked, and of which stream.
    fn query(&self, fetched: &Fetched) -> String {
        format!("stream={}&{}", self.stream, fetched.query)
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

    fn unmapped(&mut self, field: &'static str) {
        self.prints.unmapped.push(field);
    }

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
        let query = self.mapper.query(self.fetched);
        let request = RawRequest::new(Method::Get, &self.fetched.path, self.fetched.at).with_query(&query);
        let proof = Proof::of_api(self.mapper.api.scheme(), source.account_id.clone());
        let raw_id = &self.fetched.raw_id;
        self.keep(dead_letter::of_row(&fault, &request, &proof, raw_id, &source.name, source.info.name));
    }

    /// They are counted when the row has been published, since it may be written more than once.
    fn unmapped(&mut self, _field: &'static str) {}

    fn reply(&mut self, _reply: Reply) {}

    fn misdirected(&mut self, _advice: &'static str) {}
}
