//! The SMS API: delivery receipts and inbound messages, by GET, as a form or as JSON.
//!
//! The account's setting chooses one of the three for all of them. Whether they are signed is another setting, which
//! Vonage's support switches on; the signature is then one of the parameters.

mod mapping;
pub(super) mod signature;

pub(super) use mapping::{cause, map};

use crate::json::{Text, Value, string_of};
use crate::request::RawRequest;
use crate::verify::{AuthError, Covered, Proof, Verification};

use super::webhook::{self, Told};
use super::{Vonage, shape};

/// A receipt has a dozen parameters, and the longest text of a message is some ten thousand characters.
pub(super) const MAX_BYTES: usize = 64 * 1024;

const SIGNATURE: &str = "sig";
const ACCOUNT: &str = "api-key";

/// Checks the signature of a request that has one.
pub(super) fn check(vonage: &Vonage, request: &RawRequest<'_>) -> Result<Option<Proof>, AuthError> {
    let Ok(members) = webhook::read(request).map(Told::into_members) else { return Ok(None) };
    let account_id = members.text_or_number(ACCOUNT).filter(|_| shape::is_of_sms(&members));
    // Two can not both be meant, and the other one would be a parameter that nobody signed.
    if members.iter().filter(|member| member.name == SIGNATURE).count() > 1 {
        return Err(AuthError::MalformedSignature);
    }
    let Some(sig) = members.text(SIGNATURE) else { return check_account(vonage, account_id.as_deref()).map(|()| None) };
    let others = members.iter().filter(|member| member.name != SIGNATURE);
    let signed: Vec<_> = others.map(|member| (member.name.clone(), as_signed(&member.value))).collect();
    let secret_index = vonage.sms_keys.find(&signed, &sig).ok_or(AuthError::WrongSignature)?;
    check_account(vonage, account_id.as_deref())?;
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

/// An account that the parameters name has to be the configured one.
fn check_account(vonage: &Vonage, told: Option<&str>) -> Result<(), AuthError> {
    match (vonage.account_id.as_deref(), told) {
        (Some(configured), Some(told)) if configured != told => Err(AuthError::WrongAccount),
        _ => Ok(()),
    }
}

/// The text that a parameter is signed as: the clients of the vendor take JSON's `null` for an empty one.
fn as_signed<'r>(value: &Value<'r>) -> Text<'r> {
    match value {
        Value::Field(text) => text.clone(),
        Value::Json(raw) if raw.get() == "null" => "".into(),
        Value::Json(raw) => string_of(raw).unwrap_or(Text::Borrowed(raw.get())),
    }
}
