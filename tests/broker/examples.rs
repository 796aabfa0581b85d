//! The consumers of `examples/`, as programs of their own. `make examples` fetches what they need and runs these tests;
//! without that they are ignored, since a JDK, Maven and Python are more than the other tests want.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rusqlite::Connection;

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::providers::{Way, other_sources, send};
use crate::service::{PATIENCE, Service, blocking, status};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn python(brokers: &str, database: &Path) -> Command {
    let mut command = Command::new(root().join("target/examples/python/bin/python"));
    command.arg(root().join("examples/consumers/python/consume.py"));
    command.args(["--until-end", "--brokers", brokers, "--database"]).arg(database);
    command
}

fn java(brokers: &str, database: &Path) -> Command {
    let mut command = Command::new("java");
    command.args(["-cp", "target/classes:target/lib/*", "Consume", brokers]);
    command.arg(format!("jdbc:sqlite:{}", database.display())).arg("--until-end");
    command.current_dir(root().join("examples/consumers/java"));
    command
}

/// Puts into the topics what Trunkline does not: a copy of each record that is there, and records that are no events.
fn disturb(service: &Service) {
    let mut configuration = ClientConfig::new();
    let producer: BaseProducer = configuration.set("bootstrap.servers", &service.bootstrap_servers).create().unwrap();
    for topic in ["message-status.v1", "call-record.v1"] {
        for record in service.records(topic) {
            let facthash = Header { key: "ce_facthash", value: record.headers.get("ce_facthash") };
            let copy = BaseRecord::to(&record.topic).key(&record.key).payload(&record.value);
            producer.send(copy.headers(OwnedHeaders::new().insert(facthash))).unwrap();
        }
        let topic = format!("telecom.{topic}");
        for value in ["not JSON", "[1]", r#"{"event_id":"e-1","kind":"message_status"}"#] {
            producer.send(BaseRecord::to(&topic).key("k").payload(value)).unwrap();
        }
        producer.send(BaseRecord::<str, str>::to(&topic).key("k")).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

fn run(mut consumer: Command) {
    let output = consumer.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{consumer:?}: {error}"));
    assert!(output.status.success(), "{consumer:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What a consumer made of the topics, a line for each row.
fn state(database: &Path) -> Vec<String> {
    let database = Connection::open(database).unwrap();
    let mut lines = Vec::new();
    for question in [
        "SELECT message_id || ' ' || status || ' ' || status_rank FROM message_status ORDER BY 1",
        "SELECT provider || ' ' || outcome || ' ' || is_final || ' ' || talk_ms FROM call_record ORDER BY 1",
        "SELECT topic || ' ' || COUNT(*) || ' unreadable' FROM unreadable GROUP BY topic ORDER BY 1",
        "SELECT COUNT(*) || ' events' FROM event",
    ] {
        let mut statement = database.prepare(question).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        lines.extend(rows.map(Result::unwrap));
    }
    lines
}

async fn consumes(consumer: fn(&str, &Path) -> Command) {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "ack_timeout_ms = 60000", &other_sources()).await;
    for (id, word) in [("m-1", "delivered"), ("m-1", "submitted"), ("m-2", "submitted"), ("m-2", "rejected")] {
        assert_eq!(service.post(&status(id, word)).await, 200);
    }
    for (provider, kind) in [("webex", "cdr"), ("telphin", "call")] {
        let info = trunkline::providers::find(provider).unwrap();
        let simulation = info.simulations.iter().find(|simulation| simulation.name == kind).unwrap();
        let way = Way::with_records(simulation, 1);
        assert!(send(&service, info, simulation, way).await.iter().all(|answer| *answer == 200));
    }
    blocking(|| disturb(&service));
    let folder = tempfile::tempdir().unwrap();
    let database: PathBuf = folder.path().join("telecom.db");
    // The second run begins where the offsets of the first were committed, and changes nothing.
    for _ in 0..2 {
        blocking(|| run(consumer(&service.bootstrap_servers, &database)));
        assert_eq!(
            state(&database),
            [
                "m-1 delivered 50",
                "m-2 rejected 40",
                "telphin answered 0 30250",
                "webex answered 1 62000",
                "telecom.call-record.v1 4 unreadable",
                "telecom.message-status.v1 4 unreadable",
                "6 events",
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make examples` runs it"]
async fn the_python_consumer_keeps_the_state_of_messages_and_calls() {
    consumes(python).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make examples` runs it"]
async fn the_java_consumer_keeps_the_state_of_messages_and_calls() {
    consumes(java).await;
}
