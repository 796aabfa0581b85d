//! Mobile networks by ITU-T E.212 codes.

use serde::Serialize;

use crate::json::Text;

/// The network of the party outside the account. Codes are text, since their leading zeros count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Network<'a> {
    /// Mobile country code, three digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcc: Option<Text<'a>>,
    /// Mobile network code, two or three digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mnc: Option<Text<'a>>,
    /// The provider's name of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<'a>>,
    /// ISO 3166-1 alpha-2 code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Text<'a>>,
}

impl<'a> Network<'a> {
    /// Reads what a provider writes for a network's code: a joined MCC and MNC, or the name of a network that has no
    /// code, such as `US-TOLL-FREE`.
    pub fn from_code(text: Text<'a>) -> Option<Self> {
        let is_name = text.chars().any(char::is_alphabetic);
        let named = || Self { name: Some(text.clone()), ..Self::default() };
        Self::from_mccmnc(&text).or_else(|| is_name.then(named))
    }

    /// Splits a joined MCC and MNC, five or six digits, after the third.
    pub fn from_mccmnc(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = matches!(text.len(), 5 | 6) && text.bytes().all(|byte| byte.is_ascii_digit());
        let (mcc, mnc) = digits.then(|| text.split_at(3))?;
        Some(Self { mcc: Some(mcc.to_owned().into()), mnc: Some(mnc.to_owned().into()), ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_is_a_name_is_the_name() {
        assert_eq!(Network::from_code("23410".into()), Network::from_mccmnc("23410"));
        let named = Network::from_code("US-TOLL-FREE".into()).unwrap();
        assert_eq!((named.name.as_deref(), named.mcc), (Some("US-TOLL-FREE"), None));
        for text in ["2341", "", "-", "23 10"] {
            assert_eq!(Network::from_code(text.into()), None, "{text}");
        }
    }

    #[test]
    fn joined_codes_are_split_after_three_digits_and_keep_zeros() {
        let network = Network::from_mccmnc("23410").unwrap();
        assert_eq!((network.mcc.as_deref(), network.mnc.as_deref()), (Some("234"), Some("10")));
        let network = Network::from_mccmnc("310004").unwrap();
        assert_eq!(network.mnc.as_deref(), Some("004"));
        for text in ["2341", "GB-FIXED", "2341000", "", "23 10"] {
            assert_eq!(Network::from_mccmnc(text), None, "{text}");
        }
    }
}
