//! Finding call records in a body whose envelope is documented nowhere.
//!
//! Whatever object carries a report id is a record, and the array around it is an array of records.
//! The body is never held as a tree: each level is read from the body's own text, so that memory does
//! not grow with the number of elements, and the bounds below keep the number of readings small.

use std::fmt;
use std::ops::ControlFlow;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{fields, ids};
use crate::event::id::is_id;
use crate::json::{Members, Text, Value};

/// The body itself is level 0, a member's value one more than its object, an element as its array.
const MAX_LEVEL: usize = 4;

/// The name by which a record is known, folded.
const REPORT_ID: &str = "reportid";

/// Arrays inside one another. They add no level, so they have a bound of their own.
const MAX_ARRAYS: usize = 8;

/// Takes an element of an array of records, or a record that stands alone.
pub(super) type Take<'s, 'r> = &'s mut dyn FnMut(Candidate<'_, 'r>);

/// Something that stands where a record should.
#[derive(Debug)]
pub(super) struct Candidate<'p, 'r> {
    pub(super) value: &'r RawValue,
    /// The organisation that the outermost envelope around it names.
    pub(super) organisation: Option<Text<'r>>,
    path: &'p [Step<'r>],
}

impl<'r> Candidate<'_, 'r> {
    /// A record by itself.
    pub(super) fn alone(value: &'r RawValue) -> Self {
        Self { value, organisation: None, path: &[] }
    }

    /// JSON Pointer (RFC 6901) to the place.
    pub(super) fn pointer(&self) -> String {
        self.path.iter().map(|step| format!("/{step}")).collect()
    }
}

/// What a search came by.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) records: usize,
    pub(super) arrays: usize,
    /// Arrays with an element that is neither an array nor an object around one.
    pub(super) filled_arrays: usize,
}

/// Hands over every record in a body, in the order of the body.
pub(super) fn records<'r>(body: &'r RawValue, take: Take<'_, 'r>) -> Seen {
    let mut search = Search { take, path: Vec::new(), seen: Seen::default() };
    search.value(body, Depth { level: 0, arrays: 0 }, None);
    search.seen
}

#[derive(Debug)]
enum Step<'r> {
    Name(Text<'r>),
    Index(usize),
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(&name.replace('~', "~0").replace('/', "~1")),
            Self::Index(index) => write!(formatter, "{index}"),
        }
    }
}

#[derive(Clone, Copy)]
struct Depth {
    level: usize,
    arrays: usize,
}

struct Search<'s, 'r> {
    take: Take<'s, 'r>,
    path: Vec<Step<'r>>,
    seen: Seen,
}

impl<'r> Search<'_, 'r> {
    fn value(&mut self, value: &'r RawValue, depth: Depth, organisation: Option<&Text<'r>>) {
        match value.get().as_bytes().first() {
            Some(b'{') => self.object(value, depth, organisation),
            Some(b'[') if depth.arrays < MAX_ARRAYS => self.array(value, depth, organisation),
            _ => {}
        }
    }

    fn object(&mut self, value: &'r RawValue, depth: Depth, organisation: Option<&Text<'r>>) {
        // One reading tells whether it is a record and what is in it.
        let members = Members::parse(value.get());
        let is_record = match &members {
            Ok(members) => members.iter().any(|member| fields::folds_to(&member.name, REPORT_ID)),
            Err(_) => is_record(value),
        };
        if is_record {
            return self.found(value, organisation);
        }
        let Some(members) = members.ok().filter(|_| depth.level < MAX_LEVEL) else { return };
        let own = if organisation.is_none() && !self.is_data() { organisation_of(&members) } else { None };
        let organisation = organisation.or(own.as_ref());
        for member in members.iter() {
            let Value::Json(inner) = &member.value else { continue };
            if inner.get().starts_with(['{', '[']) {
                self.path.push(Step::Name(member.name.clone()));
                self.value(inner, Depth { level: depth.level + 1, ..depth }, organisation);
                self.path.pop();
            }
        }
    }

    fn array(&mut self, value: &'r RawValue, depth: Depth, organisation: Option<&Text<'r>>) {
        let (mut filled, mut of_records) = (false, false);
        each_element(value, &mut |_, element| {
            of_records = is_record(element);
            if of_records { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.seen.arrays += 1;
        each_element(value, &mut |index, element| {
            self.path.push(Step::Index(index));
            let arrays_before = self.seen.arrays;
            match of_records {
                true => self.found(element, organisation),
                false => self.value(element, Depth { arrays: depth.arrays + 1, ..depth }, organisation),
            }
            self.path.pop();
            // An envelope of an interval in which nobody telephoned fills nothing.
            filled |= self.seen.arrays == arrays_before;
            ControlFlow::Continue(())
        });
        self.seen.filled_arrays += usize::from(filled);
    }

    /// Whether the search stands on the resource of an envelope. Cisco's own `orgId` in there is internal.
    fn is_data(&self) -> bool {
        matches!(self.path.last(), Some(Step::Name(name)) if name == "data")
    }

    fn found(&mut self, value: &'r RawValue, organisation: Option<&Text<'r>>) {
        self.seen.records += 1;
        (self.take)(Candidate { value, organisation: organisation.cloned(), path: &self.path });
    }
}

/// The organisation that an envelope names, as the bare id.
pub(super) fn organisation_of<'r>(envelope: &Members<'r>) -> Option<Text<'r>> {
    envelope.text("orgId").map(ids::organisation).filter(|id| is_id(id))
}

/// Whether a value is an object that carries a report id, in whatever spelling.
fn is_record(value: &RawValue) -> bool {
    let mut found = false;
    if value.get().starts_with('{') {
        // The only error beside an unreadable name is the one that ends the reading early.
        serde_json::Deserializer::from_str(value.get()).deserialize_map(ReportId(&mut found)).ok();
    }
    found
}

/// Visits the elements of an array, none of which is held.
fn each_element<'r>(array: &'r RawValue, visit: &mut dyn FnMut(usize, &'r RawValue) -> ControlFlow<()>) {
    // The text is known to be valid, so the only error is the one that ends the reading early.
    serde_json::Deserializer::from_str(array.get()).deserialize_seq(Elements(visit)).ok();
}

struct Elements<'v, 'r>(&'v mut dyn FnMut(usize, &'r RawValue) -> ControlFlow<()>);

impl<'de> Visitor<'de> for Elements<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(element) = elements.next_element::<&'de RawValue>()? {
            if (self.0)(index, element).is_break() {
                return Err(A::Error::custom("enough"));
            }
            index += 1;
        }
        Ok(())
    }
}

struct ReportId<'f>(&'f mut bool);

impl<'de> Visitor<'de> for ReportId<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(is_report_id) = members.next_key_seed(IsReportId)? {
            if is_report_id {
                *self.0 = true;
                return Err(A::Error::custom("enough"));
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

struct IsReportId;

impl<'de> DeserializeSeed<'de> for IsReportId {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsReportId {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(fields::folds_to(name, REPORT_ID))
    }
}

#[cfg(test)]
mod tests;
