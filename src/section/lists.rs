//! Reading lists. A variable of the environment holds one with commas between its entries.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use toml::Value;

use super::{Section, described, quoted};

impl Section<'_> {
    /// A list of texts.
    pub fn list(&mut self, key: &'static str) -> Vec<String> {
        let texts = self.take_list(key).unwrap_or_default();
        if !texts.is_empty() {
            self.resolved_list(key, texts.iter().map(|text| quoted(text)));
        }
        texts
    }

    /// A list of texts, if it is there: an empty one may mean something else than none.
    pub fn list_if_present(&mut self, key: &'static str) -> Option<Vec<String>> {
        let texts = self.take_list(key)?;
        self.resolved_list(key, texts.iter().map(|text| quoted(text)));
        Some(texts)
    }

    /// A list of texts in a form of their own.
    pub fn parsed_list<T: FromStr>(&mut self, key: &'static str, form: &str) -> Vec<T> {
        let texts = self.list(key);
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            match text.parse() {
                Ok(value) => values.push(value),
                Err(_) => self.problem(key, format!("{} is not {form}", self.shown(key, &text))),
            }
        }
        values
    }

    /// A list of whole numbers within a range, if it is there and each of them is one.
    pub fn numbers_if_present<T>(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<Vec<T>>
    where
        T: TryFrom<i64> + Display,
    {
        let entries = self.take_entries(key)?;
        let fitting = |value: &Value| self.whole_number(key, value).filter(|number| range.contains(number));
        let numbers: Vec<T> =
            entries.iter().filter_map(fitting).filter_map(|number| T::try_from(number).ok()).collect();
        if numbers.len() < entries.len() {
            let (least, most) = (range.start(), range.end());
            self.problem(key, format!("expected a list of whole numbers from {least} to {most}, such as [1, 2]"));
            return None;
        }
        self.resolved_list(key, numbers.iter().map(ToString::to_string));
        Some(numbers)
    }

    fn resolved_list(&self, key: &str, printed: impl Iterator<Item = String>) {
        self.resolved(key, &format!("[{}]", printed.collect::<Vec<_>>().join(", ")));
    }

    pub(super) fn take_list(&mut self, key: &'static str) -> Option<Vec<String>> {
        let entries = self.take_entries(key)?;
        let mut texts = Vec::with_capacity(entries.len());
        for value in entries {
            match value {
                Value::String(text) => texts.push(text),
                other => self.problem(key, format!("expected texts in the list, found {}", described(&other))),
            }
        }
        Some(texts)
    }

    fn take_entries(&mut self, key: &'static str) -> Option<Vec<Value>> {
        match self.take(key)? {
            Value::Array(entries) => Some(entries),
            Value::String(text) if self.is_from_environment(key) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(parts.map(|part| Value::String(part.to_owned())).collect())
            }
            other => {
                self.problem(key, format!("expected a list such as [\"a\", \"b\"], found {}", described(&other)));
                None
            }
        }
    }
}
