//! The providers: the trait that each one fills in, and the list of them.
//!
//! Adding a provider means a folder here and one line in [`PROVIDERS`]. The configuration, the
//! receiver, `trunkline send`, the conformance tests and the documentation checks find it there.

use std::fmt;

use crate::event::country;
use secrecy::SecretString;

pub mod simulate;
pub mod telphin;
pub mod vonage;
pub mod webex;

use crate::config::section::Section;
use crate::event::Event;
use crate::event::kind::Kind;
use crate::event::time::Time;
use crate::json::Text;
use crate::request::{Head, Method};
use crate::verify::{AuthError, Signature, Verified};
use simulate::Simulation;

/// Every provider that Trunkline understands.
pub const PROVIDERS: &[&ProviderInfo] = &[&vonage::INFO, &webex::INFO, &telphin::INFO];

/// One provider's side of one source: pure functions of the request and the configuration.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Checks the signature that a head carries, as far as the head alone allows. `Ok(None)` means that
    /// it carries none, which is for the source's other doors to judge; a signature that is there must be
    /// valid. Reads no clock (the request says when it came) and logs nothing.
    ///
    /// # Errors
    /// [`AuthError`] when a signature is there that can not hold for any body.
    fn signature(&self, head: Head<'_, '_>) -> Result<Option<Signature<'_>>, AuthError>;

    /// Whether every event needs an account from the signature or the configuration, because the
    /// messages themselves name none.
    fn needs_account(&self) -> bool {
        true
    }

    /// Turns an authentic request into events, one after the other, so that a batch of thousands is
    /// never held as a whole. Knows nothing of what was seen before. A request that is recognised and
    /// holds nothing for us makes no call at all.
    fn normalize<'r>(&self, request: &'r Verified<'r>, out: &mut dyn Sink<'r>);

    /// Turns one record, which a fault has kept by itself, into events: the body of the request is the
    /// record's own text. A provider whose requests are told by what is around their records overrides it.
    fn normalize_record<'r>(&self, record: &'r Verified<'r>, out: &mut dyn Sink<'r>) {
        self.normalize(record, out);
    }
}

/// Takes what a request turns out to hold.
pub trait Sink<'r> {
    /// Takes an event.
    fn event(&mut self, event: Event<'r>);

    /// Takes something that could not be understood, with its own bytes.
    fn fault(&mut self, fault: Fault<'r>);

    /// Counts a value that is in no map by the name of its wire field.
    fn unmapped(&mut self, field: &'static str);
}

/// A sink that keeps everything, for tests and tools.
#[derive(Debug, Default)]
pub struct Normalized<'r> {
    /// The events.
    pub events: Vec<Event<'r>>,
    /// What could not be understood.
    pub faults: Vec<Fault<'r>>,
    /// Wire fields whose value is in no map; one entry a value.
    pub unmapped: Vec<&'static str>,
}

impl<'r> Sink<'r> for Normalized<'r> {
    fn event(&mut self, event: Event<'r>) {
        self.events.push(event);
    }

    fn fault(&mut self, fault: Fault<'r>) {
        self.faults.push(fault);
    }

    fn unmapped(&mut self, field: &'static str) {
        self.unmapped.push(field);
    }
}

/// Something authentic that could not be understood.
#[derive(Debug)]
pub struct Fault<'r> {
    /// A short word from a fixed list, such as `missing_id`.
    pub code: &'static str,
    /// An explanation for people, free of personal data.
    pub message: String,
    /// JSON Pointer (RFC 6901) to the place, where there is one.
    pub pointer: Option<String>,
    /// The record's own text; the whole request, if absent.
    pub record: Option<Text<'r>>,
}

impl Fault<'_> {
    /// A fault of the whole request.
    pub fn of_request(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), pointer: None, record: None }
    }

    /// Adds the place in the body.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
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
    /// Whether it signs at all: then a source needs a secret, a token or `verification = "none"`.
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
    /// Reads the provider's own keys of a source and makes its side of the source.
    pub configure: fn(&SourceOptions, &mut Section<'_>) -> Box<dyn Provider>,
    /// The webhooks that `trunkline send` can make.
    pub simulations: &'static [Simulation],
    /// Writes a simulated body as the provider does.
    pub encode: simulate::Encode,
    /// Signs a simulated webhook as the provider does.
    pub sign: simulate::Sign,
}

impl ProviderInfo {
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

/// Finds a provider by its name in the configuration.
pub fn find(name: &str) -> Option<&'static ProviderInfo> {
    PROVIDERS.iter().find(|info| info.name == name).copied()
}

/// Reads times as the providers write them most often.
pub(crate) fn iso_time(text: Text<'_>) -> Option<Time> {
    Time::parse_iso(&text)
}
