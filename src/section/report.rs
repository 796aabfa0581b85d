//! What is found while a configuration is resolved: problems, warnings, and the resolved values.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::names_a_secret;
use super::secret::Secret;

/// The environment variables at the start of the process.
pub type Environment = BTreeMap<String, String>;

/// One thing that is wrong, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File or environment variable.
    pub origin: String,
    /// Line of the file, counted from 1. Of a key that is missing it is the line of the table that lacks it.
    pub line: Option<usize>,
    /// Path of the key, such as `kafka.ack_timeout_ms`.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(formatter, ": {}", self.key)?;
        }
        write!(formatter, ": {}", self.message)
    }
}

/// Every problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// Where values came from.
#[derive(Debug, Default)]
pub struct Origins {
    /// Name of the file.
    pub file: String,
    /// Path of a key, of a table or of an element of a list to its line in the file.
    pub lines: BTreeMap<String, usize>,
    /// Path of a key to the variable that set it.
    pub variables: BTreeMap<String, String>,
    /// Variables with our prefix that name no key, since every key is in a section. They may hold
    /// secrets that the file refers to.
    pub strays: Vec<String>,
}

impl Origins {
    /// Where a key's value came from. A whole table can be meant too, which a variable may reach into.
    pub fn variable_of(&self, key: &str) -> Option<&String> {
        let below = format!("{key}.");
        let reaches = || self.variables.iter().find(|(path, _)| path.starts_with(&below)).map(|(_, variable)| variable);
        self.variables.get(key).or_else(reaches)
    }

    /// The line of a key, else of the table that it would stand in.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        let line = self.lines.get(key).copied();
        line.or_else(|| key.rsplit_once('.').and_then(|(table, _)| self.line_of(table)))
    }
}

/// What is found while the configuration is resolved.
#[derive(Debug)]
pub struct Report<'e> {
    origins: Origins,
    environment: &'e Environment,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    redacted: RefCell<String>,
    referred: RefCell<HashSet<String>>,
}

impl<'e> Report<'e> {
    /// Starts an empty report.
    pub fn new(origins: Origins, environment: &'e Environment) -> Self {
        let empty = RefCell::default;
        Self {
            origins,
            environment,
            problems: empty(),
            warnings: empty(),
            redacted: RefCell::default(),
            referred: RefCell::default(),
        }
    }

    /// Resolves a secret, and remembers the variable that it comes from.
    pub(super) fn resolve(&self, written: &str) -> Result<Secret, String> {
        self.refer(written);
        Secret::resolve(written, self.environment)
    }

    /// Reads the value of a property, which may be empty if it is no secret.
    pub(super) fn read_property(&self, name: &str, written: &str) -> Result<Secret, String> {
        self.refer(written);
        let secret = Secret::read(written, self.environment)?;
        match secret.is_empty() && names_a_secret(name) {
            true => Err(format!("the secret ({}) is empty", secret.origin)),
            false => Ok(secret),
        }
    }

    /// The variable that a value came from, if it came from one.
    pub(super) fn variable_of(&self, key: &str) -> Option<&String> {
        self.origins.variable_of(key)
    }

    fn refer(&self, written: &str) {
        if let Some(name) = written.strip_prefix("env:") {
            self.referred.borrow_mut().insert(name.to_owned());
        }
    }

    /// Warns of variables that look like ours and are used for nothing: most likely mistyped keys.
    fn warn_of_strays(&self) {
        let referred = self.referred.borrow();
        for variable in self.origins.strays.iter().filter(|name| !referred.contains(*name)) {
            let message = "is no key: a key's path is joined by two underscores, as in TRUNKLINE_KAFKA__ACK_TIMEOUT_MS";
            let (origin, key) = (variable.clone(), String::new());
            let problem = Problem { origin, line: None, key, message: message.to_owned() };
            self.warnings.borrow_mut().push(problem);
        }
    }

    /// Problems and warnings by their lines, and the resolved configuration with secrets redacted.
    pub fn into_parts(self) -> (Vec<Problem>, Vec<Problem>, String) {
        self.warn_of_strays();
        let (mut problems, mut warnings) = (self.problems.into_inner(), self.warnings.into_inner());
        for list in [&mut problems, &mut warnings] {
            list.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        }
        (problems, warnings, self.redacted.into_inner())
    }

    pub(super) fn has_problem(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        self.problems.borrow().iter().any(|problem| is_meant(&problem.key))
    }

    pub(super) fn problem(&self, key: String, message: String) {
        let problem = self.problem_at(key, message);
        self.problems.borrow_mut().push(problem);
    }

    pub(super) fn warning(&self, key: String, message: String) {
        let warning = self.problem_at(key, message);
        self.warnings.borrow_mut().push(warning);
    }

    pub(super) fn resolved(&self, key: &str, printed: &str) {
        let mut redacted = self.redacted.borrow_mut();
        for part in [key, " = ", printed, "\n"] {
            redacted.push_str(part);
        }
    }

    fn problem_at(&self, key: String, message: String) -> Problem {
        match self.variable_of(&key) {
            Some(variable) => Problem { origin: variable.clone(), line: None, key, message },
            None => Problem { origin: self.origins.file.clone(), line: self.origins.line_of(&key), key, message },
        }
    }

    pub(super) fn heading(&self, heading: &str) {
        let mut redacted = self.redacted.borrow_mut();
        let separator = if redacted.is_empty() { "" } else { "\n" };
        redacted.push_str(separator);
        redacted.push_str(heading);
        redacted.push('\n');
    }
}
