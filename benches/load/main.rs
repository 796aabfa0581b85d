//! The load test: the program beside a floor, which does nothing but what any such program must do.
//!
//! `docs/performance.md` tells how it is run and read. This program is its own floor and its own embedded
//! broker too, each in a process of its own, so that the processor time of each can be told apart:
//!
//! * without arguments, or with `compare`: the table of both beside each other;
//! * `memory`: the program's memory over a million events;
//! * `spool`: the spool's throughput while Kafka is away, and its drain;
//! * `floor` and `broker`: started by the others.

#![expect(clippy::unwrap_used, reason = "a measurement stops at the first thing that is not as it should be")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

/// The Apache Kafka of the broker tests.
#[path = "../../tests/broker"]
mod brokers {
    #[expect(dead_code, reason = "the broker tests use what the load test does not")]
    pub(crate) mod kafka;
}
use brokers::kafka;

/// The program's allocator, for the floor.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "../../tests/drill/watchdog.rs"]
mod watchdog;

mod broker;
mod compare;
mod floor;
mod generator;
mod memory;
mod settings;
mod spool;
mod target;
mod usage;
mod webhooks;

use settings::Settings;

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] | ["compare"] => compare::run(&Settings::from_environment()),
        ["memory"] => memory::run(&Settings::from_environment()),
        ["spool"] => spool::run(&Settings::from_environment()),
        ["floor", configuration, webhook] => floor::run(configuration, webhook),
        ["broker", topic_prefix] => broker::serve(topic_prefix),
        _ => panic!("expected nothing, `compare`, `memory` or `spool`, not {arguments:?}"),
    }
}
