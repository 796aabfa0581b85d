//! `telephony_calls`: what happens in a user's calls, told while it happens.

use crate::event::country;

use super::fields::{time, truth};
use super::ids;
use super::outcome::joined;
use super::record::{address, between};
use crate::event::address::{Address, AddressKind};
use crate::event::call::{CallEvent, CallEventIdentity, CallEventKind, CallOccurrence, CallOutcome};
use crate::event::direction::Direction;
use crate::event::id::is_id;
use crate::event::leftovers::{Class, Classes, Names};
use crate::event::{Event, Fact, Leftovers, Occurrence};
use crate::json::{Member, Members, Text, Value, tells_nothing};
use crate::provider::{Fault, Sink};

/// Marks hold at the same path in every element of an array.
static CLASSES: Classes = Classes {
    marked: &[
        ("remoteParty.number", Class::Number),
        ("remoteParty.name", Class::Name),
        ("redirections.redirectingParty.number", Class::Number),
        ("redirections.redirectingParty.name", Class::Name),
        ("recall.party.number", Class::Number),
        ("recall.party.name", Class::Name),
    ],
    otherwise: Class::Plain,
    names: Names::Folded,
    hosts: &["webex.com", "webexapis.com", "wbx2.com"],
    international_digits: false,
};

/// What the event does not say itself.
#[derive(Debug)]
pub(super) struct Context<'r> {
    pub(super) account_id: Option<Text<'r>>,
    pub(super) region: Option<country::Id>,
    pub(super) body: &'r [u8],
}

/// Turns one webhook into an event.
pub(super) fn map<'r>(
    webhook: &Members<'r>,
    context: Context<'r>,
    out: &mut dyn Sink<'r>,
) -> Result<Event<'r>, Fault<'r>> {
    let account_id = context.account_id.clone();
    let account_id = account_id.ok_or_else(|| Fault::of_request("missing_account", "the webhook names no orgId"))?;
    let data = data_of(webhook)?;
    let (call_id, leg_id) = call_ids(&data)?;
    let words = Words { event: webhook.text("event"), sort: data.text("eventType"), state: data.text("state") };
    words.report(out);
    let occurrence = occurrence(&data, context.body);
    let occurred = Occurrence::by_provider(data.read("eventTimestamp", time));
    let call = Reader { data: &data, region: context.region }.event((call_id, leg_id), words, occurrence, out);
    Ok(Event {
        product: "call_events".into(),
        account_id,
        parent_account_id: None,
        provider_event_id: None,
        occurred,
        fact: Fact::CallEvent(Box::new(call)),
        leftovers: Leftovers { members: data, classes: &CLASSES },
    })
}

fn data_of<'r>(webhook: &Members<'r>) -> Result<Members<'r>, Fault<'r>> {
    let data = webhook.find("data").and_then(|data| match &data.value {
        Value::Json(raw) => Members::parse(raw.get()).ok(),
        Value::Field(_) => None,
    });
    data.ok_or_else(|| Fault::of_request("missing_id", "a telephony_calls event without data"))
}

/// The session and this half of it. One of them stands in for the other.
fn call_ids<'r>(data: &Members<'r>) -> Result<(Text<'r>, Text<'r>), Fault<'r>> {
    let session = data.text("callSessionId").map(ids::bare);
    let half = data.text("callId").map(ids::bare);
    let (Some(call_id), Some(leg_id)) = (session.clone().or(half.clone()), half.or(session)) else {
        return Err(Fault::of_request("missing_id", "neither callId nor callSessionId"));
    };
    match is_id(&call_id) && is_id(&leg_id) {
        true => Ok((call_id, leg_id)),
        false => Err(Fault::of_request("invalid_id", "callId or callSessionId can not be an id")),
    }
}

/// What tells this event from others of its half: the time as Webex wrote it, else the whole body.
fn occurrence<'r>(data: &Members<'r>, body: &[u8]) -> CallOccurrence<'r> {
    let member = data.find("eventTimestamp");
    let told = member.and_then(|member| match &member.value {
        Value::Json(raw) => crate::json::string_of(raw).or_else(|| number_of(raw.get())),
        Value::Field(text) => Some(text.clone()),
    });
    match told.filter(|text| !tells_nothing(text)) {
        Some(text) => CallOccurrence::Time(text),
        None => CallOccurrence::of_bytes(body),
    }
}

fn number_of(json: &str) -> Option<Text<'_>> {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit()).then_some(Text::Borrowed(json))
}

/// The words in which Webex tells what happened.
struct Words<'r> {
    event: Option<Text<'r>>,
    sort: Option<Text<'r>>,
    state: Option<Text<'r>>,
}

impl Words<'_> {
    fn kind(&self) -> CallEventKind {
        if lower(self.event.as_ref()) == "deleted" {
            return CallEventKind::Ended;
        }
        let by_state = || kind_of_state(&lower(self.state.as_ref()));
        kind_of_sort(&lower(self.sort.as_ref())).or_else(by_state).unwrap_or(CallEventKind::Other)
    }

    fn report<'r>(&self, out: &mut dyn Sink<'r>) {
        let (event, sort, state) = (lower(self.event.as_ref()), lower(self.sort.as_ref()), lower(self.state.as_ref()));
        if !["", "created", "updated", "deleted"].contains(&&*event) {
            out.unmapped("event");
        }
        if kind_of_sort(&sort).is_none() && !["", "updated", "disconnected"].contains(&&*sort) {
            out.unmapped("eventType");
        }
        if kind_of_state(&state).is_none() && !["", "disconnected"].contains(&&*state) {
            out.unmapped("state");
        }
    }
}

fn lower(word: Option<&Text<'_>>) -> String {
    word.map(|word| word.trim().to_ascii_lowercase()).unwrap_or_default()
}

fn kind_of_sort(sort: &str) -> Option<CallEventKind> {
    Some(match sort {
        "received" | "alerting" => CallEventKind::Ringing,
        "originated" => CallEventKind::Initiated,
        "answered" | "connected" => CallEventKind::Answered,
        "held" | "remoteheld" => CallEventKind::Hold,
        "resumed" => CallEventKind::Resumed,
        "forwarded" => CallEventKind::Transferred,
        // What became of the recording is told by a state of its own.
        "recording" => CallEventKind::Other,
        _ => return None,
    })
}

fn kind_of_state(state: &str) -> Option<CallEventKind> {
    Some(match state {
        "alerting" => CallEventKind::Ringing,
        "connecting" => CallEventKind::Initiated,
        "connected" => CallEventKind::Answered,
        "held" | "remoteheld" => CallEventKind::Hold,
        _ => return None,
    })
}

/// What only an event of the end tells.
#[derive(Default)]
struct End {
    outcome: Option<CallOutcome>,
    answered: Option<bool>,
    talk_ms: Option<u64>,
}

struct Reader<'d, 'r> {
    data: &'d Members<'r>,
    region: Option<country::Id>,
}

impl<'r> Reader<'_, 'r> {
    fn event(
        &self,
        (call_id, leg_id): (Text<'r>, Text<'r>),
        words: Words<'r>,
        occurrence: CallOccurrence<'r>,
        out: &mut dyn Sink<'r>,
    ) -> CallEvent<'r> {
        let event = self.kind(&words);
        let direction = self.direction(out);
        let (from, to) = self.parties(direction);
        let end = if event == CallEventKind::Ended { self.end() } else { End::default() };
        let event_raw = joined([words.event, words.sort, words.state]);
        let identity = CallEventIdentity { event: event_raw.to_lowercase().into(), occurrence };
        CallEvent {
            recording: None,
            call_id,
            leg_id,
            event,
            event_rank: event.rank(),
            event_raw,
            sequence: None,
            direction,
            from,
            to,
            did: None,
            outcome: end.outcome,
            answered: end.answered,
            cause: None,
            talk_ms: end.talk_ms,
            price: None,
            recording_id: None,
            identity,
        }
    }

    fn kind(&self, words: &Words<'r>) -> CallEventKind {
        let kind = words.kind();
        let is_started = |word: Text<'r>| word.trim().eq_ignore_ascii_case("started").then_some(());
        let is_of_recording = kind == CallEventKind::Other && lower(words.sort.as_ref()) == "recording";
        match is_of_recording && self.data.read("recordingState", is_started).is_some() {
            true => CallEventKind::RecordingStarted,
            false => kind,
        }
    }

    fn direction(&self, out: &mut dyn Sink<'r>) -> Direction {
        let direction = self.data.read("personality", |word| match word.trim().to_ascii_lowercase().as_str() {
            "originator" | "clicktodial" => Some(Direction::Outbound),
            "terminator" => Some(Direction::Inbound),
            _ => None,
        });
        let is_told = |member: &Member<'r>| !member.settles_as_nothing();
        if direction.is_none() && self.data.find("personality").is_some_and(is_told) {
            out.unmapped("personality");
        }
        direction.unwrap_or(Direction::Unknown)
    }

    /// Only the other side is told. Where it is not known which side that is, it stays as it came.
    fn parties(&self, direction: Direction) -> (Address<'r>, Address<'r>) {
        match direction {
            Direction::Outbound => (Address::unknown(), self.remote_party()),
            Direction::Inbound => (self.remote_party(), Address::unknown()),
            Direction::Internal | Direction::Unknown => (Address::unknown(), Address::unknown()),
        }
    }

    fn remote_party(&self) -> Address<'r> {
        let Some(party) = self.data.object("remoteParty") else { return Address::unknown() };
        let number = party.text_or_number("number").map(|number| address(number, self.region));
        let mut party_address = number.unwrap_or_else(|| unnumbered(party));
        party_address.name = party.text("name");
        party_address
    }

    fn end(&self) -> End {
        if self.data.read("completedElsewhere", |text| truth(&text)) == Some(true) {
            return End { outcome: Some(CallOutcome::AnsweredElsewhere), ..End::default() };
        }
        let Some(answered) = self.data.read("answered", time) else {
            return End { outcome: Some(CallOutcome::Unknown), ..End::default() };
        };
        let talk_ms = between(Some(answered), self.data.read("disconnected", time));
        End { outcome: Some(CallOutcome::Answered), answered: Some(true), talk_ms }
    }
}

/// A party without a number: one that withholds it, or one of whom nothing is told.
fn unnumbered<'r>(party: &Members<'r>) -> Address<'r> {
    let is_private = party.read("privacyEnabled", |text| truth(&text).filter(|private| *private));
    let kind = if is_private.is_some() { AddressKind::Anonymous } else { AddressKind::Unknown };
    Address { kind, ..Address::unknown() }
}

#[cfg(test)]
mod tests;
