//! What only a real Apache Kafka can show: acknowledgements, outages, placement of keys, limits, SASL.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

#[path = "../it/harness/double.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod double;
mod kafka;
mod service;

mod access;
mod cluster;
mod crash;
mod examples;
mod limits;
mod outage;
mod owned;
mod providers;
mod published;
mod reconciled;
mod replayed;
mod scanned;
mod topics;

/// For the double's own paths.
fn client() -> reqwest::Client {
    reqwest::Client::new()
}
