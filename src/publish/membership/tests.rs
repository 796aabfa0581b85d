//! The group on the embedded broker: what its members are told. How fast others take over is shown on Apache Kafka.

use std::collections::BTreeSet;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::*;
use crate::publish::client::client_config;
use crate::publish::embedded::TestKafka;
use crate::publish::state::StateView;

/// Nothing here takes this long unless it hangs.
const LONG: Duration = Duration::from_secs(60);

const PARTITIONS: u32 = 3;

/// A member, and what it was told.
struct Told {
    membership: Membership,
    news: UnboundedReceiver<News>,
}

impl TestKafka {
    fn join(&self) -> Told {
        let key_prefixes = vec!["reconcile/".to_owned(), "token/".to_owned()];
        let joining = Joining { group: "t.reconcile".to_owned(), key_prefixes };
        let (membership, news) = Membership::join(&self.settings, joining, &self.vitals).unwrap();
        Told { membership, news }
    }

    fn write_state(&self, records: &[(i32, &str, Option<&str>)]) {
        let producer: BaseProducer = client_config(&self.settings).create().unwrap();
        for (partition, key, value) in records {
            let record = BaseRecord::to("t.state.v1").partition(*partition).key(*key);
            producer.send(value.iter().fold(record, |record, value| record.payload(*value))).unwrap();
        }
        producer.flush(LONG).unwrap();
    }
}

impl Told {
    async fn next(&mut self) -> News {
        tokio::time::timeout(LONG, self.news.recv()).await.expect("something is told in time").unwrap()
    }

    /// Waits until so many partitions are this member's, and tells what lay in those that came.
    async fn wait_for(&mut self, mut owned: BTreeSet<u32>, count: usize) -> (BTreeSet<u32>, HashMap<String, Vec<u8>>) {
        let mut found = HashMap::new();
        while owned.len() != count {
            match self.next().await {
                News::Assigned { partition, records } => {
                    assert!(owned.insert(partition), "{partition} is given once");
                    found.extend(records);
                }
                News::Revoked { partition } => assert!(owned.remove(&partition), "{partition} was ours"),
                News::Counted { partitions } => assert_eq!(partitions, PARTITIONS),
                News::Written { .. } => {}
            }
        }
        (owned, found)
    }
}

fn values(expected: &[(&str, &str)]) -> HashMap<String, Vec<u8>> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

#[tokio::test]
async fn a_member_is_told_what_lies_in_its_partitions_and_then_each_later_record() {
    let kafka = TestKafka::start(3);
    kafka.write_state(&[
        (0, "reconcile/a/x", Some("1")),
        (0, "reconcile/a/x", Some("2")),
        (1, "token/b", Some("1")),
        (1, "replay/letter", Some("1")),
        (0, "reconcile/a/y", Some("1")),
        (0, "reconcile/a/y", None),
    ]);
    let mut member = kafka.join();
    assert_eq!(member.next().await, News::Counted { partitions: PARTITIONS }, "before any partition is told");
    let (_, found) = member.wait_for(BTreeSet::new(), 3).await;
    assert_eq!(found, values(&[("reconcile/a/x", "2"), ("token/b", "1")]));
    kafka.write_state(&[(2, "replay/letter", Some("2")), (2, "reconcile/c/x", Some("1")), (1, "token/b", None)]);
    let mut later = [member.next().await, member.next().await];
    later.sort_by_key(|news| format!("{news:?}"));
    let written = |partition, key: &str, value: Option<&str>| {
        let value = value.map(|value| value.as_bytes().to_vec());
        News::Written { partition, key: key.to_owned(), value }
    };
    assert_eq!(later, [written(1, "token/b", None), written(2, "reconcile/c/x", Some("1"))]);
    assert!(member.membership.leave(Instant::now() + LONG));
    let (owned, _) = member.wait_for(BTreeSet::from([0, 1, 2]), 0).await;
    assert!(owned.is_empty() && kafka.vitals.ended().is_empty(), "what is left is told as revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_the_partitions_and_who_stays_gets_those_of_who_leaves() {
    let kafka = TestKafka::start(3);
    kafka.write_state(&[(0, "token/a", Some("1")), (1, "token/b", Some("1")), (2, "token/c", Some("1"))]);
    let mut first = kafka.join();
    let (owned, _) = first.wait_for(BTreeSet::new(), 3).await;
    let mut second = kafka.join();
    let (kept, _) = first.wait_for(owned, 2).await;
    let (given, _) = second.wait_for(BTreeSet::new(), 1).await;
    assert!(kept.is_disjoint(&given), "{kept:?} {given:?}");
    let leaving = tokio::task::block_in_place(|| first.membership.leave(Instant::now() + LONG));
    assert!(leaving);
    let (all, found) = second.wait_for(given, 3).await;
    assert_eq!((all.len(), found.len()), (3, 2), "the state of what came is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_leaves_within_seconds_also_when_no_broker_answers() {
    let kafka = TestKafka::start(3);
    let mut member = kafka.join();
    member.wait_for(BTreeSet::new(), 3).await;
    kafka.broker.go_down().unwrap();
    let began = Instant::now();
    assert!(tokio::task::block_in_place(|| member.membership.leave(began + LONG)));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    member.wait_for(BTreeSet::from([0, 1, 2]), 0).await;
}

#[tokio::test]
async fn state_is_read_on_without_being_a_member() {
    let kafka = TestKafka::start(3);
    kafka.write_state(&[(0, "reconcile/a/x", Some("1")), (1, "reconcile/b/x", Some("1")), (1, "token/b", Some("1"))]);
    let view = StateView::start(&kafka.settings, "reconcile/", &kafka.vitals).unwrap();
    assert!(view.wait_until_whole(LONG).await);
    let keys = || view.values("").into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(), ["reconcile/a/x", "reconcile/b/x"]);
    kafka.write_state(&[(0, "reconcile/a/x", Some("2"))]);
    let deadline = Instant::now() + LONG;
    while &*view.values("reconcile/a/")[0].1 != b"2" {
        assert!(Instant::now() < deadline, "what came later is never told");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
