//! Errors: a message, and sometimes a word that tells apart those of one status.

use serde_json::json;

use crate::provider::double::Response;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    code: u16,
    message: String,
    word: Option<(&'static str, &'static str)>,
}

impl Refusal {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), word: None }
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "Not found")
    }

    pub(super) fn with_status(self, status: &'static str) -> Self {
        Self { word: Some(("status", status)), ..self }
    }

    /// A grant that is not given.
    pub(super) fn of_grant(code: u16, error: &'static str) -> Self {
        Self { word: Some(("error", error)), ..Self::new(code, "The grant is refused") }
    }

    pub(super) fn into_response(self) -> Response {
        let mut body = json!({"message": self.message});
        if let Some((name, word)) = self.word {
            body[name] = word.into();
        }
        Response::json(self.code, &body)
    }
}
