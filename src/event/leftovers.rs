//! `provider_data`: the members that no mapping consumed, at their own paths, as they were written.
//!
//! The privacy switches hold here too. A provider's mapping marks its members by path. Of a member without
//! a mark nobody knows what it holds, so what looks like a number in it is taken for one. Links are never
//! published, whatever the switches say, but where a mapping marks one as public.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use serde_json::value::RawValue;

use super::link;
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
    /// Nothing, and its links are for everybody, such as one to the documentation of an error.
    Public,
    /// A phone number or user id.
    Number,
    /// A name.
    Name,
    /// What somebody wrote, said or pressed.
    Content,
    /// A link to media, recordings or our own callbacks.
    Link,
}

/// A mapping's marks: paths joined by `.`. A mark holds for everything below it too, but that it is no
/// number is believed only of the marked member itself.
#[derive(Debug)]
pub struct Classes {
    /// Marked paths.
    pub marked: &'static [(&'static str, Class)],
    /// The class of members at the top that are not marked.
    pub otherwise: Class,
    /// How the provider's names are compared with the marked ones.
    pub names: Names,
    /// Hosts on which the provider keeps files and answers calls of its API: a path there is a link, also
    /// without a scheme.
    pub hosts: &'static [&'static str],
    /// Bare digits of a number are documented as international.
    pub international_digits: bool,
}

/// What is known of one member: its class, and whether its own path is marked.
#[derive(Debug, Clone, Copy)]
struct Standing {
    class: Class,
    is_marked: bool,
}

impl Standing {
    /// What is known of the members below, as far as they are not marked themselves.
    fn below(self) -> Self {
        let class = if self.class == Class::Public { Class::Plain } else { self.class };
        Self { class, is_marked: false }
    }
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
    let written = writer.object(members, Standing { class: classes.otherwise, is_marked: false }, 0)?;
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
    fn object(&mut self, members: &Members<'_>, inherited: Standing, depth: usize) -> Result<bool, TooLarge> {
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

    fn member(
        &mut self,
        member: &Member<'_>,
        separator: u8,
        inherited: Standing,
        depth: usize,
    ) -> Result<bool, TooLarge> {
        let start = self.out.len();
        let path_length = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(&member.name);
        let standing = self.standing_of(&member.name, inherited);
        self.out.push(separator);
        let written = self.name(&member.name, standing) && self.member_value(member, standing, depth)?;
        self.path.truncate(path_length);
        if !written {
            self.out.truncate(start);
        }
        if self.out.len() > MAX_BYTES { Err(TooLarge) } else { Ok(written) }
    }

    fn standing_of(&self, name: &str, inherited: Standing) -> Standing {
        let names = self.classes.names;
        let path = names.comparable(&self.path);
        let marked = self.classes.marked.iter().find(|(marked, _)| names.same(marked, &path));
        match marked {
            Some((_, class)) => Standing { class: *class, is_marked: true },
            None if link::is_link_name(name) => Standing { class: Class::Link, is_marked: false },
            None => inherited,
        }
    }

    /// Writes a member's name, unless it is itself something that may not be published: a list by number
    /// has numbers for names.
    fn name(&mut self, name: &str, standing: Standing) -> bool {
        let redacted = if standing.is_marked { Redacted::Kept } else { self.unmarked(name) };
        match redacted {
            Redacted::Kept => write::push_string(&mut self.out, name),
            Redacted::Masked(name) | Redacted::Hashed(name) => write::push_string(&mut self.out, &name),
            Redacted::Dropped => return false,
        }
        self.out.push(b':');
        true
    }

    fn member_value(&mut self, member: &Member<'_>, standing: Standing, depth: usize) -> Result<bool, TooLarge> {
        if let Some(opened) = member.opened() {
            return self.object(opened, standing.below(), depth + 1);
        }
        match &member.value {
            Value::Json(raw) => self.value(raw, standing, depth + 1),
            Value::Field(text) => Ok(self.text(text, standing)),
        }
    }

    fn value(&mut self, raw: &RawValue, standing: Standing, depth: usize) -> Result<bool, TooLarge> {
        let hash_whole = standing.class == Class::Content && self.privacy.message_text == TextPolicy::Hash;
        match raw.get().as_bytes().first() {
            Some(b'{') if !hash_whole => {
                let members = Members::parse(raw.get()).map_err(|_| TooLarge)?;
                self.object(&members, standing.below(), depth)
            }
            Some(b'[') if !hash_whole => self.array(raw, standing, depth),
            Some(b'"') => {
                let text = json::string_of(raw).unwrap_or_default();
                // As received, unless it holds an unpaired surrogate, which consumers could not read.
                match text.contains('\u{fffd}') {
                    true => Ok(self.text(&text, standing)),
                    false => Ok(self.scalar(raw.get().as_bytes(), &text, standing)),
                }
            }
            _ => Ok(self.scalar(raw.get().as_bytes(), raw.get(), standing)),
        }
    }

    /// Writes the elements that may be published; an array of which nothing is left is left out.
    fn array(&mut self, raw: &RawValue, standing: Standing, depth: usize) -> Result<bool, TooLarge> {
        if depth > MAX_DEPTH || raw.get().len() > MAX_BYTES {
            return Err(TooLarge);
        }
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| TooLarge)?;
        let start = self.out.len();
        let mut separator = b'[';
        for item in items {
            let before = self.out.len();
            self.out.push(separator);
            match self.value(item, standing, depth + 1)? {
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

    fn text(&mut self, text: &str, standing: Standing) -> bool {
        let mut json = Vec::with_capacity(text.len() + 2);
        write::push_string(&mut json, text);
        self.scalar(&json, text, standing)
    }

    /// Writes one string, number or word as its class allows. `json` is its JSON text.
    fn scalar(&mut self, json: &[u8], text: &str, standing: Standing) -> bool {
        match self.redacted(text, standing) {
            Redacted::Kept => self.out.extend_from_slice(json),
            Redacted::Masked(text) | Redacted::Hashed(text) => write::push_string(&mut self.out, &text),
            Redacted::Dropped => return false,
        }
        true
    }

    fn redacted(&self, text: &str, standing: Standing) -> Redacted {
        let Privacy { message_text, names, .. } = self.privacy;
        match standing.class {
            Class::Public => Redacted::Kept,
            Class::Link => Redacted::Dropped,
            _ if link::is_link(text, self.classes.hosts) => Redacted::Dropped,
            Class::Number => self.privacy.number(text, self.classes.international_digits),
            Class::Name if *names == NamePolicy::Drop => Redacted::Dropped,
            Class::Content if *message_text == TextPolicy::Drop => Redacted::Dropped,
            Class::Content if *message_text == TextPolicy::Hash => self.privacy.hashed(text),
            Class::Plain | Class::Content if standing.is_marked => Redacted::Kept,
            Class::Plain | Class::Content | Class::Name => {
                self.privacy.numbers_in(text, self.classes.international_digits)
            }
        }
    }

    /// What may be published of a text of which no mapping has said what it is.
    fn unmarked(&self, text: &str) -> Redacted {
        match link::is_link(text, self.classes.hosts) {
            true => Redacted::Dropped,
            false => self.privacy.numbers_in(text, self.classes.international_digits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::address::{Address, AddressRules};
    use crate::event::privacy::{HashKey, NumberPolicy};

    const CLASSES: Classes = Classes {
        marked: &[
            ("who", Class::Number),
            ("profile", Class::Name),
            ("body", Class::Content),
            ("error.type", Class::Public),
            ("plain", Class::Plain),
        ],
        otherwise: Class::Plain,
        names: Names::Exact,
        hosts: &["files.example"],
        international_digits: true,
    };

    fn numbers(numbers: NumberPolicy) -> Privacy {
        let hash_key = HashKey::new(&"k".repeat(32).into());
        Privacy { numbers, message_text: TextPolicy::Keep, hash_key, ..Privacy::default() }
    }

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
        let closed = Privacy { numbers: NumberPolicy::Drop, names: NamePolicy::Drop, ..Privacy::default() };
        assert_eq!(left(json, |_| {}, &closed), None);
    }

    #[test]
    fn links_are_withheld_by_name_and_by_value() {
        for json in [
            r#"{"recordingLink":"a"}"#,
            r#"{"links":{"self":"a"}}"#,
            r#"{"fileLinks":["a",{"b":"c"}]}"#,
            r#"{"media":"https://storage.example/1"}"#,
            r#"{"media":{"1":["https:\/\/storage.example/1"]}}"#,
            r#"{"media":"storage.example/1.wav"}"#,
            r#"{"media":"www.files.example/1"}"#,
            r#"{"text":"{\"media\":\"https://storage.example/1\"}"}"#,
            r#"{"https://storage.example/1":1}"#,
            r#"{"who":"https://storage.example/1"}"#,
            r#"{"profile":{"name":"https://storage.example/1"}}"#,
            r#"{"body":"https://storage.example/1"}"#,
            r#"{"plain":"https://storage.example/1"}"#,
            r#"{"error":{"instance":"https://storage.example/1"}}"#,
            r#"{"error":{"type":{"a":"https://storage.example/1"}}}"#,
        ] {
            assert_eq!(left(json, |_| {}, &numbers(NumberPolicy::Keep)), None, "{json}");
        }
        let public = r#"{"error":{"type":"https://example.com/errors#1"},"seen":"at files.example/1"}"#;
        assert_eq!(left(public, |_| {}, &numbers(NumberPolicy::Drop)).unwrap(), public);
    }

    #[test]
    fn what_looks_like_a_number_is_one_where_nobody_says_what_it_is() {
        let json = r#"{"a":"+1 303 555 0142","b":[13035550142,{"c":"to 1-303-555-0142"}],"13035550142":1,
            "usage":{"id":"13035550142"},"plain":13035550142,"at":"2026-06-05 12:14:25",
            "session":"82b7a3c000105000a00045a5b1c2d3e4"}"#;
        let dropped = left(json, |_| {}, &numbers(NumberPolicy::Drop)).unwrap();
        let kept = r#""plain":13035550142,"at":"2026-06-05 12:14:25","session":"82b7a3c000105000a00045a5b1c2d3e4"}"#;
        assert_eq!(dropped, format!(r#"{{"b":[{{"c":"to "}}],{kept}"#));
        let hashed = left(json, |_| {}, &numbers(NumberPolicy::Hash)).unwrap();
        assert_eq!(hashed.matches("h1:").count(), 5);
        assert_eq!(hashed.matches("3035550142").count(), 1, "{hashed}");
        assert_eq!(left(r#"{"body":{"x":"13035550142"}}"#, |_| {}, &numbers(NumberPolicy::Drop)), None);
        let kept = left(r#"{"a":"+1 303 555 0142"}"#, |_| {}, &numbers(NumberPolicy::Keep)).unwrap();
        assert_eq!(kept, r#"{"a":"+1 303 555 0142"}"#);
    }

    #[test]
    fn a_number_left_over_has_the_hash_and_the_mask_of_an_address() {
        for policy in [NumberPolicy::Hash, NumberPolicy::Mask] {
            let privacy = Privacy { region: Some(crate::event::country::Id::GB), ..numbers(policy) };
            let mut address = Address::read("+442079460000".into(), &AddressRules::default());
            privacy.address(&mut address);
            let expected = address.hash.or(address.masked).unwrap();
            for number in ["\"442079460000\"", "442079460000", "\"+44 20 7946 0000\"", "\"020 7946 0000\""] {
                for name in ["who", "unmarked"] {
                    let written = left(&format!("{{\"{name}\":{number}}}"), |_| {}, &privacy).unwrap();
                    assert_eq!(written, format!("{{\"{name}\":\"{expected}\"}}"), "{number}");
                }
            }
        }
    }

    #[test]
    fn folded_names_are_marked_in_every_spelling() {
        static FOLDED: Classes =
            Classes { marked: &[("Caller ID number", Class::Number)], names: Names::Folded, ..CLASSES };
        let drop = Privacy { numbers: NumberPolicy::Drop, ..Privacy::default() };
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
