//! Reading a provider's JSON object without losing anything of it.
//!
//! [`Members`] keeps every member as the exact text that was received and opens a value only when a
//! mapping asks for it. Numbers therefore keep all their digits, a member of an unexpected type costs
//! nothing, and what no mapping asked for can be handed on verbatim as `provider_data`.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub mod nothing;
pub mod number;
mod text;
pub mod write;

pub use nothing::tells_nothing;
use text::MemberName;
pub use text::{JsonText, string_of};

/// Text borrowed from a request where it needed no unescaping.
pub type Text<'a> = Cow<'a, str>;

/// More members than this in one object is not something a provider sends. The bound keeps the
/// memory of a parsed request in proportion to its bytes.
const MAX_MEMBERS: usize = 4096;

/// The members of one JSON object, or of one form, in the order received.
#[derive(Debug, Default)]
pub struct Members<'a> {
    list: Vec<Member<'a>>,
}

/// One member, and what a mapping has done with it so far.
#[derive(Debug)]
pub struct Member<'a> {
    /// The member's name as the provider wrote it.
    pub name: Text<'a>,
    /// The member's value as received.
    pub value: Value<'a>,
    used: Cell<bool>,
    opened: OnceCell<Members<'a>>,
}

/// A value as received: JSON text, or the text of a form field.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Valid JSON text, exactly as it was written.
    Json(&'a RawValue),
    /// A decoded form or query field.
    Field(Text<'a>),
}

impl<'a> Members<'a> {
    /// Parses one JSON object. A leading byte order mark is tolerated.
    ///
    /// # Errors
    /// When the text is not one JSON object, or has more than 4096 members.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // Reading the names as bytes costs more, and helps only where one has an unpaired surrogate.
        let plain = parse_with::<JsonText<'a>>(text);
        if plain.is_err() && text.contains("\\u") { parse_with::<MemberName<'a>>(text) } else { plain }
    }

    /// Takes decoded form or query fields.
    pub fn from_fields(fields: impl IntoIterator<Item = (Text<'a>, Text<'a>)>) -> Self {
        let list =
            fields.into_iter().take(MAX_MEMBERS).map(|(name, text)| Member::new(name, Value::Field(text))).collect();
        Self { list }
    }

    /// Whether a member of this name is there at all, whatever its type.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether the member is there and is a JSON string.
    pub fn is_string(&self, name: &str) -> bool {
        self.starts_with(name, b'"')
    }

    /// Whether the member is there and is a JSON object.
    pub fn is_object(&self, name: &str) -> bool {
        self.starts_with(name, b'{')
    }

    /// See [`Member::text`].
    pub fn text(&self, name: &str) -> Option<Text<'a>> {
        self.find(name)?.text()
    }

    /// See [`Member::text_or_number`].
    pub fn text_or_number(&self, name: &str) -> Option<Text<'a>> {
        self.find(name)?.text_or_number()
    }

    /// See [`Member::read`].
    pub fn read<T>(&self, name: &str, read: impl FnOnce(Text<'a>) -> Option<T>) -> Option<T> {
        self.find(name)?.read(read)
    }

    /// See [`Member::object`].
    pub fn object(&self, name: &str) -> Option<&Members<'a>> {
        self.find(name)?.object()
    }

    /// The number of elements of an array member.
    pub fn array_len(&self, name: &str) -> Option<usize> {
        let Value::Json(raw) = self.find(name)?.value else { return None };
        items_of(raw).map(|items| items.len())
    }

    /// All members, for a walk over what is left. Of members with one name only the last counts.
    pub fn iter(&self) -> impl Iterator<Item = &Member<'a>> {
        self.list.iter()
    }

    /// The last member of that name: the reading of repeated names that most JSON parsers share.
    pub fn find(&self, name: &str) -> Option<&Member<'a>> {
        self.list.iter().rev().find(|member| member.name == name)
    }

    /// Settles every member that tells nothing, known or not, also of the objects that were opened.
    pub fn settle_nothing(&self) {
        for member in &self.list {
            match member.opened() {
                Some(opened) => opened.settle_nothing(),
                None if member.is_used() => {}
                None => _ = member.settles_as_nothing(),
            }
        }
    }

    /// Puts another text in the place of each member for which `replace` has one.
    pub fn replace_texts(&mut self, mut replace: impl FnMut(&Member<'a>) -> Option<Text<'a>>) {
        for member in &mut self.list {
            if let Some(text) = replace(member) {
                member.value = Value::Field(text);
            }
        }
    }

    /// Reads the texts of these fields as JSON, where they are an object or an array: for providers that put one into a
    /// parameter.
    pub fn decode_json(&mut self, names: &[&str]) {
        for member in self.list.iter_mut().filter(|member| names.contains(&&*member.name)) {
            if let Some(json) = member.value.json_in_text() {
                member.value = Value::Json(json);
            }
        }
    }

    fn starts_with(&self, name: &str, first: u8) -> bool {
        match self.find(name).map(|member| &member.value) {
            Some(Value::Json(raw)) => raw.get().as_bytes().first() == Some(&first),
            _ => false,
        }
    }
}

impl<'a> Member<'a> {
    fn new(name: Text<'a>, value: Value<'a>) -> Self {
        Self { name, value, used: Cell::new(false), opened: OnceCell::new() }
    }

    /// The text of a string. One that [tells nothing](tells_nothing) counts as absent.
    pub fn text(&self) -> Option<Text<'a>> {
        self.take(self.value.text())
    }

    /// The text of a string or number, a number exactly as it was written.
    pub fn text_or_number(&self) -> Option<Text<'a>> {
        self.take(self.value.number().map(Cow::Borrowed).or_else(|| self.value.text()))
    }

    /// The text of a string, number or boolean: for providers that write one as the other.
    pub fn scalar(&self) -> Option<Text<'a>> {
        self.take(self.value.word().map(Cow::Borrowed).or_else(|| self.value.text()))
    }

    /// The text of a string that somebody wrote, in which no word stands for nothing.
    pub fn written(&self) -> Option<Text<'a>> {
        let text = self.value.text().filter(|text| !text.trim().is_empty())?;
        self.used.set(true);
        Some(text)
    }

    /// Reads a string, number or boolean with `read`; a value that `read` does not accept counts as
    /// absent and stays among the leftovers.
    pub fn read<T>(&self, read: impl FnOnce(Text<'a>) -> Option<T>) -> Option<T> {
        let was_used = self.used.get();
        let value = read(self.scalar()?);
        self.used.set(was_used || value.is_some());
        value
    }

    /// Opens an object. Its own members are then used or left one by one.
    pub fn object(&self) -> Option<&Members<'a>> {
        if let Some(opened) = self.opened.get() {
            return Some(opened);
        }
        let Value::Json(raw) = self.value else { return None };
        // Asking the parser would cost more: it writes an error about any other value.
        let parsed = raw.get().starts_with('{').then(|| Members::parse(raw.get()).ok())??;
        Some(self.opened.get_or_init(|| parsed))
    }

    /// Whether the value is one of the ways of saying nothing. If it is, nothing of it is left over.
    pub fn settles_as_nothing(&self) -> bool {
        /// No way of saying nothing is longer, spaces and escapes included.
        const MAX_BYTES: usize = 32;
        let is_nothing = match &self.value {
            Value::Json(raw) if raw.get().len() > MAX_BYTES => false,
            Value::Json(raw) => raw.get() == "null" || string_of(raw).is_some_and(|text| tells_nothing(&text)),
            Value::Field(text) => tells_nothing(text),
        };
        self.used.set(is_nothing || self.used.get());
        is_nothing
    }

    /// Text that tells nothing is absent, and settled.
    fn take(&self, text: Option<Text<'a>>) -> Option<Text<'a>> {
        let text = text?;
        self.used.set(true);
        Some(text).filter(|text| !tells_nothing(text))
    }

    /// Whether a mapping has taken this member's value.
    pub fn is_used(&self) -> bool {
        self.used.get()
    }

    /// The member's own members, if a mapping opened it.
    pub fn opened(&self) -> Option<&Members<'a>> {
        self.opened.get()
    }
}

impl<'a> Value<'a> {
    fn text(&self) -> Option<Text<'a>> {
        match self {
            Self::Json(raw) => string_of(raw),
            Self::Field(text) => Some(text.clone()),
        }
    }

    fn number(&self) -> Option<&'a str> {
        let Self::Json(raw) = self else { return None };
        let text = raw.get();
        matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9')).then_some(text)
    }

    /// The object or array that a field's text is. Text that had to be decoded into a place of its own counts too only
    /// where it lives as long as the request.
    fn json_in_text(&self) -> Option<&'a RawValue> {
        let Self::Field(Cow::Borrowed(text)) = self else { return None };
        let text = text.trim();
        text.starts_with(['{', '[']).then(|| serde_json::from_str(text).ok())?
    }

    /// A number, `true` or `false`.
    fn word(&self) -> Option<&'a str> {
        let Self::Json(raw) = self else { return None };
        matches!(raw.get(), "true" | "false").then(|| raw.get()).or_else(|| self.number())
    }
}

/// The elements of a JSON array, each as it was written; `None` for any other value.
pub fn items_of(raw: &RawValue) -> Option<Vec<&RawValue>> {
    raw.get().starts_with('[').then(|| serde_json::from_str(raw.get()).ok())?
}

fn parse_with<'a, N: Deserialize<'a> + Into<Text<'a>>>(text: &'a str) -> Result<Members<'a>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(ObjectVisitor::<N>(PhantomData))?;
    deserializer.end()?;
    Ok(members)
}

/// Reads the members of an object, and their names as `N`.
struct ObjectVisitor<N>(PhantomData<N>);

impl<'de, N: Deserialize<'de> + Into<Text<'de>>> Visitor<'de> for ObjectVisitor<N> {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::with_capacity(12);
        while let Some(name) = map.next_key::<N>()? {
            if list.len() == MAX_MEMBERS {
                return Err(serde::de::Error::custom("more than 4096 members in one object"));
            }
            list.push(Member::new(name.into(), Value::Json(map.next_value()?)));
        }
        Ok(Members { list })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_used_members_are_marked() {
        let members = Members::parse(r#"{"price":0.03330000000000000001,"n":"7","x":[1]}"#).unwrap();
        assert_eq!(members.text_or_number("price").unwrap(), "0.03330000000000000001");
        assert_eq!(members.text_or_number("n").unwrap(), "7");
        assert_eq!(members.text("x"), None);
        let used: Vec<bool> = members.iter().map(Member::is_used).collect();
        assert_eq!(used, [true, true, false]);
    }

    #[test]
    fn what_tells_nothing_is_absent_and_settled_once_it_is_asked_for() {
        let members = Members::parse(r#"{"a":"NA","b":" null ","c":"N/A","d":"NA","e":null,"f":"x"}"#).unwrap();
        assert_eq!((members.text("a"), members.text_or_number("b")), (None, None));
        assert_eq!(members.read("c", |_| Some(())), None);
        let used = || members.iter().map(Member::is_used).collect::<Vec<_>>();
        assert_eq!(used(), [true, true, true, false, false, false]);
        members.settle_nothing();
        assert_eq!(used(), [true, true, true, true, true, false]);
        assert_eq!(members.find("d").unwrap().written().unwrap(), "NA");
    }

    #[test]
    fn json_in_a_parameter_is_opened_where_it_is_an_object_or_an_array() {
        let fields = [("a", r#" {"x":"1"} "#), ("b", r#"{"x":"1"}"#), ("c", "[1,2]"), ("d", "1"), ("e", r#"{"x":"1""#)];
        let mut members = Members::from_fields(fields.map(|(name, text)| (name.into(), text.into())));
        members.decode_json(&["a", "c", "d", "e"]);
        assert_eq!(members.object("a").unwrap().text("x").unwrap(), "1");
        assert!(members.object("b").is_none(), "it is not asked for");
        assert_eq!(members.array_len("c"), Some(2));
        assert_eq!((members.text("d").unwrap(), members.text("e").unwrap()), ("1".into(), r#"{"x":"1""#.into()));
    }

    #[test]
    fn the_last_of_repeated_names_counts() {
        let members = Members::parse(r#"{"a":"1","a":"2"}"#).unwrap();
        assert_eq!(members.text("a").unwrap(), "2");
    }

    #[test]
    fn escapes_are_decoded_and_unpaired_surrogates_replaced() {
        let members = Members::parse(r#"{"a":"\u00e9\n","b":"x\ud800y","\u0063":"z"}"#).unwrap();
        assert_eq!(members.text("a").unwrap(), "é\n");
        assert_eq!(members.text("b").unwrap(), "x\u{fffd}y");
        assert_eq!(members.text("c").unwrap(), "z");
    }

    #[test]
    fn deep_nesting_is_skipped_without_recursion() {
        let deep = format!(r#"{{"a":{}{},"b":"x"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let members = Members::parse(&deep).unwrap();
        assert_eq!(members.text("b").unwrap(), "x");
        assert!(members.object("a").is_none());
    }

    #[test]
    fn too_many_members_are_refused() {
        let many: Vec<String> = (0..=MAX_MEMBERS).map(|n| format!(r#""k{n}":1"#)).collect();
        assert!(Members::parse(&format!("{{{}}}", many.join(","))).is_err());
    }
}
