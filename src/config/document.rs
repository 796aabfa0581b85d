//! The configuration as one TOML table: the file, overlaid with the environment.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use crate::section::report::{Environment, Origins, Problem, Problems};
use crate::section::secret::without_line_break;

const PREFIX: &str = "TRUNKLINE_";

/// Variables of ours that are no keys of the configuration.
const NOT_KEYS: [&str; 3] = ["TRUNKLINE_CONFIG", "TRUNKLINE_LOG", "TRUNKLINE_LOG_FORMAT"];

/// The merged table, and where its values came from.
#[derive(Debug)]
pub struct Document {
    /// All keys.
    pub table: Table,
    /// The origins of values.
    pub origins: Origins,
}

impl Document {
    /// Reads the file, if there is one, and overlays the environment.
    ///
    /// # Errors
    /// When the file can not be read or is no TOML, or a variable names an impossible place.
    pub fn read(file: Option<&Path>, environment: &Environment) -> Result<Self, Problems> {
        let Some(path) = file else {
            return Self::parse("no configuration file was found", "", environment);
        };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let mend =
                "name an existing file with --config or TRUNKLINE_CONFIG, or run `trunkline dev`, which needs none";
            one_problem(&name, "", format!("can not be read ({error}); {mend}"))
        })?;
        Self::parse(&name, &text, environment)
    }

    /// Parses TOML text and overlays the environment.
    ///
    /// # Errors
    /// When the text is no TOML, or a variable names an impossible place.
    pub fn parse(name: &str, text: &str, environment: &Environment) -> Result<Self, Problems> {
        let (mut table, lines) = parse_file(name, text)?;
        let mut origins = Origins { file: name.to_owned(), lines, ..Origins::default() };
        let mut problems = Vec::new();
        for (variable, value) in environment {
            let is_key = variable.starts_with(PREFIX) && !NOT_KEYS.contains(&variable.as_str());
            let Some(rest) = variable.strip_prefix(PREFIX).filter(|_| is_key) else { continue };
            if !rest.contains("__") {
                origins.strays.push(variable.clone());
                continue;
            }
            let path = path_of(rest);
            match insert(&mut table, &path, without_line_break(value)) {
                Ok(()) => drop(origins.variables.insert(path.join("."), variable.clone())),
                Err(message) => {
                    problems.push(Problem { origin: variable.clone(), line: None, key: path.join("."), message });
                }
            }
        }
        if problems.is_empty() { Ok(Self { table, origins }) } else { Err(Problems(problems)) }
    }
}

/// A text by its path, also of a file that is no TOML elsewhere. A variable of the environment wins, as ever.
pub(super) fn text_at(file: Option<&Path>, environment: &Environment, path: [&str; 2]) -> Option<String> {
    let variable = format!("{PREFIX}{}", path.join("__").to_uppercase());
    if let Some(value) = environment.get(&variable) {
        return Some(without_line_break(value).to_owned());
    }
    let text = std::fs::read_to_string(file?).ok()?;
    let (spanned, _) = DeTable::parse_recoverable(&text);
    let [section, key] = path;
    let DeValue::Table(table) = spanned.get_ref().get(section)?.get_ref() else { return None };
    table.get(key)?.get_ref().as_str().map(str::to_owned)
}

type Lines = BTreeMap<String, usize>;

/// The file's table and the lines of its keys, or everything that is no TOML in it.
fn parse_file(name: &str, text: &str) -> Result<(Table, Lines), Problems> {
    let (spanned, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut problems: Vec<Problem> = errors.iter().map(|error| syntax_problem(name, text, error)).collect();
        problems.sort_by_key(|problem| problem.line);
        return Err(Problems(problems));
    }
    let mut lines = Lines::new();
    note_lines(spanned.get_ref(), "", text, &mut lines);
    let table = text.parse().map_err(|error: toml::de::Error| {
        // What the library says of a value that it can not hold may repeat it.
        let line = error.span().map(|span| line_at(text, span.start));
        let message = "holds a value that is out of range, such as a number that is too large".to_owned();
        Problems(vec![Problem { origin: name.to_owned(), line, key: String::new(), message }])
    })?;
    Ok((table, lines))
}

/// Tells place and cause. The error's own text repeats the whole line, in which a secret may stand; its message is put
/// together of fixed words.
fn syntax_problem(name: &str, text: &str, error: &toml::de::Error) -> Problem {
    let start = error.span().map_or(0, |span| span.start);
    let column = text.get(..start).and_then(|before| before.rsplit('\n').next()).map_or(0, |line| line.chars().count());
    Problem {
        origin: name.to_owned(),
        line: Some(line_at(text, start)),
        key: String::new(),
        message: format!("is no TOML, at column {}: {}", column + 1, error.message()),
    }
}

fn line_at(text: &str, place: usize) -> usize {
    text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
}

fn note_lines(table: &DeTable<'_>, path: &str, text: &str, lines: &mut Lines) {
    for (key, value) in table {
        let path = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        lines.insert(path.clone(), line_at(text, key.span().start));
        note_lines_of_value(value.get_ref(), &path, text, lines);
    }
}

fn note_lines_of_value(value: &DeValue<'_>, path: &str, text: &str, lines: &mut Lines) {
    match value {
        DeValue::Table(table) => note_lines(table, path, text, lines),
        DeValue::Array(list) => {
            for (index, element) in list.iter().enumerate() {
                let path = format!("{path}.{index}");
                lines.insert(path.clone(), line_at(text, element.span().start));
                note_lines_of_value(element.get_ref(), &path, text, lines);
            }
        }
        _ => {}
    }
}

fn one_problem(origin: &str, key: &str, message: String) -> Problems {
    Problems(vec![Problem { origin: origin.to_owned(), line: None, key: key.to_owned(), message }])
}

/// `KAFKA__ACK_TIMEOUT_MS` is `kafka.ack_timeout_ms`. Names of Kafka properties have dots, which few
/// shells allow in a variable: `KAFKA__PROPERTIES__SECURITY_PROTOCOL` is `security.protocol`.
fn path_of(name: &str) -> Vec<String> {
    let mut path: Vec<String> = name.to_lowercase().split("__").map(str::to_owned).collect();
    if let [kafka, properties, property] = path.as_mut_slice()
        && kafka == "kafka"
        && properties == "properties"
    {
        *property = property.replace('_', ".");
    }
    path
}

/// Puts text at a path, making tables on the way. An element of a list is named by its index.
fn insert(table: &mut Table, path: &[String], text: &str) -> Result<(), String> {
    let [first, rest @ ..] = path else { return Err("names no key".to_owned()) };
    if rest.is_empty() {
        table.insert(first.clone(), Value::String(text.to_owned()));
        return Ok(());
    }
    let next_is_index = rest[0].parse::<usize>().is_ok();
    let empty = if next_is_index { Value::Array(Vec::new()) } else { Value::Table(Table::new()) };
    match table.entry(first.clone()).or_insert(empty) {
        Value::Table(inner) => insert(inner, rest, text),
        Value::Array(list) => insert_into_list(list, rest, text),
        _ => Err(format!("`{first}` is a single value; it has no keys below it")),
    }
}

fn insert_into_list(list: &mut Vec<Value>, path: &[String], text: &str) -> Result<(), String> {
    let index: usize = path[0].parse().map_err(|_| "an element of a list is named by its index, from 0".to_owned())?;
    if index > list.len() {
        return Err(format!("the list has {} elements; the next one has index {}", list.len(), list.len()));
    }
    if index == list.len() {
        list.push(Value::Table(Table::new()));
    }
    match (&mut list[index], path.len()) {
        (slot, 1) => {
            *slot = Value::String(text.to_owned());
            Ok(())
        }
        (Value::Table(inner), _) => insert(inner, &path[1..], text),
        _ => Err("the element is a single value; it has no keys below it".to_owned()),
    }
}
