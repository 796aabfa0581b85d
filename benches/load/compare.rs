//! The table: both programs in turn, for each webhook, broker and number of connections.

use std::fmt::Write as _;

use crate::broker::{self, Embedded};
use crate::generator::count;
use crate::kafka::KafkaCluster;
use crate::settings::Settings;
use crate::target::{Program, Run, Target};
use crate::webhooks::Webhook;

/// The broker that both programs use.
enum Broker {
    Embedded(Embedded),
    Kafka(KafkaCluster),
}

impl Broker {
    fn bootstrap_servers(&self) -> String {
        match self {
            Self::Embedded(embedded) => embedded.bootstrap_servers.clone(),
            Self::Kafka(cluster) => cluster.bootstrap_servers(),
        }
    }
}

const TOPIC_PREFIX: &str = "bench.";

const WARM_UP_CONNECTIONS: usize = 64;

const HEADING: &str = "\
| webhook | broker | linger | conn. | program | requests/s | events/s | p50 ms | p99 ms | µs CPU/event | RSS MiB | peak MiB | generator | of floor |
| --- | --- | --: | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |";

pub(crate) fn run(settings: &Settings) {
    println!("{HEADING}");
    for broker in &settings.brokers {
        for webhook in &settings.webhooks {
            for linger_ms in &settings.lingers_ms {
                // A broker of its own for each, since an embedded one grows and topics are read at start.
                let broker = match broker.as_str() {
                    "embedded" => ("embedded", Broker::Embedded(Embedded::start(TOPIC_PREFIX))),
                    "kafka" => ("kafka", Broker::Kafka(broker::start_kafka())),
                    other => panic!("there is no broker {other:?}; there are embedded and kafka"),
                };
                compare(settings, webhook, &broker, *linger_ms);
            }
        }
    }
}

fn compare(settings: &Settings, webhook: &'static Webhook, broker: &(&str, Broker), linger_ms: Option<f64>) {
    let (name, broker) = broker;
    let bootstrap_servers = broker.bootstrap_servers();
    // Trunkline first: it creates the topics.
    let start = |program| Target::start(program, webhook, &bootstrap_servers, TOPIC_PREFIX, linger_ms);
    let mut targets = [Program::Trunkline, Program::Floor].map(|program| (program, start(program)));
    // A broker that has just started is slower, and would disfavour whichever program comes first.
    for _ in 0..settings.warm_up_rounds {
        targets.iter_mut().for_each(|(_, target)| drop(target.run_for(WARM_UP_CONNECTIONS, settings.duration)));
    }
    let linger = linger_ms.map_or_else(|| "default".to_owned(), |linger_ms| linger_ms.to_string());
    for connections in settings.connections.iter().copied().filter(|connections| webhook.fits(*connections)) {
        let [trunkline, floor] = runs(settings, &mut targets, connections);
        let ratio = median(
            trunkline
                .iter()
                .zip(&floor)
                .map(|(trunkline, floor)| trunkline.report.requests_per_second() / floor.report.requests_per_second()),
        );
        for (program, runs) in [(Program::Floor, floor), (Program::Trunkline, trunkline)] {
            let ratio = if program == Program::Floor { 1.0 } else { ratio };
            let place = format!("| {} | {name} | {linger} | {connections} | {} |", webhook.name, program.name());
            println!("{place}{} {ratio:.2} |", row(webhook, &runs));
        }
    }
}

/// Runs of each program in turn, each of them being the first every other time.
fn runs(settings: &Settings, targets: &mut [(Program, Target); 2], connections: usize) -> [Vec<Run>; 2] {
    let mut runs = [Vec::new(), Vec::new()];
    targets.iter_mut().for_each(|(_, target)| target.warm_up(connections));
    for round in 0..settings.rounds {
        for turn in 0..targets.len() {
            let index = (round + turn) % targets.len();
            runs[index].push(targets[index].1.run_for(connections, settings.duration));
        }
    }
    runs
}

/// The medians of several runs.
fn row(webhook: &Webhook, runs: &[Run]) -> String {
    let of = |value: &dyn Fn(&Run) -> f64| median(runs.iter().map(value));
    let milliseconds = |percent| of(&|run: &Run| run.report.latency(percent).as_secs_f64() * 1e3);
    let requests = of(&|run| run.report.requests_per_second());
    let processor = of(&|run| run.processor_time.as_secs_f64() * 1e6 / count(run.report.requests() * webhook.records));
    let processors = count(std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let generator = of(&|run| run.report.processor_time.as_secs_f64() / run.report.elapsed.as_secs_f64() / processors);
    let mut row = String::new();
    for (value, decimals) in [
        (requests, 0),
        (requests * count(webhook.records), 0),
        (milliseconds(50), 2),
        (milliseconds(99), 2),
        (processor, 1),
        (of(&|run| run.memory.resident_mib), 0),
        (of(&|run| run.memory.peak_mib), 0),
    ] {
        // Writing to a text does not fail.
        write!(row, " {value:.decimals$} |").unwrap();
    }
    row + &format!(" {:.0} % |", generator * 100.0)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
