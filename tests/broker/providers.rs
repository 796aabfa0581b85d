//! Every provider's webhooks through Apache Kafka, and a batch as large as they come.

use std::collections::{HashMap, HashSet};

use trunkline::event::kind::KINDS;
use trunkline::event::time::Time;
use trunkline::provider::ProviderInfo;
use trunkline::provider::simulate::{Credentials, Encoding, Seed, Signing, Simulation};
use trunkline::providers::PROVIDERS;

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{ACCOUNT, SECRET, Service, blocking, post};

/// A source for each provider, named after it.
pub(crate) fn other_sources() -> String {
    let block = |info: &&ProviderInfo| {
        let (name, key) = (info.name, info.secret_key());
        format!(
            "[[sources]]\nname = \"{name}\"\nprovider = \"{name}\"\naccount_id = \"{ACCOUNT}\"\n{key} = [\"env:SECRET\"]\n"
        )
    };
    PROVIDERS.iter().map(block).collect()
}

/// One way in which a simulation is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    encoding: Encoding,
    shape: &'static str,
    records: usize,
}

impl Way {
    /// The default, with so many records in a body.
    pub(crate) fn with_records(simulation: &Simulation, records: usize) -> Self {
        Self { encoding: simulation.encoding(), shape: "", records }
    }

    /// Every shape in every encoding.
    fn all(simulation: &Simulation) -> Vec<Self> {
        let shapes = [""].into_iter().chain(simulation.shapes.iter().copied());
        let of_shape =
            |shape| simulation.encodings.iter().map(move |encoding| Self { encoding: *encoding, shape, records: 1 });
        shapes.flat_map(of_shape).collect()
    }
}

/// Sends everything that one simulation makes; tells the answers.
pub(crate) async fn send(service: &Service, info: &ProviderInfo, simulation: &Simulation, way: Way) -> Vec<u16> {
    let Way { encoding, shape, records } = way;
    let seed = Seed {
        id: uuid::Uuid::new_v4().to_string(),
        account_id: ACCOUNT.to_owned(),
        now: Time::now(),
        index: 0,
        records,
        shape: shape.to_owned(),
    };
    let credentials = Credentials::new(ACCOUNT, SECRET);
    let mut answers = Vec::new();
    for body in (simulation.bodies)(&seed) {
        let signing = Signing { credentials: &credentials, url: "", now: Time::now(), encoding };
        let webhook = simulation.request(&signing, &body);
        let token = webhook.url_token.as_ref().map(|token| format!("/{token}")).unwrap_or_default();
        let url = format!("http://{}/webhooks/{}{token}", service.app.webhooks.address, info.name);
        answers.push(post(&service.client, &url, &webhook).await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_provider_sends_is_read_back_from_its_topic() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "", &other_sources()).await;
    for info in PROVIDERS {
        for simulation in info.simulations {
            for way in Way::all(simulation) {
                let answers = send(&service, info, simulation, way).await;
                let name = simulation.name;
                assert!(answers.iter().all(|answer| *answer == 200), "{} {name} {way:?}: {answers:?}", info.name);
            }
        }
    }
    let mut found: HashMap<String, HashSet<&str>> = HashMap::new();
    for kind in &KINDS {
        for record in blocking(|| service.records(kind.topic.suffix)) {
            let provider = record.key.split(':').next().unwrap().to_owned();
            found.entry(provider).or_default().insert(kind.name);
        }
    }
    for info in PROVIDERS {
        let kinds: HashSet<&str> = info.kinds.iter().map(|kind| kind.info().name).collect();
        assert_eq!(found[info.name], kinds, "{}", info.name);
    }
    assert!(blocking(|| service.records("dead-letter.v1")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_five_thousand_records_is_answered_once_all_of_them_are_durable() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "ack_timeout_ms = 60000", &other_sources()).await;
    let batch = |simulation: &&Simulation| !simulation.record.is_empty() && !simulation.shapes.is_empty();
    let mut batches = 0;
    for info in PROVIDERS {
        for simulation in info.simulations.iter().filter(|simulation| batch(simulation)) {
            let way = Way::with_records(simulation, 5000);
            assert_eq!(send(&service, info, simulation, way).await, [200], "{}", simulation.name);
            batches += 1;
        }
    }
    let records = blocking(|| service.records("call-record.v1"));
    let ids: HashSet<&String> = records.iter().map(|record| &record.headers["ce_id"]).collect();
    assert_eq!((records.len(), ids.len()), (batches * 5000, batches * 5000));
    assert!(batches > 0);
}
