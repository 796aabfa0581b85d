//! Tests of the whole service over real sockets, against the embedded broker. They need nothing else.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

mod harness;

mod accepted;
mod bodies;
mod causes;
mod conformance;
mod connections;
mod consumers;
mod copied;
mod dead_letters;
mod delivered;
mod doors;
mod double;
mod duplicates;
mod faults;
mod fixtures;
mod heads;
mod healthcheck;
mod logs;
mod operators;
mod outage;
mod pages;
mod placed;
mod privacy;
mod private_numbers;
mod program;
mod properties;
mod raw_requests;
mod reconciled;
mod reconciled_telphin;
mod reconciled_vonage;
mod recordings;
mod refused;
mod refused_records;
mod replayed;
mod scheduled;
mod sent;
mod shutdown;
mod sms;
mod spool_command;
mod spool_damage;
mod spool_disk;
mod spool_faults;
mod spool_model;
mod spool_store;
mod spooled;
mod subscribed;
mod suspended;
mod tidy;
mod vendor_vonage;
mod vendor_webex;
mod voice;
