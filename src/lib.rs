//! Trunkline receives telephony providers' webhooks, checks that they are genuine, normalises them
//! into one schema and publishes them to Kafka.
//!
//! The modules in the order in which a webhook meets them:
//!
//! * [`http`] reads a request and gives the answer; [`request`] is what it hands on.
//! * [`ingest`] takes a request through verification, normalisation and publishing.
//! * [`verify`] holds the schemes; [`provider`] tells what a provider is, and [`providers`] what each one signs, sends and
//!   means.
//! * [`outbound`] asks the providers' APIs.
//! * [`json`] reads bodies without losing anything; [`event`] is the common schema.
//! * [`publish`] owns every record until Kafka has acknowledged it; [`spool`] keeps on disk what waits.
//! * [`reconcile`] compares with the provider's own list, hour by hour, what the webhooks have brought.
//! * [`recordings`] finds, fetches and deletes recordings of calls at the provider.
//! * [`subscriptions`] compares the webhooks at the provider with what a source needs, and makes them so.
//! * [`replay`] maps anew what was kept, and publishes what now succeeds.
//! * [`section`] reads a table of the configuration, and [`settings`] is what it means.
//! * [`config`], [`telemetry`], [`app`] and [`cli`] make a program of it; [`build`] tells which one.
//!
//! `ARCHITECTURE.md` tells why it is so.

#![forbid(unsafe_code)]

pub mod request;

pub mod http;
pub mod ingest;

pub mod outbound;
pub mod provider;
pub mod providers;
pub mod verify;

pub mod event;
pub mod json;

pub mod publish;
pub mod reconcile;
pub mod recordings;
pub mod replay;
pub mod spool;
pub mod subscriptions;

pub mod app;
pub mod build;
pub mod cli;
pub mod config;
pub mod section;
pub mod settings;
pub mod telemetry;
