//! What is found while a configuration is resolved: problems, warnings, and the resolved values.

use std::cell::RefCell;
use std::collections::HashSet;

use super::document::Origins;
use super::section::names_a_secret;
use super::{Environment, Problem, Secret};

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
