//! What only a real Apache Kafka can show: acknowledgements, outages, placement of keys, limits, SASL.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

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
mod replayed;
mod scanned;
mod topics;
