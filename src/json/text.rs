//! Reading JSON's strings, also those that Unicode does not allow.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

use super::Text;

/// Decodes a JSON string. An unpaired surrogate, which JSON's grammar allows and Unicode does not, becomes
/// one replacement character, and the text is not refused.
pub fn string_of<'a>(raw: &'a RawValue) -> Option<Text<'a>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let decoded = serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| lossy_string(raw.get()));
    Some(Cow::Owned(decoded))
}

fn lossy_string(json: &str) -> String {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = String;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a JSON string")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(without_surrogates(bytes))
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_bytes(Bytes).unwrap_or_default()
}

/// The parser hands over an unpaired surrogate as the three bytes that UTF-8 would give it. They are one
/// character, and would become three if each wrong byte were replaced by itself.
fn without_surrogates(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        // Of the three, only the first is no continuation of a character.
        if chunk.invalid().first().is_some_and(|byte| !(0x80..0xc0).contains(byte)) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

/// A JSON string or name, which is read without a copy where it needs no unescaping. (`Cow` itself is
/// always read into a copy inside an `Option`.)
#[derive(Debug, PartialEq, Eq)]
pub struct JsonText<'a>(pub Text<'a>);

impl Deref for JsonText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A member's name. It is read as bytes, since one with an unpaired surrogate would fail its whole body as
/// text.
pub(super) struct MemberName<'a>(Text<'a>);

impl<'a> From<MemberName<'a>> for Text<'a> {
    fn from(name: MemberName<'a>) -> Self {
        name.0
    }
}

impl<'a> From<JsonText<'a>> for Text<'a> {
    fn from(text: JsonText<'a>) -> Self {
        text.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MemberName<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(NameVisitor).map(Self)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Text<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(std::str::from_utf8(bytes).map_or_else(|_| without_surrogates(bytes).into(), Cow::Borrowed))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(without_surrogates(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Members;

    #[test]
    fn each_unpaired_surrogate_becomes_one_character() {
        for (json, text) in [
            (r#""ab\ud83dc""#, "ab\u{fffd}c"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""é\udfffé\ud800""#, "é\u{fffd}é\u{fffd}"),
            (r#""\ud83d\ude00""#, "😀"),
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(string_of(raw).unwrap(), text, "{json}");
            let named = format!("{{{json}:1}}");
            assert_eq!(Members::parse(&named).unwrap().iter().next().unwrap().name, text, "{json}");
        }
    }
}
