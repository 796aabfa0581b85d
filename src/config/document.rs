//! The configuration as one TOML table: the file, overlaid with the environment.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::{Environment, Problem, Problems};

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

/// Where values came from.
#[derive(Debug, Default)]
pub struct Origins {
    /// Name of the file.
    pub file: String,
    /// Path of a key to the variable that set it.
    pub variables: BTreeMap<String, String>,
    /// Variables with our prefix that name no key, since every key is in a section. They may hold
    /// secrets that the file refers to.
    pub strays: Vec<String>,
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
        let mut table: Table =
            text.parse().map_err(|error: toml::de::Error| one_problem(name, "", error.to_string()))?;
        let mut origins = Origins { file: name.to_owned(), ..Origins::default() };
        let mut problems = Vec::new();
        for (variable, value) in environment {
            let is_key = variable.starts_with(PREFIX) && !NOT_KEYS.contains(&variable.as_str());
            let Some(rest) = variable.strip_prefix(PREFIX).filter(|_| is_key) else { continue };
            if !rest.contains("__") {
                origins.strays.push(variable.clone());
                continue;
            }
            let path = path_of(rest);
            match insert(&mut table, &path, value) {
                Ok(()) => drop(origins.variables.insert(path.join("."), variable.clone())),
                Err(message) => problems.push(Problem { origin: variable.clone(), key: path.join("."), message }),
            }
        }
        if problems.is_empty() { Ok(Self { table, origins }) } else { Err(Problems(problems)) }
    }
}

fn one_problem(origin: &str, key: &str, message: String) -> Problems {
    Problems(vec![Problem { origin: origin.to_owned(), key: key.to_owned(), message }])
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
