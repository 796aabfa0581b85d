//! A running service in front of a real cluster, and Vonage as its caller.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;
use tempfile::TempDir;
use trunkline::app::App;
use trunkline::config::{self, Environment, KafkaSettings};
use trunkline::event::envelope::Mode;
use trunkline::event::time::Time;
use trunkline::provider::simulate::{Credentials, Seed, SignedRequest, Signing};
use trunkline::providers;
use trunkline::publish::reader::{From, ReadRecord, Reader};

/// Long enough for the slowest machine; only a hang takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) const SECRET: &str = "an-invented-signature-secret";
pub(crate) const ACCOUNT: &str = "abcd1234";

/// The service and a client.
pub(crate) struct Service {
    pub(crate) app: App,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    pub(crate) bootstrap_servers: String,
    _spool: TempDir,
}

/// The configuration of a source named `vonage-eu`, with more of the file before and after it.
pub(crate) fn configuration(bootstrap_servers: &str, spool: &Path, kafka: &str, source: &str) -> String {
    format!(
        "[spool]\ndir = \"{}\"\n[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[kafka]\n\
         bootstrap_servers = \"{bootstrap_servers}\"\n{kafka}\n[[sources]]\nname = \"vonage-eu\"\nprovider = \"vonage\"\n\
         account_id = \"{ACCOUNT}\"\nsignature_secrets = [\"env:SECRET\"]\n{source}\n",
        spool.join("spool").display()
    )
}

/// Settings for the same cluster.
pub(crate) fn kafka_settings(bootstrap_servers: &str, kafka: &str) -> KafkaSettings {
    let environment = Environment::from([("SECRET".to_owned(), SECRET.to_owned())]);
    let text = configuration(bootstrap_servers, Path::new("unused"), kafka, "");
    config::load_text("test", &text, &environment).unwrap().settings.kafka
}

/// Exit code of `trunkline check --online`, and what it complains about.
pub(crate) fn check_online(bootstrap_servers: &str, kafka: &str) -> (Option<i32>, String) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("trunkline.toml");
    std::fs::write(&file, configuration(bootstrap_servers, place.path(), kafka, "")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    command.args(["check", "--online", "--config"]).arg(file).env("SECRET", SECRET);
    let finished = command.output().unwrap();
    (finished.status.code(), String::from_utf8(finished.stderr).unwrap())
}

impl Service {
    pub(crate) async fn start(bootstrap_servers: &str, kafka: &str, source: &str) -> Self {
        let environment = Environment::from([("SECRET".to_owned(), SECRET.to_owned())]);
        let spool = tempfile::tempdir().unwrap();
        let text = configuration(bootstrap_servers, spool.path(), kafka, source);
        let settings = config::load_text("test", &text, &environment).unwrap().settings;
        let app = App::start(settings).unwrap();
        let url = format!("http://{}/webhooks/vonage-eu", app.webhooks.address);
        Self {
            app,
            url,
            client: reqwest::Client::new(),
            bootstrap_servers: bootstrap_servers.to_owned(),
            _spool: spool,
        }
    }

    pub(crate) async fn start_ready(bootstrap_servers: &str, kafka: &str, source: &str) -> Self {
        let service = Self::start(bootstrap_servers, kafka, source).await;
        service.wait_for_readiness(200).await;
        service
    }

    /// Status of `/readyz`.
    pub(crate) async fn readiness(&self) -> u16 {
        let url = format!("http://{}/readyz", self.app.admin.address);
        self.client.get(url).send().await.unwrap().status().as_u16()
    }

    /// What `/readyz` tells.
    pub(crate) async fn state(&self) -> Value {
        let url = format!("http://{}/readyz", self.app.admin.address);
        serde_json::from_slice(&self.client.get(url).send().await.unwrap().bytes().await.unwrap()).unwrap()
    }

    /// Waits until the service finds Kafka ready, or not.
    pub(crate) async fn wait_until_kafka_is(&self, ready: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.state().await["kafka"]["ready"] != ready {
            assert!(Instant::now() < deadline, "Kafka never turned {ready}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let url = format!("http://{}/metrics", self.app.admin.address);
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_default()
    }

    /// Waits until the service tells this of Kafka.
    pub(crate) async fn wait_for_problem(&self, words: &str) {
        let (deadline, mut told) = (Instant::now() + PATIENCE, BTreeSet::new());
        loop {
            let state = self.state().await;
            let problem = state["kafka"]["problem"].as_str().unwrap_or("nothing");
            if problem.contains(words) {
                return;
            }
            told.insert(problem.to_owned());
            assert!(Instant::now() < deadline, "never told {words}, but {told:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until Kafka has everything.
    pub(crate) async fn wait_until_drained(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.state().await;
            if state["kafka"]["ready"] == true && state["spool"]["events"] == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "never drained: {state}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn delete_topic(&self, name: &str) {
        let deleted = self.administration().delete_topics(&[name], &AdminOptions::new()).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    }

    pub(crate) async fn create_topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let created = self.administration().create_topics(&[topic], &AdminOptions::new()).await.unwrap();
        assert!(created.iter().all(Result::is_ok), "{created:?}");
    }

    /// Makes a topic of one partition that takes no more than this at a time.
    pub(crate) async fn create_small_topic(&self, name: &str, max_message_bytes: &str) {
        let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1)).set("max.message.bytes", max_message_bytes);
        let created = self.administration().create_topics(&[topic], &AdminOptions::new()).await.unwrap();
        assert!(created.iter().all(Result::is_ok), "{created:?}");
    }

    fn administration(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.bootstrap_servers).create().unwrap()
    }

    pub(crate) async fn wait_for_readiness(&self, status: u16) {
        let deadline = Instant::now() + PATIENCE;
        while self.readiness().await != status {
            assert!(Instant::now() < deadline, "/readyz never turned {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn post(&self, webhook: &SignedRequest) -> u16 {
        post(&self.client, &self.url, webhook).await.unwrap()
    }

    /// Repeats a webhook, as the provider does, until it is taken.
    pub(crate) async fn post_until_taken(&self, webhook: &SignedRequest) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.post(webhook).await {
                200 => return,
                503 => assert!(Instant::now() < deadline, "the webhook is never taken"),
                other => panic!("a genuine webhook was answered {other}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everything in a topic. What was answered 200 may be in the spool yet, so that is waited for.
    pub(crate) fn records(&self, topic: &str) -> Vec<ReadRecord> {
        let deadline = Instant::now() + PATIENCE;
        while self.app.ingest.publisher().spool().events > 0 {
            assert!(Instant::now() < deadline, "the spool is never empty");
            std::thread::sleep(Duration::from_millis(50));
        }
        records(&self.bootstrap_servers, topic)
    }
}

/// Sends a webhook by its method, and tells the answer.
pub(crate) async fn post(client: &reqwest::Client, url: &str, webhook: &SignedRequest) -> reqwest::Result<u16> {
    let query = if webhook.query.is_empty() { String::new() } else { format!("?{}", webhook.query) };
    let method = reqwest::Method::from_bytes(webhook.method.as_str().as_bytes()).unwrap();
    let mut request = client.request(method, format!("{url}{query}")).body(webhook.body.clone()).timeout(PATIENCE);
    for (name, value) in &webhook.headers {
        request = request.header(*name, value);
    }
    Ok(request.send().await?.status().as_u16())
}

/// A signed status of one message.
pub(crate) fn status(id: &str, word: &str) -> SignedRequest {
    webhook("message-status", id, &[("status", word.into())])
}

/// A signed webhook of one kind, with changes of its body.
pub(crate) fn webhook(kind: &str, id: &str, changes: &[(&str, Value)]) -> SignedRequest {
    let info = providers::find("vonage").unwrap();
    let simulation = info.simulation(kind).unwrap();
    let now = Time::now();
    let seed =
        Seed { id: id.to_owned(), account_id: ACCOUNT.to_owned(), now, index: 0, records: 1, shape: String::new() };
    let mut body = (simulation.bodies)(&seed).remove(0);
    for (name, value) in changes {
        body[*name] = value.clone();
    }
    sign(body.to_string().into_bytes())
}

/// Signs any body as Vonage does.
pub(crate) fn sign(body: Vec<u8>) -> SignedRequest {
    let simulation = &providers::find("vonage").unwrap().simulations[0];
    let encoding = simulation.encoding();
    let signing = Signing { credentials: &Credentials::new(ACCOUNT, SECRET), url: "", now: Time::now(), encoding };
    (simulation.sign)(&signing, body)
}

/// Opens a topic from its beginning, as soon as its partitions have leaders.
fn open(settings: &KafkaSettings, topic: &str, deadline: Instant) -> Reader {
    loop {
        match Reader::open(settings, &[format!("telecom.{topic}")], From::Beginning) {
            Ok(reader) => return reader,
            Err(error) => assert!(Instant::now() < deadline, "{topic} can not be opened: {error:?}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Everything in a topic, in the order of its partitions.
pub(crate) fn records(bootstrap_servers: &str, topic: &str) -> Vec<ReadRecord> {
    let settings = KafkaSettings {
        bootstrap_servers: bootstrap_servers.to_owned(),
        topic_prefix: "telecom.".to_owned(),
        create_topics: false,
        raw_topic: false,
        envelope: Mode::Binary,
        properties: Vec::new(),
    };
    let deadline = Instant::now() + PATIENCE;
    let mut reader = open(&settings, topic, deadline);
    let mut records = Vec::new();
    while !reader.is_at_end() {
        assert!(Instant::now() < deadline, "{topic} can not be read to its end");
        records.extend(reader.next(Duration::from_millis(100)).unwrap());
    }
    records
}

/// How many copies of each key there are.
pub(crate) fn copies(records: &[ReadRecord]) -> HashMap<&str, usize> {
    let mut copies = HashMap::new();
    for record in records {
        *copies.entry(record.key.as_str()).or_insert(0) += 1;
    }
    copies
}

/// Runs something that blocks, such as starting a broker, without holding up the service.
pub(crate) fn blocking<T>(task: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(task)
}
