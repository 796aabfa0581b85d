//! The drill: providers send steady traffic while everything that can go wrong does, one thing after
//! the other, and at the end what they were told is compared with what stands in Kafka.
//!
//! It runs the program itself and a cluster of three brokers, and knows nothing of the program but what
//! can be seen from outside: answers, metrics and topics. `docs/reliability.md` explains its verdict.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The Apache Kafka of the broker tests.
#[path = "../broker"]
mod broker {
    #[expect(dead_code, reason = "the broker tests use what the drill does not")]
    pub(crate) mod kafka;
}
use broker::kafka;

mod administration;
mod busy;
mod disk;
mod faults;
mod gate;
mod ledger;
mod metrics;
mod program;
mod scene;
mod schedule;
mod sender;
mod settings;
mod topics;
mod traffic;
mod verdict;
mod watchdog;

use administration::Administration;
use busy::Busy;
use disk::Disk;
use faults::Stage;
use gate::{Gate, HELD_TOPIC};
use kafka::{ClusterOptions, KafkaCluster};
use ledger::Ledger;
use metrics::{Watch, Ways};
use program::Launch;
use scene::Scene;
use sender::Sender;
use settings::Settings;
use verdict::{DiskFault, Evidence, Verdict};

/// Until every webhook is taken and the spool is empty, after everything has been mended.
const PATIENCE: Duration = Duration::from_secs(300);

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Where the program's log, the samples and the verdict stay.
const OUTPUT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/drill");

#[test]
fn whatever_was_answered_200_is_in_kafka_once_and_in_order_through_every_fault() {
    let settings = Settings::from_environment();
    say(&format!("drill: {settings:?}, output in {OUTPUT}"));
    say(&format!("its conversations can be had again with DRILL_SEED={}", settings.seed));
    std::fs::create_dir_all(OUTPUT).unwrap();
    let verdict = {
        let _busy = settings.busy.then(Busy::on_every_processor);
        drill(&settings)
    };
    std::fs::write(Path::new(OUTPUT).join("verdict.txt"), verdict.to_string()).unwrap();
    say(&verdict.to_string());
    assert!(verdict.passed(), "see the verdict above");
}

fn drill(settings: &Settings) -> Verdict {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::Builder::new().prefix("trunkline-drill-").tempdir().unwrap();
    let (scene, ledger) = (Arc::new(Scene::new()), Arc::new(Ledger::default()));
    let gate = Arc::new(Gate::default());
    let mut stage = set(folder.path(), settings, &scene, &ledger, &gate, &runtime);
    let (webhooks, scene_too) = (stage.launch.webhooks.clone(), Arc::clone(&scene));
    let sender = Sender::new(webhooks, scene_too, Arc::clone(&ledger), gate, settings.seed);
    let traffic = runtime.spawn(Arc::clone(&sender).run(settings.rate_per_second));
    runtime.spawn(sample(Arc::clone(&stage.watch)));
    runtime.spawn(tell_progress(Arc::clone(&stage.watch), Arc::clone(&scene), Arc::clone(&ledger)));
    stage.play(settings.seconds);
    let deadline = Instant::now() + PATIENCE;
    let all_taken = runtime.block_on(sender.finish(PATIENCE));
    runtime.block_on(traffic).unwrap();
    say(if all_taken { "every webhook is taken" } else { "not every webhook is taken" });
    let left_in_spool = runtime.block_on(wait_for_empty_spool(&stage.watch, deadline));
    let last_exit = stage.end();
    runtime.shutdown_background();
    conclude(&mut stage, settings, left_in_spool, last_exit, ledger.close())
}

/// Starts everything, until the program is ready.
fn set(
    folder: &Path,
    settings: &Settings,
    scene: &Arc<Scene>,
    ledger: &Arc<Ledger>,
    gate: &Arc<Gate>,
    runtime: &tokio::runtime::Runtime,
) -> Stage {
    // As a broker has it that nobody has told otherwise: a topic that is asked about is made.
    let properties = vec![("auto.create.topics.enable".to_owned(), "true".to_owned())];
    let options = ClusterOptions { brokers: schedule::BROKERS, properties, ..ClusterOptions::default() };
    let cluster = KafkaCluster::start(options);
    let disk = Disk::make(folder.join("disk"), settings.disk_bytes);
    let log = PathBuf::from(OUTPUT).join("trunkline.log");
    let launch = Launch::prepare(folder, &disk, &cluster.bootstrap_servers(), log);
    let watch = Arc::new(Watch::new(launch.admin.clone(), Arc::clone(scene), Arc::clone(ledger)));
    let administration = Administration::of(topics::kafka_settings(&launch.configuration));
    runtime.block_on(administration.make_topics());
    let mut stage = Stage {
        administration,
        program: None,
        cluster,
        launch,
        disk,
        scene: Arc::clone(scene),
        watch,
        runtime: runtime.handle().clone(),
        gate: Arc::clone(gate),
        away: Vec::new(),
        before_deletion: Vec::new(),
        came_back: Vec::new(),
        exit_codes: Vec::new(),
    };
    stage.start();
    stage.wait_until_ready();
    stage.scene.enter("the start");
    stage
}

async fn sample(watch: Arc<Watch>) {
    let mut pace = tokio::time::interval(SAMPLE_INTERVAL);
    loop {
        pace.tick().await;
        watch.sample().await;
    }
}

async fn tell_progress(watch: Arc<Watch>, scene: Arc<Scene>, ledger: Arc<Ledger>) {
    let mut pace = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        pace.tick().await;
        let (counts, sample) = (ledger.counts(), watch.last());
        let in_spool = sample.and_then(|sample| sample.counters.in_spool);
        let in_spool = in_spool.map_or_else(|| "none".to_owned(), |events| events.to_string());
        let rss_mib = sample.map_or(0, |sample| sample.peak_rss_kib / 1024);
        say(&format!(
            "{:6} s  sent {}, 2xx {}, 503 {}, broken {}, in the spool {in_spool}, memory {rss_mib} MiB, {}",
            scene.now_us() / 1_000_000,
            counts.attempts,
            counts.taken,
            counts.unavailable,
            counts.broken,
            scene.phase(),
        ));
    }
}

/// Tells what is left in the spool when it is empty or the time is over.
async fn wait_for_empty_spool(watch: &Watch, deadline: Instant) -> Result<Option<u64>, &'static str> {
    loop {
        let left = watch.in_spool().await;
        if matches!(left, Ok(None | Some(0))) || Instant::now() > deadline {
            return left;
        }
        tokio::time::sleep(SAMPLE_INTERVAL).await;
    }
}

fn conclude(
    stage: &mut Stage,
    settings: &Settings,
    left_in_spool: Result<Option<u64>, &'static str>,
    last_exit: Option<i32>,
    webhooks: Vec<ledger::Webhook>,
) -> Verdict {
    let samples = stage.watch.samples();
    std::fs::write(Path::new(OUTPUT).join("samples.csv"), metrics::table(&samples)).unwrap();
    let mut exit_codes = std::mem::take(&mut stage.exit_codes);
    exit_codes.push(last_exit);
    let disk = match (stage.disk.is_small(), settings.without_disk) {
        (true, _) => DiskFault::Done,
        (false, false) => DiskFault::Impossible,
        (false, true) => DiskFault::Waived,
    };
    let mut published = topics::read(&stage.launch.configuration);
    for record in published.iter_mut().filter(|record| record.topic.ends_with(HELD_TOPIC)) {
        record.generation = 1;
    }
    published.append(&mut stage.before_deletion);
    Verdict::of(&Evidence {
        webhooks,
        published,
        history: stage.scene.recorded(),
        ways: Ways::of(&samples),
        exit_codes,
        left_in_spool,
        disk,
        came_back: std::mem::take(&mut stage.came_back),
        longest_answer_ms: settings.longest_answer_ms,
        peak_rss_kib: samples.iter().map(|sample| sample.peak_rss_kib).max().unwrap_or(0),
        started_unix_ms: stage.scene.started_unix_ms(),
        seed: settings.seed,
        busy: settings.busy,
    })
}

/// Writes past the test harness, which would keep it until the end.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
