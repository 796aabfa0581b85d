//! Who owns a source: members of a group that share the state topic of a real Kafka, and how fast one takes over from
//! another that stops, is killed or stands still.
//!
//! A member that is to be killed is a process of its own: this program again, running one test that does nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use trunkline::event::envelope::Record;
use trunkline::event::headers::Headers;
use trunkline::event::kind::{STATE_TOPIC, STATE_TOPICS};
use trunkline::event::time::Time;
use trunkline::publish::membership::{Joining, Membership, News};
use trunkline::publish::partition::{key_hash, partition};
use trunkline::publish::topics::{self, MoreTopics};
use trunkline::publish::{Origin, Publisher};
use trunkline::request::Method;
use trunkline::settings::{KafkaSettings, Policy};
use trunkline::telemetry::metrics::Metrics;

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{PATIENCE, blocking, kafka_settings, records};

const WITH_STATE: MoreTopics = MoreTopics { needed: &[], aside: STATE_TOPICS };

const BROKERS: &str = "TRUNKLINE_TEST_MEMBER_OF";

fn joining() -> Joining {
    Joining { group: "telecom.reconcile".to_owned(), key_prefixes: vec!["reconcile/".to_owned(), "token/".to_owned()] }
}

fn cluster() -> KafkaCluster {
    // A group begins at once, as with most clusters it does not: brokers wait for three seconds by default.
    let properties = vec![("group.initial.rebalance.delay.ms".to_owned(), "0".to_owned())];
    KafkaCluster::start(ClusterOptions { properties, ..ClusterOptions::default() })
}

async fn make_topics(settings: &KafkaSettings) {
    let made = topics::create_missing(settings, WITH_STATE).await.unwrap();
    assert!(made.contains(&"telecom.state.v1".to_owned()), "{made:?}");
}

/// A record of a source's state.
fn state(source: &str, key: &str, value: &str) -> Record {
    Record {
        topic: &STATE_TOPIC,
        key: key.to_owned(),
        placed_by: Some(source.into()),
        headers: Headers::content_type("application/json"),
        value: value.as_bytes().to_vec(),
        kind: None,
        identity: None,
    }
}

async fn publish(publisher: &Publisher, records: Vec<Record>) {
    let origin = Origin {
        source_name: "webex-partner".into(),
        provider: "webex".into(),
        method: Method::Post,
        remote_addr: None,
        received_at: Time::now(),
        policy: Policy::Strict,
        ack_timeout: PATIENCE,
        metrics: None,
    };
    assert!(publisher.submit(records, &Arc::new(origin)).ticket.durable().await);
}

async fn publisher(settings: &KafkaSettings) -> Publisher {
    let publisher = Publisher::start(settings, None, WITH_STATE, 0, &Arc::new(Metrics::new())).unwrap();
    assert!(publisher.health().wait_until_ready(PATIENCE).await);
    publisher
}

/// A member of the group, in a process of its own.
struct Member {
    process: Child,
    lines: Receiver<String>,
    owned: BTreeSet<u32>,
    /// When the last partition came.
    given_at: Instant,
    /// What lay in the partitions when they came.
    found: HashMap<String, String>,
}

impl Member {
    fn start(cluster: &KafkaCluster) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "owned::member", "--ignored", "--nocapture"]);
        command.env(BROKERS, cluster.bootstrap_servers()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (line, lines) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        // Ends with the process, whose output it reads.
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).take_while(|text| line.send(text.clone()).is_ok()).for_each(drop);
        });
        Self { process, lines, owned: BTreeSet::new(), given_at: Instant::now(), found: HashMap::new() }
    }

    /// Takes note of what the member has said, if it says something within the time.
    fn hear(&mut self, patience: Duration) {
        let line = match self.lines.recv_timeout(patience) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return,
            Err(error) => panic!("a member is gone: {error}"),
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["assigned", partition] => {
                assert!(self.owned.insert(partition.parse().unwrap()), "{line}");
                self.given_at = Instant::now();
            }
            ["revoked", partition] => assert!(self.owned.remove(&partition.parse().unwrap()), "{line}"),
            ["found", key, value] => drop(self.found.insert((*key).to_owned(), (*value).to_owned())),
            _ => {}
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.signal("KILL");
        self.process.wait().unwrap();
    }
}

/// Waits until these members own all partitions between them, each one once, and some are with each.
fn share(members: &mut [&mut Member]) {
    let deadline = Instant::now() + PATIENCE;
    let whole: BTreeSet<u32> = (0..12).collect();
    loop {
        let owned: Vec<u32> = members.iter().flat_map(|member| &member.owned).copied().collect();
        let is_fair = members.iter().all(|member| member.owned.len() == 12 / members.len());
        if owned.len() == 12 && is_fair && owned.iter().copied().collect::<BTreeSet<_>>() == whole {
            return;
        }
        assert!(Instant::now() < deadline, "never shared: {owned:?}");
        members.iter_mut().for_each(|member| member.hear(Duration::from_millis(10)));
    }
}

/// The member that the tests start as a process. By itself it does nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of other tests"]
async fn member() {
    let Ok(brokers) = std::env::var(BROKERS) else { return };
    let settings = kafka_settings(&brokers, "");
    let (membership, mut news) = Membership::join(&settings, joining(), &Arc::default()).unwrap();
    let membership = Arc::new(membership);
    let leaving = Arc::clone(&membership);
    // A line on the input asks it to leave.
    std::thread::spawn(move || {
        std::io::stdin().lines().next();
        leaving.leave(Instant::now() + PATIENCE);
    });
    while let Some(news) = news.recv().await {
        match news {
            News::Assigned { partition, records } => {
                for (key, value) in records {
                    println!("found {key} {}", String::from_utf8(value).unwrap());
                }
                println!("assigned {partition}");
            }
            News::Revoked { partition } => println!("revoked {partition}"),
            News::Counted { .. } | News::Written { .. } => {}
        }
        std::io::stdout().flush().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_take_over_from_a_member_that_stops_is_killed_or_stands_still() {
    let cluster = blocking(cluster);
    let settings = kafka_settings(&cluster.bootstrap_servers(), "");
    make_topics(&settings).await;
    let publisher = publisher(&settings).await;
    let sources: Vec<String> = (0..40).map(|number| format!("source-{number}")).collect();
    let keys = sources.iter().map(|source| (source.as_str(), format!("reconcile/{source}/cdr")));
    let written: Vec<Record> = keys.map(|(source, key)| state(source, &key, "1")).collect();
    publish(&publisher, written).await;

    blocking(|| {
        let [mut first, mut second, mut third] = [(); 3].map(|()| Member::start(&cluster));
        share(&mut [&mut first, &mut second, &mut third]);

        let began = Instant::now();
        let mut input = third.process.stdin.take().unwrap();
        writeln!(input, "leave").unwrap();
        share(&mut [&mut first, &mut second]);
        let after_leaving = first.given_at.max(second.given_at).saturating_duration_since(began);

        let began = Instant::now();
        second.signal("KILL");
        share(&mut [&mut first]);
        let after_kill = first.given_at.saturating_duration_since(began);
        let all: BTreeMap<&String, &String> = first.found.iter().collect();
        assert_eq!(all.len(), 40, "what others had is read by whoever takes over");

        let mut fourth = Member::start(&cluster);
        share(&mut [&mut first, &mut fourth]);
        let began = Instant::now();
        fourth.signal("STOP");
        share(&mut [&mut first]);
        let after_pause = first.given_at.saturating_duration_since(began);
        fourth.signal("CONT");
        share(&mut [&mut first, &mut fourth]);
        println!("taken over after leaving {after_leaving:?}, kill {after_kill:?}, standing still {after_pause:?}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_a_source_lies_in_the_partition_of_its_name_and_the_topic_is_no_part_of_readiness() {
    let cluster = blocking(cluster);
    let settings = kafka_settings(&cluster.bootstrap_servers(), "");
    topics::create_missing(&settings, MoreTopics::default()).await.unwrap();
    let publisher = publisher(&settings).await;
    make_topics(&settings).await;
    let mut written = Vec::new();
    for source in ["webex-partner", "vonage-eu", "telphin"] {
        for stream in ["cdr", "call_history", "messages.outbound"] {
            written.push(state(source, &format!("reconcile/{source}/{stream}"), "{}"));
        }
        written.push(state(source, &format!("token/{source}"), "{}"));
    }
    publish(&publisher, written).await;
    let found = blocking(|| records(&cluster.bootstrap_servers(), "state.v1"));
    assert_eq!(found.len(), 12);
    for record in found {
        let source = record.key.split('/').nth(1).unwrap();
        let expected = partition(key_hash(source.as_bytes()), 12);
        assert_eq!(u32::try_from(record.partition).unwrap(), expected, "{}", record.key);
    }
    let mut states = blocking(|| topics::look(&settings)).unwrap();
    topics::describe(&settings, &mut states).await.unwrap();
    assert!(states.iter().all(|state| state.name != "telecom.state.v1"), "it is not among the wanted ones");
}
