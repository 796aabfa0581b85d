//! The SMS API: delivery receipts and inbound messages, by GET, as a form or as JSON.
//!
//! The account's setting chooses one of the three for all of them. Whether they are signed is another setting, which
//! Vonage's support switches on; the signature is then one of the parameters.

pub(super) mod signature;

use crate::json::{Members, Text, Value, string_of};
use crate::request::RawRequest;
use crate::verify::{AuthError, Covered, Proof, Verification};

use super::Vonage;

/// A receipt has a dozen parameters, and the longest text of a message is some ten thousand characters.
pub(super) const MAX_BYTES: usize = 64 * 1024;

const SIGNATURE: &str = "sig";
const ACCOUNT: &str = "api-key";

/// The parameters of a request: the query of one without a body, else the members of a JSON object or the fields of a
/// form, whatever the media type says. `None` where there are none, or more than a request may have.
pub(super) fn parameters<'r>(request: &'r RawRequest<'r>) -> Option<Members<'r>> {
    if request.body.is_empty() {
        return from_fields(request.query_fields());
    }
    match std::str::from_utf8(request.body).ok().map(str::trim_start) {
        Some(text) if text.trim_start_matches('\u{feff}').starts_with(['{', '[']) => Members::parse(text).ok(),
        _ => from_fields(request.form_fields()),
    }
}

fn from_fields<'r>(fields: impl Iterator<Item = (&'r str, &'r str)>) -> Option<Members<'r>> {
    let fields: Vec<_> = fields.map(|(name, value)| (Text::Borrowed(name), Text::Borrowed(value))).collect();
    (!fields.is_empty() && fields.len() <= crate::request::MAX_FIELDS).then(|| Members::from_fields(fields))
}

/// Checks the signature of a request that has one.
pub(super) fn check(vonage: &Vonage, request: &RawRequest<'_>) -> Result<Option<Proof>, AuthError> {
    let Some(members) = parameters(request) else { return Ok(None) };
    let Some(sig) = members.text(SIGNATURE) else { return Ok(None) };
    let others = members.iter().filter(|member| member.name != SIGNATURE);
    let signed: Vec<_> = others.map(|member| (member.name.clone(), as_signed(&member.value))).collect();
    let secret_index = vonage.sms_keys.find(&signed, &sig).ok_or(AuthError::WrongSignature)?;
    let account_id = members.text(ACCOUNT);
    if vonage.account_id.is_some() && account_id.is_some() && vonage.account_id.as_deref() != account_id.as_deref() {
        return Err(AuthError::WrongAccount);
    }
    let signed_at_s = members.read("timestamp", |text| text.trim().parse().ok()).ok_or(AuthError::Stale)?;
    vonage.sms_window.check(signed_at_s, request.received_at)?;
    Ok(Some(Proof {
        verification: Verification::Signed,
        scheme: format!("vonage-sig-{}", vonage.sms_keys.method()).into(),
        secret_index: Some(secret_index),
        account_id: account_id.map(Text::into_owned),
        covered: Covered::Parameters(signed.into_iter().map(|(name, _)| name.into_owned()).collect()),
    }))
}

/// The text that a parameter is signed as: the clients of the vendor take JSON's `null` for an empty one.
fn as_signed<'r>(value: &Value<'r>) -> Text<'r> {
    match value {
        Value::Field(text) => text.clone(),
        Value::Json(raw) if raw.get() == "null" => "".into(),
        Value::Json(raw) => string_of(raw).unwrap_or(Text::Borrowed(raw.get())),
    }
}
