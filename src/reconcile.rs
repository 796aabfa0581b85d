//! What the webhooks did not bring: the provider's own list is compared with what lies in Kafka, hour by hour.
//!
//! The modules in here are the pure heart of it. They do no I/O, wait for nothing and read no clock: whoever sweeps hands them the time,
//! the provider's rows and what a scan of the topics met, and is told what to ask, what to publish and what to remember.
//!
//! * [`window`] is the grid of hours, [`schedule`] tells which of them are read when, and [`cursor`] is how that is
//!   remembered.
//! * [`sought`] tells of each of the provider's rows whether it lies in the topics, [`tally`] how many records do where
//!   only numbers are compared.
//! * `copies` puts recordings where the configuration says.
//! * [`compare`] makes the sums of both, and [`table`] shows them to people and programs.

pub mod command;
pub mod compare;
#[cfg(feature = "object-store")]
pub mod copies;
pub mod cursor;
pub mod mapped;
pub mod outlet;
pub mod ownership;
pub mod rows;
pub mod schedule;
pub mod service;
pub mod sought;
pub mod standing;
pub mod state;
pub mod sweep;
pub mod table;
pub mod tally;
pub mod tokens;
pub mod tools;
pub mod vault;
pub mod window;
