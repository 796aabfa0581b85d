//! The error catalogue of the Messages API in normalised terms.
//!
//! Source: Vonage, "Messages API errors" and the `x-errors` list of the Messages OpenAPI document.

use crate::event::message::ErrorCategory;
use crate::json::Text;
use crate::json::number::whole;

/// A normalised cause, and whether trying again is pointless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) category: ErrorCategory,
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
        1000 | 1460 | 1461 => (ErrorCategory::Throttled, Some(false)),
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
        | 1451 => (ErrorCategory::ContentRejected, Some(true)),
        1030 | 1331 => (ErrorCategory::ProviderError, Some(false)),
        1050 => (ErrorCategory::Barred, Some(true)),
        1060 | 1080 | 1370 => (ErrorCategory::Authentication, Some(true)),
        1070 | 1290 | 1350 => (ErrorCategory::InsufficientFunds, Some(false)),
        1100 | 1230 => (ErrorCategory::NetworkError, Some(false)),
        1120 | 1160 | 1380..=1382 => (ErrorCategory::SenderNotAllowed, Some(true)),
        1130 | 1360 => (ErrorCategory::Expired, Some(true)),
        1170 | 1300 => (ErrorCategory::InvalidDestination, Some(true)),
        1180 | 1220 => (ErrorCategory::UnreachableTemporary, Some(false)),
        1190 | 1200 => (ErrorCategory::UnreachablePermanent, Some(true)),
        1210 | 1470 | 1472 | 1473 => (ErrorCategory::SpamFiltered, None),
        1240 | 1241 => (ErrorCategory::OptedOut, Some(true)),
        1250 | 1251 | 1260 => (ErrorCategory::Unroutable, None),
        1270 | 1340 | 1480..=1484 => (ErrorCategory::Regulation, Some(true)),
        1280 | 1282 => (ErrorCategory::BlockedByCarrier, Some(true)),
        _ => (ErrorCategory::Unknown, None),
    };
    Cause { category, permanent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_category_and_permanence() {
        for (code, category, permanent) in [
            ("1000", ErrorCategory::Throttled, Some(false)),
            ("1022", ErrorCategory::ContentRejected, Some(true)),
            ("1300", ErrorCategory::InvalidDestination, Some(true)),
            ("1220", ErrorCategory::UnreachableTemporary, Some(false)),
            ("1470", ErrorCategory::SpamFiltered, None),
            ("1484", ErrorCategory::Regulation, Some(true)),
            ("1330", ErrorCategory::Unknown, None),
            ("1023", ErrorCategory::Unknown, None),
            ("9999", ErrorCategory::Unknown, None),
            ("not a number", ErrorCategory::Unknown, None),
        ] {
            assert_eq!(cause(code), Cause { category, permanent }, "{code}");
        }
    }
}
