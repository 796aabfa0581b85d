//! From a request to its members, and to the product that it is of.

use super::shape::{self, Shape};
use super::{Fault, Sink, messages, sms, voice};
use crate::event::Event;
use crate::event::country;
use crate::event::time::Time;
use crate::json::{Members, Text};
use crate::providers::iso_time;
use crate::request::{MAX_FIELDS, RawRequest};
use crate::verify::Verified;

/// An event, and the fields whose word is in no map.
pub(super) type Mapping<'r> = Result<(Event<'r>, Vec<&'static str>), Fault<'r>>;

/// Normalises one authentic request.
pub(super) fn normalize<'r>(request: &'r Verified<'r>, region: Option<country::Id>, out: &mut dyn Sink<'r>) {
    match read(request.request()).and_then(|told| publish(told, request, region, out)) {
        Ok(()) => {}
        // What the body claims to be encoded with may be wrong, and then its bytes are the webhook.
        Err(_) if request.request().undecodable => out.fault(undecodable()),
        Err(fault) => out.fault(fault),
    }
}

fn publish<'r>(
    told: Told<'r>,
    request: &'r Verified<'r>,
    region: Option<country::Id>,
    out: &mut dyn Sink<'r>,
) -> Result<(), Fault<'r>> {
    let account_id = request.proof().account_id.as_deref().unwrap_or_default();
    let shape = shape::of(&told);
    let members = told.into_members();
    match shape {
        Shape::Message => deliver(messages::map(members, region, account_id)?, out),
        Shape::Sms => deliver(sms::map(members, region, account_id)?, out),
        Shape::CallEvent => voice::publish(members, request, region, out)?,
        Shape::CallToAnswer => voice::answer(out),
        Shape::Unknown => return Err(Fault::of_request("unknown_shape", shape::description(&members))),
    }
    Ok(())
}

/// Hands an event over, and counts the words that are in no map.
pub(super) fn deliver<'r>((event, unmapped): (Event<'r>, Vec<&'static str>), out: &mut dyn Sink<'r>) {
    unmapped.into_iter().for_each(|field| out.unmapped(field));
    out.event(event);
}

fn undecodable<'r>() -> Fault<'r> {
    Fault::of_request("undecodable_body", "the body's Content-Encoding could not be undone")
}

/// Vonage's documentation writes all times in UTC, a few of them without saying so.
pub(super) fn time(text: Text<'_>) -> Option<Time> {
    iso_time(text.clone()).or_else(|| Time::parse_utc_without_zone(&text))
}

/// What a request tells, and how.
pub(super) enum Told<'r> {
    /// The members of a JSON object.
    Json(Members<'r>),
    /// The parameters of a form, or of a query where there is no body.
    Fields(Members<'r>),
}

impl<'r> Told<'r> {
    /// Its members, whatever it is told by.
    pub(super) fn members(&self) -> &Members<'r> {
        let (Self::Json(members) | Self::Fields(members)) = self;
        members
    }

    /// Whatever it is told by.
    pub(super) fn into_members(self) -> Members<'r> {
        let (Self::Json(members) | Self::Fields(members)) = self;
        members
    }
}

/// Reads a request, whatever its media type says.
pub(super) fn read<'r>(request: &'r RawRequest<'r>) -> Result<Told<'r>, Fault<'r>> {
    if request.body.is_empty() {
        return fields(request.query_fields());
    }
    if is_form(request.body) {
        return fields(request.form_fields());
    }
    let text =
        std::str::from_utf8(request.body).map_err(|_| Fault::of_request("invalid_utf8", "the body is not UTF-8"))?;
    Members::parse(text).map(Told::Json).map_err(|error| {
        let place = format!("the body is not one JSON object (line {}, column {})", error.line(), error.column());
        Fault::of_request("invalid_json", place)
    })
}

/// Whether a body is a form: it begins as no JSON does, and has a parameter.
fn is_form(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    !matches!(body.first(), Some(b'{' | b'[' | b'"')) && body.contains(&b'=')
}

fn fields<'r>(fields: impl Iterator<Item = (&'r str, &'r str)>) -> Result<Told<'r>, Fault<'r>> {
    let fields: Vec<_> = fields.map(|(name, value)| (Text::Borrowed(name), Text::Borrowed(value))).collect();
    match fields.len() {
        0 => Err(Fault::of_request("unknown_shape", "neither the body nor the query holds anything")),
        1..=MAX_FIELDS => Ok(Told::Fields(Members::from_fields(fields))),
        _ => Err(Fault::of_request("too_many_fields", "more than 4096 parameters")),
    }
}
