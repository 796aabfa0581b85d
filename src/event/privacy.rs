//! What published events may carry of people: numbers, names and what they wrote.
//!
//! The switches are applied after an event's id is computed, so that turning one on changes no id.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::address::{self, Address, AddressKind};
use super::{country, digits, link};
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
        self.link(&mut address.value);
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
        match self.number(&number, false) {
            Redacted::Masked(masked) => address.masked = Some(masked),
            Redacted::Hashed(hash) => address.hash = Some(hash),
            Redacted::Kept | Redacted::Dropped => {}
        }
    }

    /// What the switch for numbers makes of one number. It has one hash and one mask however it was
    /// written and wherever it stands. `international_digits` is as in the rules of addresses.
    pub fn number(&self, number: &str, international_digits: bool) -> Redacted {
        if self.numbers == NumberPolicy::Keep {
            return Redacted::Kept;
        }
        let number = address::canonical(number, international_digits, self.region);
        match self.numbers {
            NumberPolicy::Keep => Redacted::Kept,
            NumberPolicy::Mask => Redacted::Masked(mask(&number)),
            NumberPolicy::Hash => self.hashed(number.strip_prefix('+').unwrap_or(&number)),
            NumberPolicy::Drop => Redacted::Dropped,
        }
    }

    /// Applies the switch for numbers to whatever looks like one in a text of which nobody has said what
    /// it is.
    pub fn numbers_in(&self, text: &str, international_digits: bool) -> Redacted {
        let found = if self.numbers == NumberPolicy::Keep { Vec::new() } else { digits::find(text) };
        if found.is_empty() {
            return Redacted::Kept;
        }
        let mut redacted = String::with_capacity(text.len());
        let mut end = 0;
        for range in found {
            redacted.push_str(text.get(end..range.start).unwrap_or_default());
            end = range.end;
            match self.number(text.get(range).unwrap_or_default(), international_digits) {
                Redacted::Masked(instead) | Redacted::Hashed(instead) => redacted.push_str(&instead),
                Redacted::Kept | Redacted::Dropped => {}
            }
        }
        redacted.push_str(text.get(end..).unwrap_or_default());
        if redacted.trim().is_empty() { Redacted::Dropped } else { Redacted::Masked(redacted) }
    }

    /// Applies the switch for names.
    pub fn name(&self, name: &mut Option<Text<'_>>) {
        if self.names == NamePolicy::Drop {
            *name = None;
        }
        self.free_text(name);
    }

    /// Applies what holds for every text that a provider or a customer may fill with anything: no link, and
    /// the switch for numbers.
    pub fn free_text(&self, text: &mut Option<Text<'_>>) {
        let Some(written) = text else { return };
        match self.free(written) {
            Redacted::Kept => {}
            Redacted::Masked(redacted) | Redacted::Hashed(redacted) => *text = Some(redacted.into()),
            Redacted::Dropped => *text = None,
        }
    }

    /// [`Privacy::free_text`] for a text that has to be there: it is empty then.
    pub fn free_word(&self, word: &mut Text<'_>) {
        match self.free(word) {
            Redacted::Kept => {}
            Redacted::Masked(redacted) | Redacted::Hashed(redacted) => *word = redacted.into(),
            Redacted::Dropped => *word = Text::default(),
        }
    }

    /// Withholds a link. For an id of the customer's own, in which digits mean nothing to us.
    pub fn link(&self, text: &mut Option<Text<'_>>) {
        text.take_if(|text| link::is_link(text, &[]));
    }

    fn free(&self, text: &str) -> Redacted {
        if link::is_link(text, &[]) { Redacted::Dropped } else { self.numbers_in(text, false) }
    }

    /// Applies the switch for numbers to text that is no address, such as dialled digits.
    pub fn number_text<'a>(&self, text: Text<'a>) -> Option<Text<'a>> {
        match self.number(&text, false) {
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
    /// Its mask, or a text with masks and hashes in it.
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
    fn a_number_has_one_hash_and_one_mask_however_it_is_written() {
        for policy in [NumberPolicy::Hash, NumberPolicy::Mask] {
            let privacy = Privacy { region: Some(country::Id::GB), ..privacy(policy) };
            let number = privacy.number("+442079460000", false);
            assert_ne!(number, Redacted::Dropped);
            for text in
                ["+44 20 7946 0000", "(+44) 20-7946-0000", "020 7946 0000", "+44.20.7946.0000", " +442079460000 "]
            {
                assert_eq!(privacy.number(text, false), number, "{text}");
            }
            assert_eq!(privacy.number("442079460000", true), number);
        }
        let privacy = privacy(NumberPolicy::Hash);
        assert_eq!(privacy.number("+442079460000", false), privacy.number("442079460000", false));
    }

    #[test]
    fn numbers_in_a_text_are_replaced_where_they_stand() {
        let in_text = |policy, text: &str| privacy(policy).numbers_in(text, false);
        let masked = |text: &str| Redacted::Masked(text.to_owned());
        let text = "to +44 7700 900000, then 100";
        assert_eq!(in_text(NumberPolicy::Keep, text), Redacted::Kept);
        assert_eq!(in_text(NumberPolicy::Mask, text), masked("to +44******0000, then 100"));
        assert_eq!(in_text(NumberPolicy::Drop, text), masked("to , then 100"));
        assert_eq!(in_text(NumberPolicy::Drop, " +44 7700 900000 "), Redacted::Dropped);
        assert_eq!(in_text(NumberPolicy::Drop, "then 100"), Redacted::Kept);
    }

    #[test]
    fn a_name_holds_neither_a_link_nor_a_number() {
        let named = |policy, name: &'static str| {
            let mut name = Some(Text::from(name));
            privacy(policy).name(&mut name);
            name
        };
        assert_eq!(named(NumberPolicy::Keep, "https://storage.example/1"), None);
        assert_eq!(named(NumberPolicy::Keep, "447700900000").as_deref(), Some("447700900000"));
        assert_eq!(named(NumberPolicy::Drop, "447700900000"), None);
        assert_eq!(named(NumberPolicy::Mask, "Ann 447700900000").as_deref(), Some("Ann ********0000"));
        assert_eq!(named(NumberPolicy::Drop, "Ann Example").as_deref(), Some("Ann Example"));
    }

    #[test]
    fn without_a_key_nothing_is_published_in_the_clear() {
        let privacy = Privacy { numbers: NumberPolicy::Hash, message_text: TextPolicy::Hash, ..Privacy::default() };
        assert_eq!(privacy.number("447700900000", false), Redacted::Dropped);
        let mut text = Some("secret".into());
        assert_eq!((privacy.text(&mut text), text), (None, None));
    }

    #[test]
    fn the_debug_form_of_a_key_tells_nothing() {
        let key = HashKey::new(&SecretString::from("hunter2hunter2")).unwrap();
        assert_eq!(format!("{key:?}"), "HashKey(redacted)");
    }
}
