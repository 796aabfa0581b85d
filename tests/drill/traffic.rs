//! What the providers have to tell: conversations of one or more webhooks about one message or call.

use std::collections::VecDeque;

use rand::Rng as _;
use rand::distr::{Alphanumeric, SampleString as _};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use secrecy::SecretString;
use serde_json::Value;
use trunkline::event::time::Time;
use trunkline::provider::ProviderInfo;
use trunkline::provider::simulate::{Credentials, Seed, SignedRequest, Signing, Simulation};
use trunkline::providers;
use uuid::Uuid;

use crate::gate::HELD_SIMULATION;

/// The secret of every source, or the token that ends its URL.
pub(crate) const SECRET: &str = "an-invented-drill-secret";

/// Ids of webhooks that were tampered with begin like this, for whoever looks into the topics.
const TAMPERED_ID: &str = "bad0bad0";

/// A provider sends its events in another order than they happened, once in so many conversations.
const REVERSED_ONE_IN: u32 = 10;

/// The greatest record of the topic of call records, in bytes: so little that some events do not fit, and many that
/// do fit alone do not together.
pub(crate) const SMALL_TOPIC_BYTES: usize = 20_000;

/// A call record that does not fit, one in so many deliveries. Text of random letters, which nothing compresses.
const OVERSIZED_ONE_IN: u32 = 12;
const OVERSIZED_TEXT: usize = 30_000;

/// A call record of which only a few fit together, one in so many.
const BULKY_ONE_IN: u32 = 3;
const BULKY_TEXT: usize = 5_000;

/// A source of the configuration.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) account_id: &'static str,
    /// Answers 503 while Kafka is away, where the others spool.
    pub(crate) strict: bool,
}

/// The sources, and those that spool first.
pub(crate) static SOURCES: [Source; 4] = [
    Source { name: "vonage-eu", provider: "vonage", account_id: "abcd1234", strict: false },
    Source { name: "webex-partner", provider: "webex", account_id: "partner", strict: false },
    Source { name: "telphin-office", provider: "telphin", account_id: "999", strict: false },
    Source { name: "vonage-strict", provider: "vonage", account_id: "strict99", strict: true },
];

impl Source {
    pub(crate) fn info(&self) -> &'static ProviderInfo {
        providers::find(self.provider).expect("the provider of a source exists")
    }
}

/// A webhook before it is signed, as every attempt signs it afresh.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) source: &'static Source,
    /// How it was made.
    pub(crate) simulation: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) facts: Vec<String>,
    /// Those of the facts whose event is larger than its topic takes.
    pub(crate) oversized: Vec<String>,
}

/// Webhooks about one thing. Each is sent when the one before it was answered.
pub(crate) type Conversation = VecDeque<Draft>;

/// How a forger goes about it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tamper {
    WrongSecret,
    /// A space behind the body: other bytes of the same meaning.
    ChangedBody,
    Unsigned,
}

/// A sort of conversation.
struct Plan {
    /// How often, compared with the others.
    weight: u32,
    source: usize,
    simulation: &'static str,
    /// Statuses that the message goes through; empty where the simulation makes the whole conversation.
    statuses: &'static [&'static str],
    /// Records in a delivery, at most.
    records: usize,
}

const STATUSES: &[&str] = &["submitted", "delivered", "read"];

static PLANS: [Plan; 6] = [
    Plan { weight: 4, source: 0, simulation: "message-status", statuses: STATUSES, records: 1 },
    Plan { weight: 2, source: 0, simulation: "inbound-message", statuses: &[], records: 1 },
    Plan { weight: 3, source: 1, simulation: "telephony", statuses: &[], records: 1 },
    Plan { weight: 1, source: 1, simulation: "cdr", statuses: &[], records: 10 },
    Plan { weight: 4, source: 2, simulation: "call", statuses: &[], records: 1 },
    Plan { weight: 1, source: 3, simulation: "message-status", statuses: STATUSES, records: 1 },
];

/// Makes a conversation that nobody had before, of a plan that is held back only if that is allowed.
pub(crate) fn conversation(random: &mut StdRng, index: u64, held_too: bool) -> Conversation {
    let id = Uuid::from_u128(random.random()).hyphenated().to_string();
    let mut drafts = drafts(random, index, id, held_too);
    if random.random_ratio(1, REVERSED_ONE_IN) {
        drafts.make_contiguous().reverse();
    }
    drafts
}

/// Makes a webhook to be tampered with, and chooses how.
pub(crate) fn forgery(random: &mut StdRng, index: u64) -> (Draft, Tamper) {
    let id = Uuid::from_u128(random.random()).hyphenated().to_string();
    let (_, rest) = id.split_at(TAMPERED_ID.len());
    let draft = drafts(random, index, format!("{TAMPERED_ID}{rest}"), true).pop_front();
    let draft = draft.expect("a conversation has a first webhook");
    // Where nothing is signed, a changed body is as good as any.
    let ways: &[Tamper] = match draft.source.info().signs {
        true => &[Tamper::WrongSecret, Tamper::ChangedBody, Tamper::Unsigned],
        false => &[Tamper::WrongSecret, Tamper::Unsigned],
    };
    let way = ways.choose(random).copied().expect("there is a way");
    (draft, way)
}

fn drafts(random: &mut StdRng, index: u64, id: String, held_too: bool) -> Conversation {
    let weight = |plan: &Plan| if held_too || plan.simulation != HELD_SIMULATION { plan.weight } else { 0 };
    let plan = PLANS.choose_weighted(random, weight).expect("the plans have weights");
    let source = &SOURCES[plan.source];
    let simulation = simulation(source.info(), plan.simulation);
    let shape = simulation.shapes.choose(random).copied().unwrap_or_default();
    let seed = Seed {
        id,
        account_id: source.account_id.to_owned(),
        now: Time::now(),
        index,
        records: random.random_range(1..=plan.records),
        shape: shape.to_owned(),
    };
    let mut bodies = (simulation.bodies)(&seed);
    if !plan.statuses.is_empty() {
        bodies = plan.statuses.iter().map(|status| with_status(bodies[0].clone(), status)).collect();
    }
    let oversized = match plan.simulation {
        "cdr" => bodies.iter_mut().flat_map(|body| enlarge(random, body)).collect(),
        _ => Vec::new(),
    };
    bodies.into_iter().map(|body| draft(plan, &body, oversized.clone())).collect()
}

/// Puts text into some of the records of a delivery. Tells the facts of those that do not fit any more.
fn enlarge(random: &mut StdRng, body: &mut Value) -> Vec<String> {
    let mut oversized = Vec::new();
    let victim = random.random_ratio(1, OVERSIZED_ONE_IN);
    for (index, record) in records(body).into_iter().enumerate() {
        let is_oversized = victim && index == 0;
        if is_oversized || random.random_ratio(1, BULKY_ONE_IN) {
            let length = if is_oversized { OVERSIZED_TEXT } else { BULKY_TEXT };
            record["Drill Text"] = Alphanumeric.sample_string(random, length).into();
        }
        if is_oversized {
            oversized.extend(report_ids(record).into_iter().map(|id| format!("call_record {id}")));
        }
    }
    oversized
}

/// The records of a delivery, whatever its shape.
fn records(body: &mut Value) -> Vec<&mut Value> {
    if ["Report ID", "reportId"].iter().any(|name| body.get(name).is_some()) {
        return vec![body];
    }
    match body {
        Value::Object(members) => members.values_mut().flat_map(records).collect(),
        Value::Array(elements) => elements.iter_mut().flat_map(records).collect(),
        _ => Vec::new(),
    }
}

fn simulation(info: &'static ProviderInfo, name: &str) -> &'static Simulation {
    let found = info.simulations.iter().find(|simulation| simulation.name == name);
    found.expect("the provider can be simulated so")
}

fn with_status(mut body: Value, status: &str) -> Value {
    body["status"] = status.into();
    body
}

fn draft(plan: &'static Plan, body: &Value, oversized: Vec<String>) -> Draft {
    let source = &SOURCES[plan.source];
    let encoding = simulation(source.info(), plan.simulation).encoding();
    let facts = facts(source.provider, body);
    assert!(!facts.is_empty(), "a webhook of {} tells nothing: {body}", source.provider);
    Draft { source, simulation: plan.simulation, body: encoding.write(body), facts, oversized }
}

/// The facts of a body by the provider's own ids, told without any code of the receiver.
fn facts(provider: &str, body: &Value) -> Vec<String> {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    match provider {
        "vonage" if body["status"].is_string() => {
            vec![format!("message_status {} {}", text("message_uuid"), text("status"))]
        }
        "vonage" => vec![format!("inbound_message {}", text("message_uuid"))],
        "webex" if body["resource"] == "telephony_calls" => vec![telephony_fact(body)],
        "webex" => report_ids(body).into_iter().map(|id| format!("call_record {id}")).collect(),
        _ => call_facts(&text("CallID").to_uppercase(), text("EventType"), text("CallStatus")),
    }
}

fn telephony_fact(body: &Value) -> String {
    use base64::Engine as _;
    let data = |name: &str| body["data"][name].as_str().unwrap_or_default();
    let session = base64::engine::general_purpose::STANDARD.decode(data("callSessionId"));
    let session = session.expect("the simulator writes the session in base64");
    let words = [body["event"].as_str().unwrap_or_default(), data("eventType"), data("state")].join("/");
    format!("call_event {} {words}", String::from_utf8_lossy(&session))
}

/// The report ids of a delivery, whatever its shape.
fn report_ids(body: &Value) -> Vec<String> {
    match body {
        Value::Array(elements) => elements.iter().flat_map(report_ids).collect(),
        Value::Object(members) => match members.get("Report ID").or_else(|| members.get("reportId")) {
            Some(id) => id.as_str().map(ToOwned::to_owned).into_iter().collect(),
            None => members.values().flat_map(report_ids).collect(),
        },
        _ => Vec::new(),
    }
}

/// The end of a leg is a record too.
fn call_facts(call_id: &str, event: &str, status: &str) -> Vec<String> {
    let event_fact = format!("call_event {call_id} {event}/{status}");
    match event {
        "hangup" => vec![event_fact, format!("call_record {call_id}")],
        _ => vec![event_fact],
    }
}

/// Signs a webhook as its provider does now, or as a forger would.
pub(crate) fn sign(draft: &Draft, tamper: Option<Tamper>) -> SignedRequest {
    let secret = match tamper {
        Some(Tamper::Unsigned) => None,
        _ => Some(SecretString::from(SECRET)),
    };
    let wrong = matches!(tamper, Some(Tamper::WrongSecret));
    let credentials = Credentials { secret, tamper: wrong, ..Credentials::new(draft.source.account_id, SECRET) };
    let simulation = simulation(draft.source.info(), draft.simulation);
    let encoding = simulation.encoding();
    let signing = Signing { credentials: &credentials, url: "", now: Time::now(), encoding };
    let mut request = (simulation.sign)(&signing, draft.body.clone());
    if matches!(tamper, Some(Tamper::ChangedBody)) {
        request.body.push(b' ');
    }
    request
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn conversations() -> impl Iterator<Item = Conversation> {
        (0..1000).map(|index| conversation(&mut StdRng::seed_from_u64(index), index, true))
    }

    #[test]
    fn what_is_told_to_be_oversized_does_not_fit_and_everything_else_does() {
        let (mut fitting, mut oversized) = (0, 0);
        for draft in conversations().flatten().filter(|draft| draft.simulation == "cdr") {
            let mut body: Value = serde_json::from_slice(&draft.body).unwrap();
            for record in records(&mut body) {
                let is_oversized = draft.oversized.contains(&format!("call_record {}", report_ids(record)[0]));
                // An event says more than the record it is made of, but never as much more.
                let bytes = record.to_string().len();
                assert_eq!(bytes > SMALL_TOPIC_BYTES / 2, is_oversized, "{bytes} bytes");
                assert!(!is_oversized || bytes > SMALL_TOPIC_BYTES);
                *if is_oversized { &mut oversized } else { &mut fitting } += 1;
            }
        }
        assert!(fitting > 100 && oversized > 0, "{fitting} and {oversized}");
    }

    #[test]
    fn nothing_of_a_held_plan_is_made_when_it_is_not_allowed() {
        assert!(conversations().flatten().any(|draft| draft.simulation == HELD_SIMULATION));
        let held = (0..1000).map(|index| conversation(&mut StdRng::seed_from_u64(index), index, false));
        assert!(held.flatten().all(|draft| draft.simulation != HELD_SIMULATION));
    }

    #[test]
    fn a_seed_makes_the_same_facts_again() {
        let facts = || conversations().flatten().map(|draft| (draft.facts, draft.oversized)).collect::<Vec<_>>();
        assert_eq!(facts(), facts());
    }
}
