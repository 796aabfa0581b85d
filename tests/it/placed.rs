//! Records that belong together under keys of their own lie in one partition.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trunkline::event::envelope::Record;
use trunkline::event::headers::Headers;
use trunkline::event::kind::{DEAD_LETTER_TOPIC, STATE_TOPIC, STATE_TOPICS};
use trunkline::event::time::Time;
use trunkline::publish::partition::{key_hash, partition};
use trunkline::publish::topics::MoreTopics;
use trunkline::publish::{Origin, Publisher};
use trunkline::request::Method;
use trunkline::settings::Policy;
use trunkline::telemetry::metrics::Metrics;

use crate::harness::{DEAD_LETTER, DEADLINE, STATE, TestApp};

const PLACE: &str = "an-invented-source";

fn records(placed_by: Option<&str>, names: &str) -> Vec<Record> {
    let record = |number| Record {
        topic: &DEAD_LETTER_TOPIC,
        key: format!("{names}/{number}"),
        placed_by: placed_by.map(Into::into),
        headers: Headers::default(),
        value: b"{}".to_vec(),
        kind: None,
        identity: None,
    };
    (0..20).map(record).collect()
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin {
        source_name: PLACE.into(),
        provider: "webex".into(),
        method: Method::Post,
        remote_addr: None,
        received_at: Time::now(),
        policy: Policy::Strict,
        ack_timeout: DEADLINE,
        metrics: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_topic_that_readiness_ignores_are_counted_before_it_is_written() {
    let app = TestApp::start().await;
    let more = MoreTopics { needed: &[], aside: STATE_TOPICS };
    let settings = app.settings("").kafka;
    let publisher = Publisher::start(&settings, None, more, 0, &Arc::new(Metrics::new())).unwrap();
    assert!(publisher.health().wait_until_ready(DEADLINE).await);
    // Twelve places, as many as the topic would be made with; the broker has made it with three.
    let places: Vec<String> = (0..12).map(|number| format!("source-{number}")).collect();
    let of = |place: &String| Record {
        topic: &STATE_TOPIC,
        key: format!("token/{place}"),
        ..records(Some(place), "token").remove(0)
    };
    assert!(publisher.submit(places.iter().map(of).collect(), &origin()).ticket.durable().await);
    let written = app.records(STATE);
    assert_eq!(written.len(), 12);
    for record in written {
        let place = record.key.trim_start_matches("token/");
        assert_eq!(u32::try_from(record.partition).unwrap(), partition(key_hash(place.as_bytes()), 3), "{place}");
    }
}

/// Partitions of the records whose keys begin so.
fn partitions(app: &TestApp, names: &str) -> BTreeSet<u32> {
    let records = app.records(DEAD_LETTER);
    let of_names: Vec<_> = records.iter().filter(|record| record.key.starts_with(names)).collect();
    assert_eq!(of_names.len(), 20, "{names}");
    of_names.iter().map(|record| u32::try_from(record.partition).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_goes_where_its_place_says_also_by_way_of_the_spool() {
    let app = TestApp::start().await;
    let place = BTreeSet::from([partition(key_hash(PLACE.as_bytes()), 3)]);
    app.publish(records(Some(PLACE), "live")).await;
    app.publish(records(None, "by-key")).await;
    app.broker.go_down().unwrap();
    app.publish_as(Policy::Spool, Duration::from_millis(50), records(Some(PLACE), "spooled")).await;
    app.broker.come_up().unwrap();
    app.wait_for_metric("trunkline_spool_events", &[], 0.0).await;
    app.wait_for_unacknowledged(0.0).await;
    assert_eq!(partitions(&app, "live"), place);
    assert_eq!(partitions(&app, "spooled"), place);
    assert_eq!(partitions(&app, "by-key").len(), 3, "twenty keys are spread");
}
