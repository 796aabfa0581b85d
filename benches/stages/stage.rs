//! The stages: verify, normalise, serialise, and the ids within it.

use std::hint::black_box;

use trunkline::config::{self, Environment, Settings};
use trunkline::event::Event;
use trunkline::event::envelope::{Ingest, Mode, Reception};
use trunkline::event::time::Time;
use trunkline::provider::Normalized;
use trunkline::provider::simulate::{Credentials, Seed, SignedRequest, Signing};
use trunkline::providers;
use trunkline::request::RawRequest;
use trunkline::verify::{self, Verified};

/// What callgrind counts: [`counted`], by the name that the compiler gives it.
pub(crate) const COUNTED_FUNCTION: &str = "stages::stage::counted*";

/// How often a stage is repeated in one count.
pub(crate) const TIMES: usize = 50;

const STAGES: [&str; 4] = ["verify", "normalise", "serialise", "id"];

/// Name, provider, simulation and records of each webhook.
const WEBHOOKS: [(&str, &str, &str, usize); 4] = [
    ("vonage-status", "vonage", "message-status", 1),
    ("telphin-event", "telphin", "answer", 1),
    ("webex-1", "webex", "cdr", 1),
    ("webex-10", "webex", "cdr", 10),
];

/// The account of every source, the moment and the id of every webhook: the same in every run.
const ACCOUNT: &str = "abcd1234";
const SECRET: &str = "an-invented-benchmark-secret";
const MOMENT: &str = "2026-02-03T12:14:26.103Z";
const ID: &str = "0d3ee1c4-5a0b-4f6c-9b4f-0123456789ab";

/// Every stage of every webhook.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    WEBHOOKS.iter().flat_map(|(webhook, ..)| STAGES.map(|stage| (*webhook, stage)))
}

/// Runs a stage once to warm up, and then [`TIMES`] times to be counted.
pub(crate) fn run(stage: &str, webhook: &str) {
    let (_, provider, simulation, records) = *WEBHOOKS.iter().find(|(name, ..)| *name == webhook).unwrap();
    let settings = settings(provider);
    let source = &settings.sources[0];
    let signed = sign(provider, simulation, records);
    let request = request(&signed);
    let verify = || verify::authenticate(&request, &*source.provider, &source.doors).unwrap();
    let verified = verify();
    match stage {
        "verify" => count_each(&mut || drop(black_box(verify()))),
        "normalise" => count_each(&mut || drop(black_box(normalise(&settings, &verified)))),
        "serialise" => {
            let ingest = Ingest { via: "webhook", verification: "signed", scheme: "scheme", raw_id: ID.to_owned() };
            let (source_name, received_at) = (&*source.name, request.received_at);
            let origin = Reception { provider: source.info.name, source_name, received_at, ingest: &ingest };
            let mut batches: Vec<_> = (0..=TIMES).map(|_| normalise(&settings, &verified)).collect();
            count_each(&mut || {
                for event in batches.pop().unwrap() {
                    drop(black_box(event.into_record(&origin, &source.privacy, Mode::Binary)));
                }
            });
        }
        "id" => {
            let events = normalise(&settings, &verified);
            count_each(&mut || {
                for event in &events {
                    black_box((event.fact.event_id(provider, &event.account_id), event.fact.fact_hash()));
                }
            });
        }
        other => panic!("there is no stage {other}; there are {STAGES:?}"),
    }
}

fn count_each(work: &mut dyn FnMut()) {
    work();
    counted(work);
}

/// Counted while it runs, and nothing else.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    for _ in 0..TIMES {
        work();
    }
}

fn normalise<'r>(settings: &Settings, verified: &'r Verified<'r>) -> Vec<Event<'r>> {
    let mut normalized = Normalized::default();
    settings.sources[0].provider.normalize(verified, &mut normalized);
    assert!(normalized.faults.is_empty());
    normalized.events
}

fn settings(provider: &str) -> Settings {
    let key = providers::find(provider).unwrap().secret_key();
    let text = format!(
        "[kafka]\nbootstrap_servers = \"localhost:9092\"\n[[sources]]\nname = \"source\"\nprovider = \"{provider}\"\n\
         account_id = \"{ACCOUNT}\"\n{key} = [\"env:SECRET\"]\n"
    );
    let environment = Environment::from([("SECRET".to_owned(), SECRET.to_owned())]);
    config::load_text("stages", &text, &environment).unwrap().settings
}

fn sign(provider: &str, simulation: &str, records: usize) -> SignedRequest {
    let info = providers::find(provider).unwrap();
    let simulation = info.simulation(simulation).unwrap();
    let now = Time::parse_iso(MOMENT).unwrap();
    let (id, account_id) = (ID.to_owned(), ACCOUNT.to_owned());
    let seed = Seed { id, account_id: account_id.clone(), now, index: 0, records, shape: String::new() };
    let encoding = simulation.encoding();
    let signing = Signing { credentials: &Credentials::new(&account_id, SECRET), url: "", now, encoding };
    simulation.request(&signing, &(simulation.bodies)(&seed).remove(0))
}

fn request(signed: &SignedRequest) -> RawRequest<'_> {
    signed.received("/webhooks/source", Time::parse_iso(MOMENT).unwrap())
}
