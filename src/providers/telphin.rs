//! Telphin: call events, as form parameters that nobody signs.
//!
//! One webhook tells one step of one leg of a call. It is published as a call event; the end of a leg
//! that counts as a call of its own is published as a provisional call record too. What each
//! parameter means, and which ends count, is told in `docs/providers/telphin.md`. Calls of which no webhook came, and the
//! last word on all others, are asked of Telphin's API.

use crate::event::country;

use crate::event::kind::Kind;
use crate::provider::{Configured, Fault, Provider, ProviderInfo, Sink, SourceOptions};
use crate::request::{Head, Method};
use crate::section::Section;
use crate::verify::{AuthError, Signature, Verified, Verifier};

mod api;
mod double;
mod event;
mod form;
mod outcome;
mod party;
mod record;
mod simulate;

use event::Facts;
use form::Form;

/// What is known of Telphin.
pub static INFO: ProviderInfo = ProviderInfo {
    name: "telphin",
    title: "Telphin",
    verification: "a secret token that ends the URL; Telphin signs nothing",
    signs: false,
    signs_time: false,
    methods: &[Method::Get, Method::Post],
    max_body_bytes: 10 * 1024 * 1024,
    kinds: &[Kind::CallEvent, Kind::CallRecord],
    example: include_str!("telphin/example.toml"),
    documentation: "docs/providers/telphin.md",
    double: Some(&double::INFO),
    configure,
    simulations: simulate::SIMULATIONS,
    streams: api::STREAMS,
    proposals: &["call"],
};

/// Telphin's side of one source.
#[derive(Debug)]
struct Telphin {
    region: Option<country::Id>,
}

fn configure(source: &SourceOptions, section: &mut Section<'_>) -> Configured {
    if source.account_id.is_none() {
        let mend = "is missing; Telphin's webhooks do not name the account: give the id of the client".to_owned();
        section.problem("account_id", mend);
    }
    let api = api::configure(source, section);
    Configured { provider: Box::new(Telphin { region: source.region }), proves: false, signature_method: None, api }
}

impl Verifier for Telphin {
    fn signature(&self, _head: Head<'_, '_>) -> Result<Option<Signature<'_>>, AuthError> {
        Ok(None)
    }
}

impl Provider for Telphin {
    fn normalize<'r>(&self, request: &'r Verified<'r>, out: &mut dyn Sink<'r>) {
        let done = Form::read(request.request()).and_then(|form| match form.is_for_us() {
            true => self.publish(request, &form, out),
            false => Ok(()),
        });
        if let Err(fault) = done {
            out.fault(fault);
        }
    }
}

impl Telphin {
    /// Publishes the event and, where the leg counts, its record. Each of the two reads members of its
    /// own, because each leaves others over.
    fn publish<'r>(&self, request: &'r Verified<'r>, form: &Form<'r>, out: &mut dyn Sink<'r>) -> Result<(), Fault<'r>> {
        let account_id = request.proof().account_id.as_deref().unwrap_or_default();
        let members = form.members();
        let facts = Facts::read(&members, self.region)?;
        facts.unmapped.iter().for_each(|field| out.unmapped(field));
        let ending = facts.ending.filter(|ending| ending.gives_record);
        out.event(event::make(facts, members, account_id, request.request()));
        if let Some(ending) = ending {
            let members = form.members();
            let facts = Facts::read(&members, self.region)?;
            out.event(record::make(facts, ending, members, account_id, self.region));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
