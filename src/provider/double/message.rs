//! Requests and responses of a double, free of any HTTP framework.

use std::borrow::Cow;

use serde_json::Value;

/// At which of a double's two addresses a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// The address that clients are configured with.
    First,
    /// The address of another region or of a store.
    Second,
}

impl Door {
    /// Its name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

/// A request to a double.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it came in.
    pub door: Door,
    /// The method, in capitals.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// The query as it was sent, without `?`.
    pub query: String,
    /// The headers, with names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How many other requests for this path are being answered.
    pub in_flight: usize,
}

impl Request {
    /// A request by its method and target, without headers and body, at the first door.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            door: Door::First,
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            in_flight: 0,
        }
    }

    /// The same request with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The same request with this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The value of a header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter of the query, decoded.
    pub fn pair(&self, name: &str) -> Option<Cow<'_, str>> {
        pair(self.query.as_bytes(), name)
    }

    /// The first value of a field of a form in the body, decoded.
    pub fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        pair(&self.body, name)
    }
}

fn pair<'t>(text: &'t [u8], name: &str) -> Option<Cow<'t, str>> {
    form_urlencoded::parse(text).find(|(known, _)| known == name).map(|(_, value)| value)
}

/// What a double answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, those of the connection excepted.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the answer is kept back.
    pub delay_ms: u64,
    /// After how many bytes of the body the connection is closed, although its length promises more.
    pub cut_bytes: Option<usize>,
    /// The connection is closed without an answer.
    pub close: bool,
}

impl Response {
    /// A response without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), delay_ms: 0, cut_bytes: None, close: false }
    }

    /// A response in JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        let response = Self { body: body.to_string().into_bytes(), ..Self::empty(status) };
        response.with_header("Content-Type", "application/json")
    }

    /// The same response with a header, in place of one of this name.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a header, by its name without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_fields_are_decoded_and_the_first_of_a_name_counts() {
        let request = Request::new("GET", "/v1/x?a=1%3A2&a=3&b").with_body("c=d+e");
        assert_eq!((request.path.as_str(), request.query.as_str()), ("/v1/x", "a=1%3A2&a=3&b"));
        assert_eq!(request.pair("a").as_deref(), Some("1:2"));
        assert_eq!((request.pair("b").as_deref(), request.pair("c")), (Some(""), None));
        assert_eq!(request.field("c").as_deref(), Some("d e"));
    }

    #[test]
    fn a_header_is_there_once_whatever_its_case() {
        let response = Response::empty(200).with_header("Retry-After", "1").with_header("retry-after", "2");
        assert_eq!((response.header("RETRY-AFTER"), response.headers.len()), (Some("2"), 1));
        assert_eq!(Request::new("GET", "/").with_header("X-A", "1").header("x-a"), Some("1"));
    }
}
