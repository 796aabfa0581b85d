//! A record as it is shown to visitors: borrowed from the client's buffer, with what says which event it is.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::id::{EventId, FactHash};
use crate::event::kind::TopicInfo;
use crate::event::time::Time;

/// A record of a topic.
#[derive(Debug, Clone, Copy)]
pub struct ScannedRecord<'r> {
    /// The topic.
    pub topic: &'static TopicInfo,
    /// The partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// The key.
    pub key: &'r str,
    /// Id of the event; what is no event has none, and what can not be read neither.
    pub id: Option<EventId>,
    /// Its fact hash, if it has one.
    pub fact_hash: Option<FactHash>,
    /// The data object, as JSON. Of a structured `CloudEvent` it is a part of the value.
    pub data: &'r [u8],
    /// The whole value.
    pub value: &'r [u8],
    /// When it was written, by the clock of the producer or the broker.
    pub written_at: Option<Time>,
}

/// Which event a record is, and where its data object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity<'r> {
    id: Option<EventId>,
    fact_hash: Option<FactHash>,
    data: &'r [u8],
}

/// What of the headers says which event it is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    id: Option<EventId>,
    fact_hash: Option<FactHash>,
    is_structured: bool,
}

/// Reads what the visitor is shown.
pub(super) fn read<'r>(topic: &'static TopicInfo, message: &'r BorrowedMessage<'_>, key: &'r str) -> ScannedRecord<'r> {
    let value = message.payload().unwrap_or_default();
    // The client library panics at the name of a header that is no UTF-8. Such a record is none of ours.
    let named = catch_unwind(AssertUnwindSafe(|| named(message))).unwrap_or_default();
    let Identity { id, fact_hash, data } = named.identity(value);
    let written_at = written_at(message);
    let (partition, offset) = (message.partition(), message.offset());
    ScannedRecord { topic, partition, offset, key, id, fact_hash, data, value, written_at }
}

/// When a record was written.
pub(super) fn written_at(message: &BorrowedMessage<'_>) -> Option<Time> {
    message.timestamp().to_millis().and_then(Time::from_unix_ms)
}

fn named(message: &BorrowedMessage<'_>) -> Named {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Named::of(headers.map(|header| (header.key, header.value.unwrap_or_default())))
}

impl Named {
    fn of<'h>(headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> Self {
        let mut named = Self::default();
        for (name, value) in headers {
            let text = std::str::from_utf8(value).unwrap_or_default();
            match name {
                "ce_id" => named.id = EventId::parse(text),
                "ce_facthash" => named.fact_hash = FactHash::parse(text),
                "content-type" => named.is_structured = text.starts_with("application/cloudevents"),
                _ => {}
            }
        }
        named
    }

    fn identity<'r>(&self, value: &'r [u8]) -> Identity<'r> {
        if !self.is_structured {
            return Identity { id: self.id, fact_hash: self.fact_hash, data: value };
        }
        match serde_json::from_slice::<CloudEvent<'r>>(value) {
            Ok(event) => event.identity(),
            Err(_) => Identity { id: None, fact_hash: None, data: value },
        }
    }
}

/// What is read of a structured event. The other members are passed over, and the data object stays as it is.
#[derive(Deserialize)]
struct CloudEvent<'r> {
    #[serde(borrow)]
    id: Plain<'r>,
    #[serde(borrow)]
    facthash: Option<Plain<'r>>,
    #[serde(borrow)]
    data: Option<&'r RawValue>,
}

/// A text that is copied only where it is escaped, also inside an option.
#[derive(Deserialize)]
struct Plain<'r>(#[serde(borrow)] Cow<'r, str>);

impl<'r> CloudEvent<'r> {
    fn identity(self) -> Identity<'r> {
        Identity {
            id: EventId::parse(&self.id.0),
            fact_hash: self.facthash.and_then(|hash| FactHash::parse(&hash.0)),
            data: self.data.map_or(&[], |data| data.get().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff";
    const HASH: &str = "0011223344556677";

    fn of<'r>(headers: &[(&str, &str)], value: &'r str) -> Identity<'r> {
        Named::of(headers.iter().map(|(name, value)| (*name, value.as_bytes()))).identity(value.as_bytes())
    }

    #[test]
    fn an_event_is_named_by_its_headers_or_by_its_structured_value() {
        let binary = of(&[("ce_id", ID), ("ce_facthash", HASH), ("content-type", "application/json")], "{\"a\":1}");
        let printed = (binary.id.unwrap().to_string(), binary.fact_hash.unwrap().to_string());
        assert_eq!((printed, binary.data), ((ID.to_owned(), HASH.to_owned()), &b"{\"a\":1}"[..]));
        let structured = ("content-type", "application/cloudevents+json");
        for value in [
            format!("{{\"specversion\":\"1.0\",\"id\":\"{ID}\",\"facthash\":\"{HASH}\",\"data\":{{\"a\":1}}}}"),
            format!(
                "{{\"data\":{{\"a\":1}}, \"facthash\" : \"{HASH}\", \"id\":\"\\u0030{}\",\"x\":[1]}}",
                ID.strip_prefix('0').unwrap()
            ),
        ] {
            assert_eq!(of(&[structured], &value), binary, "{value}");
        }
        let without_hash = format!("{{\"id\":\"{ID}\"}}");
        let expected = Identity { id: binary.id, fact_hash: None, data: b"" };
        assert_eq!(of(&[structured], &without_hash), expected);
    }

    #[test]
    fn what_is_no_event_or_can_not_be_read_has_no_name() {
        let structured = ("content-type", "application/cloudevents+json");
        for (headers, value) in [
            (&[("content-type", "application/json")][..], "{\"id\":\"00112233445566778899aabbccddeeff\"}"),
            (&[("ce_id", "x"), ("ce_facthash", "y")], "{}"),
            (&[structured], "no JSON"),
            (&[structured], "{\"id\":7}"),
            (&[structured], "{\"id\":\"short\"}"),
            (&[], ""),
        ] {
            let identity = of(headers, value);
            assert_eq!((identity.id, identity.fact_hash), (None, None), "{headers:?} {value}");
        }
    }
}
