//! The program's memory over many events.

use std::time::Duration;

use crate::broker::Embedded;
use crate::settings::Settings;
use crate::target::{Program, Target};

const TOPIC_PREFIX: &str = "bench.";
const CONNECTIONS: usize = 64;

/// Samples over the whole run.
const SAMPLES: usize = 20;

/// Longer than the webhooks of one sample take.
const LONG: Duration = Duration::from_secs(600);

pub(crate) fn run(settings: &Settings) {
    for webhook in &settings.webhooks {
        let broker = Embedded::start(TOPIC_PREFIX);
        let linger_ms = settings.lingers_ms[0];
        let mut target = Target::start(Program::Trunkline, webhook, &broker.bootstrap_servers, TOPIC_PREFIX, linger_ms);
        println!("| {} events | RSS MiB | peak MiB |\n| --: | --: | --: |", webhook.name);
        let mut events = 0;
        while events < settings.events {
            let requests = settings.events.div_ceil(webhook.records * SAMPLES);
            let run = target.run(CONNECTIONS, LONG, requests);
            events += run.report.requests() * webhook.records;
            println!("| {events} | {:.1} | {:.1} |", run.memory.resident_mib, run.memory.peak_mib);
        }
    }
}
