//! The calls of a double's world: how each of them goes, and what the API tells of it.

use serde_json::{Value, json};

use super::manners::{Legs, Manners};
use crate::event::time::Time;
use crate::provider::double::world::{Fact, HOUR_MS, World};
use crate::provider::double::{Request, Response, dice};

/// The one client.
pub(super) const CLIENT_ID: u64 = 999;

/// The queue, and the first telephone.
const QUEUE_ID: u64 = 1_000_099;
const FIRST_PHONE_ID: u64 = 1_000_101;

/// The group of every second telephone.
const GROUP_ID: u64 = 77;

const DOMAIN: &str = "sipproxy.telphin.ru";
const PUBLIC_NUMBER: &str = "442079460000";

/// A call can be told so long after its end, at least and at most.
const LEARNT_AFTER_MS: (i64, i64) = (2_000, 30_000);

/// How much later a late one can be told.
const LATE_MS: (i64, i64) = (10 * 60_000, 90 * 60_000);

/// An amended call is told so long after it could be told first.
const AMENDED_AFTER_MS: i64 = 2 * HOUR_MS;

/// All calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calls {
    world: World,
}

/// How a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Answered,
    Outgoing,
    /// Nobody took it from the queue.
    Missed,
    /// It was dialled, and nobody took it.
    Unanswered,
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) sort: Sort,
    /// Its telephone, counted from 0.
    pub(super) phone: u64,
    pub(super) begins_ms: i64,
    /// When a person took it, or would have.
    pub(super) taken_ms: i64,
    pub(super) ends_ms: i64,
    /// When the API can tell it.
    pub(super) learnt_ms: i64,
}

impl Call {
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.sort, Sort::Answered | Sort::Outgoing)
    }

    pub(super) fn is_inbound(&self) -> bool {
        matches!(self.sort, Sort::Answered | Sort::Missed)
    }

    /// The extension whose leg it is.
    pub(super) fn extension_id(&self) -> u64 {
        if self.sort == Sort::Missed { QUEUE_ID } else { FIRST_PHONE_ID + self.phone }
    }

    pub(super) fn extension(&self) -> String {
        extension(self.extension_id())
    }

    pub(super) fn outside_number(&self) -> String {
        format!("447700900{:03}", self.number % 1000)
    }
}

impl Calls {
    pub(super) fn new(world: World) -> Self {
        Self { world }
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// The calls that begin from one moment up to and without another, in order.
    pub(super) fn begun(&self, from_ms: i64, to_ms: i64) -> impl DoubleEndedIterator<Item = Call> + use<> {
        let calls = *self;
        let facts: Vec<Fact> = self.world.facts(from_ms, to_ms).collect();
        facts.into_iter().map(move |fact| calls.call(fact))
    }

    pub(super) fn by_number(&self, number: u64) -> Call {
        self.call(self.world.fact(number))
    }

    fn call(&self, fact: Fact) -> Call {
        let Fact { number, at_ms } = fact;
        let sort = match self.world.throw(number, "sort").below(100) {
            0..60 => Sort::Answered,
            60..80 => Sort::Outgoing,
            80..92 => Sort::Missed,
            _ => Sort::Unanswered,
        };
        // Whole seconds, since the API tells talk in them.
        let taken_ms = at_ms + 1000 * self.between(number, "ring", (2, 20));
        let talk_ms = 1000 * self.between(number, "talk", (5, 600));
        let ends_ms = if matches!(sort, Sort::Answered | Sort::Outgoing) { taken_ms + talk_ms } else { taken_ms };
        let is_late = self.world.throw(number, "late record").hits(self.world.fates.late_records_percent);
        let late_ms = if is_late { self.between(number, "lateness", LATE_MS) } else { 0 };
        let learnt_ms = ends_ms + self.between(number, "learnt", LEARNT_AFTER_MS) + late_ms;
        let phone = self.world.account(number).into();
        Call { number, sort, phone, begins_ms: at_ms, taken_ms, ends_ms, learnt_ms }
    }

    fn between(&self, number: u64, decision: &str, (least, most): (i64, i64)) -> i64 {
        least.saturating_add_unsigned(self.world.throw(number, decision).below(most.abs_diff(least)))
    }

    /// The id of a call, as webhooks write it.
    pub(super) fn id(&self, call: &Call) -> String {
        dice::uuid(self.world.seed, call.number, "call").replace('-', "")
    }

    pub(super) fn leg_id(&self, call: &Call) -> String {
        let leg = dice::uuid(self.world.seed, call.number, "leg").replace('-', "");
        format!("{}-{leg}", call.extension_id())
    }

    /// The recording of a conversation, as the API writes its id.
    pub(super) fn recording(&self, call: &Call) -> Option<String> {
        let recording = dice::uuid(self.world.seed, call.number, "recording").replace('-', "").to_uppercase();
        call.is_taken().then(|| format!("{}-{recording}", call.extension_id()))
    }

    /// A recording's bytes: they tell whose they are, and their number differs.
    pub(super) fn bytes(&self, call: &Call) -> Vec<u8> {
        let recording = self.recording(call).unwrap_or_default();
        let size = 1000 + self.world.throw(call.number, "size").below(3000);
        format!("ID3{recording}").bytes().cycle().take(usize::try_from(size).unwrap_or(1000)).collect()
    }

    /// From when on the API tells a recording that it did not tell at first.
    pub(super) fn amended_ms(&self, call: &Call) -> Option<i64> {
        let is_amended = self.world.throw(call.number, "amend").hits(self.world.fates.amend_percent);
        (is_amended && call.is_taken()).then_some(call.learnt_ms + AMENDED_AFTER_MS)
    }

    pub(super) fn name(&self, call: &Call) -> &'static str {
        if self.world.throw(call.number, "name").hits(20) { "Мария Образцова" } else { "Ann Example" }
    }

    pub(super) fn is_told(&self, call: &Call, now: Time) -> bool {
        call.learnt_ms <= now.unix_ms()
    }

    /// The object of `call_history`.
    pub(super) fn told(&self, call: &Call, manners: &Manners, now: Time) -> Value {
        let is_amended = self.amended_ms(call).is_none_or(|amended_ms| amended_ms <= now.unix_ms());
        let mut legs = vec![self.leg(call, is_amended)];
        if call.is_inbound() {
            legs.insert(0, self.first_leg(call));
        }
        if manners.legs == Legs::Reversed {
            legs.reverse();
        }
        let mut told = self.common(call, extension(if call.is_inbound() { QUEUE_ID } else { call.extension_id() }));
        told["call_uuid"] = self.id(call).to_uppercase().into();
        told["result"] = if call.is_taken() {
            "bridged"
        } else if call.is_inbound() {
            "answered"
        } else {
            "not answered"
        }
        .into();
        told["duration"] = ((call.ends_ms - call.begins_ms) / 1000).into();
        told["bridged_duration"] = if call.is_taken() { talk_s(call).into() } else { Value::Null };
        told["bridged_time_gmt"] = if call.is_taken() { second(call.taken_ms).into() } else { Value::Null };
        told["bridged_username"] = if call.is_taken() { self.parties(call).1.into() } else { Value::Null };
        told["init_time_gmt"] = second(call.begins_ms).into();
        told["cdr"] = legs.into();
        told
    }

    /// The leg of the queue, which took the call itself.
    fn first_leg(&self, call: &Call) -> Value {
        let mut leg = self.common(call, extension(QUEUE_ID));
        leg["extension_id"] = QUEUE_ID.into();
        leg["extension_type"] = "queue".into();
        leg["result"] = "answered".into();
        leg["duration"] = ((call.ends_ms - call.begins_ms) / 1000).into();
        leg["record_uuid"] = Value::Null;
        leg["record_file_size"] = Value::Null;
        leg["application"] = "callcenter".into();
        leg
    }

    fn leg(&self, call: &Call, has_recording: bool) -> Value {
        let mut leg = self.common(call, call.extension());
        let recording = self.recording(call).filter(|_| has_recording);
        leg["init_time_gmt"] = hundredths(call.begins_ms + 500).into();
        leg["start_time_gmt"] = if call.is_taken() { second(call.taken_ms).into() } else { Value::Null };
        leg["result"] = if call.is_taken() { "answered" } else { "not answered" }.into();
        leg["duration"] = if call.is_taken() { talk_s(call) } else { 0 }.into();
        leg["record_file_size"] = recording.as_ref().map(|_| self.bytes(call).len()).into();
        leg["record_uuid"] = recording.into();
        leg["application"] = Value::Null;
        leg
    }

    /// An element of `record/`.
    pub(super) fn record(&self, call: &Call) -> Value {
        let mut record = self.leg(call, true);
        record["call_uuid"] = self.id(call).to_uppercase().into();
        record
    }

    fn parties(&self, call: &Call) -> (String, String) {
        let (outside, inside) = (call.outside_number(), extension(FIRST_PHONE_ID + call.phone));
        if call.is_inbound() { (outside, inside) } else { (inside, outside) }
    }

    fn common(&self, call: &Call, extension: String) -> Value {
        let (from, to) = self.parties(call);
        let disposition = match call.sort {
            Sort::Answered => "caller_bye",
            Sort::Outgoing => "callee_bye",
            Sort::Missed => "caller_cancel",
            Sort::Unanswered => "internal_cancel",
        };
        json!({
            "client_owner_id": CLIENT_ID,
            "did_domain": Value::Null,
            "did_number": if call.is_inbound() { PUBLIC_NUMBER.into() } else { Value::Null },
            "ext_number_reg": Value::Null,
            "extension_group_owner_id": group_of(call.extension_id()),
            "extension_id": call.extension_id(),
            "extension_name": format!("{extension}@{DOMAIN}"),
            "extension_type": if call.sort == Sort::Missed { "queue" } else { "phone" },
            "flow": if call.is_inbound() { "in" } else { "out" },
            "from_domain": DOMAIN,
            "from_screen_name": self.name(call),
            "from_username": from,
            "hangup_cause": "NORMAL_CLEARING",
            "hangup_disposition": disposition,
            "hangup_time_gmt": second(call.ends_ms),
            "init_time_gmt": hundredths(call.begins_ms),
            "start_time_gmt": second(call.begins_ms + 1000),
            "to_domain": DOMAIN,
            "to_username": to,
        })
    }

    /// `GET /user/`
    pub(super) fn user(&self, manners: &Manners) -> Value {
        json!({"id": 1, "login": "double", "admin": false, "client_id": manners.client_id, "extension_id": Value::Null,
            "timezone": "Europe/Moscow", "access": "all"})
    }

    fn extension_ids(&self) -> impl Iterator<Item = u64> + use<> {
        [QUEUE_ID].into_iter().chain((0..u64::from(self.world.accounts.max(1))).map(|phone| FIRST_PHONE_ID + phone))
    }

    pub(super) fn has_extension(&self, id: u64) -> bool {
        self.extension_ids().any(|known| known == id)
    }

    pub(super) fn has_group(&self, id: u64) -> bool {
        id == GROUP_ID
    }

    /// `GET /client/{id}/extension/`: a bare list, page by page where pages are asked for.
    pub(super) fn extensions(&self, request: &Request) -> Response {
        let number = |name: &str| request.pair(name).and_then(|text| text.parse::<usize>().ok());
        let sort = request.pair("type");
        let all = self.extension_ids().map(|id| {
            json!({"id": id, "client_id": CLIENT_ID, "name": extension(id), "type": type_of(id), "status": "active",
                "extension_group_id": group_of(id)})
        });
        let asked = all.filter(|extension| sort.as_ref().is_none_or(|sort| extension["type"] == **sort));
        let size = number("per_page").unwrap_or(20).clamp(1, 100);
        let before = number("page").unwrap_or(1).saturating_sub(1).saturating_mul(size);
        Response::json(200, &asked.skip(before).take(size).collect())
    }
}

/// Whether an extension is of a group.
pub(super) fn group_of(extension_id: u64) -> Option<u64> {
    (extension_id != QUEUE_ID && extension_id.is_multiple_of(2)).then_some(GROUP_ID)
}

fn type_of(extension_id: u64) -> &'static str {
    if extension_id == QUEUE_ID { "queue" } else { "phone" }
}

fn extension(id: u64) -> String {
    format!("12345*{:03}", id % 1_000_000)
}

fn talk_s(call: &Call) -> i64 {
    (call.ends_ms - call.taken_ms) / 1000
}

/// A moment that can be printed; those of a world can.
pub(super) fn time(moment_ms: i64) -> Time {
    Time::from_unix_ms(moment_ms).unwrap_or(Time::EPOCH)
}

/// As the API writes a time.
pub(super) fn second(moment_ms: i64) -> String {
    let text = time(moment_ms - moment_ms.rem_euclid(1000)).to_string();
    text.trim_end_matches('Z').replace('T', " ")
}

/// As the API writes the beginning of a leg.
fn hundredths(moment_ms: i64) -> String {
    format!("{}.{:02}", second(moment_ms), moment_ms.rem_euclid(1000) / 10)
}
