//! A double of a provider's API: what `trunkline double` serves and tests ask.
//!
//! A double is written from the provider's documentation and not from our client, so that the two check each other. It
//! is pure: it is given requests and the time, and gives answers. What serves it is `http::double`.
//!
//! * [`world`] decides what happens: facts as a function of a seed and of time.
//! * [`script`] reads what a double is to do wrong, and [`stage`] lets it do that.
//! * [`log`] remembers what was asked.

use std::fmt;

use secrecy::SecretString;
use serde_json::Value;

pub mod dice;
pub mod log;
pub(crate) mod manners;
pub mod message;
pub mod script;
pub mod stage;
pub mod world;

use super::simulate::SignedRequest;
use crate::event::time::Time;
pub use message::{Door, Request, Response};
use script::ScriptError;
use world::World;

/// What is known of a provider's double before it is made.
pub struct DoubleInfo {
    /// What it serves, in one line.
    pub summary: &'static str,
    /// Makes one that does nothing wrong.
    pub open: fn(World, Bases) -> Box<dyn Double>,
}

impl fmt::Debug for DoubleInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("DoubleInfo").field(&self.summary).finish()
    }
}

/// Where a double is reached: URLs without a path, and without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bases {
    /// Of the first door.
    pub first: String,
    /// Of the second door: another region, or a store.
    pub second: String,
}

impl Bases {
    /// The URL of a door.
    pub fn of(&self, door: Door) -> &str {
        match door {
            Door::First => &self.first,
            Door::Second => &self.second,
        }
    }
}

/// A provider that is acted by us.
pub trait Double: Send + fmt::Debug {
    /// Answers one request as the provider does.
    fn answer(&mut self, request: &Request, now: Time) -> Response;

    /// Takes on the manners that a script asks for; those that it does not name are the provider's own again.
    ///
    /// # Errors
    /// A key or a value that is none, with its line. Nothing has changed then.
    fn behave(&mut self, script: &str) -> Result<(), ScriptError>;

    /// What really happened from `from` up to and without `to`: one object for each fact, with its ids, its key in
    /// Kafka and the fate of its webhook.
    fn facts(&self, from: Time, to: Time) -> Vec<Value>;

    /// The oldest webhook that is due by now and was not given before, signed.
    fn due(&mut self, recipient: &Recipient, now: Time) -> Option<Delivery>;

    /// Hears what became of a delivery: whether it was answered with 2xx.
    fn delivered(&mut self, delivery_id: u64, taken: bool);

    /// What a client needs.
    fn entrance(&self) -> Entrance;
}

/// Who gets the webhooks.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The URL.
    pub url: String,
    /// With what they are signed.
    pub secret: SecretString,
}

/// A webhook of a double, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Number of it, for [`Double::delivered`].
    pub id: u64,
    /// When it was due.
    pub due_at: Time,
    /// How many facts it tells.
    pub facts: usize,
    /// What to send.
    pub request: SignedRequest,
}

/// What a client needs to ask a double.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// Credentials, each with the name by which it is known.
    pub credentials: Vec<(&'static str, String)>,
    /// The keys of a source that asks the double, but for its name, its provider and the secret of its webhooks, as TOML.
    pub source: String,
}
