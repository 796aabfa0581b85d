//! What a provider is: the trait that each one fills in, and what it is given and gives.

use std::collections::HashSet;
use std::fmt;

use crate::event::country;
use secrecy::SecretString;

pub mod api;
pub mod double;
pub mod host;
pub mod recordings;
pub mod simulate;
mod sink;
pub mod subscriptions;

use crate::event::kind::Kind;
use crate::request::Method;
use crate::section::Section;
use crate::verify::{Verified, Verifier};
use api::{Api, StreamInfo};
use double::DoubleInfo;
use simulate::Simulation;
pub use sink::{Fault, Normalized, Reply, Sink};

/// One provider's side of one source: pure functions of the request and the configuration.
pub trait Provider: Verifier + fmt::Debug {
    /// Turns an authentic request into events, one after the other, so that a batch of thousands is
    /// never held as a whole. Knows nothing of what was seen before. A request that is recognised and
    /// holds nothing for us makes no call at all.
    fn normalize<'r>(&self, request: &'r Verified<'r>, out: &mut dyn Sink<'r>);

    /// Turns one row into events, which a fault has kept by itself: the body of the request is the row's
    /// own text. A provider whose requests are told by what is around their rows overrides it.
    fn normalize_row<'r>(&self, row: &'r Verified<'r>, out: &mut dyn Sink<'r>) {
        self.normalize(row, out);
    }
}

/// What is known of a provider before any source of it is configured.
pub struct ProviderInfo {
    /// Name in the configuration and in every event, lower case.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// How its webhooks are verified, in one line.
    pub verification: &'static str,
    /// Whether it signs at all.
    pub signs: bool,
    /// Whether the signature covers a time, so that an old request can be told from a new one.
    pub signs_time: bool,
    /// The methods with which it calls webhooks.
    pub methods: &'static [Method],
    /// Greatest body, unless the configuration says otherwise.
    pub max_body_bytes: usize,
    /// The kinds of event it can make.
    pub kinds: &'static [Kind],
    /// A `[[sources]]` block for the configuration file.
    pub example: &'static str,
    /// Page of the documentation.
    pub documentation: &'static str,
    /// The double of its API, if there is one.
    pub double: Option<&'static DoubleInfo>,
    /// Reads the provider's own keys of a source and makes its side of the source.
    pub configure: fn(&SourceOptions, &mut Section<'_>) -> Configured,
    /// The webhooks that `trunkline send` can make.
    pub simulations: &'static [Simulation],
    /// What its API can be asked for; nothing, if none of it is used.
    pub streams: &'static [StreamInfo],
    /// Those that `trunkline dev` proposes: the words behind the provider's name.
    pub proposals: &'static [&'static str],
}

/// A provider's side of a source, as the configuration makes it.
#[derive(Debug)]
pub struct Configured {
    /// It.
    pub provider: Box<dyn Provider>,
    /// Whether it has what signatures are checked with. If not, the source needs a token in its URL, or says
    /// `verification = "none"`.
    pub proves: bool,
    /// The provider's API, where the source has credentials for it.
    pub api: Option<Box<dyn Api>>,
    /// How the account signs, where the provider leaves a choice, for `trunkline send`.
    pub signature_method: Option<&'static str>,
}

impl ProviderInfo {
    /// Finds a simulation by its name or a shorter one.
    pub fn simulation(&self, name: &str) -> Option<&'static Simulation> {
        self.simulations.iter().find(|known| known.name == name || known.aliases.contains(&name))
    }

    /// What the provider can be asked for, in words.
    pub fn products(&self) -> String {
        let mut products: Vec<&str> = self.streams.iter().map(|stream| stream.product).collect();
        products.dedup();
        products.join(", ")
    }

    /// The streams of products, which go by the product's name or the stream's; `all` is every stream. If nothing is said,
    /// those of which webhooks tell too.
    ///
    /// # Errors
    /// The first product that is none.
    pub fn streams_of<'p>(&self, products: Option<&'p [String]>) -> Result<Vec<&'static StreamInfo>, &'p str> {
        let Some(products) = products else {
            let is_usual = |stream: &&StreamInfo| !stream.primary && stream.includes.is_none();
            return Ok(self.streams.iter().filter(is_usual).collect());
        };
        let mut streams: Vec<&'static StreamInfo> = Vec::new();
        for product in products {
            let known = streams.len();
            let is_meant = |stream: &&StreamInfo| {
                [stream.product, stream.name, "all"].iter().any(|name| name.eq_ignore_ascii_case(product))
            };
            streams.extend(self.streams.iter().filter(is_meant));
            if streams.len() == known {
                return Err(product);
            }
        }
        let included: Vec<&str> = streams.iter().filter_map(|stream| stream.includes).collect();
        let mut names = HashSet::new();
        streams.retain(|stream| !included.contains(&stream.name) && names.insert(stream.name));
        Ok(streams)
    }

    /// The key under which a source of this provider names its secret.
    pub fn secret_key(&self) -> &'static str {
        if self.signs { "signature_secrets" } else { "url_tokens" }
    }
}

impl fmt::Debug for ProviderInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ProviderInfo").field(&self.name).finish()
    }
}

/// The keys of a source that every provider shares and may need.
#[derive(Debug, Default)]
pub struct SourceOptions {
    /// Name of the source.
    pub name: String,
    /// The account that the configuration names.
    pub account_id: Option<String>,
    /// Secrets that signatures are checked with, all of them accepted.
    pub signature_secrets: Vec<SecretString>,
    /// Region in which national numbers are read.
    pub region: Option<country::Id>,
}
