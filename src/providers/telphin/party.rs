//! Who calls and who is called.

use crate::event::country;

use super::form::told;
use crate::event::address::{Address, AddressKind, AddressRules};
use crate::event::direction::Direction;
use crate::json::{Members, Text};

/// Extensions have up to five digits; a public number is longer.
const MAX_EXTENSION_DIGITS: usize = 5;

/// The parties of one leg.
#[derive(Debug)]
pub(super) struct Parties<'r> {
    pub(super) from: Address<'r>,
    pub(super) to: Address<'r>,
    pub(super) did: Option<Address<'r>>,
    /// The caller is told by `RemoteNumber`, so that `CallerIDNum` is who passed the call on.
    pub(super) is_passed_on: bool,
}

impl<'r> Parties<'r> {
    pub(super) fn read(members: &Members<'r>, region: Option<country::Id>) -> Self {
        let party = |name| told(members, name).map(|text| address(text, region));
        let remote = party("RemoteNumber");
        Self {
            is_passed_on: remote.is_some(),
            from: remote.or_else(|| caller(members, region)).unwrap_or_else(Address::unknown),
            to: party("CalledNumber").unwrap_or_else(Address::unknown),
            did: party("CalledDID"),
        }
    }

    /// The way the call goes: that of its leg, unless it never leaves the telephone system.
    pub(super) fn direction(&self, flow: Direction) -> Direction {
        let outside = self.did.is_some() || self.is_passed_on;
        match !outside && is_full_extension(&self.from) && is_full_extension(&self.to) {
            true => Direction::Internal,
            false => flow,
        }
    }
}

/// `CallerIDNum`, with the name that belongs to it.
pub(super) fn caller<'r>(members: &Members<'r>, region: Option<country::Id>) -> Option<Address<'r>> {
    let number = told(members, "CallerIDNum").map(|text| address(text, region));
    let name = told(members, "CallerIDName");
    if number.is_none() && name.is_none() {
        return None;
    }
    Some(Address { name, ..number.unwrap_or_else(Address::unknown) })
}

/// Reads a party. Digits without a `+` are an international number only where a configured region
/// reads them so.
pub(super) fn address<'r>(text: Text<'r>, region: Option<country::Id>) -> Address<'r> {
    let text: Text<'r> = match extension_of(&text) {
        Some(extension) => extension.to_owned().into(),
        None => text,
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && text.len() <= MAX_EXTENSION_DIGITS {
        return Address { kind: AddressKind::Extension, value: Some(text), ..Address::unknown() };
    }
    let mut address = Address::read(text, &AddressRules { call: true, region, ..AddressRules::default() });
    if digits {
        address.kind = AddressKind::Phone;
    }
    address
}

/// The `prefix*extension` in front of a domain, or by itself.
fn extension_of(text: &str) -> Option<&str> {
    let user = text.split_once('@').map_or(text, |(user, _)| user);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    user.split_once('*').is_some_and(|(prefix, extension)| digits(prefix) && digits(extension)).then_some(user)
}

fn is_full_extension(address: &Address<'_>) -> bool {
    address.value.as_deref().and_then(extension_of).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use AddressKind::{Anonymous, Extension, Phone, Sip, Unknown};

    fn read(text: &str, region: Option<country::Id>) -> (AddressKind, Option<String>, Option<String>) {
        let address = address(text.into(), region);
        (address.kind, address.value.map(Text::into_owned), address.e164.map(Text::into_owned))
    }

    #[test]
    fn numbers_and_extensions_are_told_apart() {
        for (text, kind, value, e164) in [
            ("12345*101", Extension, "12345*101", None),
            ("12345*101@sipproxy.telphin.ru", Extension, "12345*101", None),
            ("101", Extension, "101", None),
            ("12345", Extension, "12345", None),
            ("123456", Phone, "123456", None),
            ("447700900000", Phone, "447700900000", None),
            ("88001234567890123456", Phone, "88001234567890123456", None),
            ("+447700900000", Phone, "+447700900000", Some("+447700900000")),
            ("anonymous", Anonymous, "anonymous", None),
            ("ann@example.com", Sip, "ann@example.com", None),
            ("*101", Unknown, "*101", None),
            ("12345*101*2", Unknown, "12345*101*2", None),
            ("queue", Unknown, "queue", None),
        ] {
            assert_eq!(read(text, None), (kind, Some(value.to_owned()), e164.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn a_default_region_reads_numbers_and_no_extensions() {
        let british = Some(country::Id::GB);
        assert_eq!(read("02079460000", british).2.as_deref(), Some("+442079460000"));
        assert_eq!(read("101", british), (Extension, Some("101".to_owned()), None));
        assert_eq!(read("12345*101", british).0, Extension);
        assert_eq!(read("123456", british), (Phone, Some("123456".to_owned()), None));
    }

    #[test]
    fn the_name_stays_with_the_caller_id() {
        let members = |fields: &[(&'static str, &'static str)]| {
            Members::from_fields(fields.iter().map(|(name, value)| ((*name).into(), (*value).into())))
        };
        let told = members(&[("CallerIDNum", "101"), ("CallerIDName", "Ann"), ("RemoteNumber", "447700900000")]);
        let parties = Parties::read(&told, None);
        assert_eq!((parties.from.value.as_deref(), parties.from.name), (Some("447700900000"), None));
        let passed_on_by = caller(&told, None).unwrap();
        assert_eq!((passed_on_by.value.as_deref(), passed_on_by.name.as_deref()), (Some("101"), Some("Ann")));
        let parties = Parties::read(&members(&[("CallerIDName", "Ann")]), None);
        assert_eq!((parties.from.kind, parties.from.name.as_deref()), (Unknown, Some("Ann")));
    }

    #[test]
    fn a_call_is_internal_only_between_two_full_extensions() {
        for (from, to, did, remote, direction) in [
            ("12345*101", "12345*102", "", "", Direction::Internal),
            ("12345*101", "12345*102@sipproxy.telphin.ru", "", "", Direction::Internal),
            ("12345*101", "102", "", "", Direction::Inbound),
            ("12345*101", "447700900000", "", "", Direction::Inbound),
            ("12345*101", "12345*102", "442079460000", "", Direction::Inbound),
            ("12345*101", "12345*102", "", "447700900000", Direction::Inbound),
            ("12345*101", "", "", "", Direction::Inbound),
        ] {
            let fields = [("CallerIDNum", from), ("CalledNumber", to), ("CalledDID", did), ("RemoteNumber", remote)];
            let members = Members::from_fields(fields.map(|(name, value)| (name.into(), value.into())));
            let parties = Parties::read(&members, None);
            assert_eq!(parties.direction(Direction::Inbound), direction, "{from} {to} {did} {remote}");
        }
    }
}
