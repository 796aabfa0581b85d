//! National numbers, read as the people of a country write them.
//!
//! What a country's numbers look like comes from the metadata of libphonenumber, which the program holds.

use std::str::FromStr;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};

/// A country by its ISO 3166-1 code of two letters.
pub use rlibphonenumber::Region as Id;

/// A country whose numbers are known, read from its code in capitals or small letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known(pub Id);

/// The text is no code of a country whose numbers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no country whose numbers are known")]
pub struct Unknown;

impl FromStr for Known {
    type Err = Unknown;

    fn from_str(code: &str) -> Result<Self, Unknown> {
        let country = code.to_ascii_uppercase().parse().map_err(|_| Unknown)?;
        let is_known = PHONE_NUMBER_UTIL.get_supported_regions().any(|known| known == country);
        is_known.then_some(Self(country)).ok_or(Unknown)
    }
}

/// No number is written in more bytes than this, and no longer text reaches the library.
const MAX_BYTES: usize = 32;

/// Reads a number that is valid in the country and writes it as ITU-T E.164 does, `+` first. Letters are
/// never turned into digits.
pub fn international(text: &str, country: Id) -> Option<String> {
    let dialable = text.bytes().all(|byte| byte.is_ascii_digit() || b" -().".contains(&byte));
    if text.len() > MAX_BYTES || !dialable {
        return None;
    }
    let number = PHONE_NUMBER_UTIL.parse(text, Some(country)).ok()?;
    let is_valid = PHONE_NUMBER_UTIL.is_valid_number(&number);
    is_valid.then(|| PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned())
}

/// Loads what reading numbers of the country needs, so that the first webhook does not wait for it.
pub fn prepare(country: Id) {
    if let Ok(example) = PHONE_NUMBER_UTIL.get_example_number(country) {
        international(&PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::National), country);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// What another implementation of the same metadata reads: see `tests/fixtures/numbers/generate.py`.
    const TABLE: &str = include_str!("../../tests/fixtures/numbers/national.tsv");

    fn read(country: &str, text: &str) -> String {
        international(text, country.parse().unwrap()).unwrap_or_else(|| "-".to_owned())
    }

    #[test]
    fn numbers_of_every_country_are_read_as_another_implementation_reads_them() {
        let rows = TABLE.lines().map(|row| row.split('\t').collect::<Vec<_>>());
        let wrong: Vec<_> = rows.filter(|row| read(row[0], row[1]) != row[2]).collect();
        assert_eq!(wrong, Vec::<Vec<&str>>::new());
        assert!(TABLE.lines().count() > 2000);
    }

    #[test]
    fn an_area_code_may_begin_with_the_trunk_prefix() {
        for (country, text, number) in [
            ("RU", "88001234567", "+78001234567"),
            ("RU", "8 (831) 212-34-56", "+78312123456"),
            ("RU", "88622123456", "+78622123456"),
            ("RU", "8482123456", "+78482123456"),
            ("RU", "84951234567", "+74951234567"),
            ("BY", "88011236547", "+3758011236547"),
            ("LT", "80013457", "+37080013457"),
            ("KZ", "88001231560", "+78001231560"),
            ("TR", "05822113234", "+905822113234"),
            ("SG", "65230547", "+6565230547"),
            ("AR", "01109224867", "+541109224867"),
            ("VA", "3903042006", "+393903042006"),
        ] {
            assert_eq!(read(country, text), number, "{country} {text}");
        }
    }

    #[test]
    fn what_is_no_number_of_the_country_is_not_read() {
        let long = "0".repeat(40);
        for text in ["12", "0800FLOWERS", "", "+", long.as_str()] {
            assert_eq!(read("GB", text), "-", "{text}");
        }
    }

    #[test]
    fn only_countries_whose_numbers_are_known_are_read() {
        for code in ["GB", "gb", "RU", "VA"] {
            assert_eq!(code.parse(), Ok(Known(code.to_uppercase().parse().unwrap())));
        }
        for code in ["", "ZZ", "AQ", "GBR", "001", "é"] {
            assert_eq!(code.parse::<Known>(), Err(Unknown), "{code}");
        }
    }

    #[test]
    fn every_country_can_be_prepared() {
        let countries: HashSet<&str> = TABLE.lines().filter_map(|row| row.get(..2)).collect();
        countries.iter().map(|code| code.parse().unwrap()).for_each(prepare);
    }
}
