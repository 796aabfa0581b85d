//! One call record, turned into an event: of the partner webhook, and of the API.

use crate::event::country;

use super::fields::{self, Field, Fields};
use super::{ids, outcome};
use crate::event::address::{Address, AddressKind, AddressRules};
use crate::event::call::{
    AnsweredBy, CallRecord, CallUser, HangupBy, Queue, RecordScope, RecordState, RelatedId, Site, Transfer,
};
use crate::event::direction::Direction;
use crate::event::id::is_id;
use crate::event::leftovers::{Class, Classes, Names};
use crate::event::network::Network;
use crate::event::time::Time;
use crate::event::{Event, Fact, Leftovers, Occurrence};
use crate::json::{Text, number};
use crate::provider::{Fault, Sink};

/// Personal fields, marked whatever their spelling. Those that have a place in an event are here too, for values that could not be read.
static CLASSES: Classes = Classes {
    marked: &[
        ("Calling number", Class::Number),
        ("Called number", Class::Number),
        ("Dialed digits", Class::Number),
        ("Caller ID number", Class::Number),
        ("External caller ID number", Class::Number),
        ("Redirecting number", Class::Number),
        ("User number", Class::Number),
        ("Site main number", Class::Number),
        ("ELIN", Class::Number),
        ("Authorization code", Class::Number),
        ("User", Class::Name),
        ("Calling line ID", Class::Name),
        ("Called line ID", Class::Name),
        ("Auto Attendant Key Pressed", Class::Content),
        ("Transfer type context", Class::Content),
    ],
    otherwise: Class::Plain,
    names: Names::Folded,
    hosts: &["webex.com", "webexapis.com", "wbx2.com"],
    international_digits: false,
};

/// Fields that link a leg to others.
const RELATED: [(Field, &str); 6] = [
    (Field::RemoteCallId, "remote"),
    (Field::NetworkCallId, "network"),
    (Field::RelatedCallId, "related"),
    (Field::TransferRelatedCallId, "transfer"),
    (Field::InteractionId, "interaction"),
    (Field::CallId, "sip_call"),
];

/// Types of users that are voicemails.
const VOICEMAILS: [&str; 2] = ["VoiceMailGroup", "VoiceMailRetrieval"];

/// What a record does not say itself.
#[derive(Debug)]
pub(super) struct Surroundings<'r> {
    /// The word for the way that it came by.
    pub(super) product: &'static str,
    pub(super) parent_account_id: Option<Text<'r>>,
    pub(super) region: Option<country::Id>,
}

/// Turns one record into an event. Whatever else stands among records is a fault.
pub(super) fn map<'r>(
    text: &'r str,
    surroundings: Surroundings<'r>,
    out: &mut dyn Sink<'r>,
) -> Result<Event<'r>, Fault<'r>> {
    if !text.trim_start().starts_with('{') {
        return Err(Fault::of_request("not_an_object", "an element among call records is no object"));
    }
    let fields = Fields::parse(text).map_err(|error| unreadable(&error))?;
    let record_id = identity(&fields, Field::ReportId, "missing_id", "Report ID")?;
    let account_id = identity(&fields, Field::OrgUuid, "missing_account", "Org UUID")?;
    let record = Reader { fields: &fields, region: surroundings.region }.record(record_id, out);
    let occurred = record.ended_at.or_else(|| fields.time(Field::ReportTime)).or(record.started_at);
    Ok(Event {
        product: surroundings.product.into(),
        account_id: ids::lower_case(account_id),
        parent_account_id: surroundings.parent_account_id,
        provider_event_id: None,
        occurred: Occurrence::by_provider(occurred),
        fact: Fact::CallRecord(Box::new(record)),
        leftovers: Leftovers { members: fields.into_members(), classes: &CLASSES },
    })
}

fn unreadable(error: &serde_json::Error) -> Fault<'static> {
    let place = format!("line {}, column {}", error.line(), error.column());
    Fault::of_request("invalid_record", format!("the record could not be read ({place} of it)"))
}

fn identity<'r>(fields: &Fields<'r>, field: Field, missing: &'static str, name: &str) -> Result<Text<'r>, Fault<'r>> {
    let id = fields.text(field).ok_or_else(|| Fault::of_request(missing, format!("record without {name}")))?;
    match is_id(&id) {
        true => Ok(ids::bare(id)),
        false => Err(Fault::of_request("invalid_id", format!("{name} can not be an id"))),
    }
}

struct Reader<'f, 'r> {
    fields: &'f Fields<'r>,
    region: Option<country::Id>,
}

impl<'r> Reader<'_, 'r> {
    fn record(&self, record_id: Text<'r>, out: &mut dyn Sink<'r>) -> CallRecord<'r> {
        let fields = self.fields;
        let direction = self.direction(out);
        let end = outcome::read(fields, out);
        let (started_at, ended_at) = (fields.time(Field::StartTime), fields.time(Field::ReleaseTime));
        CallRecord {
            record_id,
            record_scope: RecordScope::Leg,
            state: RecordState::Final,
            record_version: self.version(),
            session_id: fields.id(Field::CorrelationId),
            leg_id: fields.id(Field::LocalCallId),
            related_ids: self.related_ids(),
            direction,
            from: self.party(Field::CallingNumber, Some(Field::CallingLineId)).unwrap_or_else(Address::unknown),
            to: self.party(Field::CalledNumber, Some(Field::CalledLineId)).unwrap_or_else(Address::unknown),
            dialed: fields.text(Field::DialedDigits),
            did: None,
            redirected_by: self.party(Field::RedirectingNumber, None),
            user: self.user(),
            started_at,
            answered_at: fields.time(Field::AnswerTime),
            ended_at,
            talk_ms: self.talk_ms(end.answered),
            ring_ms: self.duration(Field::RingDuration),
            hold_ms: self.duration(Field::HoldDuration),
            total_ms: between(started_at, ended_at),
            answered: end.answered,
            outcome: end.outcome,
            outcome_raw: end.raw,
            answered_by: self.answered_by(end.answered),
            hangup_by: self.hangup_by(direction, out),
            cause: end.cause,
            call_type: fields.text(Field::CallType),
            network: self.network(),
            price: None,
            rate: None,
            recordings: Vec::new(),
            site: self.site(),
            queue: self.queue(),
            transfer: self.transfer(),
        }
    }

    /// `Report time` as an instant with three digits of fraction, so that one time has one spelling;
    /// text that is no time as it is.
    fn version(&self) -> Text<'r> {
        let version =
            |text: Text<'r>| fields::time(text.clone()).map_or(text, |time| Text::Owned(to_millisecond(time)));
        self.fields.text(Field::ReportTime).map(version).unwrap_or_default()
    }

    fn related_ids(&self) -> Vec<RelatedId<'r>> {
        let related =
            |(field, rel): (Field, &'static str)| self.fields.id(field).map(|id| RelatedId { rel: rel.into(), id });
        RELATED.into_iter().filter_map(related).collect()
    }

    fn direction(&self, out: &mut dyn Sink<'r>) -> Direction {
        let direction = self.fields.read(Field::Direction, |word| match word.trim().to_ascii_uppercase().as_str() {
            "ORIGINATING" => Some(Direction::Outbound),
            "TERMINATING" => Some(Direction::Inbound),
            _ => None,
        });
        if direction.is_none() && self.fields.has(Field::Direction) {
            out.unmapped("Direction");
        }
        direction.unwrap_or(Direction::Unknown)
    }

    /// The number, and the name that is displayed with it, which may come alone.
    fn party(&self, number: Field, line_id: Option<Field>) -> Option<Address<'r>> {
        let name = line_id.and_then(|field| self.fields.text(field));
        let address = self.fields.text(number).map(|number| address(number, self.region));
        let mut address = address.or_else(|| name.is_some().then(Address::unknown))?;
        address.name = name;
        Some(address)
    }

    fn user(&self) -> Option<CallUser<'r>> {
        let user = CallUser {
            id: self.fields.id(Field::UserUuid),
            name: self.fields.text(Field::User),
            number: self.party(Field::UserNumber, None),
            sort: self.fields.text(Field::UserType),
        };
        (user != CallUser::default()).then_some(user)
    }

    fn duration(&self, field: Field) -> Option<u64> {
        self.fields.read(field, |text| number::thousandths(&text))
    }

    /// Nobody talked on a leg that nobody took. Should `Duration` say otherwise, it is published as it
    /// is.
    fn talk_ms(&self, answered: Option<bool>) -> Option<u64> {
        let talk = |text: Text<'r>| number::thousandths(&text).filter(|ms| answered == Some(true) || *ms == 0);
        self.fields.read(Field::Duration, talk).filter(|_| answered == Some(true))
    }

    /// `Local` is the party on whose side the record was made.
    fn hangup_by(&self, direction: Direction, out: &mut dyn Sink<'r>) -> Option<HangupBy> {
        let local = self.fields.read(Field::ReleasingParty, |word| match word.trim().to_ascii_lowercase().as_str() {
            "local" => Some(Some(true)),
            "remote" => Some(Some(false)),
            "unknown" => Some(None),
            _ => None,
        });
        if local.is_none() && self.fields.has(Field::ReleasingParty) {
            out.unmapped("Releasing party");
        }
        let by = match (local.flatten(), direction) {
            (Some(true), Direction::Outbound) | (Some(false), Direction::Inbound) => HangupBy::Caller,
            (Some(true), Direction::Inbound) | (Some(false), Direction::Outbound) => HangupBy::Callee,
            _ => HangupBy::Unknown,
        };
        self.fields.has(Field::ReleasingParty).then_some(by)
    }

    /// Only a machine is told: of the others it is not known whether a person took it.
    fn answered_by(&self, answered: Option<bool>) -> Option<AnsweredBy> {
        let sort = self.fields.text(Field::UserType).filter(|_| answered == Some(true))?;
        VOICEMAILS.iter().any(|voicemail| sort.trim().eq_ignore_ascii_case(voicemail)).then_some(AnsweredBy::Voicemail)
    }

    fn network(&self) -> Option<Network<'r>> {
        let country = self.fields.read(Field::InternationalCountry, |text| {
            let code = text.trim();
            let valid = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
            valid.then(|| code.to_ascii_uppercase())
        });
        country.map(|country| Network { country: Some(country.into()), ..Network::default() })
    }

    fn site(&self) -> Option<Site<'r>> {
        let site = Site {
            name: self.fields.text(Field::Location),
            id: self.fields.id(Field::SiteUuid),
            timezone_offset_min: self.fields.read(Field::SiteTimezone, |text| number::whole(&text)),
            inbound_trunk: self.fields.text(Field::InboundTrunk),
            outbound_trunk: self.fields.text(Field::OutboundTrunk),
            route_group: self.fields.text(Field::RouteGroup),
        };
        (site != Site::default()).then_some(site)
    }

    fn queue(&self) -> Option<Queue<'r>> {
        let of_queue =
            |reason: &Text<'r>| ["HuntGroup", "CallQueue"].iter().any(|word| reason.trim().eq_ignore_ascii_case(word));
        let queue = Queue {
            sort: self.fields.text(Field::QueueType),
            reason: self.fields.text(Field::RelatedReason).filter(of_queue),
        };
        (queue != Queue::default()).then_some(queue)
    }

    fn transfer(&self) -> Option<Transfer<'r>> {
        let transfer = Transfer {
            at: self.fields.time(Field::TransferTime),
            sort: self.fields.text(Field::TransferType),
            redirect_reason: self.fields.text(Field::RedirectReason),
            related_reason: self.fields.text(Field::RelatedReason),
        };
        (transfer != Transfer::default()).then_some(transfer)
    }
}

/// A number is one only with its `+`: Webex writes extensions and national numbers in the same fields.
pub(super) fn address(number: Text<'_>, region: Option<country::Id>) -> Address<'_> {
    let mut address = Address::read(number, &AddressRules { region, ..AddressRules::default() });
    if !matches!(address.kind, AddressKind::Phone | AddressKind::Anonymous) {
        address.kind = AddressKind::Unknown;
    }
    address
}

/// Milliseconds from one moment to a later one.
pub(super) fn between(start: Option<Time>, end: Option<Time>) -> Option<u64> {
    u64::try_from(end?.unix_ms() - start?.unix_ms()).ok()
}

/// An instant with three digits of fraction, as Webex writes and wants it.
pub(super) fn to_millisecond(time: Time) -> String {
    let milliseconds = time.unix_ms();
    match Time::from_unix_seconds(milliseconds.div_euclid(1000)) {
        Some(second) => {
            format!("{}.{:03}Z", second.to_string().trim_end_matches('Z'), milliseconds.rem_euclid(1000))
        }
        None => time.to_string(),
    }
}

#[cfg(test)]
mod tests;
