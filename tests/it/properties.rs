//! What must hold of the small parts for any text at all.

use proptest::prelude::*;
use trunkline::event::address::{Address, AddressKind, AddressRules};
use trunkline::event::country;
use trunkline::event::money;
use trunkline::event::network::Network;
use trunkline::event::time::Time;

/// Any text, and text that is nearly right.
fn texts(nearly: &'static str) -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,40}", nearly]
}

fn any_rules() -> impl Strategy<Value = AddressRules> {
    (any::<[bool; 6]>(), any::<bool>()).prop_map(
        |([international_digits, message_sender, message_person, user_ids, email, call], region)| AddressRules {
            international_digits,
            message_sender,
            message_person,
            user_ids,
            email,
            call,
            region: region.then_some(country::Id::GB),
        },
    )
}

fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').map_or_else(|| digits(text), |(whole, fraction)| digits(whole) && digits(fraction))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_time_that_is_read_prints_as_rfc_3339_in_utc_and_reads_back(
        text in texts("[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:?[0-5][0-9])?"),
    ) {
        for time in [Time::parse_iso(&text), Time::parse_utc_without_zone(&text)].into_iter().flatten() {
            let printed = time.to_string();
            let (_, fraction) = printed.strip_suffix('Z').unwrap().split_once('.').unwrap_or(("", "1"));
            prop_assert!(printed.as_bytes()[4] == b'-' && !fraction.ends_with('0') && fraction.len() <= 6, "{printed}");
            prop_assert_eq!(Time::parse_iso(&printed), Some(time));
        }
    }

    #[test]
    fn microseconds_of_any_size_are_a_printable_time_or_none(microseconds in any::<i64>()) {
        if let Some(time) = Time::from_unix_us(microseconds) {
            prop_assert_eq!(Time::parse_iso(&time.to_string()), Some(time));
            prop_assert_eq!(time.unix_ms(), microseconds / 1000);
        }
    }

    #[test]
    fn an_amount_that_is_read_is_positive_decimal_text_and_reads_back(
        text in texts("-?[0-9]{1,12}(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?"),
    ) {
        if let Some(amount) = money::amount(text.as_str().into()) {
            prop_assert!(is_decimal(&amount), "{text} {amount}");
            prop_assert_eq!(money::amount(amount.clone()), Some(amount.clone()));
            prop_assert!(is_decimal(money::canonical(&amount)), "{amount}");
        }
    }

    #[test]
    fn an_address_keeps_its_text_and_claims_e164_only_for_what_is(
        text in texts("[+]?[0-9 *@a-z.-]{1,18}"),
        rules in any_rules(),
    ) {
        let address = Address::read(text.as_str().into(), &rules);
        prop_assert_eq!(address.value.as_deref(), Some(text.as_str()));
        prop_assert_eq!(address.e164.is_some(), address.kind == AddressKind::Phone);
        prop_assert!(address.e164.iter().all(|number| is_e164(number)), "{:?}", address.e164);
        prop_assert!(!rules.user_ids || address.e164.is_none());
    }

    #[test]
    fn network_codes_are_split_without_losing_a_digit(text in texts("[0-9]{4,7}")) {
        if let Some(network) = Network::from_mccmnc(&text) {
            prop_assert_eq!(format!("{}{}", network.mcc.unwrap(), network.mnc.unwrap()), text.trim());
        }
    }
}
