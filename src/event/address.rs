//! Addresses: phone numbers, sender names and ids of the parties.

use serde::Serialize;

use super::{country, digits};
use crate::json::Text;

/// One party of a message or call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Address<'a> {
    /// What sort of address this is.
    pub kind: AddressKind,
    /// The number as ITU-T E.164 writes it, `+` first; only when that reading is certain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e164: Option<Text<'a>>,
    /// The address as received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Text<'a>>,
    /// Display name of the party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<'a>>,
    /// Keyed hash that replaces the number, `h1:` and 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Masked number that replaces the number, such as `+44******0000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masked: Option<String>,
}

/// The sorts of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressKind {
    /// A phone number; with `e164` where that reading is certain.
    Phone,
    /// A sender name such as `AcmeInc`.
    Alphanumeric,
    /// Three to six digits that address a service.
    ShortCode,
    /// An extension of a telephone system.
    Extension,
    /// A SIP address.
    Sip,
    /// An e-mail address.
    Email,
    /// An id of a user or page on a messaging channel.
    UserId,
    /// Withheld by the calling party.
    Anonymous,
    /// Anything else, or not told.
    Unknown,
}

/// What a provider's documentation says of an address in one place of one message.
#[derive(Debug, Clone, Copy, Default)]
pub struct AddressRules {
    /// Bare digits here are documented as international.
    pub international_digits: bool,
    /// The address is our own side of a message, where letters are a sender name.
    pub message_sender: bool,
    /// The address is somebody else's side of a message, where letters are the id of a user.
    pub message_person: bool,
    /// What is not a number here is an id of a user of the channel.
    pub user_ids: bool,
    /// The address belongs to an e-mail.
    pub email: bool,
    /// The address belongs to a call.
    pub call: bool,
    /// Region in which to read national numbers, from the configuration.
    pub region: Option<country::Id>,
}

impl<'a> Address<'a> {
    /// A party that must be there and is not told.
    pub fn unknown() -> Self {
        Self::of(AddressKind::Unknown, None)
    }

    /// An id of a user of a messaging channel.
    pub fn user_id(value: Text<'a>) -> Self {
        Self::of(AddressKind::UserId, Some(value))
    }

    /// Reads an address by the rules of its place. Never guesses from length alone.
    pub fn read(value: Text<'a>, rules: &AddressRules) -> Self {
        if let Some(e164) = e164(&value, rules) {
            let mut address = Self::of(AddressKind::Phone, Some(value));
            address.e164 = Some(e164.into());
            return address;
        }
        Self::of(kind_of(value.trim(), rules), Some(value))
    }

    fn of(kind: AddressKind, value: Option<Text<'a>>) -> Self {
        Self { kind, e164: None, value, name: None, hash: None, masked: None }
    }
}

/// A number as it is masked and hashed: as ITU-T E.164 writes it where that is known, else as its digits. What
/// is no number stays as it is.
pub fn canonical(text: &str, international_digits: bool, region: Option<country::Id>) -> Text<'_> {
    let text = text.trim();
    let Some(number) = digits::of_number(text) else { return text.into() };
    let rules = AddressRules { international_digits, region, ..AddressRules::default() };
    e164(&number, &rules).unwrap_or(number).into()
}

fn kind_of(text: &str, rules: &AddressRules) -> AddressKind {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let withheld = ["anonymous", "restricted", "private", "unavailable"];
    if rules.email && text.contains('@') {
        AddressKind::Email
    } else if rules.user_ids {
        AddressKind::UserId
    } else if withheld.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        AddressKind::Anonymous
    } else if digits && rules.international_digits && (3..=6).contains(&text.len()) {
        AddressKind::ShortCode
    } else if rules.call && is_sip(text) {
        AddressKind::Sip
    } else if is_extension(text) {
        AddressKind::Extension
    } else if rules.message_sender && text.chars().any(char::is_alphabetic) {
        AddressKind::Alphanumeric
    } else if rules.message_person && text.chars().any(char::is_alphabetic) {
        AddressKind::UserId
    } else {
        AddressKind::Unknown
    }
}

fn is_sip(text: &str) -> bool {
    let scheme = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("sip:"));
    scheme || text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
}

/// `prefix*ext`, as hosted telephone systems write an extension.
fn is_extension(text: &str) -> bool {
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('*').is_some_and(|(prefix, extension)| all_digits(prefix) && all_digits(extension))
}

fn e164(value: &str, rules: &AddressRules) -> Option<String> {
    let text = value.trim();
    if rules.user_ids {
        return None;
    }
    match text.strip_prefix('+') {
        Some(digits) => is_international(digits).then(|| text.to_owned()),
        None if rules.international_digits && is_international(text) => Some(format!("+{text}")),
        None => country::international(text, rules.region?),
    }
}

/// Seven to fifteen digits (ITU-T E.164), the first of which is never zero.
fn is_international(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    (7..=15).contains(&bytes.len()) && bytes[0] != b'0' && bytes.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, rules: AddressRules) -> (AddressKind, Option<String>) {
        let address = Address::read(text.into(), &rules);
        assert_eq!(address.value.as_deref(), Some(text));
        (address.kind, address.e164.map(Text::into_owned))
    }

    fn sms_sender() -> AddressRules {
        AddressRules { international_digits: true, message_sender: true, ..AddressRules::default() }
    }

    #[test]
    fn numbers_are_e164_only_when_that_is_certain() {
        let phone = |text: &str| (AddressKind::Phone, Some(text.to_owned()));
        assert_eq!(read("447700900000", sms_sender()), phone("+447700900000"));
        assert_eq!(read("+447700900000", AddressRules::default()), phone("+447700900000"));
        assert_eq!(read("447700900000", AddressRules::default()), (AddressKind::Unknown, None));
        assert_eq!(read("02079460000", sms_sender()), (AddressKind::Unknown, None));
        assert_eq!(read("+0447700900000", sms_sender()), (AddressKind::Unknown, None));
        assert_eq!(read("4477009000001234", sms_sender()), (AddressKind::Unknown, None));
    }

    #[test]
    fn a_default_region_reads_national_numbers() {
        let rules = AddressRules { region: Some(country::Id::GB), ..AddressRules::default() };
        assert_eq!(read("020 7946 0000", rules), (AddressKind::Phone, Some("+442079460000".to_owned())));
        assert_eq!(read("12", rules), (AddressKind::Unknown, None));
        assert_eq!(read("0800FLOWERS", rules), (AddressKind::Unknown, None));
    }

    #[test]
    fn other_addresses_get_their_kind() {
        assert_eq!(read("AcmeInc", sms_sender()).0, AddressKind::Alphanumeric);
        assert_eq!(read("60111", sms_sender()).0, AddressKind::ShortCode);
        assert_eq!(read("Anonymous", sms_sender()).0, AddressKind::Anonymous);
        let user = AddressRules { user_ids: true, ..AddressRules::default() };
        assert_eq!(read("1234567890123", user), (AddressKind::UserId, None));
        assert_eq!(read("+1234567890123", user), (AddressKind::UserId, None));
        let email = AddressRules { email: true, ..AddressRules::default() };
        assert_eq!(read("a@example.com", email).0, AddressKind::Email);
        let call = AddressRules { call: true, ..AddressRules::default() };
        assert_eq!(read("sip:bob@example.com", call).0, AddressKind::Sip);
        assert_eq!(read("100*204", call).0, AddressKind::Extension);
        assert_eq!(read("recipient", AddressRules::default()).0, AddressKind::Unknown);
        let person = AddressRules { message_person: true, ..AddressRules::default() };
        assert_eq!(read("ann_smith_1987", person), (AddressKind::UserId, None));
        assert_eq!(read("1987", person).0, AddressKind::Unknown);
    }
}
