//! One call of the call history, turned into its final record.
//!
//! It has the key of the provisional records that webhooks gave, and replaces them.

use super::ending::{self, End};
use super::times::{time, time_of};
use crate::event::address::Address;
use crate::event::call::{AnsweredBy, CallRecord, CallUser, RecordScope, RecordState, Site};
use crate::event::country;
use crate::event::direction::Direction;
use crate::event::leftovers::{Class, Classes, Names};
use crate::event::time::Time;
use crate::event::{Event, Fact, Leftovers, Occurrence};
use crate::json::{Members, Text, Value, items_of, number};
use crate::provider::api::Row;
use crate::provider::{Fault, Sink};
use crate::providers::telphin::event::{flow, id_of, upper_case};
use crate::providers::telphin::form::withhold_links;
use crate::providers::telphin::party::{self, Parties};
use crate::providers::telphin::record::domain;

/// Marks of what is left over. Legs have the names of calls.
static CLASSES: Classes = Classes {
    marked: &[
        ("from_username", Class::Number),
        ("to_username", Class::Number),
        ("bridged_username", Class::Number),
        ("did_number", Class::Number),
        ("ext_number_reg", Class::Number),
        ("diversion_number", Class::Number),
        ("extension_name", Class::Number),
        ("from_screen_name", Class::Name),
        ("call_uuid", Class::Plain),
        ("extension_id", Class::Plain),
        ("extension_group_owner_id", Class::Plain),
        ("client_owner_id", Class::Plain),
        ("dealer_owner_id", Class::Plain),
        ("cdr.from_username", Class::Number),
        ("cdr.to_username", Class::Number),
        ("cdr.dest_number", Class::Number),
        ("cdr.source_number", Class::Number),
        ("cdr.did_number", Class::Number),
        ("cdr.ext_number_reg", Class::Number),
        ("cdr.ani_number", Class::Number),
        ("cdr.extension_name", Class::Number),
        ("cdr.from_screen_name", Class::Name),
        ("cdr.file_name", Class::Content),
        ("cdr.call_uuid", Class::Plain),
        ("cdr.record_uuid", Class::Plain),
        ("cdr.record_file_size", Class::Plain),
        ("cdr.extension_id", Class::Plain),
        ("cdr.extension_group_owner_id", Class::Plain),
        ("cdr.client_owner_id", Class::Plain),
        ("cdr.dealer_owner_id", Class::Plain),
    ],
    otherwise: Class::Plain,
    names: Names::Exact,
    hosts: &["telphin.ru", "telphin.com"],
    international_digits: false,
};

/// Turns a call into an event.
pub(super) fn map<'r>(
    row: &Row<'r>,
    region: Option<country::Id>,
    out: &mut dyn Sink<'r>,
) -> Result<Event<'r>, Fault<'r>> {
    if !row.text.trim_start().starts_with('{') {
        return Err(Fault::of_request("not_an_object", "an element of the call history is no object"));
    }
    let members = Members::parse(row.text).map_err(|error| unreadable(&error))?;
    withhold_links(&members);
    let record_id = identity(&members)?;
    let account_id = account(&members, row.account_id)?;
    let record = Reader { members: &members, region }.record(record_id, out);
    Ok(Event {
        product: "call_history".into(),
        account_id,
        parent_account_id: None,
        provider_event_id: None,
        occurred: Occurrence::by_provider(record.ended_at),
        fact: Fact::CallRecord(Box::new(record)),
        leftovers: Leftovers { members, classes: &CLASSES },
    })
}

fn unreadable(error: &serde_json::Error) -> Fault<'static> {
    let place = format!("line {}, column {}", error.line(), error.column());
    Fault::of_request("invalid_record", format!("the call could not be read ({place} of it)"))
}

/// The id of a call, in upper case as everywhere.
fn identity<'r>(members: &Members<'r>) -> Result<Text<'r>, Fault<'r>> {
    let id = members.text_or_number("call_uuid");
    let id = id.ok_or_else(|| Fault::of_request("missing_id", "a call without call_uuid"))?;
    id_of(id).map(upper_case).ok_or_else(|| Fault::of_request("invalid_id", "call_uuid can not be an id"))
}

/// The owner, who has to be the one that the configuration names: its webhooks are published as theirs.
fn account<'r>(members: &Members<'r>, configured: Option<&'r str>) -> Result<Text<'r>, Fault<'r>> {
    let configured = configured.unwrap_or_default();
    match members.text_or_number("client_owner_id") {
        Some(owner) if owner.trim() != configured => {
            Err(Fault::of_request("foreign_account", "the call is one of another client than account_id"))
        }
        _ => Ok(configured.into()),
    }
}

struct Reader<'m, 'r> {
    members: &'m Members<'r>,
    region: Option<country::Id>,
}

impl<'r> Reader<'_, 'r> {
    fn record(&self, record_id: Text<'r>, out: &mut dyn Sink<'r>) -> CallRecord<'r> {
        let end = ending::read(self.members, out);
        let direction = self.flow(out);
        let redirected_by = self.party("diversion_number");
        let parties = self.parties();
        let legs = legs(self.members);
        let (started_at, ended_at) = (self.time("init_time_gmt"), self.time("hangup_time_gmt"));
        let talk_ms = self.talk_ms(&end);
        CallRecord {
            session_id: Some(record_id.clone()),
            record_id,
            record_scope: RecordScope::Call,
            state: RecordState::Final,
            record_version: "".into(),
            leg_id: None,
            related_ids: Vec::new(),
            direction: parties.direction(direction),
            dialed: None,
            redirected_by,
            user: self.user(),
            started_at,
            answered_at: self.time("bridged_time_gmt"),
            ended_at,
            talk_ms,
            ring_ms: None,
            hold_ms: None,
            total_ms: between_ms(started_at, ended_at),
            answered: end.answered,
            outcome: end.outcome,
            outcome_raw: end.raw,
            answered_by: legs.iter().any(Leg::is_voicemail).then_some(AnsweredBy::Voicemail),
            hangup_by: end.hangup_by,
            cause: end.cause,
            call_type: self.members.text("application").or_else(|| legs.iter().find_map(Leg::application)),
            network: None,
            price: None,
            rate: None,
            recordings: legs.iter().filter_map(|leg| leg.recording.clone()).collect(),
            site: self.site(),
            queue: None,
            transfer: None,
            from: parties.from,
            to: parties.to,
            did: parties.did,
        }
    }

    fn time(&self, name: &str) -> Option<Time> {
        time_of(self.members, name)
    }

    fn party(&self, name: &str) -> Option<Address<'r>> {
        Some(party::address(self.members.text_or_number(name)?, self.region))
    }

    fn parties(&self) -> Parties<'r> {
        let name = self.members.text("from_screen_name");
        let from = self.party("from_username").unwrap_or_else(Address::unknown);
        Parties {
            from: Address { name, ..from },
            to: self.party("to_username").unwrap_or_else(Address::unknown),
            did: self.party("did_number"),
            is_passed_on: false,
        }
    }

    fn flow(&self, out: &mut dyn Sink<'r>) -> Direction {
        let direction = self.members.read("flow", |word| flow(&word.trim().to_ascii_lowercase()));
        if direction.is_none() && self.members.text("flow").is_some() {
            out.unmapped("flow");
        }
        direction.unwrap_or(Direction::Unknown)
    }

    fn talk_ms(&self, end: &End<'_>) -> Option<u64> {
        let is_talk = end.answered == Some(true);
        is_talk.then(|| self.members.read("bridged_duration", |text| number::thousandths(&text)))?
    }

    fn user(&self) -> Option<CallUser<'r>> {
        let user = CallUser {
            id: self.members.read("extension_id", id_of),
            name: None,
            number: self.party("extension_name"),
            sort: self.members.text("extension_type"),
        };
        (user != CallUser::default()).then_some(user)
    }

    fn site(&self) -> Option<Site<'r>> {
        let name = self.members.text("extension_name").and_then(domain)?;
        Some(Site { name: Some(name), ..Site::default() })
    }
}

/// What a record tells of one leg.
#[derive(Debug, Clone)]
struct Leg<'r> {
    begins: Option<Time>,
    recording: Option<Text<'r>>,
    result: Option<Text<'r>>,
    application: Option<Text<'r>>,
}

impl<'r> Leg<'r> {
    fn read(text: &'r str) -> Option<Self> {
        let members = Members::parse(text).ok()?;
        Some(Self {
            begins: members.read("init_time_gmt", time),
            recording: members.read("record_uuid", id_of).map(upper_case),
            result: members.text("result"),
            application: members.text("application"),
        })
    }

    fn is_voicemail(&self) -> bool {
        self.result.as_deref().is_some_and(|result| result.trim().eq_ignore_ascii_case("voicemail"))
    }

    fn application(&self) -> Option<Text<'r>> {
        self.application.clone()
    }
}

/// The legs by their beginning: another order in the answer is no other fact. What they tell stays among the leftovers.
fn legs<'r>(members: &Members<'r>) -> Vec<Leg<'r>> {
    let Some(Value::Json(raw)) = members.find("cdr").map(|member| &member.value) else { return Vec::new() };
    let items = items_of(raw).unwrap_or_default();
    let mut legs: Vec<Leg<'r>> = items.into_iter().filter_map(|item| Leg::read(item.get())).collect();
    legs.sort_by(|one, other| (one.begins, &one.recording).cmp(&(other.begins, &other.recording)));
    legs
}

fn between_ms(start: Option<Time>, end: Option<Time>) -> Option<u64> {
    u64::try_from(end?.unix_ms() - start?.unix_ms()).ok()
}
