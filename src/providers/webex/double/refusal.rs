//! What a request is refused with: a status, and the error body that all of Webex's APIs share.

use serde_json::json;

use crate::provider::double::Response;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    message: String,
    code: Option<Code>,
    header: Option<(&'static str, String)>,
}

/// A code that stands beside the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// `errorCode`
    Number(u16),
    /// `error`, as OAuth has it (RFC 6749, section 5.2).
    Word(&'static str),
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), code: None, header: None }
    }

    /// What both the lists and the counts answer where there is nothing.
    pub(super) fn nothing_found() -> Self {
        let message = "No CDRs for requested time range and filters";
        Self { code: Some(Code::Number(404)), ..Self::new(404, message) }
    }

    pub(super) fn too_many(retry_after_s: u64) -> Self {
        Self::new(429, "Request rate exceeds threshold").with_header("Retry-After", retry_after_s.to_string())
    }

    /// The records are in another region, whose host the text names.
    pub(super) fn elsewhere(url: &str) -> Self {
        Self::new(
            451,
            format!("The data of this organization is in another region, the request should go to URL: {url}"),
        )
    }

    /// A grant that is not given.
    pub(super) fn of_grant(status: u16, code: &'static str, message: &str) -> Self {
        Self { code: Some(Code::Word(code)), ..Self::new(status, message) }
    }

    pub(super) fn with_header(self, name: &'static str, value: impl Into<String>) -> Self {
        Self { header: Some((name, value.into())), ..self }
    }

    pub(super) fn into_response(self, tracking_id: &str) -> Response {
        let errors = json!([{"description": self.message}]);
        let mut body = json!({"message": self.message, "errors": errors, "trackingId": tracking_id});
        match self.code {
            Some(Code::Number(number)) => body["errorCode"] = number.into(),
            Some(Code::Word(word)) => body["error"] = word.into(),
            None => (),
        }
        let response = Response::json(self.status, &body);
        self.header.iter().fold(response, |response, (name, value)| response.with_header(name, value))
    }
}
