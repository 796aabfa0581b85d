//! Acting as a provider: what `trunkline send` and the tests share.
//!
//! Each provider signs here with code of its own, written from the provider's documentation and not
//! from the receiver, so that the two check each other.

use secrecy::SecretString;
use serde_json::Value;

use crate::event::time::Time;
use crate::request::Method;

/// One webhook that a provider sends.
#[derive(Debug)]
pub struct Simulation {
    /// Name on the command line.
    pub name: &'static str,
    /// Shorter names.
    pub aliases: &'static [&'static str],
    /// What it is, in one line.
    pub summary: &'static str,
    /// Makes a realistic body with invented numbers.
    pub body: fn(&Seed) -> Value,
}

/// What makes one simulated webhook different from the next.
#[derive(Debug, Clone)]
pub struct Seed {
    /// Fresh id of the message or call, a UUID.
    pub id: String,
    /// The moment at which it happens.
    pub now: Time,
    /// Number of this webhook in its run, from 0.
    pub index: u64,
}

/// With what to sign.
#[derive(Debug)]
pub struct Credentials {
    /// The account's id at the provider.
    pub account_id: String,
    /// The secret; absent for a source that is not signed.
    pub secret: Option<SecretString>,
    /// Sign with another secret than the right one.
    pub tamper: bool,
}

/// A webhook, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The method.
    pub method: Method,
    /// Headers to set.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Signs a body.
pub type Sign = fn(&Credentials, Time, Vec<u8>) -> SignedRequest;
