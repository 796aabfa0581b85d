//! The spool: events that are on disk before they are answered, while Kafka is away, and how fast they
//! leave while new ones come.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::broker::Embedded;
use crate::generator::count;
use crate::settings::Settings;
use crate::target::{Program, Target};

const TOPIC_PREFIX: &str = "bench.";

/// Bytes of one write in the measure of the disk, a page of the spool.
const PAGE: [u8; 4096] = [7; 4096];

/// The first events wait for Kafka until they are spooled; this is longer.
const OUTAGE_BEGINS: Duration = Duration::from_secs(8);

/// Intake while the spool drains.
const DRAIN_CONNECTIONS: usize = 8;

/// Between two looks at the spool. There is no intake while the next webhooks are signed.
const DRAIN_STEP: Duration = Duration::from_millis(250);

/// Longer than any drain.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn run(settings: &Settings) {
    let webhook = settings.webhooks[0];
    let mut broker = Embedded::start(TOPIC_PREFIX);
    let linger_ms = settings.lingers_ms[0];
    let mut target = Target::start(Program::Trunkline, webhook, &broker.bootstrap_servers, TOPIC_PREFIX, linger_ms);
    for (grows, way) in [(true, "to a growing file"), (false, "over an earlier page")] {
        let commits = commits_per_second(target.folder.path(), settings.duration, grows);
        println!("synced writes of {} bytes {way}: {commits:.0}/s", PAGE.len());
    }
    broker.go_down();
    // A lone request to each partition finds out that Kafka is away.
    target.run(256, OUTAGE_BEGINS, 4096);
    println!(
        "\n| {} connections | events/s into the spool | p50 ms | p99 ms |\n| --: | --: | --: | --: |",
        webhook.name
    );
    for connections in settings.connections.iter().filter(|connections| webhook.fits(**connections)) {
        target.warm_up(*connections);
        let report = target.run_for(*connections, settings.duration).report;
        let events = report.requests_per_second() * count(webhook.records);
        let [p50, p99] = [50, 99].map(|percent| report.latency(percent).as_secs_f64() * 1e3);
        println!("| {connections} | {events:.0} | {p50:.2} | {p99:.2} |");
    }
    drain(&mut target, &mut broker);
}

/// Lets Kafka come back, and sends on until the spool is empty.
fn drain(target: &mut Target, broker: &mut Embedded) {
    let waiting = target.metric("trunkline_spool_events");
    broker.come_up();
    let deadline = Instant::now() + PATIENCE;
    // The client connects again within its greatest pause.
    while target.metric("trunkline_spool_drained_total") == 0.0 {
        assert!(Instant::now() < deadline, "the spool does not drain");
        sleep(Duration::from_millis(10));
    }
    let (started, mut taken) = (Instant::now(), 0);
    let drained_before = target.metric("trunkline_spool_drained_total");
    while target.metric("trunkline_spool_events") > 0.0 {
        assert!(Instant::now() < deadline, "the spool is never empty");
        taken += target.run_for(DRAIN_CONNECTIONS, DRAIN_STEP).report.requests();
    }
    let seconds = started.elapsed().as_secs_f64();
    let drained = target.metric("trunkline_spool_drained_total") - drained_before;
    println!(
        "\n{waiting:.0} events waited; drained {:.0} events/s over {seconds:.1} s while taking {:.0} webhooks/s",
        drained / seconds,
        count(taken) / seconds
    );
}

/// How often this disk takes a page for good, each behind the last in a file that grows, or each over an
/// earlier one. SQLite does the first until its log has its size, and then the second.
fn commits_per_second(folder: &Path, duration: Duration, grows: bool) -> f64 {
    let mut file = File::create(folder.join("disk")).unwrap();
    file.write_all(&PAGE).unwrap();
    let (started, mut commits) = (Instant::now(), 0);
    while started.elapsed() < duration {
        if !grows {
            file.rewind().unwrap();
        }
        file.write_all(&PAGE).unwrap();
        file.sync_data().unwrap();
        commits += 1;
    }
    count(commits) / started.elapsed().as_secs_f64()
}
