//! Money as decimal text. No amount ever passes through a float.

use std::borrow::Cow;

use serde::Serialize;

use crate::json::Text;

/// A charge. The sign is made positive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Money<'a> {
    /// Decimal digits with an optional fraction, exact to the last digit that the provider wrote.
    pub amount: Text<'a>,
    /// ISO 4217 code, or `null` where the provider names none.
    pub currency: Option<Text<'a>>,
    /// Whether the currency comes from the provider's documentation instead of the message.
    pub currency_assumed: bool,
    /// What the amount covers.
    pub scope: PriceScope,
}

/// What an amount of money covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceScope {
    /// The whole message or call.
    Total,
    /// One part of a concatenated message.
    PerPart,
    /// One minute of a call.
    PerMinute,
}

/// An exponent beyond this is not a price; expanding it would let a short text grow without bound.
const MAX_EXPONENT: i32 = 30;

/// No price needs more digits; longer text is not read as one.
const MAX_AMOUNT_CHARS: usize = 64;

/// Reads an amount, `-?digits[.digits]` or a JSON number with an exponent, as positive decimal text.
pub fn amount(text: Text<'_>) -> Option<Text<'_>> {
    if text.len() > MAX_AMOUNT_CHARS {
        return None;
    }
    let unsigned = trimmed(text);
    if is_decimal(&unsigned) {
        return Some(unsigned);
    }
    expand_exponent(&unsigned).map(Cow::Owned)
}

/// Reads an ISO 4217 code, whatever its case.
pub fn currency(text: Text<'_>) -> Option<Text<'_>> {
    let code = text.trim();
    let valid = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    match valid {
        true if code == text && !code.bytes().any(|byte| byte.is_ascii_lowercase()) => Some(text),
        true => Some(Cow::Owned(code.to_ascii_uppercase())),
        false => None,
    }
}

/// The amount without meaningless trailing zeros, as identities compare it.
pub fn canonical(amount: &str) -> &str {
    match amount.contains('.') {
        true => amount.trim_end_matches('0').trim_end_matches('.'),
        false => amount,
    }
}

fn trimmed(text: Text<'_>) -> Text<'_> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(strip_sign(text)),
        Cow::Owned(text) => Cow::Owned(strip_sign(&text).to_owned()),
    }
}

fn strip_sign(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('-').unwrap_or(text)
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    all_digits(whole) && all_digits(fraction)
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Writes `3.33E-2` as `0.0333`, digit by digit.
fn expand_exponent(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let exponent: i32 = exponent.parse().ok().filter(|value: &i32| value.abs() <= MAX_EXPONENT)?;
    if !is_decimal(mantissa) {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()? + exponent;
    Some(place_point(&digits, point))
}

fn place_point(digits: &str, point: i32) -> String {
    let Ok(point) = usize::try_from(point) else {
        let zeros = "0".repeat(usize::try_from(-i64::from(point)).unwrap_or(0));
        return format!("0.{zeros}{digits}");
    };
    if point >= digits.len() {
        let padded = format!("{digits}{}", "0".repeat(point - digits.len()));
        let significant = padded.trim_start_matches('0');
        return if significant.is_empty() { "0".to_owned() } else { significant.to_owned() };
    }
    let (whole, fraction) = digits.split_at(point);
    format!("{}.{fraction}", if whole.is_empty() { "0" } else { whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_every_digit_and_lose_the_sign() {
        for (text, read) in [
            ("0.03330000", Some("0.03330000")),
            ("-0.0333", Some("0.0333")),
            ("0", Some("0")),
            (" 12 ", Some("12")),
            ("3.33E-2", Some("0.0333")),
            ("333e-4", Some("0.0333")),
            ("1e3", Some("1000")),
            ("1.5e1", Some("15")),
            ("0e2", Some("0")),
            ("12.345e1", Some("123.45")),
            ("1e400", None),
            ("1.", None),
            (".5", None),
            ("1,5", None),
            ("EUR 1", None),
            ("", None),
            ("--1", None),
        ] {
            assert_eq!(amount(Cow::Borrowed(text)).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn canonical_amounts_have_no_trailing_zeros() {
        for (text, trimmed) in [("0.03330000", "0.0333"), ("0.00", "0"), ("100", "100"), ("1.0", "1"), ("0", "0")] {
            assert_eq!(canonical(text), trimmed);
        }
    }

    #[test]
    fn currencies_are_three_letters() {
        assert_eq!(currency(Cow::Borrowed("eur")).as_deref(), Some("EUR"));
        assert_eq!(currency(Cow::Borrowed("EURO")), None);
    }
}
