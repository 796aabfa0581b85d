//! Scans of the embedded broker, which can not look up by time. What needs that is shown on Apache Kafka.

use std::sync::mpsc::channel;
use std::time::Instant;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::*;
use crate::event::kind::{DEAD_LETTER_TOPIC, Kind};
use crate::publish::embedded::TestKafka;

/// Nothing here takes this long unless it hangs.
const LONG: Duration = Duration::from_secs(30);

impl TestKafka {
    fn scanner(&self) -> Scanner {
        self.scanner_with(Patience { answer: LONG, record: LONG })
    }

    fn scanner_with(&self, patience: Patience) -> Scanner {
        Scanner::start_with(&self.settings, patience, &self.vitals).unwrap()
    }

    /// Writes records with these keys, in turn to both partitions.
    fn write(&self, topic: &TopicInfo, keys: &[&str]) {
        let producer: BaseProducer = crate::publish::client::client_config(&self.settings).create().unwrap();
        let name = format!("t.{}", topic.suffix);
        for (key, partition) in keys.iter().zip([0, 1].into_iter().cycle()) {
            let id = Header { key: "ce_id", value: Some("00112233445566778899aabbccddeeff") };
            let headers = OwnedHeaders::new().insert(id);
            let record = BaseRecord::to(&name).partition(partition).key(*key).payload("{}").headers(headers);
            producer.send(record).unwrap();
        }
        producer.flush(LONG).unwrap();
    }
}

fn asked(topics: &[&'static TopicInfo], key_prefix: &str, start: Start) -> Asked {
    Asked { topics: topics.to_vec(), key_prefix: key_prefix.to_owned(), start }
}

fn now() -> Start {
    Start::At(Time::now())
}

/// Keeps the keys that it is shown.
#[derive(Debug, Default)]
struct Keys(Vec<String>);

impl Visitor for Keys {
    fn visit(&mut self, record: &ScannedRecord<'_>) {
        assert_eq!((record.id.is_some(), record.data, record.written_at.is_some()), (true, &b"{}"[..], true));
        self.0.push(record.key.to_owned());
    }
}

impl Keys {
    fn sorted(mut self) -> Vec<String> {
        self.0.sort();
        self.0
    }
}

#[tokio::test]
async fn a_broker_that_can_not_look_up_by_time_is_scanned_from_the_beginning() {
    let kafka = TestKafka::start(2);
    let statuses = Kind::MessageStatus.info().topic;
    kafka.write(statuses, &["a:1", "b:1", "a:2", "a:3"]);
    kafka.write(&DEAD_LETTER_TOPIC, &["a:4"]);
    let scanner = kafka.scanner();
    let topics = [statuses, &DEAD_LETTER_TOPIC, Kind::CallRecord.info().topic];
    let ended = scanner.scan(asked(&topics, "a:", now()), Keys::default()).await.unwrap();
    let outcome = ended.outcome.unwrap();
    assert_eq!((outcome.read, outcome.visited, outcome.beyond.len()), (5, 4, 0));
    assert_eq!(ended.visitor.sorted(), ["a:1", "a:2", "a:3", "a:4"]);

    kafka.write(statuses, &["b:2", "a:5"]);
    let caught_up = asked(&topics, "a:", Start::Behind(outcome.ends));
    let ended = scanner.scan(caught_up, Keys::default()).await.unwrap();
    let outcome = ended.outcome.unwrap();
    assert_eq!((outcome.read, outcome.visited), (2, 1), "nothing is read twice");
    assert_eq!(ended.visitor.sorted(), ["a:5"]);
    let nothing = scanner.scan(asked(&topics, "", Start::Behind(outcome.ends)), Keys::default()).await.unwrap();
    assert_eq!((nothing.outcome.unwrap().read, nothing.visitor.0.len()), (0, 0));
}

#[tokio::test]
async fn all_who_wait_are_served_by_one_pass() {
    let kafka = TestKafka::start(2);
    let topic = Kind::MessageStatus.info().topic;
    kafka.write(topic, &["a:1", "b:1", "a:2", "b:2"]);
    let scanner = Arc::new(kafka.scanner());
    let ends = scanner.scan(asked(&[topic], "", now()), Keys::default()).await.unwrap().outcome.unwrap().ends;
    kafka.write(topic, &["a:3", "b:3"]);
    // The first one holds the thread until the others wait.
    let ((release, released), (tell, told)) = (channel(), oneshot::channel());
    let mut tell = Some(tell);
    let hold = move |_: &ScannedRecord<'_>| {
        if let Some(tell) = tell.take() {
            tell.send(()).unwrap();
            released.recv_timeout(LONG).unwrap();
        }
    };
    let holder = Arc::clone(&scanner);
    let holding = tokio::spawn(async move { holder.scan(asked(&[topic], "", now()), hold).await.unwrap().outcome });
    told.await.unwrap();
    let whole = scanner.scan(asked(&[topic], "a:", now()), Keys::default());
    let rest = scanner.scan(asked(&[topic], "b:", Start::Behind(ends)), Keys::default());
    let let_go = async { release.send(()).unwrap() };
    let (held, whole, rest, ()) = tokio::join!(holding, whole, rest, let_go);
    assert_eq!(held.unwrap().unwrap().read, 6);
    let (whole, rest) = (whole.unwrap(), rest.unwrap());
    let (of_whole, of_rest) = (whole.outcome.unwrap(), rest.outcome.unwrap());
    assert_eq!((of_whole.read, of_rest.read), (6, 2), "each has its own start");
    assert_eq!(of_whole.elapsed, of_rest.elapsed, "it was one pass");
    assert_eq!((whole.visitor.sorted(), rest.visitor.sorted()), (vec_of(&["a:1", "a:2", "a:3"]), vec_of(&["b:3"])));
}

fn vec_of(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_empty() {
    let kafka = TestKafka::start(2);
    let other = KafkaSettings { topic_prefix: "another.".to_owned(), ..kafka.settings.clone() };
    let scanner = Scanner::start(&other, &kafka.vitals).unwrap();
    let ended = scanner.scan(asked(&[&DEAD_LETTER_TOPIC], "", now()), Keys::default()).await.unwrap();
    let outcome = ended.outcome.unwrap();
    assert_eq!((outcome.read, outcome.ends), (0, Ends::default()));
}

#[tokio::test]
async fn a_scan_to_which_nothing_comes_is_stuck_and_the_visitor_comes_back() {
    let kafka = TestKafka::start(2);
    kafka.write(&DEAD_LETTER_TOPIC, &["a:1"]);
    kafka.broker.delay(Duration::from_millis(400)).unwrap();
    let scanner = kafka.scanner_with(Patience { answer: LONG, record: Duration::ZERO });
    let ended = scanner.scan(asked(&[&DEAD_LETTER_TOPIC], "", now()), Keys::default()).await.unwrap();
    let error = ended.outcome.unwrap_err();
    assert!(matches!(error, ScanError::Stuck { partitions: 1, .. }), "{error}");
    assert!(error.to_string().contains("stuck") && ended.visitor.0.is_empty());
}

#[tokio::test]
async fn brokers_that_are_away_are_told_with_the_cause() {
    let kafka = TestKafka::start(2);
    kafka.broker.go_down().unwrap();
    let scanner = kafka.scanner_with(Patience { answer: Duration::from_millis(500), record: LONG });
    let ended = scanner.scan(asked(&[&DEAD_LETTER_TOPIC], "", now()), Keys::default()).await.unwrap();
    let error = ended.outcome.unwrap_err();
    assert!(matches!(error, ScanError::Unreachable { .. }) && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn who_does_not_wait_any_longer_holds_up_nobody() {
    let kafka = TestKafka::start(2);
    kafka.write(&DEAD_LETTER_TOPIC, &["a:1"]);
    let scanner = kafka.scanner();
    for _ in 0..3 {
        let scan = scanner.scan(asked(&[&DEAD_LETTER_TOPIC], "", now()), Keys::default());
        drop(tokio::time::timeout(Duration::from_millis(1), scan).await);
    }
    let ended = scanner.scan(asked(&[&DEAD_LETTER_TOPIC], "", now()), Keys::default()).await.unwrap();
    assert_eq!(ended.visitor.0, ["a:1"]);
}

#[tokio::test]
async fn a_scanner_that_stops_ends_the_scan_that_is_under_way() {
    let kafka = TestKafka::start(2);
    kafka.write(&DEAD_LETTER_TOPIC, &["a:1", "a:2"]);
    let scanner = Arc::new(kafka.scanner());
    let stopping = Arc::clone(&scanner);
    let stop = move |_: &ScannedRecord<'_>| stopping.stop();
    let ended = scanner.scan(asked(&[&DEAD_LETTER_TOPIC], "", now()), stop).await.unwrap();
    assert!(matches!(ended.outcome, Err(ScanError::Stopped)), "{:?}", ended.outcome);
    let began = Instant::now();
    let ended = scanner.scan(asked(&[&DEAD_LETTER_TOPIC], "", now()), Keys::default()).await.unwrap();
    assert!(matches!(ended.outcome, Err(ScanError::Stopped)) && began.elapsed() < LONG);
    assert!(kafka.vitals.ended().is_empty());
}
