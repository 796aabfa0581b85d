//! What a webhook says, and the call event made of it.

use crate::event::country;

use super::Fault;
use super::form::{is_link, peek, told, withhold_links, word};
use super::outcome::{self, Ending};
use super::party::Parties;
use crate::event::call::{CallEvent, CallEventIdentity, CallEventKind, CallOccurrence};
use crate::event::direction::Direction;
use crate::event::id;
use crate::event::leftovers::{Class, Classes, Names};
use crate::event::time::Time;
use crate::event::{Event, Fact, Leftovers, Occurrence};
use crate::json::{Members, Text, number};
use crate::request::RawRequest;

/// The marks of what is left over, of an event and of a record alike. A recording's id that could not
/// be read as one may be a link.
pub(super) static CLASSES: Classes = Classes {
    marked: &[
        ("CallerIDNum", Class::Number),
        ("CalledNumber", Class::Number),
        ("CalledDID", Class::Number),
        ("RemoteNumber", Class::Number),
        ("CallerExtension", Class::Number),
        ("CalledExtension", Class::Number),
        ("CallerIDName", Class::Name),
        ("RecID", Class::Link),
        ("EventTime", Class::Plain),
        ("Duration", Class::Plain),
        ("BridgedDuration", Class::Plain),
    ],
    otherwise: Class::Plain,
    names: Names::Exact,
    hosts: &["telphin.ru", "telphin.com"],
    international_digits: false,
};

/// What the event and the record of one webhook have in common.
#[derive(Debug)]
pub(super) struct Facts<'r> {
    pub(super) event_type: Text<'r>,
    pub(super) call_id: Text<'r>,
    pub(super) leg_id: Text<'r>,
    pub(super) kind: CallEventKind,
    pub(super) status: Option<Text<'r>>,
    /// `EventTime` as sent, if it was.
    pub(super) time_text: Option<Text<'r>>,
    pub(super) at: Option<Time>,
    /// The way that `CallFlow` tells.
    pub(super) flow: Direction,
    pub(super) parties: Parties<'r>,
    pub(super) recording: Option<Text<'r>>,
    /// How the leg ended, if this is its end.
    pub(super) ending: Option<Ending>,
    /// Length of the conversation in microseconds.
    pub(super) talk_us: Option<u64>,
    /// Parameters whose word is in no map.
    pub(super) unmapped: Vec<&'static str>,
}

impl<'r> Facts<'r> {
    /// Reads a webhook. Only its identity is demanded; whatever else can not be read is left over.
    pub(super) fn read(members: &Members<'r>, region: Option<country::Id>) -> Result<Self, Fault<'r>> {
        withhold_links(members);
        let event_type = told(members, "EventType");
        let event_type = event_type.ok_or_else(|| Fault::of_request("missing_event_type", "no EventType"))?;
        let mut facts = Self {
            call_id: identity(members, "CallID")?,
            leg_id: identity(members, "SubCallID")?,
            kind: kind_of(&event_type).unwrap_or(CallEventKind::Other),
            status: told(members, "CallStatus"),
            time_text: peek(members, "EventTime"),
            at: members.read("EventTime", |text| time(&text)),
            flow: word(members, "CallFlow", flow).unwrap_or(Direction::Unknown),
            parties: Parties::read(members, region),
            recording: members.read("RecID", id_of).map(upper_case),
            ending: None,
            talk_us: None,
            unmapped: Vec::new(),
            event_type,
        };
        if facts.kind == CallEventKind::Ended {
            facts.read_ending(members);
        }
        facts.count_unmapped(members);
        Ok(facts)
    }

    /// `Bridged` stays among the leftovers: only there consumers see that the leg is one of an IVR or a
    /// queue.
    fn read_ending(&mut self, members: &Members<'r>) {
        let bridged = peek(members, "Bridged").and_then(|word| yes_or_no(&word));
        let ending = outcome::ending(self.status.as_deref(), bridged, self.flow);
        if ending.is_talk {
            self.talk_us = members.read("Duration", |text| number::whole(&text));
        }
        self.ending = Some(ending);
    }

    fn count_unmapped(&mut self, members: &Members<'r>) {
        let is_end = self.kind == CallEventKind::Ended;
        let is_unknown = |name, is_known: fn(&str) -> bool| peek(members, name).is_some_and(|word| !is_known(&word));
        if is_unknown("EventType", |word| kind_of(word).is_some()) {
            self.unmapped.push("EventType");
        }
        if is_unknown("CallFlow", |word| flow(&word.to_ascii_lowercase()).is_some()) {
            self.unmapped.push("CallFlow");
        }
        if is_end && is_unknown("CallStatus", |word| outcome::outcome_of(word).is_some()) {
            self.unmapped.push("CallStatus");
        }
        if is_end && is_unknown("Bridged", |word| yes_or_no(word).is_some()) {
            self.unmapped.push("Bridged");
        }
    }

    /// Answer to end in milliseconds; what is finer is cut off.
    pub(super) fn talk_ms(&self) -> Option<u64> {
        self.talk_us.map(|microseconds| microseconds / 1000)
    }

    /// Telphin's words, joined.
    fn event_raw(&self) -> Text<'r> {
        match &self.status {
            Some(status) => format!("{}/{status}", self.event_type).into(),
            None => self.event_type.clone(),
        }
    }

    /// What tells this event from others of its leg: its time, else the request that told it.
    fn occurrence(&self, request: &RawRequest<'_>) -> CallOccurrence<'r> {
        if let Some(text) = &self.time_text {
            return CallOccurrence::Time(text.clone());
        }
        let bytes = if request.body.is_empty() { request.query.as_bytes() } else { request.body };
        CallOccurrence::of_bytes(bytes)
    }
}

/// Makes the call event.
pub(super) fn make<'r>(
    facts: Facts<'r>,
    members: Members<'r>,
    account_id: &'r str,
    request: &RawRequest<'_>,
) -> Event<'r> {
    let ending = facts.ending.as_ref();
    let fact = CallEvent {
        recording: None,
        event: facts.kind,
        event_rank: facts.kind.rank(),
        event_raw: facts.event_raw(),
        sequence: None,
        direction: facts.parties.direction(facts.flow),
        outcome: ending.map(|ending| ending.outcome),
        answered: ending.and_then(|ending| ending.answered),
        cause: None,
        talk_ms: facts.talk_ms(),
        price: None,
        identity: CallEventIdentity {
            event: facts.event_type.to_lowercase().into(),
            occurrence: facts.occurrence(request),
        },
        call_id: facts.call_id,
        leg_id: facts.leg_id,
        from: facts.parties.from,
        to: facts.parties.to,
        did: facts.parties.did,
        recording_id: facts.recording,
    };
    publish(Fact::CallEvent(Box::new(fact)), facts.at, members, account_id)
}

/// An event of the account, with what its mapping left over.
pub(super) fn publish<'r>(fact: Fact<'r>, at: Option<Time>, members: Members<'r>, account_id: &'r str) -> Event<'r> {
    Event {
        product: "call_events".into(),
        account_id: account_id.into(),
        parent_account_id: None,
        provider_event_id: None,
        occurred: Occurrence::by_provider(at),
        fact,
        leftovers: Leftovers { members, classes: &CLASSES },
    }
}

fn kind_of(word: &str) -> Option<CallEventKind> {
    match word.to_ascii_lowercase().as_str() {
        "dial-in" | "dial-out" => Some(CallEventKind::Initiated),
        "answer" => Some(CallEventKind::Answered),
        "hangup" => Some(CallEventKind::Ended),
        "voicemail" => Some(CallEventKind::Other),
        _ => None,
    }
}

pub(super) fn flow(word: &str) -> Option<Direction> {
    match word {
        "in" => Some(Direction::Inbound),
        "out" => Some(Direction::Outbound),
        _ => None,
    }
}

pub(super) fn yes_or_no(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// A webhook writes ids in lower case and the API in upper case: in upper case they meet.
fn identity<'r>(members: &Members<'r>, name: &str) -> Result<Text<'r>, Fault<'r>> {
    let id = told(members, name).ok_or_else(|| Fault::of_request("missing_id", format!("no {name}")))?;
    match id_of(id) {
        Some(id) => Ok(upper_case(id)),
        None => Err(Fault::of_request("invalid_id", format!("{name} can not be an id"))),
    }
}

/// Text that can be an id. A link is none.
pub(super) fn id_of(text: Text<'_>) -> Option<Text<'_>> {
    let is_id = id::is_id(&text) && !is_link(&text);
    is_id.then_some(text).filter(|text| !text.trim().is_empty())
}

pub(super) fn upper_case(text: Text<'_>) -> Text<'_> {
    match text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        true => text.to_ascii_uppercase().into(),
        false => text,
    }
}

/// Microseconds, told from milliseconds and seconds by their number of digits.
fn time(text: &str) -> Option<Time> {
    let number: i64 = number::whole(text)?;
    match number {
        1_000_000_000_000_000..=9_999_999_999_999_999 => Time::from_unix_us(number),
        1_000_000_000_000..=9_999_999_999_999 => Time::from_unix_ms(number),
        1_000_000_000..=9_999_999_999 => Time::from_unix_seconds(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_by_their_number_of_digits() {
        for (text, read) in [
            ("1766736711480097", Some("2025-12-26T08:11:51.480097Z")),
            (" 1766736711480097 ", Some("2025-12-26T08:11:51.480097Z")),
            ("1766736711480", Some("2025-12-26T08:11:51.48Z")),
            ("1766736711", Some("2025-12-26T08:11:51Z")),
            ("17667367114800970", None),
            ("176673671148009", None),
            ("-766736711480097", None),
            ("1766736711.48009", None),
            ("1766736711480097.000", Some("2025-12-26T08:11:51.480097Z")),
            ("1.766736711480E12", Some("2025-12-26T08:11:51.48Z")),
            ("", None),
            ("yesterday", None),
        ] {
            assert_eq!(time(text).map(|time| time.to_string()).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn ids_are_in_upper_case_and_no_links() {
        assert_eq!(upper_case("30-0a1b".into()), "30-0A1B");
        for text in ["https://storage.example/1", "a\u{0}b", " ", &"x".repeat(513)] {
            assert_eq!(id_of(text.into()), None, "{text:?}");
        }
        assert!(id_of("x".repeat(512).into()).is_some());
    }
}
