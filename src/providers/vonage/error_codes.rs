//! The error catalogue of the Messages API in normalised terms.
//!
//! Source: Vonage, "Messages API errors" and the `x-errors` list of the Messages OpenAPI document.

use crate::json::Text;
use crate::json::number::whole;

/// A normalised cause, and whether trying again is pointless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) category: &'static str,
    pub(super) permanent: Option<bool>,
}

/// A code that is a number, which programs write as text and as a number of any spelling.
pub(super) fn number<'t>(text: &str) -> Option<Text<'t>> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Text::Owned(text.to_owned()));
    }
    whole::<u32>(text).map(|code| Text::Owned(code.to_string()))
}

/// The code says that the message's time to live was over.
pub(super) fn is_expiry(code: &str) -> bool {
    matches!(code.trim(), "1130" | "1360")
}

/// Looks a code up; any other is `unknown`, and its number is published beside it.
pub(super) fn cause(code: &str) -> Cause {
    let number: u16 = code.trim().parse().unwrap_or(0);
    let (category, permanent) = match number {
        1000 | 1460 | 1461 => ("throttled", Some(false)),
        1010
        | 1020..=1022
        | 1040
        | 1090
        | 1140
        | 1150
        | 1310
        | 1320
        | 1400
        | 1410
        | 1420
        | 1430
        | 1440
        | 1450
        | 1451 => ("content_rejected", Some(true)),
        1030 | 1331 => ("provider_error", Some(false)),
        1050 => ("barred", Some(true)),
        1060 | 1080 | 1370 => ("authentication", Some(true)),
        1070 | 1290 | 1350 => ("insufficient_funds", Some(false)),
        1100 | 1230 => ("network_error", Some(false)),
        1120 | 1160 | 1380..=1382 => ("sender_not_allowed", Some(true)),
        1130 | 1360 => ("expired", Some(true)),
        1170 | 1300 => ("invalid_destination", Some(true)),
        1180 | 1220 => ("unreachable_temporary", Some(false)),
        1190 | 1200 => ("unreachable_permanent", Some(true)),
        1210 | 1470 | 1472 | 1473 => ("spam_filtered", None),
        1240 | 1241 => ("opted_out", Some(true)),
        1250 | 1251 | 1260 => ("unroutable", None),
        1270 | 1340 | 1480..=1484 => ("regulation", Some(true)),
        1280 | 1282 => ("blocked_by_carrier", Some(true)),
        _ => ("unknown", None),
    };
    Cause { category, permanent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_category_and_permanence() {
        for (code, category, permanent) in [
            ("1000", "throttled", Some(false)),
            ("1022", "content_rejected", Some(true)),
            ("1300", "invalid_destination", Some(true)),
            ("1220", "unreachable_temporary", Some(false)),
            ("1470", "spam_filtered", None),
            ("1484", "regulation", Some(true)),
            ("1330", "unknown", None),
            ("1023", "unknown", None),
            ("9999", "unknown", None),
            ("not a number", "unknown", None),
        ] {
            assert_eq!(cause(code), Cause { category, permanent }, "{code}");
        }
    }
}
