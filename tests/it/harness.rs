//! A whole service in this process, with a broker of its own.
//!
//! Every test starts its own [`TestApp`], so that tests share nothing and run at the same time. Nothing
//! here sleeps for a fixed time: what takes time is waited for by [`wait_until`].

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use toml::Table;
use trunkline::app::App;
use trunkline::config::{self, Environment, KafkaSettings};
use trunkline::event::envelope::Record;
use trunkline::event::time::Time;
use trunkline::publish::embedded::EmbeddedBroker;
use trunkline::publish::reader::{From as Start, ReadRecord, Reader};
use trunkline::publish::{Left, Origin};
use trunkline::request::Method;
use trunkline::settings::Policy;

pub(crate) mod answer;
pub(crate) mod comparing;
pub(crate) mod connection;
pub(crate) mod double;
pub(crate) mod faulty_files;
pub(crate) mod program;
pub(crate) mod python;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod webhook;

use answer::Answer;
use connection::Connection;
use webhook::Webhook;

/// Nothing in these tests takes this long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const SOURCE: &str = "vonage-eu";
pub(crate) const ACCOUNT: &str = "abcd1234";
pub(crate) const SECRET: &str = "the signature secret of vonage-eu";

pub(crate) const STATUS: &str = "message-status.v1";
pub(crate) const INBOUND: &str = "inbound-message.v1";
pub(crate) const CALL_EVENT: &str = "call-event.v1";
pub(crate) const CALL_RECORD: &str = "call-record.v1";
pub(crate) const DEAD_LETTER: &str = "dead-letter.v1";
pub(crate) const RAW: &str = "raw.v1";
pub(crate) const STATE: &str = "state.v1";

const TOPIC_PREFIX: &str = "telecom.";
const PARTITIONS: i32 = 3;

/// Acknowledgements are waited for long enough for a machine that is busy with other tests.
const BASE: &str = r#"
[server]
listen = "127.0.0.1:0"
workers = 1
shutdown_timeout_ms = 5000
[admin]
listen = "127.0.0.1:0"
[kafka]
create_topics = false
ack_timeout_ms = 20000
[[sources]]
name = "vonage-eu"
provider = "vonage"
account_id = "abcd1234"
signature_secrets = ["env:VONAGE_SECRET"]
on_kafka_down = "strict"
"#;

/// A running service and its broker.
pub(crate) struct TestApp {
    pub(crate) broker: EmbeddedBroker,
    kafka: KafkaSettings,
    client: reqwest::Client,
    webhooks: SocketAddr,
    admin: SocketAddr,
    app: Option<App>,
    spool: TempDir,
}

impl TestApp {
    /// Starts with the base configuration.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts with more TOML laid over the base configuration. A table `[source]` is laid over the
    /// source "vonage-eu"; `[[sources]]` are further ones.
    pub(crate) async fn start_with(toml: &str) -> Self {
        let broker = EmbeddedBroker::start(TOPIC_PREFIX, PARTITIONS).unwrap();
        let spool = tempfile::tempdir().unwrap();
        let (kafka, app) = start(toml, broker.bootstrap_servers(), spool.path());
        assert!(app.ingest.publisher().health().wait_until_ready(DEADLINE).await, "the service is ready in time");
        let (webhooks, admin) = (app.webhooks.address, app.admin.address);
        Self { broker, kafka, client: client(), webhooks, admin, app: Some(app), spool }
    }

    /// Starts another service on the same broker, with a spool of its own.
    pub(crate) fn start_beside(&self, toml: &str) -> (App, TempDir) {
        let spool = tempfile::tempdir().unwrap();
        (start(toml, self.broker.bootstrap_servers(), spool.path()).1, spool)
    }

    /// Starts the service again after it was stopped, on the same broker and spool.
    pub(crate) fn start_again(&mut self, toml: &str) {
        let (kafka, app) = start(toml, self.broker.bootstrap_servers(), self.spool.path());
        (self.webhooks, self.admin) = (app.webhooks.address, app.admin.address);
        (self.kafka, self.app) = (kafka, Some(app));
    }

    /// The directory of the spool.
    pub(crate) fn spool(&self) -> &Path {
        self.spool.path()
    }

    /// Sends a webhook as HTTP clients do, and checks what holds for every answer.
    pub(crate) async fn send(&self, webhook: &Webhook) -> Answer {
        let url = format!("http://{}{}", self.webhooks, webhook.path);
        let mut request = self.client.request(webhook.method.parse().unwrap(), url).body(webhook.body.clone());
        for (name, value) in &webhook.headers {
            request = request.header(name, value);
        }
        let answer = Answer::of_response(request.send().await.unwrap()).await;
        answer.check(webhook);
        answer
    }

    /// Sends a body, signed for the source "vonage-eu".
    pub(crate) async fn post(&self, body: &Value) -> Answer {
        self.send(&Webhook::signed(body)).await
    }

    /// Sends a webhook until it is answered 200, as a provider does, and tells how often that was.
    pub(crate) async fn post_until_taken(&self, webhook: &Webhook) -> usize {
        let deadline = Instant::now() + DEADLINE;
        for attempts in 1.. {
            let status = self.send(webhook).await.status;
            if status == 200 {
                return attempts;
            }
            assert_eq!(status, 503, "an outage is told as one");
            assert!(Instant::now() < deadline, "taken in time");
        }
        unreachable!("the loop only ends by returning");
    }

    /// A raw connection to the public server.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.webhooks)
    }

    /// Asks the operators' server.
    pub(crate) async fn admin(&self, path: &str) -> reqwest::Response {
        self.client.get(self.admin_url(path)).send().await.unwrap()
    }

    /// Asks the operators' server for JSON.
    pub(crate) async fn admin_json(&self, path: &str) -> (u16, Value) {
        let response = self.admin(path).await;
        assert_eq!(response.headers()["content-type"], "application/json");
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    pub(crate) fn webhook_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.webhooks)
    }

    pub(crate) fn brokers(&self) -> &str {
        &self.kafka.bootstrap_servers
    }

    /// The text of all metrics.
    pub(crate) async fn metrics(&self) -> String {
        self.admin("/metrics").await.text().await.unwrap()
    }

    /// The sum of a metric's samples that have these labels.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        sample(&self.metrics().await, name, labels)
    }

    /// The number of requests to "vonage-eu" that ended so.
    pub(crate) async fn outcomes(&self, outcome: &str) -> f64 {
        self.metric("trunkline_requests_total", &[("source", SOURCE), ("outcome", outcome)]).await
    }

    /// Waits until a metric has this value.
    pub(crate) async fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        wait_until(format!("{name} {labels:?} is {value}"), async || is(self.metric(name, labels).await, value)).await;
    }

    /// Waits until so many records are on their way and not acknowledged.
    pub(crate) async fn wait_for_unacknowledged(&self, records: f64) {
        self.wait_for_metric("trunkline_unacknowledged_records", &[], records).await;
    }

    /// Waits until the service tells that it is ready, or is not.
    pub(crate) async fn wait_for_readiness(&self, ready: bool) {
        let status = if ready { 200 } else { 503 };
        wait_until(format!("/readyz is {status}"), async || self.admin("/readyz").await.status() == status).await;
    }

    /// A configuration for the same broker.
    pub(crate) fn settings(&self, toml: &str) -> config::Settings {
        settings(toml, self.brokers(), self.spool.path())
    }

    /// Puts records into their topics, as if the service had written them. Tells how long a request would have waited
    /// for that.
    pub(crate) async fn publish(&self, records: impl IntoIterator<Item = Record>) -> Duration {
        self.publish_as(Policy::Strict, DEADLINE, records).await
    }

    /// The same, with what happens to records that Kafka does not acknowledge in time.
    pub(crate) async fn publish_as(
        &self,
        policy: Policy,
        ack_timeout: Duration,
        records: impl IntoIterator<Item = Record>,
    ) -> Duration {
        let ingest = &self.app.as_ref().unwrap().ingest;
        let source = ingest.source(SOURCE).unwrap();
        let origin = Origin {
            source_name: SOURCE.into(),
            provider: source.source.info.name.into(),
            method: Method::Post,
            remote_addr: None,
            received_at: Time::now(),
            policy,
            ack_timeout,
            metrics: Some(Arc::clone(&source.metrics)),
        };
        let submitted = ingest.publisher().submit(records.into_iter().collect(), &Arc::new(origin));
        assert!(submitted.ticket.durable().await);
        submitted.patience
    }

    /// Everything that a topic holds, in the order of each partition.
    pub(crate) fn records(&self, topic: &str) -> Vec<ReadRecord> {
        records_of(&self.kafka, topic)
    }

    /// The only record of a topic.
    pub(crate) fn record(&self, topic: &str) -> ReadRecord {
        let mut records = self.records(topic);
        assert_eq!(records.len(), 1, "{topic} holds one record: {records:?}");
        records.remove(0)
    }

    /// The value of the only record of a topic.
    pub(crate) fn value(&self, topic: &str) -> Value {
        value_of(&self.record(topic))
    }

    /// Stops the service and tells what was left; the broker, the spool and what they hold stay.
    pub(crate) async fn stop(&mut self) -> Left {
        self.app.take().unwrap().stop().await
    }

    /// Takes the service out, to be stopped elsewhere.
    pub(crate) fn take_app(&mut self) -> App {
        self.app.take().unwrap()
    }
}

impl Drop for TestApp {
    /// Ends the service also after a failed test.
    fn drop(&mut self) {
        let Some(app) = self.app.take() else { return };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(app.stop()));
    }
}

fn records_of(kafka: &KafkaSettings, topic: &str) -> Vec<ReadRecord> {
    let topics = [format!("{TOPIC_PREFIX}{topic}")];
    let mut reader = Reader::open(kafka, &topics, Start::Beginning).unwrap();
    let deadline = Instant::now() + DEADLINE;
    let mut records = Vec::new();
    while !reader.is_at_end() {
        records.extend(reader.next(Duration::from_millis(100)).unwrap());
        assert!(Instant::now() < deadline, "the topic is read to its end in time");
    }
    records
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(DEADLINE * 3).build().unwrap()
}

fn start(toml: &str, brokers: &str, spool: &Path) -> (KafkaSettings, App) {
    let settings = settings(toml, brokers, spool);
    (settings.kafka.clone(), App::start(settings).unwrap())
}

fn settings(toml: &str, brokers: &str, spool: &Path) -> config::Settings {
    let mut base: Table = BASE.parse().unwrap();
    let dir = spool.join("spool").to_str().unwrap().to_owned();
    base.insert("spool".to_owned(), Table::from_iter([("dir".to_owned(), dir.into())]).into());
    base["kafka"].as_table_mut().unwrap().insert("bootstrap_servers".to_owned(), brokers.into());
    overlay(&mut base, toml.parse().unwrap());
    if let Some(source) = base.remove("source") {
        let first = base["sources"][0].as_table_mut().unwrap();
        overlay(first, source.try_into().unwrap());
    }
    let environment = Environment::from([("VONAGE_SECRET".to_owned(), SECRET.to_owned())]);
    config::load_text("test", &base.to_string(), &environment).unwrap().settings
}

/// Lists are continued, tables merged, and everything else is replaced. An empty text removes a key.
fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => overlay(base, over),
            (Some(toml::Value::Array(base)), toml::Value::Array(more)) if key == "sources" => base.extend(more),
            (_, toml::Value::String(empty)) if empty.is_empty() => drop(base.remove(&key)),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// Waits until a condition holds.
pub(crate) async fn wait_until(what: impl Display, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a metric, which counts whole things, has a value.
pub(crate) fn is(metric: f64, value: f64) -> bool {
    (metric - value).abs() < 0.5
}

/// The sum of a metric's samples with these labels in the text format.
pub(crate) fn sample(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |sample: &str| labels.iter().all(|(label, value)| sample.contains(&format!("{label}=\"{value}\"")));
    let of_name = |sample: &str| sample.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let samples = text.lines().filter(|sample| of_name(sample) && has(sample));
    samples.map(|sample| sample.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// A record's value, which is always JSON.
pub(crate) fn value_of(record: &ReadRecord) -> Value {
    serde_json::from_slice(&record.value).unwrap()
}
