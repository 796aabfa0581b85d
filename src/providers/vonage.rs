//! Vonage: webhooks of the Messages and Voice APIs, signed with a JWT, and of the SMS API, signed by a parameter or not.
//!
//! One URL receives all of them, in both versions of the Messages API; which one it is shows in the shape alone. What
//! each field means is told in `docs/providers/vonage.md`. What no webhook brought is asked of Vonage's Reports API.

use crate::event::kind::Kind;
use crate::request::{Head, Method};
use crate::section::Section;
use crate::verify::freshness::Freshness;
use crate::verify::jwt::Hs256Keys;
use crate::verify::{AuthError, Signature, Verified, Verifier};

mod api;
mod double;
mod error_codes;
mod inbound;
mod messages;
mod shape;
mod simulate;
mod sms;
mod status;
mod token;
mod voice;
mod webhook;

use crate::event::country;
use crate::provider::{Configured, Fault, Provider, ProviderInfo, Sink, SourceOptions};

/// A retry may come a day after the first attempt, and it is not known whether it is signed afresh.
const DEFAULT_WINDOW: Freshness = Freshness { max_age_s: 90_000, max_ahead_s: 300 };

/// What is known of Vonage.
pub static INFO: ProviderInfo = ProviderInfo {
    name: "vonage",
    title: "Vonage",
    verification: "JWT (HS256) over the body, or `sig` over the parameters (SMS API), by the account's signature secret",
    signs: true,
    signs_time: true,
    methods: &[Method::Post, Method::Get],
    max_body_bytes: 10 * 1024 * 1024,
    kinds: &[Kind::MessageStatus, Kind::InboundMessage, Kind::CallEvent, Kind::CallRecord],
    example: include_str!("vonage/example.toml"),
    documentation: "docs/providers/vonage.md",
    double: Some(&double::INFO),
    configure,
    simulations: simulate::SIMULATIONS,
    streams: api::STREAMS,
    proposals: &["message-status", "sms-dlr", "voice call"],
};

/// Vonage's side of one source.
#[derive(Debug)]
struct Vonage {
    keys: Hs256Keys,
    account_id: Option<String>,
    application_ids: Vec<String>,
    window: Freshness,
    sms_keys: sms::signature::Keys,
    sms_window: Freshness,
    region: Option<country::Id>,
}

fn configure(source: &SourceOptions, section: &mut Section<'_>) -> Configured {
    let window = Freshness {
        max_age_s: section.number_or("iat_max_age_s", DEFAULT_WINDOW.max_age_s, 1..=31_536_000),
        max_ahead_s: section.number_or("iat_max_ahead_s", DEFAULT_WINDOW.max_ahead_s, 0..=86_400),
    };
    let sms_method = section.choice_or_first("sms_signature_method", sms::signature::METHODS);
    let sms_max_age_s = section.number_or("sms_timestamp_max_age_s", DEFAULT_WINDOW.max_age_s, 1..=31_536_000);
    let api = api::configure(source, section);
    let proves = !source.signature_secrets.is_empty();
    let provider = Vonage {
        keys: Hs256Keys::new(&source.signature_secrets),
        account_id: source.account_id.clone(),
        application_ids: section.list("application_ids"),
        window,
        sms_keys: sms::signature::Keys::new(sms_method, &source.signature_secrets),
        sms_window: Freshness { max_age_s: sms_max_age_s, ..DEFAULT_WINDOW },
        region: source.region,
    };
    Configured { provider: Box::new(provider), proves, signature_method: Some(sms_method.name()), api }
}

impl Verifier for Vonage {
    fn signature(&self, head: Head<'_, '_>) -> Result<Option<Signature<'_>>, AuthError> {
        let in_body = || Signature::in_body(sms::MAX_BYTES, |request| sms::check(self, request));
        Ok(Some(token::check(self, head)?.unwrap_or_else(in_body)))
    }
}

impl Provider for Vonage {
    fn normalize<'r>(&self, request: &'r Verified<'r>, out: &mut dyn Sink<'r>) {
        webhook::normalize(request, self.region, out);
    }

    fn normalize_row<'r>(&self, row: &'r Verified<'r>, out: &mut dyn Sink<'r>) {
        api::normalize_row(row, self.region, out);
    }
}
