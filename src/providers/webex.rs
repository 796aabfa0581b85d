//! Webex Calling: the partner's webhook of call detail records, and `telephony_calls` events.
//!
//! One URL receives both; which one a body is shows in its contents. The envelope of the records is
//! documented nowhere, so they are found wherever they are. The records that no webhook brought are asked of
//! Webex's API. What each field means, and what is asked, is told in `docs/providers/webex.md`.

use crate::event::country;

use crate::event::kind::Kind;
use crate::request::{Head, Method};
use crate::section::Section;
use crate::verify::hmac::{Algorithm, HmacKeys};
use crate::verify::{AuthError, Signature, Verified, Verifier};

mod api;
mod double;
mod envelope;
mod fields;
mod ids;
mod outcome;
mod record;
mod search;
mod signature;
mod simulate;
mod telephony;

use crate::provider::{Configured, Provider, ProviderInfo, Sink, SourceOptions};

/// What is known of Webex Calling.
pub static INFO: ProviderInfo = ProviderInfo {
    name: "webex",
    title: "Webex Calling",
    verification: "HMAC-SHA1 over the body, in the header X-Spark-Signature",
    signs: true,
    signs_time: false,
    methods: &[Method::Post],
    // One interval of a large partner comes in one body of tens of megabytes.
    max_body_bytes: 64 * 1024 * 1024,
    kinds: &[Kind::CallRecord, Kind::CallEvent],
    example: include_str!("webex/example.toml"),
    documentation: "docs/providers/webex.md",
    double: Some(&double::INFO),
    configure,
    simulations: simulate::SIMULATIONS,
    streams: api::STREAMS,
    proposals: &["cdr"],
};

/// Webex's side of one source.
#[derive(Debug)]
struct Webex {
    keys: HmacKeys,
    region: Option<country::Id>,
}

fn configure(source: &SourceOptions, section: &mut Section<'_>) -> Configured {
    let provider = Webex { keys: HmacKeys::new(Algorithm::Sha1, &source.signature_secrets), region: source.region };
    let api = api::configure(source, section);
    let proves = !source.signature_secrets.is_empty();
    Configured { provider: Box::new(provider), proves, signature_method: None, api }
}

impl Verifier for Webex {
    fn signature(&self, head: Head<'_, '_>) -> Result<Option<Signature<'_>>, AuthError> {
        signature::check(&self.keys, head)
    }

    /// Every record names its own organisation, and every envelope of an event does.
    fn needs_account(&self) -> bool {
        false
    }
}

impl Provider for Webex {
    fn normalize<'r>(&self, request: &'r Verified<'r>, out: &mut dyn Sink<'r>) {
        envelope::normalize(request, self.region, out);
    }

    fn normalize_row<'r>(&self, row: &'r Verified<'r>, out: &mut dyn Sink<'r>) {
        envelope::normalize_record(row, self.region, out);
    }
}

#[cfg(test)]
mod tests;
