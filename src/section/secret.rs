//! Secrets: where they come from, and never what they are.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::report::Environment;

/// A secret and the words for where it comes from.
#[derive(Clone)]
pub struct Secret {
    /// The secret.
    pub value: SecretString,
    /// `env:NAME`, `file:PATH` or `text`.
    pub origin: String,
}

impl Secret {
    /// Resolves what may not be empty.
    ///
    /// # Errors
    /// A sentence that says what is missing. It never contains the secret.
    pub fn resolve(written: &str, environment: &Environment) -> Result<Self, String> {
        let secret = Self::read(written, environment)?;
        match secret.is_empty() {
            true => Err(format!("the secret ({}) is empty; an empty secret would let everybody in", secret.origin)),
            false => Ok(secret),
        }
    }

    /// Reads `env:NAME`, `file:PATH` (of both, one line break at the end is cut) or the text itself.
    ///
    /// # Errors
    /// A sentence that says what is missing. It never contains the secret.
    pub fn read(written: &str, environment: &Environment) -> Result<Self, String> {
        let (text, origin) = if let Some(name) = written.strip_prefix("env:") {
            let value = environment.get(name).ok_or_else(|| format!("the environment variable {name} is not set"))?;
            (without_line_break(value).to_owned(), written.to_owned())
        } else if let Some(path) = written.strip_prefix("file:") {
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("the file {path} can not be read ({error})"))?;
            (without_line_break(&text).to_owned(), written.to_owned())
        } else {
            (written.to_owned(), "text".to_owned())
        };
        Ok(Self { value: text.into(), origin })
    }

    /// Whether the secret stands in the configuration itself.
    pub fn is_literal(&self) -> bool {
        self.origin == "text"
    }

    /// Whether both are the same secret, wherever they come from.
    pub fn equals(&self, other: &Self) -> bool {
        self.value.expose_secret() == other.value.expose_secret()
    }

    /// Whether it begins or ends with white space.
    pub fn has_space_at_its_ends(&self) -> bool {
        let text = self.value.expose_secret();
        text.trim().len() < text.len()
    }

    /// Number of bytes, for advice about weak secrets.
    pub fn len(&self) -> usize {
        self.value.expose_secret().len()
    }

    /// Whether there is nothing, which is never true of a resolved secret.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret(redacted, {})", self.origin)
    }
}

/// Cuts one line break from the end, which tools that write secrets like to add.
pub(crate) fn without_line_break(text: &str) -> &str {
    let cut = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    cut.unwrap_or(text)
}
