//! Reading one table of the configuration, key by key.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use toml::{Table, Value};

mod lists;
pub mod report;
pub mod secret;
mod secrets;
mod url;

use report::Report;

pub(crate) use secrets::names_a_secret;
use url::url_fault;

/// One table. Reading a key removes it; what is left at the end is unknown and refused.
#[derive(Debug)]
pub struct Section<'r> {
    path: String,
    table: Table,
    known: Vec<&'static str>,
    /// Those of the known keys that were there.
    given: Vec<&'static str>,
    report: &'r Report<'r>,
}

impl<'r> Section<'r> {
    /// Starts at the top of the document.
    pub fn root(table: Table, report: &'r Report<'r>) -> Self {
        Self { path: String::new(), table, known: Vec::new(), given: Vec::new(), report }
    }

    /// A table below this one; an empty one if it is not there.
    pub fn section(&mut self, key: &'static str) -> Section<'r> {
        let section = self.section_if_present(key);
        section.unwrap_or_else(|| self.child(self.path_to(key), Table::new()))
    }

    /// A table below this one, if it is there.
    pub fn section_if_present(&mut self, key: &'static str) -> Option<Section<'r>> {
        match self.take(key)? {
            Value::Table(table) => Some(self.child(self.path_to(key), table)),
            other => {
                self.problem(key, format!("expected a table, found {}", described(&other)));
                None
            }
        }
    }

    /// The tables of an array of tables.
    pub fn sections(&mut self, key: &'static str) -> Vec<Section<'r>> {
        let list = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.problem(key, format!("expected tables, written [[{key}]], found {}", described(&other)));
                return Vec::new();
            }
        };
        let mut sections = Vec::new();
        for (index, value) in list.into_iter().enumerate() {
            let path = format!("{}.{index}", self.path_to(key));
            match value {
                Value::Table(table) => sections.push(self.child(path, table)),
                other => self.problem(key, format!("expected a table, written [[{key}]], found {}", described(&other))),
            }
        }
        sections
    }

    fn child(&self, path: String, table: Table) -> Section<'r> {
        Section { path, table, known: Vec::new(), given: Vec::new(), report: self.report }
    }

    /// Starts a block of the resolved configuration.
    pub fn heading(&self, heading: &str) {
        self.report.heading(heading);
    }

    /// Text, never empty. A key that ends with `_url` holds a URL.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let text = self.text_or_nothing(key)?;
        if text.is_empty() {
            self.problem(key, "is empty; leave the key out or give it a value".to_owned());
            return None;
        }
        if let Some(fault) = url_fault(&text).filter(|_| key.ends_with("_url")) {
            self.problem(key, fault.to_owned());
        }
        self.resolved(key, &quoted(&text));
        Some(text)
    }

    /// Another key has told what this one would: half of a pair that is not there is not missing.
    pub fn is_told(&mut self, key: &'static str) {
        self.given.push(key);
    }

    /// Text that may be empty, or a default.
    pub fn text_or_empty(&mut self, key: &'static str, default: &str) -> String {
        let read = |section: &mut Self, key| {
            let text = section.text_or_nothing(key)?;
            section.resolved(key, &quoted(&text));
            Some(text)
        };
        self.defaulted(key, quoted(default), read).unwrap_or_else(|| default.to_owned())
    }

    fn text_or_nothing(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            Value::Integer(number) => Some(number.to_string()),
            other => {
                self.problem(key, format!("expected text in quotes, found {}", described(&other)));
                None
            }
        }
    }

    /// Text, or a default.
    pub fn text_or(&mut self, key: &'static str, default: &str) -> String {
        self.defaulted(key, quoted(default), Self::text).unwrap_or_else(|| default.to_owned())
    }

    /// Text in a form of its own, such as an address; `form` says which.
    pub fn parsed<T: FromStr>(&mut self, key: &'static str, form: &str) -> Option<T> {
        let text = self.text(key)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(_) => {
                self.problem(key, format!("{} is not {form}", self.shown(key, &text)));
                None
            }
        }
    }

    /// Words for a value in a message: the value itself only where it stands in the file.
    pub fn shown(&self, key: &str, text: &str) -> String {
        if self.is_from_environment(key) { "the value".to_owned() } else { quoted(text) }
    }

    /// Text in a form of its own, or a default.
    pub fn parsed_or<T: FromStr + Display>(&mut self, key: &'static str, default: T, form: &str) -> T {
        let printed = quoted(&default.to_string());
        self.defaulted(key, printed, |section, key| section.parsed(key, form)).unwrap_or(default)
    }

    /// A whole number within a range.
    pub fn number<T>(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<T>
    where
        T: TryFrom<i64>,
    {
        let value = self.take(key)?;
        let number = self.whole_number(key, &value);
        let fitting = number.filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok());
        match (&fitting, number) {
            (Some(_), Some(number)) => self.resolved(key, &number.to_string()),
            _ => {
                let (least, most) = range.into_inner();
                let found =
                    number.filter(|_| !self.is_from_environment(key)).map(|number| format!("the number {number}"));
                let found = found.unwrap_or_else(|| described(&value).to_owned());
                self.problem(key, format!("expected a whole number from {least} to {most}, found {found}"));
            }
        }
        fitting
    }

    fn whole_number(&self, key: &str, value: &Value) -> Option<i64> {
        match value {
            Value::Integer(number) => Some(*number),
            Value::String(text) if self.is_from_environment(key) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A whole number within a range, or a default.
    pub fn number_or<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<i64>) -> T
    where
        T: TryFrom<i64> + Display + Copy,
    {
        self.defaulted(key, default.to_string(), |section, key| section.number(key, range)).unwrap_or(default)
    }

    /// `true` or `false`, or a default.
    pub fn flag_or(&mut self, key: &'static str, default: bool) -> bool {
        let read = |section: &mut Self, key| {
            let value = section.take(key)?;
            let flag = match &value {
                Value::Boolean(flag) => Some(*flag),
                Value::String(text) if section.is_from_environment(key) => text.trim().parse().ok(),
                _ => None,
            };
            match flag {
                Some(flag) => section.resolved(key, &flag.to_string()),
                None => section.problem(key, format!("expected true or false, found {}", described(&value))),
            }
            flag
        };
        self.defaulted(key, default.to_string(), read).unwrap_or(default)
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.text(key)?;
        let chosen = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if chosen.is_none() {
            let names: Vec<String> = choices.iter().map(|(name, _)| quoted(name)).collect();
            self.problem(key, format!("expected {}, found {}", names.join(" or "), self.shown(key, &word)));
        }
        chosen
    }

    /// One of a few words; the first is the default.
    pub fn choice_or_first<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> T {
        let (name, default) = choices[0];
        self.defaulted(key, quoted(name), |section, key| section.choice(key, choices)).unwrap_or(default)
    }

    /// Refuses every key that nothing has asked for, and halves of credentials.
    pub fn finish(self) {
        self.check_pairs();
        let known = self.known.join(", ");
        for key in self.table.keys() {
            let mend = match known.is_empty() {
                true => "there are no keys here".to_owned(),
                false => format!("the keys here are: {known}"),
            };
            self.problem(key, format!("unknown key; {mend}"));
        }
    }

    /// What is called `<name>_secret` belongs to a `<name>_id` or `<name>_key`, where the table knows one.
    fn check_pairs(&self) {
        for secret in &self.known {
            let Some(name) = secret.strip_suffix("_secret") else { continue };
            let is_other = |key: &&&str| [format!("{name}_id"), format!("{name}_key")].contains(&(**key).to_string());
            let Some(other) = self.known.iter().find(is_other) else { continue };
            match (self.given.contains(secret), self.given.contains(other)) {
                (true, false) => self.problem(other, format!("is missing; {secret} is of no use without it")),
                (false, true) => self.problem(secret, format!("is missing; {other} is of no use without it")),
                _ => {}
            }
        }
    }

    /// Whether a problem with a key of this table is known already.
    pub fn has_problem(&self, key: &str) -> bool {
        let path = self.path_to(key);
        self.report.has_problem(|known| known == path)
    }

    /// Whether a problem with something in a table below this one is known already.
    pub fn has_problem_below(&self, key: &str) -> bool {
        let path = format!("{}.", self.path_to(key));
        self.report.has_problem(|known| known.starts_with(&path))
    }

    /// Records a problem with a key of this table.
    pub fn problem(&self, key: &str, message: String) {
        self.report.problem(self.path_to(key), message);
    }

    /// Records something allowed and unwise.
    pub fn warning(&self, key: &str, message: String) {
        self.report.warning(self.path_to(key), message);
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        let value = self.table.remove(key)?;
        self.given.push(key);
        Some(value)
    }

    /// Reads a key, and shows the default among the resolved values where it is not given.
    fn defaulted<T>(
        &mut self,
        key: &'static str,
        default: String,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        if !self.table.contains_key(key) {
            self.resolved(key, &default);
        }
        read(self, key)
    }

    fn path_to(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}.{key}", self.path),
        }
    }

    fn is_from_environment(&self, key: &str) -> bool {
        self.report.variable_of(&self.path_to(key)).is_some()
    }

    fn resolved(&self, key: &str, printed: &str) {
        self.report.resolved(key, printed);
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// Names a value's type, and not the value: a secret may have been written without quotes.
fn described(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}
