//! What a sender gets, and what holds for all of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::webhook::Webhook;

/// Nothing else is ever told: no server software, no hints about the inside.
const ALLOWED_HEADERS: [&str; 8] = [
    "content-length",
    "content-type",
    "date",
    "cache-control",
    "retry-after",
    "allow",
    "www-authenticate",
    "connection",
];

/// An answer as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads a response to its end.
    pub(crate) async fn of_response(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let headers = response.headers().iter().map(header).collect();
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Everything but the time, for comparing answers.
    pub(crate) fn without_date(mut self) -> Self {
        self.headers.remove("date");
        self
    }

    /// Checks what holds for every answer to any request.
    pub(crate) fn check(&self, webhook: &Webhook) {
        self.check_alone();
        let told = self.text().to_lowercase();
        for word in webhook.words() {
            assert!(!told.contains(&word), "{word:?} is in {self:?}");
        }
    }

    /// Checks what holds for every answer, whatever was asked.
    pub(crate) fn check_alone(&self) {
        for name in self.headers.keys() {
            assert!(ALLOWED_HEADERS.contains(&name.as_str()), "the header {name} leaks: {self:?}");
        }
        if self.status == 200 {
            // Vonage reads an answer where it asks what to do with a call.
            let is_reply = self.body == b"[]" && self.header("content-type") == Some("application/json");
            assert!(self.body.is_empty() || is_reply, "200 has an empty body: {self:?}");
            return;
        }
        if self.body.is_empty() {
            return;
        }
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        let members: Vec<&String> = problem.as_object().unwrap().keys().collect();
        assert_eq!(members, ["type", "title", "status", "detail"], "{self:?}");
        assert_eq!(problem["status"], self.status, "{self:?}");
    }
}
