//! Identities: the same fact has the same id, however and however often we learn of it.
//!
//! An id is made of facts alone, never of bytes, attempts or times of arrival, so that a provider's
//! retry and a copy found later through the provider's API collapse into one event. The rule is
//! called `evt/1`; it does not change without a new event type.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::json::write;

/// Ids of the provider are keys and headers in Kafka: longer text is no id.
const MAX_ID_BYTES: usize = 512;

/// Whether a provider's text can be an id: at most 512 bytes, and no control characters.
pub fn is_id(text: &str) -> bool {
    text.len() <= MAX_ID_BYTES && !text.chars().any(char::is_control)
}

/// First 128 bits of the SHA-256 over the identity, printed as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId([u8; 16]);

/// First 64 bits of the SHA-256 over what may still change of a fact (a price, a network), printed
/// as 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FactHash([u8; 8]);

/// The part of an identity that the kind of event decides.
#[derive(Debug, Clone)]
pub struct Identity<'e> {
    /// The provider's id of the thing.
    pub id: &'e str,
    /// First distinguishing fact, see each kind; often empty.
    pub x: &'e str,
    /// Second distinguishing fact, see each kind.
    pub y: &'e str,
}

impl EventId {
    /// Computes the id of a fact: `kind` is the dotted name, such as `message.status`.
    pub fn compute(provider: &str, account_id: &str, kind: &str, identity: &Identity<'_>) -> Self {
        let array = ["evt/1", provider, account_id, kind, identity.id, identity.x, identity.y];
        Self(first_bytes(&sha256_of_array(&array)))
    }

    /// An id that was computed earlier.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FactHash {
    /// Hashes the facts, absent ones as empty text, under the name of the rule, `fh/1`.
    pub fn compute(facts: &[&str]) -> Self {
        let mut array = Vec::with_capacity(facts.len() + 1);
        array.push("fh/1");
        array.extend_from_slice(facts);
        Self(first_bytes(&sha256_of_array(&array)))
    }

    /// A hash that was computed earlier.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The hash's bytes.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

fn sha256_of_array(array: &[&str]) -> [u8; 32] {
    let mut text = Vec::with_capacity(192);
    text.push(b'[');
    for (index, part) in array.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write::push_string(&mut text, part);
    }
    text.push(b']');
    Sha256::digest(&text).into()
}

fn first_bytes<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|index| digest[index])
}

macro_rules! printed_as_hex {
    ($name:ident, $length:literal) => {
        impl $name {
            /// Reads what [`fmt::Display`] writes.
            pub fn parse(text: &str) -> Option<Self> {
                let mut bytes = [0_u8; $length / 2];
                hex::decode_to_slice(text, &mut bytes).ok()?;
                Some(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(printed(&self.0, &mut [0_u8; $length]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(printed(&self.0, &mut [0_u8; $length]))
            }
        }
    };
}

/// Lower-case hexadecimal digits, in a place that has room for exactly them.
fn printed<'t>(bytes: &[u8], text: &'t mut [u8]) -> &'t str {
    let fits = hex::encode_to_slice(bytes, text).is_ok();
    debug_assert!(fits, "two digits a byte");
    std::str::from_utf8(text).unwrap_or_default()
}

printed_as_hex!(EventId, 32);
printed_as_hex!(FactHash, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_agree_with_the_published_examples() {
        for (provider, account, kind, id, x, y, expected) in [
            (
                "vonage",
                "abcd1234",
                "message.status",
                "aaaaaaaa-bbbb-cccc-dddd-0123456789ab",
                "",
                "delivered",
                "d3fa5714660cf38e50593e20edcf9ce5",
            ),
            (
                "bandwidth",
                "55555555",
                "message.status",
                "14762070468292kw2fuqty55yp2b2",
                "52345678903",
                "failed",
                "262f07fd57167971e5292b32274b18e9",
            ),
            (
                "twilio",
                "AC00000000000000000000000000000000",
                "call.event",
                "CA35c037c9b8bb40c5002e2fe8cbbeecd9",
                "busy",
                "seq:2",
                "4c3d10563190509c1d1e57e3e2410ec4",
            ),
            (
                "webex",
                "org-1",
                "call.record",
                "b2ebf2b1-0000-3000-8000-000000000001",
                "final",
                "2025-08-14T17:05:00.000Z",
                "3bc7f5ed9cac49eea2c83ce7cad152fc",
            ),
            (
                "telphin",
                "999",
                "call.record",
                "CAA308E3333C4A19AAED9C0254B9C61B",
                "final",
                "h:0011aabbccddeeff",
                "c300a261ac8aca9f1e1a5b49169a06b8",
            ),
            (
                "vonage",
                "12aa3456",
                "report.ready",
                "6c5506b7-f16a-44dc-af06-756bbf467488",
                "",
                "ready",
                "8dc7889bf88268970cef8bac9efc3538",
            ),
        ] {
            let computed = EventId::compute(provider, account, kind, &Identity { id, x, y });
            assert_eq!(computed.to_string(), expected, "{provider} {kind}");
        }
    }

    #[test]
    fn ids_are_short_and_have_no_control_characters() {
        assert!(is_id("a") && is_id(&"x".repeat(512)));
        assert!(!is_id("a\u{1b}") && !is_id(&"x".repeat(513)));
    }

    #[test]
    fn fact_hashes_tell_an_absent_fact_from_a_present_one() {
        assert_ne!(FactHash::compute(&["0.1", ""]), FactHash::compute(&["", "0.1"]));
        assert_eq!(FactHash::compute(&[""]).to_string().len(), 16);
    }
}
