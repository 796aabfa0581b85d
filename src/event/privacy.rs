//! What published events may carry of people: numbers, names and what they wrote.
//!
//! The switches are applied after an event's id is computed, so that turning one on changes no id.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::address::{Address, AddressKind};
use super::country;
use crate::json::Text;

/// The privacy switches of one source.
#[derive(Debug, Clone, Default)]
pub struct Privacy {
    /// Texts, captions, replies and every other content of a message.
    pub message_text: TextPolicy,
    /// Phone numbers and user ids.
    pub numbers: NumberPolicy,
    /// Names and e-mail addresses.
    pub names: NamePolicy,
    /// Key of the hashes; there whenever a switch says `hash`.
    pub hash_key: Option<HashKey>,
    /// Country in which the source's national numbers are read.
    pub region: Option<country::Id>,
}

/// What happens to the content of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TextPolicy {
    /// It is left out.
    #[default]
    Drop,
    /// It is published.
    Keep,
    /// A keyed hash and the length are published.
    Hash,
}

/// What happens to phone numbers and user ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NumberPolicy {
    /// They are published.
    #[default]
    Keep,
    /// Country code and last digits stay.
    Mask,
    /// A keyed hash is published.
    Hash,
    /// They are left out.
    Drop,
}

/// What happens to names and e-mail addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NamePolicy {
    /// They are published.
    #[default]
    Keep,
    /// They are left out.
    Drop,
}

/// The key of the hashes. A plain hash of a phone number can be reversed by trying all numbers.
#[derive(Clone)]
pub struct HashKey(Hmac<Sha256>);

impl HashKey {
    /// Prepares the key.
    pub fn new(key: &SecretString) -> Option<Self> {
        Hmac::new_from_slice(key.expose_secret().as_bytes()).ok().map(Self)
    }

    /// HMAC-SHA-256 of the text, with the generation of the key in front: `h1:` and 64 digits.
    pub fn hash(&self, text: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        format!("h1:{}", hex::encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HashKey(redacted)")
    }
}

/// What is published of a text that the switches hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedText {
    /// Keyed hash of the text.
    pub hash: String,
    /// Length of the text in characters.
    pub length: usize,
}

impl Privacy {
    /// Applies the switches to a party.
    pub fn address(&self, address: &mut Address<'_>) {
        self.name(&mut address.name);
        if address.kind == AddressKind::Email {
            self.name(&mut address.value);
        }
        let personal = !matches!(address.kind, AddressKind::Alphanumeric | AddressKind::Anonymous | AddressKind::Email);
        if personal && self.numbers != NumberPolicy::Keep {
            self.replace_number(address);
        }
    }

    fn replace_number(&self, address: &mut Address<'_>) {
        let e164 = address.e164.take();
        let value = address.value.take();
        let Some(number) = e164.or(value) else { return };
        match self.number(&number) {
            Redacted::Masked(masked) => address.masked = Some(masked),
            Redacted::Hashed(hash) => address.hash = Some(hash),
            Redacted::Kept | Redacted::Dropped => {}
        }
    }

    /// What the switch for numbers makes of one number. The digits of an E.164 number are hashed
    /// without the `+`, so that one number has one hash however it was written.
    pub fn number(&self, number: &str) -> Redacted {
        let digits = number.trim();
        match self.numbers {
            NumberPolicy::Keep => Redacted::Kept,
            NumberPolicy::Mask => Redacted::Masked(mask(digits)),
            NumberPolicy::Hash => self.hashed(digits.strip_prefix('+').unwrap_or(digits)),
            NumberPolicy::Drop => Redacted::Dropped,
        }
    }

    /// Applies the switch for names.
    pub fn name(&self, name: &mut Option<Text<'_>>) {
        if self.names == NamePolicy::Drop {
            *name = None;
        }
    }

    /// Applies the switch for numbers to text that is no address, such as dialled digits.
    pub fn number_text<'a>(&self, text: Text<'a>) -> Option<Text<'a>> {
        match self.number(&text) {
            Redacted::Kept => Some(text),
            Redacted::Masked(text) | Redacted::Hashed(text) => Some(text.into()),
            Redacted::Dropped => None,
        }
    }

    /// Applies the switch for content: the text stays, goes, or goes and leaves its hash.
    pub fn text(&self, text: &mut Option<Text<'_>>) -> Option<HashedText> {
        if self.message_text == TextPolicy::Keep {
            return None;
        }
        let text = text.take()?;
        let key = self.hash_key.as_ref().filter(|_| self.message_text == TextPolicy::Hash)?;
        Some(HashedText { hash: key.hash(&text), length: text.chars().count() })
    }

    /// A keyed hash, or nothing at all where there is no key: never the clear text.
    pub fn hashed(&self, text: &str) -> Redacted {
        match &self.hash_key {
            Some(key) => Redacted::Hashed(key.hash(text)),
            None => Redacted::Dropped,
        }
    }
}

/// What is left of a personal value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redacted {
    /// It may be published as it is.
    Kept,
    /// Its mask.
    Masked(String),
    /// Its keyed hash.
    Hashed(String),
    /// Nothing.
    Dropped,
}

/// Keeps the country code of an E.164 number and the last two to four digits.
fn mask(number: &str) -> String {
    let characters: Vec<char> = number.chars().collect();
    let head = if characters.first() == Some(&'+') { 1 + country_code_length(&characters) } else { 0 };
    let tail = match characters.len() - usize::from(head > 0) {
        11.. => 4,
        6..=10 => 2,
        _ => 0,
    };
    let hidden_until = characters.len().saturating_sub(tail);
    let keep = |(index, character): (usize, &char)| match index < head || index >= hidden_until {
        true => *character,
        false => '*',
    };
    characters.iter().enumerate().map(keep).collect()
}

/// Length of the country code at the start of `+` and digits (ITU-T E.164 list of assigned codes).
fn country_code_length(number: &[char]) -> usize {
    let two: String = number.iter().skip(1).take(2).collect();
    match two.as_str() {
        code if code.starts_with(['1', '7']) => 1,
        "20" | "27" | "30" | "31" | "32" | "33" | "34" | "36" | "39" | "40" | "41" | "43" | "44" | "45" | "46"
        | "47" | "48" | "49" | "51" | "52" | "53" | "54" | "55" | "56" | "57" | "58" | "60" | "61" | "62" | "63"
        | "64" | "65" | "66" | "81" | "82" | "84" | "86" | "90" | "91" | "92" | "93" | "94" | "95" | "98" => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::address::AddressRules;

    fn privacy(numbers: NumberPolicy) -> Privacy {
        let hash_key = HashKey::new(&SecretString::from("k".repeat(32)));
        Privacy { numbers, hash_key, ..Privacy::default() }
    }

    fn phone() -> Address<'static> {
        let rules = AddressRules { international_digits: true, ..AddressRules::default() };
        Address::read("447700900000".into(), &rules)
    }

    #[test]
    fn masks_keep_the_country_and_the_last_digits() {
        for (number, masked) in [
            ("+447700900000", "+44******0000"),
            ("+12025550143", "+1******0143"),
            ("+3725550143", "+372*****43"),
            ("60111", "*****"),
            ("8412345", "*****45"),
        ] {
            assert_eq!(mask(number), masked, "{number}");
        }
    }

    #[test]
    fn each_policy_leaves_exactly_what_it_says() {
        let serialised = |numbers| {
            let mut address = phone();
            privacy(numbers).address(&mut address);
            serde_json::to_string(&address).unwrap()
        };
        assert!(serialised(NumberPolicy::Keep).contains("\"e164\":\"+447700900000\""));
        assert_eq!(serialised(NumberPolicy::Mask), r#"{"kind":"phone","masked":"+44******0000"}"#);
        assert_eq!(serialised(NumberPolicy::Drop), r#"{"kind":"phone"}"#);
        let hashed = serialised(NumberPolicy::Hash);
        assert!(hashed.contains("\"hash\":\"h1:") && !hashed.contains("7700900000"), "{hashed}");
    }

    #[test]
    fn a_number_hashes_alike_with_and_without_its_plus() {
        let privacy = privacy(NumberPolicy::Hash);
        assert_eq!(privacy.number("+447700900000"), privacy.number("447700900000"));
    }

    #[test]
    fn without_a_key_nothing_is_published_in_the_clear() {
        let privacy = Privacy { numbers: NumberPolicy::Hash, message_text: TextPolicy::Hash, ..Privacy::default() };
        assert_eq!(privacy.number("447700900000"), Redacted::Dropped);
        let mut text = Some("secret".into());
        assert_eq!((privacy.text(&mut text), text), (None, None));
    }

    #[test]
    fn the_debug_form_of_a_key_tells_nothing() {
        let key = HashKey::new(&SecretString::from("hunter2hunter2")).unwrap();
        assert_eq!(format!("{key:?}"), "HashKey(redacted)");
    }
}
