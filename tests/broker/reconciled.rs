//! Sources that are compared by schedule, on a real Kafka: by processes that are killed, stopped and stand still in the
//! middle of it. Whatever happens, what the double's world tells lies in the topic afterwards, each fact once.

mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng as _;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use trunkline::config::{self, Environment};
use trunkline::event::time::Time;
use trunkline::outbound::Sleep;
use trunkline::provider::double::world::{Fates, World};
use trunkline::publish::Publisher;
use trunkline::reconcile::command::{self, Command as Comparison, Options};
use trunkline::reconcile::cursor::Cursor;
use trunkline::reconcile::schedule::End;
use trunkline::reconcile::service::Reconcilers;
use trunkline::settings::Settings;
use trunkline::telemetry::metrics::Metrics;

use process::Reconciler;

use crate::double::TestDouble;
use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{PATIENCE, Service, blocking, records, status};

/// So often a process is killed, unless the environment says more.
const KILLS: &str = "TRUNKLINE_TEST_KILLS";
const KILLS_IN_CI: u32 = 12;

const HOUR_S: i64 = 3600;
const SOURCE: &str = "webex-partner";

fn since() -> Time {
    Time::parse_iso("2026-02-03T10:00:00Z").unwrap()
}

/// Some hours of traffic that are over; without rates, and with other manners.
fn double(hours: i64, manners: &str) -> TestDouble {
    let world = World { seed: 5, since: since(), facts_per_hour: 60, accounts: 3, fates: Fates::default() };
    let double = TestDouble::start("webex", world, &format!("[manners]\nrates = false\n{manners}"));
    // It starts three hours after its world begins.
    double.turn_clock((hours - 3) * HOUR_S + 1900);
    double
}

fn cluster() -> KafkaCluster {
    // A group begins at once, as with most clusters it does not: brokers wait for three seconds by default.
    let properties = vec![("group.initial.rebalance.delay.ms".to_owned(), "0".to_owned())];
    KafkaCluster::start(ClusterOptions { properties, ..ClusterOptions::default() })
}

fn configuration(cluster: &KafkaCluster, double: &TestDouble, work_dir: &std::path::Path, group: &str) -> String {
    let base = &double.bases.first;
    let secret = |name: &str| double.credential(name);
    format!(
        "[kafka]\nbootstrap_servers = \"{}\"\n[reconcile]\ngroup = \"{group}\"\nwork_dir = {work_dir:?}\n\
         state_keys = [\"0123456789abcdef\"]\n[[sources]]\nname = \"{SOURCE}\"\nprovider = \"webex\"\n\
         signature_secrets = [\"the secret of webex\"]\nclient_id = \"{}\"\nclient_secret = \"{}\"\nrefresh_token = \"{}\"\n\
         api_url = \"{base}\"\nanalytics_url = \"{base}\"\nfeed_url = \"{base}\"\n[sources.reconcile]\nevery_s = 10\n",
        cluster.bootstrap_servers(),
        secret("client_id"),
        secret("client_secret"),
        secret("refresh_token"),
    )
}

fn settings(text: &str) -> Settings {
    config::load_text("test", text, &Environment::new()).unwrap().settings
}

fn no_sleep() -> Sleep {
    Arc::new(|_| Box::pin(tokio::task::yield_now()))
}

/// Keys of the facts of the hours that are old enough.
async fn facts(double: &TestDouble, now: Time) -> BTreeSet<String> {
    let over = Time::from_unix_seconds((now.unix_seconds() - 1800).div_euclid(HOUR_S) * HOUR_S).unwrap();
    let facts = double.facts(&format!("to={over}")).await;
    facts.iter().map(|fact| fact["key"].as_str().unwrap().to_owned()).collect()
}

/// What lies in the topic: how often each id does, and the keys.
fn published(cluster: &KafkaCluster) -> (BTreeMap<String, usize>, BTreeSet<String>) {
    let (mut ids, mut keys) = (BTreeMap::new(), BTreeSet::new());
    for record in records(&cluster.bootstrap_servers(), "call-record.v1") {
        *ids.entry(record.headers["ce_id"].clone()).or_default() += 1;
        keys.insert(record.key);
    }
    (ids, keys)
}

fn cursor(cluster: &KafkaCluster) -> Cursor {
    let key = format!("reconcile/{SOURCE}/cdr");
    let found = records(&cluster.bootstrap_servers(), "state.v1").into_iter().rfind(|record| record.key == key);
    Cursor::read(&found.unwrap().value, SOURCE, "cdr").unwrap()
}

async fn make_topics(settings: &Settings) {
    trunkline::publish::topics::create_missing(&settings.kafka, command::STATE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_or_stopped_in_a_sweep_loses_nothing_and_doubles_nothing() {
    let kills = std::env::var(KILLS).map_or(KILLS_IN_CI, |text| text.parse().unwrap());
    let (cluster, work_dir) = (blocking(cluster), tempfile::tempdir().unwrap());
    let double = double(4, "");
    let mut now = since().plus_s(4 * HOUR_S + 1900);
    make_topics(&settings(&configuration(&cluster, &double, work_dir.path(), "none"))).await;
    let (mut in_the_middle, mut slowest_stop, mut sweep) = (0, Duration::ZERO, Duration::ZERO);
    for round in 0..kills {
        // A group of its own, since the others would wait for a killed member until its session ends.
        let text = configuration(&cluster, &double, work_dir.path(), &format!("group-{round}"));
        let (was_done, stopped) = blocking(|| {
            let mut process = Reconciler::start(&text, now);
            process.wait_until(&["owned", "done"]);
            let began = Instant::now();
            // One in four comes to its end, so that hours do not pile up until they leave the provider, however busy
            // the machine is. It also tells how long a sweep takes.
            if round % 4 == 0 {
                process.wait_until(&["done"]);
                sweep = began.elapsed();
                return (true, process.stop());
            }
            let was_done = process.says(&["done"], sweep.mul_f64(rand::rng().random_range(0.0..1.2)));
            if round % 4 == 2 {
                return (was_done, process.stop());
            }
            process.signal("KILL");
            (was_done, Duration::ZERO)
        });
        in_the_middle += u32::from(!was_done);
        slowest_stop = slowest_stop.max(stopped);
        double.turn_clock(HOUR_S);
        now = now.plus_s(HOUR_S);
    }
    let earlier = blocking(|| published(&cluster)).1.len();
    let text = configuration(&cluster, &double, work_dir.path(), "the-last-group");
    blocking(|| Reconciler::start(&text, now).wait_until(&["done"]));
    let (facts, (ids, keys)) = (facts(&double, now).await, blocking(|| published(&cluster)));
    println!(
        "{kills} rounds, {in_the_middle} of them in the middle of a sweep, slowest stop {slowest_stop:?}, {earlier} of {} facts before the last one",
        facts.len()
    );
    assert!(in_the_middle >= kills / 4, "{in_the_middle} of {kills}");
    assert!(slowest_stop < Duration::from_secs(10), "{slowest_stop:?}");
    assert!(earlier > facts.len() / 2, "{earlier} of {}", facts.len());
    assert_eq!(facts.difference(&keys).count(), 0, "nothing is lost");
    assert_eq!(keys.difference(&facts).count(), 0, "nothing is invented");
    assert_eq!(ids.len(), keys.len(), "no fact has a second id");
    let cursor = cursor(&cluster);
    assert_eq!(cursor.progress.open().len(), 0);
    let over = Time::from_unix_seconds((now.unix_seconds() - 1800).div_euclid(HOUR_S) * HOUR_S).unwrap();
    assert_eq!(cursor.progress.reached()[0].through, over);
}

/// Requests for rows take a second, so that there is a middle.
const SLOW: &str =
    "[manners]\nrates = false\n[[fault]]\nwhen = { path = \"/v1/partners/cdrsbyorg\" }\nthen = { delay_ms = 1000 }\n";

#[tokio::test(flavor = "multi_thread")]
async fn others_go_on_for_an_owner_that_is_killed_stops_or_stands_still_and_an_old_cursor_is_answered() {
    let (cluster, work_dir) = (blocking(cluster), tempfile::tempdir().unwrap());
    let double = double(4, "");
    let now = since().plus_s(4 * HOUR_S + 1900);
    let text = configuration(&cluster, &double, work_dir.path(), "the-group");
    make_topics(&settings(&text)).await;
    double.play(SLOW).await;
    let (after_stop, after_kill, after_pause) = blocking(|| {
        let [mut first, mut second] = [(); 2].map(|()| Reconciler::start(&text, now));
        let mut third = Reconciler::start(&text, now);
        let all = |processes: [&mut Reconciler; 3]| {
            processes.map(|process| process.says(&["owned"], Duration::from_millis(50)))
        };
        let deadline = Instant::now() + PATIENCE;
        let owner = loop {
            let owned = all([&mut first, &mut second, &mut third]);
            if let Some(owner) = owned.iter().position(|owned| *owned) {
                break owner;
            }
            assert!(Instant::now() < deadline, "nobody owns the source");
        };
        let mut processes = vec![first, second, third];
        let mut owner_process = processes.remove(owner);
        // It may move once more while the others join.
        let began = Instant::now();
        owner_process.stop();
        let (next, after_stop) = taken_over(&mut processes, began);
        let owner_process = processes.remove(next);
        owner_process.signal("KILL");
        let began = Instant::now();
        let (_, after_kill) = taken_over(&mut processes, began);
        let mut paused = processes.remove(0);
        let fourth = Reconciler::start(&text, now);
        processes.push(fourth);
        paused.signal("STOP");
        let began = Instant::now();
        let (_, after_pause) = taken_over(&mut processes, began);
        processes[0].wait_until(&["done"]);
        paused.signal("CONT");
        // Either of them may own the source in the end, and is done with it.
        let deadline = Instant::now() + PATIENCE;
        while !(paused.says(&["done"], Duration::from_millis(50))
            || processes[0].says(&["done"], Duration::from_millis(50)))
        {
            assert!(Instant::now() < deadline, "nobody comes to an end");
        }
        processes[0].stop();
        paused.wait_until(&["done"]);
        paused.stop();
        (after_stop, after_kill, after_pause)
    });
    println!(
        "taken over {after_stop:?} after a stop, {after_kill:?} after kill -9, {after_pause:?} after standing still"
    );
    let (facts, (ids, keys)) = (facts(&double, now).await, blocking(|| published(&cluster)));
    assert_eq!((facts.difference(&keys).count(), keys.difference(&facts).count()), (0, 0));
    assert_eq!(ids.len(), keys.len(), "no fact has a second id");
    let cursor = cursor(&cluster);
    assert_eq!(cursor.progress.open().len(), 0);
    assert_eq!(cursor.progress.reached()[0].through, since().plus_s(4 * HOUR_S));
}

/// Waits until one of these owns the source, and tells which and since when.
fn taken_over(processes: &mut [Reconciler], began: Instant) -> (usize, Duration) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for (index, process) in processes.iter_mut().enumerate() {
            if process.says(&["owned", "done"], Duration::from_millis(20)) {
                return (index, began.elapsed());
            }
        }
        assert!(Instant::now() < deadline, "nobody takes over");
    }
}

/// The access token is not accepted any more, so that each process needs a new one.
const REFUSED_ONCE: &str = "[manners]\nrates = false\nrefresh_token = \"void\"\n[[fault]]\nwhen = { path = \"/v1/partners/cdrcountbyorg\", first = 1 }\n\
     then = { status = 401 }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_token_outlives_whoever_renewed_it() {
    let (cluster, work_dir) = (blocking(cluster), tempfile::tempdir().unwrap());
    // A refresh token ends with its use.
    let double = double(4, "refresh_token = \"void\"\n");
    let now = since().plus_s(4 * HOUR_S + 1900);
    make_topics(&settings(&configuration(&cluster, &double, work_dir.path(), "none"))).await;
    for round in 0..8 {
        let text = configuration(&cluster, &double, work_dir.path(), &format!("group-{round}"));
        double.play(REFUSED_ONCE).await;
        let before = grants(&double).await;
        let process = blocking(|| Reconciler::start(&text, now.plus_s(i64::from(round) * HOUR_S)));
        let deadline = Instant::now() + PATIENCE;
        // Something is asked with a new token only when that is kept.
        while !is_used(&double, before).await {
            assert!(Instant::now() < deadline, "no new token is used in round {round}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        blocking(|| drop(process));
        double.turn_clock(HOUR_S);
    }
    let log = double.log().await;
    let refused = log.iter().filter(|request| request["path"] == "/v1/access_token" && request["status"] != 200);
    assert_eq!(refused.count(), 0, "{log:#?}");
}

async fn grants(double: &TestDouble) -> usize {
    double.log().await.iter().filter(|request| request["path"] == "/v1/access_token").count()
}

/// Whether a token was granted after so many, and something asked with it.
async fn is_used(double: &TestDouble, before: usize) -> bool {
    let log = double.log().await;
    let mut behind = log.iter().skip_while(|request| request["path"] != "/v1/access_token");
    let mut granted = 0;
    let mut is_used = false;
    for request in &mut behind {
        match request["path"] == "/v1/access_token" {
            true => granted += 1,
            false => is_used |= granted > before && request["status"] == 200,
        }
    }
    is_used
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_topic_no_longer_holds_is_not_published_whole_again() {
    let (cluster, work_dir) = (blocking(cluster), tempfile::tempdir().unwrap());
    let double = double(4, "");
    let text = configuration(&cluster, &double, work_dir.path(), "the-group");
    let settings = settings(&text);
    make_topics(&settings).await;
    let whole = || Options { from: Some(since()), to: Some(since().plus_s(2 * HOUR_S)), ..Options::default() };
    let first = compare(&settings, whole()).await;
    assert!(first.error.is_none() && first.totals().published > 100, "{:?} {:?}", first.error, first.totals());
    delete_records(&cluster, "telecom.call-record.v1").await;
    // Something younger, without which a topic is simply empty.
    let later = Options {
        from: Some(since().plus_s(2 * HOUR_S)),
        to: Some(since().plus_s(3 * HOUR_S)),
        without_comparison: true,
        ..Options::default()
    };
    compare(&settings, later).await;
    let before = blocking(|| published(&cluster)).1.len();
    let refused = compare(&settings, whole()).await;
    let told = refused.error.map(|error| error.to_string()).unwrap_or_default();
    assert!(told.contains("--without-comparison"), "{told}");
    assert_eq!(blocking(|| published(&cluster)).1.len(), before, "nothing is published");

    let (publisher, metrics) = publisher(&settings).await;
    let now = since().plus_s(4 * HOUR_S + 1900);
    let service =
        Reconcilers::start(&settings, &publisher, &metrics, Arc::new(move || now), no_sleep()).unwrap().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while service.json()["sources"][0]["streams"][0]["last_sweep"].is_null() {
        assert!(Instant::now() < deadline, "{:#}", service.json());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stream = service.json()["sources"][0]["streams"][0].clone();
    assert!(stream["last_sweep"]["windows"]["expired"].as_u64().unwrap() >= 2, "{stream:#}");
    assert!(service.stop(Instant::now() + PATIENCE).await);

    let anew = compare(&settings, Options { without_comparison: true, ..whole() }).await;
    assert_eq!((anew.error.is_none(), anew.totals().published), (true, first.totals().published));
    assert!(anew.windows.iter().all(|(_, end)| matches!(end, End::Complete { .. })));
}

/// Deletes everything that lies in a topic of twelve partitions.
async fn delete_records(cluster: &KafkaCluster, topic: &str) {
    let mut all = TopicPartitionList::new();
    (0..12).for_each(|partition| all.add_partition_offset(topic, partition, Offset::End).unwrap());
    let servers = cluster.bootstrap_servers();
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    admin.delete_records(&all, &AdminOptions::new()).await.unwrap();
}

async fn publisher(settings: &Settings) -> (Arc<Publisher>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let publisher = Publisher::start(&settings.kafka, None, command::STATE, 0, &metrics).unwrap();
    assert!(publisher.health().wait_until_ready(PATIENCE).await);
    (Arc::new(publisher), metrics)
}

async fn compare(settings: &Settings, options: Options) -> command::StreamResult {
    let comparison = Comparison::start(settings, SOURCE, options).await.unwrap();
    let mut result = None;
    let stream = comparison.streams()[0];
    comparison.compare(stream, &mut result, &mut |_| {}).await.unwrap();
    result.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_rows_wait_and_the_spool_is_for_webhooks() {
    let mut cluster = blocking(cluster);
    let now = Time::now();
    let hour = Time::from_unix_seconds(now.unix_seconds().div_euclid(HOUR_S) * HOUR_S).unwrap();
    let world =
        World { seed: 8, since: hour.plus_s(-3 * HOUR_S), facts_per_hour: 60, accounts: 3, fates: Fates::default() };
    let double = TestDouble::start("webex", world, SLOW);
    double.turn_clock(now.unix_seconds() - hour.unix_seconds());
    let base = &double.bases.first;
    let secret = |name: &str| double.credential(name);
    let source = format!(
        "[[sources]]\nname = \"{SOURCE}\"\nprovider = \"webex\"\nsignature_secrets = [\"the secret of webex\"]\n\
         client_id = \"{}\"\nclient_secret = \"{}\"\nrefresh_token = \"{}\"\napi_url = \"{base}\"\nanalytics_url = \"{base}\"\n\
         feed_url = \"{base}\"\n[sources.reconcile]\nevery_s = 10\nagain_s = []\nlookback_s = 10800\n[reconcile]\n\
         state_keys = [\"0123456789abcdef\"]\n",
        secret("client_id"),
        secret("client_secret"),
        secret("refresh_token"),
    );
    let service = Service::start_ready(&cluster.bootstrap_servers(), "ack_timeout_ms = 300", &source).await;
    let deadline = Instant::now() + PATIENCE;
    while !double.log().await.iter().any(|request| request["path"] == "/v1/partners/cdrsbyorg") {
        assert!(Instant::now() < deadline, "no rows are asked for");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    blocking(|| cluster.stop_broker(0));
    for index in 0..20 {
        assert_eq!(service.post(&status(&format!("m-{index}"), "delivered")).await, 200);
    }
    let reconcilers = service.app.reconcilers.as_ref().unwrap();
    let stream = || reconcilers.json()["sources"][0]["streams"][0].clone();
    // Long enough for all rows to be there: they are looked for in the topics, or to be published, and can not be.
    while !["comparing", "publishing", "waiting_for_kafka"].iter().any(|state| stream()["state"] == *state) {
        assert!(Instant::now() < deadline, "{:#}", stream());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(service.state().await["spool"]["events"], 20, "rows are none of them");
    blocking(|| cluster.start_broker(0));
    service.wait_until_drained().await;
    let deadline = Instant::now() + PATIENCE * 2;
    while stream()["last_sweep"]["published"].as_u64().is_none_or(|published| published == 0) {
        assert!(Instant::now() < deadline, "{:#}", stream());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let over = Time::from_unix_seconds((now.unix_seconds() - 1800).div_euclid(HOUR_S) * HOUR_S).unwrap();
    let facts = double.facts(&format!("to={over}")).await.len();
    let (ids, keys) = blocking(|| published(&cluster));
    assert!(facts > 100 && keys.len() == facts && ids.len() == facts, "{facts} {} {}", keys.len(), ids.len());
    assert_eq!(blocking(|| service.records("message-status.v1")).len(), 20);
}
