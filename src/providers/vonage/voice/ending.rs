//! How a leg ended, as its last event tells it.

use crate::event::call::{CallOutcome, Cause};
use crate::event::money::{self, Money, PriceScope};
use crate::json::{Members, Text, number};

/// What one of the last events of a leg says of it.
#[derive(Debug)]
pub(super) struct Ending<'r> {
    pub(super) outcome: CallOutcome,
    /// Whether it was taken, where that can be told.
    pub(super) answered: Option<bool>,
    /// Answer to end; only of a leg that was taken.
    pub(super) talk_ms: Option<u64>,
    /// Vonage's word for the reason.
    pub(super) detail: Option<Text<'r>>,
    pub(super) cause: Option<Cause<'r>>,
    pub(super) price: Option<Money<'r>>,
}

/// Whether a word in lower case is that of an end.
pub(super) fn is_end(word: &str) -> bool {
    word == "completed" || outcome_of_status(word).is_some()
}

/// Reads the end of a leg. `completed` follows nearly every end, also that of a call which nobody took; what it tells
/// then is less than the event before it did.
pub(super) fn read<'r>(members: &Members<'r>, word: &str, unmapped: &mut Vec<&'static str>) -> Ending<'r> {
    let detail = members.text("detail");
    let sip = members.read("sip_code", |text| number::whole(&text).filter(|code| (100..700).contains(code)));
    let duration_ms = members.read("duration", |text| number::thousandths(&text));
    let word = word.trim().to_ascii_lowercase();
    let by_detail = detail.as_deref().and_then(outcome_of_detail);
    if detail.is_some() && by_detail.is_none() {
        unmapped.push("detail");
    }
    let talk_ms = duration_ms.filter(|talk_ms| *talk_ms > 0 && word == "completed");
    let outcome = match talk_ms {
        Some(_) => Some(CallOutcome::Answered),
        None => by_detail.or_else(|| outcome_of_sip(sip?)).or_else(|| outcome_of_status(&word)),
    };
    let outcome = outcome.unwrap_or(CallOutcome::Unknown);
    Ending {
        outcome,
        answered: is_taken(outcome),
        talk_ms,
        cause: cause(sip, detail.as_ref()),
        detail,
        price: money(members, "price", PriceScope::Total),
    }
}

fn is_taken(outcome: CallOutcome) -> Option<bool> {
    match outcome {
        CallOutcome::Unknown => None,
        outcome => Some(outcome == CallOutcome::Answered),
    }
}

fn cause<'r>(sip: Option<u16>, detail: Option<&Text<'r>>) -> Option<Cause<'r>> {
    (sip.is_some() || detail.is_some()).then(|| Cause { q850: None, sip, text: detail.cloned() })
}

/// Vonage's prices of calls are in euros, which is told nowhere in the webhook.
pub(super) fn money<'r>(members: &Members<'r>, name: &str, scope: PriceScope) -> Option<Money<'r>> {
    let amount = members.read(name, money::amount)?;
    Some(Money { amount, currency: Some("EUR".into()), currency_assumed: true, scope })
}

/// The reasons that Vonage documents.
fn outcome_of_detail(word: &str) -> Option<CallOutcome> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "timeout" | "carrier_timeout" => CallOutcome::NoAnswer,
        "unavailable" | "number_out_of_service" => CallOutcome::Unreachable,
        "invalid_number" => CallOutcome::InvalidNumber,
        "restricted" | "declined" => CallOutcome::Rejected,
        "cannot_route" | "internal_error" => CallOutcome::Failed,
        _ => return None,
    })
}

/// What a SIP response says of a call that was not taken (RFC 3261 section 21; RFC 3398 section 8 for those that a
/// gateway makes of a Q.850 cause).
pub(in super::super) fn outcome_of_sip(code: u16) -> Option<CallOutcome> {
    Some(match code {
        486 | 600 => CallOutcome::Busy,
        487 => CallOutcome::Canceled,
        401..=403 | 407 | 603 => CallOutcome::Rejected,
        480 => CallOutcome::Unreachable,
        404 | 410 | 484 | 485 | 604 => CallOutcome::InvalidNumber,
        408 => CallOutcome::NoAnswer,
        405 | 406 | 488 | 500..=599 => CallOutcome::Failed,
        _ => return None,
    })
}

/// What a status of a leg that was not taken says.
pub(in super::super) fn outcome_of_status(word: &str) -> Option<CallOutcome> {
    Some(match word {
        "busy" => CallOutcome::Busy,
        "cancelled" | "canceled" => CallOutcome::Canceled,
        "unanswered" | "timeout" => CallOutcome::NoAnswer,
        "rejected" => CallOutcome::Rejected,
        "failed" => CallOutcome::Failed,
        _ => return None,
    })
}
