//! The JWT in `Authorization: Bearer` and its claims.
//!
//! Source: Vonage, "Webhooks" concept page. `iat`, `iss`, `payload_hash` and `api_key` are demanded;
//! `exp` and `nbf` are never sent, and honoured if they are.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Vonage;
use crate::event::time::Time;
use crate::json::JsonText;
use crate::request::{Head, Method, RawRequest};
use crate::verify::{AuthError, Covered, Proof, Signature, Verification};

const ISSUER: &str = "Vonage";

#[derive(Debug, Deserialize)]
struct Claims<'t> {
    #[serde(borrow)]
    iss: Option<JsonText<'t>>,
    iat: Option<Seconds>,
    exp: Option<Seconds>,
    nbf: Option<Seconds>,
    #[serde(borrow)]
    payload_hash: Option<JsonText<'t>>,
    #[serde(borrow)]
    api_key: Option<JsonText<'t>>,
    #[serde(borrow)]
    application_id: Option<JsonText<'t>>,
}

/// A NumericDate (RFC 7519 section 2): a number, perhaps with a fraction. Any other type makes the
/// claims unreadable, so that a wrong type can not switch a check off.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(from = "f64")]
struct Seconds(i64);

impl From<f64> for Seconds {
    #[expect(clippy::cast_possible_truncation, reason = "a cast from float to integer saturates")]
    fn from(seconds: f64) -> Self {
        Self(seconds.floor() as i64)
    }
}

/// Checks the token of a head, if it carries one. Everything but what it says of the body is decided here.
pub(super) fn check(vonage: &Vonage, head: Head<'_, '_>) -> Result<Option<Signature<'static>>, AuthError> {
    let Some(token) = bearer(head)? else { return Ok(None) };
    let token = vonage.keys.verify(token)?;
    let claims: Claims<'_> = token.claims()?;
    if claims.iss.as_deref() != Some(ISSUER) {
        return Err(AuthError::WrongIssuer);
    }
    check_parties(&claims, vonage)?;
    check_times(&claims, vonage, head.received_at())?;
    let payload_hash = claims.payload_hash.map(|hash| hash.0.into_owned());
    let account_id = claims.api_key.map(|key| key.0.into_owned());
    let secret_index = Some(token.secret_index);
    Ok(Some(Signature::in_head(move |request| {
        let verification = payload_coverage(payload_hash.as_deref(), request)?;
        let covered = if verification == Verification::Signed { Covered::Body } else { Covered::Nothing };
        Ok(Proof { verification, scheme: "vonage-jwt".into(), secret_index, account_id, covered })
    })))
}

/// The token, if there is an `Authorization` header of the scheme `Bearer`, whatever its case. Other
/// schemes are no signature of Vonage's. Two headers can not both be meant.
fn bearer<'r>(head: Head<'_, 'r>) -> Result<Option<&'r str>, AuthError> {
    let mut values = head.headers().all("authorization");
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthError::MalformedSignature);
    }
    let value = std::str::from_utf8(value).map_err(|_| AuthError::MalformedSignature)?.trim();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(Some(token.trim())),
        false => Ok(None),
    }
}

fn check_times(claims: &Claims<'_>, vonage: &Vonage, now: Time) -> Result<(), AuthError> {
    let issued_at = claims.iat.ok_or(AuthError::Stale)?;
    vonage.window.check(issued_at.0, now)?;
    if claims.exp.is_some_and(|exp| exp.0 <= now.unix_seconds()) {
        return Err(AuthError::Stale);
    }
    let ahead_s = i64::from(vonage.window.max_ahead_s);
    match claims.nbf {
        Some(nbf) if nbf.0 > now.unix_seconds().saturating_add(ahead_s) => Err(AuthError::FromTheFuture),
        _ => Ok(()),
    }
}

fn check_parties(claims: &Claims<'_>, vonage: &Vonage) -> Result<(), AuthError> {
    let api_key = claims.api_key.as_deref().filter(|key| !key.is_empty()).ok_or(AuthError::WrongAccount)?;
    if vonage.account_id.as_deref().is_some_and(|account| account != api_key) {
        return Err(AuthError::WrongAccount);
    }
    let allowed = &vonage.application_ids;
    match &claims.application_id {
        Some(id) if !allowed.is_empty() && !allowed.iter().any(|known| known.eq_ignore_ascii_case(id)) => {
            Err(AuthError::WrongApplication)
        }
        _ => Ok(()),
    }
}

/// How much of the request the token covers. What a request says must be covered, in its body or, of a GET,
/// in its query: otherwise a captured token would vouch for anything. A body whose encoding could not be undone is
/// covered as it came.
fn payload_coverage(claimed: Option<&str>, request: &RawRequest<'_>) -> Result<Verification, AuthError> {
    let covers_all = |hash: &str| match request.method == Method::Get && request.body.is_empty() {
        true => covers_query(hash, request.query),
        false => hash_matches(hash, request.body),
    };
    match claimed {
        Some(hash) if covers_all(hash) => Ok(Verification::Signed),
        None if request.body.is_empty() && request.query.is_empty() => Ok(Verification::SignedPartial),
        Some(_) | None => Err(AuthError::BodyMismatch),
    }
}

/// The documentation says that the query is hashed as a JSON object. No example of it is published, so that
/// its plain text counts too; either covers all of it.
fn covers_query(hash: &str, query: &str) -> bool {
    let as_json = query_as_json(query).is_some_and(|json| hash_matches(hash, json.as_bytes()));
    as_json || hash_matches(hash, query.as_bytes())
}

fn hash_matches(claimed_hex: &str, payload: &[u8]) -> bool {
    let mut computed = [0_u8; 64];
    let fits = hex::encode_to_slice(Sha256::digest(payload), &mut computed).is_ok();
    // Digits may be of either case; comparing takes the same time for any text of this length.
    fits && bool::from(claimed_hex.to_ascii_lowercase().as_bytes().ct_eq(&computed))
}

/// The query's parameters as a compact JSON object, in the order received. An object holds one value of each name, so
/// that it says nothing of a parameter that is repeated: such a query has none.
fn query_as_json(query: &str) -> Option<String> {
    let mut members = serde_json::Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if members.insert(name.into_owned(), value.into_owned().into()).is_some() {
            return None;
        }
    }
    Some(serde_json::Value::Object(members).to_string())
}

#[cfg(test)]
mod tests;
