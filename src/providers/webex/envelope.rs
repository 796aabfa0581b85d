//! What a body is: call records in some envelope, an event of a call, or nothing for us.

use crate::event::country;
use serde_json::value::RawValue;

use super::record::{self, Surroundings};
use super::search::{self, Candidate, Seen};
use super::{ids, telephony};
use crate::json::{Members, Text, Value, items_of};
use crate::provider::{Fault, Sink};
use crate::verify::Verified;

/// Resources of Webex that one may subscribe to and that are no calls. Source: the list of resources in
/// Cisco's "Webhooks" guide.
const FOREIGN: [&str; 16] = [
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
    "adminBatchJobs",
    "controlHubAlerts",
    "videoMeshAlerts",
];

/// The resource that tells of calls.
const TELEPHONY: &str = "telephony_calls";

/// How it and others of its family begin: message waiting, conferences, whatever is added to them.
const TELEPHONY_PREFIX: &str = "telephony_";

/// What relays put around a webhook: `body`, and `items` in it.
const MAX_WRAPPERS: usize = 2;

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
        Err(fault) => out.fault(fault_of(request, fault)),
    }
}

/// Normalises one call record without an envelope, also one that lacks what a record is known by.
pub(super) fn normalize_record<'r>(request: &'r Verified<'r>, region: Option<country::Id>, out: &mut dyn Sink<'r>) {
    match read(request) {
        Ok(body) => Delivery::new(request, region, out).record(&Candidate::alone(body)),
        Err(fault) => out.fault(fault_of(request, fault)),
    }
}

/// What a body claims to be encoded with may be wrong, and then its bytes are the delivery. If they are none, the
/// claim is what went wrong.
fn fault_of<'r>(request: &Verified<'_>, fault: Fault<'r>) -> Fault<'r> {
    match request.request().undecodable {
        true => Fault::of_request("undecodable_body", "the body's Content-Encoding could not be undone"),
        false => fault,
    }
}

fn read<'r>(request: &'r Verified<'r>) -> Result<&'r RawValue, Fault<'r>> {
    let raw = request.request();
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
        let webhooks = webhooks_of(body, MAX_WRAPPERS);
        for webhook in &webhooks {
            self.webhook(webhook);
        }
        if webhooks.is_empty() && !is_empty(body, seen) {
            self.unknown_shape();
        }
    }

    fn webhook(&mut self, webhook: &Members<'r>) {
        let resource = webhook.text("resource").unwrap_or_default();
        if is(&resource, TELEPHONY) {
            self.telephony(webhook);
        } else if !is_foreign(&resource) {
            self.unknown_shape();
        }
    }

    fn unknown_shape(&mut self) {
        let fault = Fault::of_request("unknown_shape", "neither call records nor an event of a call");
        self.out.fault(fault_of(self.request, fault));
    }

    fn record(&mut self, found: &Candidate<'_, 'r>) {
        let parent_account_id = found.organisation.clone().or_else(|| self.configured.clone());
        let surroundings = Surroundings { product: "cdr_webhook", parent_account_id, region: self.region };
        let mapped = record::map(found.value.get(), surroundings, self.out);
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
        let account_id = search::organisation_of(webhook);
        let context = telephony::Context { account_id, region: self.region, body: self.request.request().body };
        match telephony::map(webhook, context, self.out) {
            Ok(event) => self.out.event(event),
            Err(fault) => self.out.fault(fault),
        }
    }
}

/// The envelopes of Webex's webhooks: the body itself, or in what a relay makes of a request, which puts them under
/// `body`, `items` or both.
fn webhooks_of(body: &RawValue, wrappers: usize) -> Vec<Members<'_>> {
    let Ok(members) = Members::parse(body.get()) else { return Vec::new() };
    if members.has("resource") {
        return vec![members];
    }
    let wrapped = ["body", "items"].into_iter().find_map(|name| members.find(name)).map(|member| &member.value);
    match wrapped {
        Some(Value::Json(inner)) if wrappers > 0 => match items_of(inner) {
            Some(items) => items.into_iter().flat_map(|item| webhooks_of(item, 0)).collect(),
            None => webhooks_of(inner, wrappers - 1),
        },
        _ => Vec::new(),
    }
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

fn is_foreign(resource: &str) -> bool {
    let is_of_telephony =
        resource.trim().get(..TELEPHONY_PREFIX.len()).is_some_and(|start| is(start, TELEPHONY_PREFIX));
    is_of_telephony || FOREIGN.iter().any(|known| is(resource, known))
}

fn is(word: &str, known: &str) -> bool {
    word.trim().eq_ignore_ascii_case(known)
}
