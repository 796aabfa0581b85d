//! Headers of a Kafka record.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

/// The names of all headers that records are given here.
const NAMES: [&str; 11] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_subject",
    "ce_time",
    "ce_dataschema",
    "ce_recordedtime",
    "ce_facthash",
    "ce_partitionkey",
    "content-type",
];

/// Room for the names and values of an event, so that they are allocated once.
const USUAL_COUNT: usize = NAMES.len();
const USUAL_BYTES: usize = 512;

/// Names and values of a record's headers, in order.
///
/// A record is made on one thread and freed on another, which costs most of what its headers cost. So all
/// values lie in one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// The name of each header, and where its value ends in `values`. Names are constants, but for those of
    /// a record that another version of the program has written.
    ends: Vec<(Cow<'static, str>, usize)>,
    values: String,
}

impl Headers {
    /// None yet, with room for those of an event.
    pub fn of_event() -> Self {
        Self { ends: Vec::with_capacity(USUAL_COUNT), values: String::with_capacity(USUAL_BYTES) }
    }

    /// The only header of a record whose value is an object of our own.
    pub fn content_type(value: &str) -> Self {
        let mut headers = Self::default();
        headers.push("content-type", value);
        headers
    }

    /// Adds a header.
    pub fn push(&mut self, name: &'static str, value: &str) {
        self.values.push_str(value);
        self.ends.push((Cow::Borrowed(name), self.values.len()));
    }

    /// Adds a header whose value is printed.
    pub fn push_printed(&mut self, name: &'static str, value: impl Display) {
        let written = write!(self.values, "{value}");
        debug_assert!(written.is_ok(), "writing to a text fails only if the value does, and no value of ours does");
        self.ends.push((Cow::Borrowed(name), self.values.len()));
    }

    /// Names and values in the order added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |(name, end)| {
            let value = self.values.get(start..*end).unwrap_or_default();
            start = *end;
            (&**name, value)
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all values.
    pub fn value_bytes(&self) -> usize {
        self.values.len()
    }

    /// Bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.ends.iter().map(|(name, _)| name.len()).sum::<usize>() + self.values.len()
    }
}

impl<'h> FromIterator<(&'h str, &'h str)> for Headers {
    /// Takes headers that were read from somewhere; a name is copied only if it is none of ours.
    fn from_iter<I: IntoIterator<Item = (&'h str, &'h str)>>(headers: I) -> Self {
        let mut taken = Self::default();
        for (name, value) in headers {
            let known = NAMES.iter().find(|known| **known == name);
            let name = known.map_or_else(|| Cow::Owned(name.to_owned()), |known| Cow::Borrowed(*known));
            taken.values.push_str(value);
            taken.ends.push((name, taken.values.len()));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_in_order_also_empty_and_unknown_ones() {
        let given = [("ce_id", "1"), ("x-other", ""), ("ce_id", "ä"), ("content-type", "application/json")];
        let headers: Headers = given.into_iter().collect();
        assert_eq!(headers.iter().collect::<Vec<_>>(), given);
        assert_eq!((headers.len(), headers.value_bytes()), (4, 19));
        assert_eq!(headers.bytes(), 19 + 5 + 7 + 5 + 12);
    }

    #[test]
    fn pushed_and_printed_values_are_the_same_as_collected_ones() {
        let mut headers = Headers::of_event();
        headers.push("ce_type", "a");
        headers.push_printed("ce_time", 17);
        assert_eq!(headers, [("ce_type", "a"), ("ce_time", "17")].into_iter().collect());
        assert!(Headers::default().is_empty());
    }
}
