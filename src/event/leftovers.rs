//! `provider_data`: the members that no mapping consumed, at their own paths, as they were written.
//!
//! The privacy switches hold here too. A provider's mapping marks its personal members by path; links
//! to recordings and media are never published, whatever the switches say.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use serde_json::value::RawValue;

use super::privacy::{NamePolicy, Privacy, Redacted, TextPolicy};
use crate::json::{self, Member, Members, Value, write};

/// More than this is left out whole, and the event says so.
const MAX_BYTES: usize = 64 * 1024;

/// Deeper nesting than this is left out whole: many consumers' parsers stop at a fixed depth.
const MAX_DEPTH: usize = 32;

/// What a member says about people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing.
    Plain,
    /// A phone number or user id.
    Number,
    /// A name.
    Name,
    /// What somebody wrote, said or pressed.
    Content,
    /// A link to media, recordings or our own callbacks.
    Link,
}

/// A mapping's marks: paths joined by `.`, each holding for everything below it.
#[derive(Debug)]
pub struct Classes {
    /// Marked paths.
    pub marked: &'static [(&'static str, Class)],
    /// The class of members at the top that are not marked.
    pub otherwise: Class,
    /// How the provider's names are compared with the marked ones.
    pub names: Names,
}

/// How names are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// As they are written.
    Exact,
    /// By their letters and digits, whatever their case: for providers whose spelling varies.
    Folded,
}

impl Names {
    /// A path as it is compared.
    fn comparable(self, path: &str) -> Cow<'_, str> {
        match self {
            Self::Exact => path.into(),
            Self::Folded => fold(path).collect(),
        }
    }

    fn same(self, marked: &str, comparable: &str) -> bool {
        match self {
            Self::Exact => marked == comparable,
            Self::Folded => fold(marked).eq(comparable.chars()),
        }
    }
}

/// The letters and digits of a path, and the dots between its names.
fn fold(path: &str) -> impl Iterator<Item = char> {
    let kept = path.chars().filter(|character| character.is_alphanumeric() || *character == '.');
    kept.map(|character| character.to_ascii_lowercase())
}

/// The leftovers did not fit: they are too long or nested too deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// Writes the leftovers as one JSON object.
///
/// # Errors
/// [`TooLarge`] beyond 64 KiB or 32 levels.
pub fn write(members: &Members<'_>, classes: &Classes, privacy: &Privacy) -> Result<Option<Vec<u8>>, TooLarge> {
    if members.iter().all(|member| is_settled(member)) {
        return Ok(None);
    }
    let mut writer = Writer { out: Vec::new(), path: String::new(), classes, privacy };
    let written = writer.object(members, classes.otherwise, 0)?;
    Ok(written.then_some(writer.out))
}

/// The common case, told without building anything: used, or empty.
fn is_settled(member: &Member<'_>) -> bool {
    match member.opened() {
        Some(opened) => opened.iter().all(is_settled),
        None => member.is_used() || is_empty(&member.value),
    }
}

fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Json(raw) => matches!(raw.get(), "null" | "\"\"" | "{}" | "[]"),
        Value::Field(text) => text.is_empty(),
    }
}

struct Writer<'w> {
    out: Vec<u8>,
    path: String,
    classes: &'w Classes,
    privacy: &'w Privacy,
}

impl Writer<'_> {
    /// Writes an object and tells whether anything was in it; an empty one leaves no trace.
    fn object(&mut self, members: &Members<'_>, inherited: Class, depth: usize) -> Result<bool, TooLarge> {
        if depth > MAX_DEPTH || self.out.len() > MAX_BYTES {
            return Err(TooLarge);
        }
        let start = self.out.len();
        let mut separator = b'{';
        let last: FxHashMap<&str, usize> = members.iter().enumerate().map(|(at, member)| (&*member.name, at)).collect();
        for (index, member) in members.iter().enumerate() {
            // Most members were used, and neither their names nor their classes are needed.
            if is_settled(member) || last[&*member.name] != index {
                continue;
            }
            if self.member(member, separator, inherited, depth)? {
                separator = b',';
            }
        }
        match separator {
            b'{' => self.out.truncate(start),
            _ => self.out.push(b'}'),
        }
        Ok(separator == b',')
    }

    fn member(&mut self, member: &Member<'_>, separator: u8, inherited: Class, depth: usize) -> Result<bool, TooLarge> {
        let start = self.out.len();
        let path_length = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(&member.name);
        let class = self.class_of(&member.name, inherited);
        self.out.push(separator);
        write::push_string(&mut self.out, &member.name);
        self.out.push(b':');
        let written = self.member_value(member, class, depth)?;
        self.path.truncate(path_length);
        if !written {
            self.out.truncate(start);
        }
        if self.out.len() > MAX_BYTES { Err(TooLarge) } else { Ok(written) }
    }

    fn class_of(&self, name: &str, inherited: Class) -> Class {
        let names = self.classes.names;
        let path = names.comparable(&self.path);
        let marked = self.classes.marked.iter().find(|(marked, _)| names.same(marked, &path));
        match marked {
            Some((_, class)) => *class,
            None if is_link_name(name) => Class::Link,
            None => inherited,
        }
    }

    fn member_value(&mut self, member: &Member<'_>, class: Class, depth: usize) -> Result<bool, TooLarge> {
        if let Some(opened) = member.opened() {
            return self.object(opened, class, depth + 1);
        }
        match &member.value {
            Value::Json(raw) => self.value(raw, class, depth + 1),
            Value::Field(text) => Ok(self.text(text, class)),
        }
    }

    fn value(&mut self, raw: &RawValue, class: Class, depth: usize) -> Result<bool, TooLarge> {
        let hash_whole = class == Class::Content && self.privacy.message_text == TextPolicy::Hash;
        match raw.get().as_bytes().first() {
            Some(b'{') if !hash_whole => {
                let members = Members::parse(raw.get()).map_err(|_| TooLarge)?;
                self.object(&members, class, depth)
            }
            Some(b'[') if !hash_whole => self.array(raw, class, depth),
            Some(b'"') => {
                let text = json::string_of(raw).unwrap_or_default();
                // As received, unless it holds an unpaired surrogate, which consumers could not read.
                match text.contains('\u{fffd}') {
                    true => Ok(self.text(&text, class)),
                    false => Ok(self.scalar(raw.get().as_bytes(), &text, class)),
                }
            }
            _ => Ok(self.scalar(raw.get().as_bytes(), raw.get(), class)),
        }
    }

    /// Writes the elements that may be published; an array of which nothing is left is left out.
    fn array(&mut self, raw: &RawValue, class: Class, depth: usize) -> Result<bool, TooLarge> {
        if depth > MAX_DEPTH || raw.get().len() > MAX_BYTES {
            return Err(TooLarge);
        }
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| TooLarge)?;
        let start = self.out.len();
        let mut separator = b'[';
        for item in items {
            let before = self.out.len();
            self.out.push(separator);
            match self.value(item, class, depth + 1)? {
                true => separator = b',',
                false => self.out.truncate(before),
            }
        }
        match separator {
            b'[' => self.out.truncate(start),
            _ => self.out.push(b']'),
        }
        Ok(separator == b',')
    }

    fn text(&mut self, text: &str, class: Class) -> bool {
        let mut json = Vec::with_capacity(text.len() + 2);
        write::push_string(&mut json, text);
        self.scalar(&json, text, class)
    }

    /// Writes one string, number or word as its class allows. `json` is its JSON text.
    fn scalar(&mut self, json: &[u8], text: &str, class: Class) -> bool {
        let redacted = match class {
            Class::Plain => Redacted::Kept,
            Class::Number => self.privacy.number(text),
            Class::Name if self.privacy.names == NamePolicy::Keep => Redacted::Kept,
            Class::Name | Class::Link => Redacted::Dropped,
            Class::Content => match self.privacy.message_text {
                TextPolicy::Keep => Redacted::Kept,
                TextPolicy::Hash => self.privacy.hashed(text),
                TextPolicy::Drop => Redacted::Dropped,
            },
        };
        match redacted {
            Redacted::Kept => self.out.extend_from_slice(json),
            Redacted::Masked(text) | Redacted::Hashed(text) => write::push_string(&mut self.out, &text),
            Redacted::Dropped => return false,
        }
        true
    }
}

/// Whatever its case and whether its words are joined: `url`, `recordingUrl`, `callback_url`, `_links`.
fn is_link_name(name: &str) -> bool {
    let name = name.as_bytes();
    let ends_with = |ending: &&[u8]| {
        let last = name.len().checked_sub(ending.len()).and_then(|start| name.get(start..));
        last.is_some_and(|last| last.eq_ignore_ascii_case(ending))
    };
    [&b"url"[..], b"uri", b"href", b"_link"].iter().any(ends_with)
        || [&b"link"[..], b"_links", b"_self"].iter().any(|link| name.eq_ignore_ascii_case(link))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: Classes = Classes {
        marked: &[("who", Class::Number), ("profile", Class::Name), ("body", Class::Content)],
        otherwise: Class::Plain,
        names: Names::Exact,
    };

    fn left(json: &str, use_them: impl FnOnce(&Members<'_>), privacy: &Privacy) -> Option<String> {
        let members = Members::parse(json).unwrap();
        use_them(&members);
        write(&members, &CLASSES, privacy).unwrap().map(|object| String::from_utf8(object).unwrap())
    }

    #[test]
    fn only_unused_members_are_left_at_their_own_path_and_as_written() {
        let json = r#"{"a":"1","usage":{"price":"2","vat":1.10e2},"n":null,"e":"","new":{"x":[1, 2],"e":""}}"#;
        let written = left(
            json,
            |members| {
                members.text("a");
                members.object("usage").unwrap().text("price");
            },
            &Privacy::default(),
        );
        assert_eq!(written.unwrap(), r#"{"usage":{"vat":1.10e2},"new":{"x":[1,2]}}"#);
    }

    #[test]
    fn everything_used_leaves_nothing() {
        assert_eq!(left(r#"{"a":"1","b":{}}"#, |members| drop(members.text("a")), &Privacy::default()), None);
    }

    #[test]
    fn personal_members_follow_the_switches_and_links_are_never_published() {
        let json = r#"{"who":"447700900000","profile":{"name":"Ann"},"body":{"caption":"hi","url":"https://x"},
                       "recording_url":"https://y","callbackUrl":"https://z","_links":{"self":{"href":"z"}}}"#;
        let open = Privacy { message_text: TextPolicy::Keep, ..Privacy::default() };
        assert_eq!(
            left(json, |_| {}, &open).unwrap(),
            r#"{"who":"447700900000","profile":{"name":"Ann"},"body":{"caption":"hi"}}"#
        );
        let closed = Privacy {
            numbers: super::super::privacy::NumberPolicy::Drop,
            names: NamePolicy::Drop,
            ..Privacy::default()
        };
        assert_eq!(left(json, |_| {}, &closed), None);
    }

    #[test]
    fn folded_names_are_marked_in_every_spelling() {
        static FOLDED: Classes =
            Classes { marked: &[("Caller ID number", Class::Number)], otherwise: Class::Plain, names: Names::Folded };
        let drop = Privacy { numbers: super::super::privacy::NumberPolicy::Drop, ..Privacy::default() };
        for name in ["Caller ID number", "Caller ID Number", "callerIdNumber", "caller_id_number"] {
            let json = format!("{{\"{name}\":\"447700900000\",\"x\":1}}");
            let members = Members::parse(&json).unwrap();
            assert_eq!(write(&members, &FOLDED, &drop).unwrap().unwrap(), br#"{"x":1}"#, "{name}");
        }
    }

    #[test]
    fn too_much_is_left_out_whole() {
        let privacy = Privacy::default();
        let long = format!(r#"{{"x":"{}"}}"#, "y".repeat(MAX_BYTES));
        let deep = format!(r#"{{"x":{}{}}}"#, r#"{"a":"#.repeat(40), "1".to_owned() + &"}".repeat(40));
        let deep_array = format!(r#"{{"x":{}{}}}"#, "[".repeat(9000), "]".repeat(9000));
        for json in [long, deep, deep_array] {
            let members = Members::parse(&json).unwrap();
            assert_eq!(write(&members, &CLASSES, &privacy), Err(TooLarge));
        }
    }

    #[test]
    fn of_repeated_names_the_last_is_left() {
        assert_eq!(left(r#"{"z":1,"z":2}"#, |_| {}, &Privacy::default()).unwrap(), r#"{"z":2}"#);
    }
}
