//! Writing JSON, compactly and in the order of the members.
//!
//! The same text as `serde_json` writes, for less: names of members are constants that need no look at every
//! byte, and texts are looked through for what must be escaped many bytes at a time. Events are written once
//! and are half of what a webhook costs beside Kafka, so that this is worth its lines. Whatever is no text, name or
//! structure is left to `serde_json`.

use serde::ser::{Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde_json::Error;

/// Appends a value.
///
/// # Errors
/// For values that no event has: names of members that are no text, tuples, and variants of enums that
/// carry something.
pub fn push(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    value.serialize(Writer(out))
}

/// Appends text as a JSON string.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    // No early end, so that the compiler can look at many bytes at a time.
    let escaped = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, |found, byte| found | escaped(byte)) {
        out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

struct Writer<'o>(&'o mut Vec<u8>);

/// An object or array that has begun.
struct Compound<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
    end: u8,
}

impl<'o> Compound<'o> {
    fn begin(out: &'o mut Vec<u8>, begin: u8, end: u8) -> Self {
        out.push(begin);
        Self { out, is_empty: true, end }
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
    }

    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.separate();
        push(self.out, value)
    }

    fn finish(self) {
        self.out.push(self.end);
    }
}

/// Numbers and the like, which `serde_json` writes.
macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<(), Error> {
            serde_json::to_writer(self.0, &value)
        })*
    };
}

impl<'o> Serializer for Writer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'o>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Compound<'o>;
    type SerializeStruct = Compound<'o>;
    type SerializeStructVariant = Impossible<(), Error>;

    scalars! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_bytes: &[u8]
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        push_string(self.0, text);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(unsupported(variant))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'o>, Error> {
        Ok(Compound::begin(self.0, b'[', b']'))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(unsupported("a tuple"))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        Err(unsupported(name))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(unsupported(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'o>, Error> {
        Ok(Compound::begin(self.0, b'{', b'}'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'o>, Error> {
        Ok(Compound::begin(self.0, b'{', b'}'))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(unsupported(variant))
    }
}

fn unsupported(name: &str) -> Error {
    Error::custom(format!("{name} can not be written as JSON here"))
}

impl SerializeSeq for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Error> {
        self.separate();
        let start = self.out.len();
        push(self.out, name)?;
        match self.out.get(start) {
            Some(b'"') => Ok(()),
            _ => Err(unsupported("a member whose name is no text")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.out.push(b':');
        push(self.out, value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

impl SerializeStruct for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.separate();
        // Names of members are words of the code.
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        push(self.out, value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Debug, Serialize)]
    struct Everything {
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        absent: Option<u8>,
        null: Option<u8>,
        signed: i64,
        unsigned: u64,
        fraction: f64,
        truth: Vec<bool>,
        nested: Vec<Inner>,
        map: BTreeMap<String, Option<String>>,
        newtype: Newtype,
    }

    #[derive(Debug, Serialize)]
    struct Inner {
        unit: Unit,
    }

    #[derive(Debug, Serialize)]
    struct Newtype(char);

    #[derive(Debug, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Unit {
        TheOnlyOne,
    }

    fn everything() -> impl Strategy<Value = Everything> {
        let map = prop::collection::btree_map(any::<String>(), any::<Option<String>>(), 0..4);
        let truth = prop::collection::vec(any::<bool>(), 0..3);
        let parts =
            (".*", any::<Option<u8>>(), any::<Option<u8>>(), any::<(i64, u64, f64)>(), truth, map, any::<char>());
        parts.prop_map(|(text, absent, null, (signed, unsigned, fraction), truth, map, newtype)| {
            let nested = truth.iter().map(|_| Inner { unit: Unit::TheOnlyOne }).collect();
            Everything { text, absent, null, signed, unsigned, fraction, truth, nested, map, newtype: Newtype(newtype) }
        })
    }

    proptest! {
        #[test]
        fn the_text_is_the_one_that_serde_json_writes(value in everything()) {
            let mut out = b"before".to_vec();
            push(&mut out, &value).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("before{}", serde_json::to_string(&value).unwrap()));
        }
    }

    #[test]
    fn what_no_event_has_is_an_error() {
        #[derive(Serialize)]
        enum Carries {
            Something(u8),
        }
        assert!(push(&mut Vec::new(), &Carries::Something(1)).is_err());
        assert!(push(&mut Vec::new(), &BTreeMap::from([(1, 2)])).is_err());
        assert!(push(&mut Vec::new(), &(1, 2)).is_err());
    }
}
