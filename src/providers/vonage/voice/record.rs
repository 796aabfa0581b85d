//! The provisional call record made of the end of a leg.

use super::super::webhook::time;
use super::ending::money;
use super::event::publish;
use super::facts::Facts;
use crate::event::call::{CallOutcome, CallRecord, HangupBy, RecordScope, RecordState};
use crate::event::direction::Direction;
use crate::event::money::PriceScope;
use crate::event::network::Network;
use crate::event::{Event, Fact};
use crate::json::{Members, Text};

/// Makes the record. Its key is the id by which Vonage's reports name the call, so that the final record replaces it.
/// Words that are in no map were told with the event.
pub(super) fn make<'r>(facts: Facts<'r>, members: Members<'r>, account_id: &'r str) -> (Event<'r>, Vec<&'static str>) {
    let mut unmapped = Vec::new();
    let outcome_raw = outcome_raw(&facts);
    let hangup_by = hangup_by(&members, facts.direction, &mut unmapped);
    let ended_at = members.read("end_time", time);
    let (outcome, answered) =
        facts.ending.as_ref().map_or((CallOutcome::Unknown, None), |ending| (ending.outcome, ending.answered));
    let (cause, talk_ms, price) =
        facts.ending.map_or((None, None, None), |ending| (ending.cause, ending.talk_ms, ending.price));
    let record = CallRecord {
        record_id: facts.leg_id.clone(),
        record_scope: RecordScope::Leg,
        state: RecordState::Provisional,
        record_version: "".into(),
        session_id: facts.conversation_id,
        leg_id: Some(facts.leg_id),
        related_ids: Vec::new(),
        direction: facts.direction,
        from: facts.from,
        to: facts.to,
        dialed: None,
        did: None,
        redirected_by: None,
        user: None,
        // `start_time` is when the call was taken: until the end it lasts as long as `duration` says.
        started_at: None,
        answered_at: members.read("start_time", time),
        ended_at,
        talk_ms,
        ring_ms: None,
        hold_ms: None,
        total_ms: None,
        answered,
        outcome,
        outcome_raw,
        answered_by: None,
        hangup_by,
        cause,
        call_type: None,
        network: members.read("network", Network::from_code),
        price,
        rate: money(&members, "rate", PriceScope::PerMinute),
        recordings: facts.recording_id.into_iter().collect(),
        site: None,
        queue: None,
        transfer: None,
    };
    let at = ended_at.or(facts.at);
    (publish(Fact::CallRecord(Box::new(record)), at, members, account_id), unmapped)
}

/// Vonage's words, joined.
fn outcome_raw<'r>(facts: &Facts<'r>) -> Text<'r> {
    match facts.ending.as_ref().and_then(|ending| ending.detail.as_ref()) {
        Some(detail) => format!("{}/{detail}", facts.word).into(),
        None => facts.word.clone(),
    }
}

/// `user` is the party outside: the called one of an outbound leg, the calling one of an inbound leg.
fn hangup_by(members: &Members<'_>, direction: Direction, unmapped: &mut Vec<&'static str>) -> Option<HangupBy> {
    let word = members.text("disconnected_by")?;
    Some(match (word.trim().to_ascii_lowercase().as_str(), direction) {
        ("platform", _) => HangupBy::Platform,
        ("user", Direction::Outbound) => HangupBy::Callee,
        ("user", Direction::Inbound) => HangupBy::Caller,
        ("user", _) => HangupBy::Unknown,
        _ => {
            unmapped.push("disconnected_by");
            HangupBy::Unknown
        }
    })
}
