//! What Kafka refuses for good: it becomes a dead letter, and what is refused even then is kept in the
//! spool's quarantine. Asking again would be refused again.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::lane::{Facts, RowFacts};
use super::parcel::{Parcel, Replaced};
use super::spooler::{Job, Quarantine};
use super::track::{Refusal, Track};
use super::{Origin, Shared, dead_letter, lane};
use crate::event::envelope::Record;
use crate::providers::Fault;
use crate::request::{Headers, RawRequest};

impl Shared {
    /// Finds another place for a refused event. It is durable once it is there.
    pub(super) fn bury(&self, track: &Arc<Track>, number: u64, refused: lane::Refused<Box<Parcel>>, refusal: Refusal) {
        let lane::Refused { payload: parcel, facts, has_copy } = refused;
        let Refusal { value, reason } = refusal;
        self.metrics.refused(reason);
        let (source, value_bytes) = (&parcel.origin.source_name, value.len());
        tracing::error!(source.name = %source, reason, value_bytes, "Kafka refuses a record for good");
        if !parcel.is_event() {
            return self.quarantine(track, number, facts, has_copy, parcel, reason);
        }
        let replaces = has_copy.then(|| Replaced { track: Arc::clone(track), number, facts: facts.into() });
        match dead_letter_of(&value, reason, &parcel.origin) {
            Ok(letter) => {
                if let Some(source) = &parcel.origin.metrics {
                    self.metrics.dead_letter(source, reason);
                }
                self.publish(parcel.buried_as(letter, replaces), facts);
            }
            Err(error) => {
                tracing::error!(%error, "a dead letter could not be written");
                self.quarantine(track, number, facts, has_copy, parcel, reason);
            }
        }
    }

    fn publish(&self, letter: Box<Parcel>, facts: Facts) {
        let now = Instant::now();
        let deadline = facts.deadline.max(now + letter.origin.ack_timeout);
        let topic = letter.record().map(|record| record.topic);
        match (topic, self.lanes.get().and_then(Weak::upgrade)) {
            (Some(topic), Some(lanes)) => lanes.take(self, topic, letter, deadline, now),
            _ => letter.failed(&self.window),
        }
    }

    fn quarantine(
        &self,
        track: &Arc<Track>,
        number: u64,
        facts: Facts,
        has_copy: bool,
        mut parcel: Box<Parcel>,
        reason: &'static str,
    ) {
        let mut row = None;
        if !has_copy {
            // Without its record the event has had no place in the spool, and was answered so.
            row = parcel.take_row(facts.key_hash).map(|(row, _)| row);
            if row.is_none() || !self.spool.reserve(facts.bytes) {
                return parcel.failed(&self.window);
            }
        }
        let (track, facts) = (Arc::clone(track), RowFacts::from(facts));
        self.spool.send(Job::Quarantine(Box::new(Quarantine { track, number, facts, row, reason, parcel })));
    }
}

/// The refused event itself is the dead letter's body: the request it came from is gone by now.
fn dead_letter_of(value: &[u8], reason: &'static str, origin: &Origin) -> Result<Record, serde_json::Error> {
    let path = format!("/webhooks/{}", origin.source_name);
    let request = RawRequest {
        method: origin.method,
        path: &path,
        url_token: None,
        query: "",
        headers: Headers::default(),
        body: value,
        undecodable: false,
        remote_addr: origin.remote_addr,
        received_at: origin.received_at,
    };
    let mut fault = Fault::of_request(reason, "Kafka refuses the event that was made of this request");
    fault.record = Some(String::from_utf8_lossy(value));
    dead_letter::of_fault(&fault, &request, &origin.source_name, &origin.provider)
}
