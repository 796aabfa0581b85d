//! Reading secrets, and what is handed to a library and may be one.

use toml::Value;

use super::secret::Secret;
use super::{Section, described, quoted};

impl Section<'_> {
    /// One secret.
    pub fn secret(&mut self, key: &'static str) -> Option<Secret> {
        match self.take(key)? {
            Value::String(written) => {
                self.resolve_secret(key, &written).inspect(|secret| self.resolved(key, &redacted(secret)))
            }
            other => {
                self.problem(key, format!("expected \"env:NAME\" or \"file:PATH\", found {}", described(&other)));
                None
            }
        }
    }

    /// A list of secrets, all of them in use.
    pub fn secrets(&mut self, key: &'static str) -> Vec<Secret> {
        let written = self.take_list(key).unwrap_or_default();
        let secrets: Vec<Secret> = written.iter().filter_map(|text| self.resolve_secret(key, text)).collect();
        if !secrets.is_empty() {
            let origins: Vec<&str> = secrets.iter().map(|secret| secret.origin.as_str()).collect();
            let hidden = vec!["\"***\""; secrets.len()];
            self.resolved(key, &format!("[{}]  # from {}", hidden.join(", "), origins.join(", ")));
        }
        secrets
    }

    /// Every key that is left, as texts that may be secrets: for properties handed to a library.
    pub fn remaining_as_secrets(&mut self) -> Vec<(String, Secret)> {
        let table = std::mem::take(&mut self.table);
        table.into_iter().filter_map(|(name, value)| self.property(name, value)).collect()
    }

    fn property(&mut self, name: String, value: Value) -> Option<(String, Secret)> {
        let text = match value {
            Value::String(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            other => {
                self.problem(&name, format!("expected text, a number or true or false, found {}", described(&other)));
                return None;
            }
        };
        let mut secret = match self.report.read_property(&name, &text) {
            Ok(secret) => secret,
            Err(message) => {
                self.problem(&name, message);
                return None;
            }
        };
        self.warn_of_space(&name, &secret);
        if let Some(variable) = self.report.variable_of(&self.path_to(&name)).filter(|_| secret.is_literal()) {
            secret.origin.clone_from(variable);
        }
        let hidden = !secret.is_literal() || names_a_secret(&name);
        let printed = if hidden { redacted(&secret) } else { quoted(&text) };
        self.resolved(&quoted(&name), &printed);
        Some((name, secret))
    }

    fn resolve_secret(&self, key: &str, written: &str) -> Option<Secret> {
        match self.report.resolve(written) {
            Ok(secret) => {
                if secret.is_literal() && !self.is_from_environment(key) {
                    self.warning(
                        key,
                        "holds the secret itself; \"env:NAME\" or \"file:PATH\" keeps it out of the file".to_owned(),
                    );
                }
                self.warn_of_space(key, &secret);
                Some(secret)
            }
            Err(message) => {
                self.problem(key, message);
                None
            }
        }
    }

    /// White space at the ends counts, and is there by mistake for the most part.
    fn warn_of_space(&self, key: &str, secret: &Secret) {
        if secret.has_space_at_its_ends() {
            let message =
                format!("the value from {} begins or ends with white space, which is a part of it", secret.origin);
            self.warning(key, message);
        }
    }
}

fn redacted(secret: &Secret) -> String {
    format!("\"***\"  # from {}", secret.origin)
}

/// Whether a property of this name holds what nobody may read.
pub(crate) fn names_a_secret(name: &str) -> bool {
    ["passw", "passphrase", "secret", "token", "pem", "jaas", "oauthbearer.config", "oauthbearer.extensions"]
        .iter()
        .any(|word| name.contains(word))
}
