//! The Voice API: what happens in calls, by POST or GET.
//!
//! One webhook tells one step of one leg, most of them by a word in `status`, some by their members alone. The end of
//! a leg that was set up (`completed`) carries what it cost, and is published as a provisional call record too. The
//! same application has an answer URL, where Vonage asks what to do with a call: not a place for a receiver of events.

use super::webhook::{self, Told, deliver};
use super::{Fault, Sink};
use crate::event::country;
use crate::json::Members;
use crate::provider::Reply;
use crate::verify::Verified;

mod ending;
mod event;
mod facts;
mod record;

pub(super) use ending::{outcome_of_sip, outcome_of_status};
use facts::Facts;
pub(super) use facts::{bare, direction};

/// Parameters that hold JSON where the webhook comes by GET.
const JSON_IN_PARAMETERS: [&str; 3] = ["dtmf", "speech", "payload"];

/// A call flow (NCCO) that does nothing: Vonage then ends the call.
const NOTHING_TO_DO: Reply = Reply { content_type: "application/json", body: "[]" };

const WRONG_URL: &str = "Vonage asks here what to do with calls, and is told nothing: this URL is for events, and the \
                         answer and fallback URLs of a Voice application belong to the program that controls its calls";

/// Publishes what a webhook tells: an event and, of a call that is over and done, its provisional record. Each of the
/// two reads members of its own, because each leaves others over.
pub(super) fn publish<'r>(
    members: Members<'r>,
    request: &'r Verified<'r>,
    region: Option<country::Id>,
    out: &mut dyn Sink<'r>,
) -> Result<(), Fault<'r>> {
    let account_id = request.proof().account_id.as_deref().unwrap_or_default();
    let members = with_json(members);
    let facts = Facts::read(&members, region)?;
    let is_record = facts.is_completed();
    deliver(event::make(facts, members, account_id, request.request()), out);
    if is_record {
        let members = webhook::read(request.request()).map(Told::into_members)?;
        let facts = Facts::read(&members, region)?;
        deliver(record::make(facts, members, account_id), out);
    }
    Ok(())
}

fn with_json(mut members: Members<'_>) -> Members<'_> {
    members.decode_json(&JSON_IN_PARAMETERS);
    members
}

/// Answers the question what to do with a call: nothing.
pub(super) fn answer(out: &mut dyn Sink<'_>) {
    out.reply(NOTHING_TO_DO);
    out.misdirected(WRONG_URL);
}

#[cfg(test)]
mod tests;
