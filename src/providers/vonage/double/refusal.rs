//! What a request is refused with: a status and a problem object (RFC 7807).

use serde_json::{Value, json};

use crate::provider::double::Response;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    title: &'static str,
    detail: String,
    parameters: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), parameters: Vec::new() }
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "Not Found", "The resource does not exist")
    }

    pub(super) fn too_many() -> Self {
        Self::new(429, "Rate Limit Hit", "Please wait, then retry your request")
    }

    /// A parameter that is not accepted.
    pub(super) fn of(name: &'static str, reason: impl Into<String>) -> Self {
        let parameters = vec![(name, reason.into())];
        Self {
            parameters,
            ..Self::new(422, "Unprocessable entity", "The request data was syntactically correct, but...")
        }
    }

    pub(super) fn into_response(self, request_id: &str) -> Response {
        let mut body = json!({
            "type": "https://developer.nexmo.com/api-errors",
            "title": self.title,
            "detail": self.detail,
            "instance": request_id,
        });
        if !self.parameters.is_empty() {
            let one = |(name, reason): &(&str, String)| json!({"name": name, "reason": reason});
            body["invalid_parameters"] = Value::Array(self.parameters.iter().map(one).collect());
        }
        Response::json(self.status, &body).with_header("Content-Type", "application/problem+json")
    }
}
