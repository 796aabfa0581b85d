//! What a body is: call records in some envelope, an event of a call, or nothing for us.

use crate::event::country;
use serde_json::value::RawValue;

use super::record::{self, Surroundings};
use super::search::{self, Candidate, Seen};
use super::{ids, telephony};
use crate::json::{Members, Text, Value};
use crate::providers::{Fault, Sink};
use crate::verify::Verified;

/// Resources of Webex that one may subscribe to and that are no calls. Source: the list of resources in
/// Cisco's "Webhooks" guide.
const FOREIGN: [&str; 18] = [
    "memberships",
    "messages",
    "messaging",
    "rooms",
    "attachmentActions",
    "meetings",
    "meetingParticipants",
    "meetingTranscripts",
    "recordings",
    "convergedRecordings",
    "dataSources",
    "serviceApp",
    "uc_counters",
    "telephony_mwi",
    "telephony_conference",
    "adminBatchJobs",
    "controlHubAlerts",
    "videoMeshAlerts",
];

/// As many bad records of one body are kept one by one. A body with more of them is no batch with some
/// bad records, and is kept once more as a whole instead.
const MAX_BAD_RECORDS: usize = 50_000;

/// Normalises one authentic request.
pub(super) fn normalize<'r>(request: &'r Verified<'r>, region: Option<country::Id>, out: &mut dyn Sink<'r>) {
    let raw = request.request();
    if raw.body.is_empty() && !raw.undecodable {
        return;
    }
    match read(request) {
        Ok(body) => Delivery::new(request, region, out).take(body),
        Err(fault) => out.fault(fault),
    }
}

/// Normalises one call record without an envelope, also one that lacks what a record is known by.
pub(super) fn normalize_record<'r>(request: &'r Verified<'r>, region: Option<country::Id>, out: &mut dyn Sink<'r>) {
    match read(request) {
        Ok(body) => Delivery::new(request, region, out).record(&Candidate::alone(body)),
        Err(fault) => out.fault(fault),
    }
}

fn read<'r>(request: &'r Verified<'r>) -> Result<&'r RawValue, Fault<'r>> {
    let raw = request.request();
    if raw.undecodable {
        return Err(Fault::of_request("undecodable_body", "the body's Content-Encoding could not be undone"));
    }
    let text = std::str::from_utf8(raw.body).map_err(|_| Fault::of_request("invalid_utf8", "the body is not UTF-8"))?;
    serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|error| {
        let place = format!("the body is not one JSON value (line {}, column {})", error.line(), error.column());
        Fault::of_request("invalid_json", place)
    })
}

struct Delivery<'d, 'r> {
    request: &'r Verified<'r>,
    configured: Option<Text<'r>>,
    region: Option<country::Id>,
    out: &'d mut dyn Sink<'r>,
    bad: usize,
}

impl<'d, 'r> Delivery<'d, 'r> {
    fn new(request: &'r Verified<'r>, region: Option<country::Id>, out: &'d mut dyn Sink<'r>) -> Self {
        let configured = request.proof().account_id.as_deref().map(|id| ids::organisation(Text::Owned(id.to_owned())));
        Self { request, configured, region, out, bad: 0 }
    }

    fn take(&mut self, body: &'r RawValue) {
        let seen = search::records(body, &mut |found| self.record(&found));
        if seen.records > 0 {
            return;
        }
        let webhook = webhook_of(body).unwrap_or_default();
        let resource = webhook.text("resource").unwrap_or_default();
        let foreign = FOREIGN.iter().any(|known| is(&resource, known));
        if is(&resource, "telephony_calls") {
            self.telephony(&webhook);
        } else if !foreign && !is_empty(body, seen) {
            self.out.fault(Fault::of_request("unknown_shape", "neither call records nor an event of a call"));
        }
    }

    fn record(&mut self, found: &Candidate<'_, 'r>) {
        let text = found.value.get();
        let parent_account_id = found.organisation.clone().or_else(|| self.configured.clone());
        let mapped = match text.starts_with('{') {
            true => record::map(text, Surroundings { parent_account_id, region: self.region }, self.out),
            false => Err(Fault::of_request("not_an_object", "an element among call records is no object")),
        };
        match mapped {
            Ok(event) => self.out.event(event),
            Err(fault) => self.bad_record(fault, found),
        }
    }

    fn bad_record(&mut self, fault: Fault<'r>, found: &Candidate<'_, 'r>) {
        self.bad += 1;
        if self.bad <= MAX_BAD_RECORDS {
            let record = Some(Text::Borrowed(found.value.get()));
            self.out.fault(Fault { record, ..fault.at(found.pointer()) });
        } else if self.bad == MAX_BAD_RECORDS + 1 {
            let message = format!("more than {MAX_BAD_RECORDS} bad records in one body");
            self.out.fault(Fault::of_request("too_many_bad_records", message));
        }
    }

    fn telephony(&mut self, webhook: &Members<'r>) {
        let account_id = search::organisation_of(webhook).or_else(|| self.configured.clone());
        let context = telephony::Context { account_id, region: self.region, body: self.request.request().body };
        match telephony::map(webhook, context, self.out) {
            Ok(event) => self.out.event(event),
            Err(fault) => self.out.fault(fault),
        }
    }
}

/// The envelope of Webex's webhooks, bare or inside what a relay makes of a request.
fn webhook_of(body: &RawValue) -> Option<Members<'_>> {
    let members = Members::parse(body.get()).ok()?;
    if members.has("resource") {
        return Some(members);
    }
    let Value::Json(inner) = members.find("body")?.value else { return None };
    Members::parse(inner.get()).ok()
}

/// Intervals in which nobody telephoned.
fn is_empty(body: &RawValue, seen: Seen) -> bool {
    let nothing = match body.get().as_bytes().first() {
        Some(b'{') => {
            seen.arrays > 0 || Members::parse(body.get()).is_ok_and(|members| members.iter().next().is_none())
        }
        first => first == Some(&b'['),
    };
    nothing && seen.records == 0 && seen.filled_arrays == 0
}

fn is(word: &str, known: &str) -> bool {
    word.trim().eq_ignore_ascii_case(known)
}
