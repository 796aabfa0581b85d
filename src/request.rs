//! A webhook request as it was received, free of any HTTP framework.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::OnceLock;

use serde::Deserialize;

mod fields;

use crate::event::time::Time;
use fields::Fields;
pub use fields::MAX_FIELDS;

/// The methods that providers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
}

impl Method {
    /// The method's name in HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// One request. The body is what is left when `Content-Encoding` has been undone, and nothing else
/// has touched it.
pub struct RawRequest<'r> {
    /// The method.
    pub method: Method,
    /// The path, with a URL token replaced by `***`.
    pub path: &'r str,
    /// The token that ended the path.
    pub url_token: Option<&'r str>,
    /// The query as received, without `?`.
    pub query: &'r str,
    /// The headers as received.
    pub headers: Headers<'r>,
    /// The bytes that are authenticated.
    pub body: &'r [u8],
    /// The body claims an encoding that could not be undone: `body` holds the bytes as they came.
    pub undecodable: bool,
    /// The sender: the peer, or what a trusted proxy reports.
    pub remote_addr: Option<IpAddr>,
    /// When the head of the request was read.
    pub received_at: Time,
    /// Path and query as received.
    target: Cow<'r, str>,
    /// What stands before the path in the URL that the provider calls.
    public_url: Option<&'r str>,
    query_fields: OnceLock<Fields>,
    form_fields: OnceLock<Fields>,
}

impl<'r> RawRequest<'r> {
    /// A request of which no more is known; the rest is added by the functions that begin with `with`.
    pub fn new(method: Method, path: &'r str, received_at: Time) -> Self {
        Self {
            method,
            path,
            url_token: None,
            query: "",
            headers: Headers::default(),
            body: &[],
            undecodable: false,
            remote_addr: None,
            received_at,
            target: Cow::Borrowed(""),
            public_url: None,
            query_fields: OnceLock::new(),
            form_fields: OnceLock::new(),
        }
    }

    /// The same request with a token that ended its path.
    #[must_use]
    pub fn with_token(self, url_token: Option<&'r str>) -> Self {
        Self { url_token, ..self }
    }

    /// The same request with a query.
    #[must_use]
    pub fn with_query(self, query: &'r str) -> Self {
        Self { query, query_fields: OnceLock::new(), ..self }
    }

    /// The same request with headers, whose names are in lower case.
    #[must_use]
    pub fn with_headers(self, headers: impl IntoIterator<Item = (&'r str, &'r [u8])>) -> Self {
        Self { headers: Headers(headers.into_iter().collect()), ..self }
    }

    /// The same request with its sender.
    #[must_use]
    pub fn with_remote_addr(self, remote_addr: Option<IpAddr>) -> Self {
        Self { remote_addr, ..self }
    }

    /// The same request with path and query as received, and what stands before them in the URL that the provider
    /// calls, such as `https://hooks.example.com`.
    #[must_use]
    pub fn with_target(self, target: impl Into<Cow<'r, str>>, public_url: Option<&'r str>) -> Self {
        Self { target: target.into(), public_url, ..self }
    }

    /// The same request, now with its body.
    #[must_use]
    pub fn with_body<'b>(self, body: &'b [u8], undecodable: bool) -> RawRequest<'b>
    where
        'r: 'b,
    {
        RawRequest { body, undecodable, form_fields: OnceLock::new(), ..self }
    }

    /// What is known before the body is read.
    pub fn head(&self) -> Head<'_, 'r> {
        Head(self)
    }

    /// The parameters of the query.
    pub fn query_fields(&'r self) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.query_fields.get_or_init(|| Fields::read(self.query.as_bytes())).iter(self.query.as_bytes())
    }

    /// The body read as a form (`application/x-www-form-urlencoded`), whatever its media type. A byte order mark and
    /// white space around it are none of it.
    pub fn form_fields(&'r self) -> impl Iterator<Item = (&'r str, &'r str)> {
        let form = self.body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(self.body).trim_ascii();
        self.form_fields.get_or_init(|| Fields::read(form)).iter(form)
    }

    /// The URL that the provider called, as far as it is known: what stands before the path is what
    /// `server.public_url` says, since a proxy may have changed it.
    pub fn external_url(&self) -> Option<String> {
        self.public_url.map(|before| format!("{before}{}", self.target))
    }
}

/// Its token is a secret.
impl fmt::Debug for RawRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RawRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A request of which nothing but the head can be seen.
#[derive(Debug, Clone, Copy)]
pub struct Head<'h, 'r>(&'h RawRequest<'r>);

impl<'h, 'r> Head<'h, 'r> {
    /// The headers as received.
    pub fn headers(self) -> &'h Headers<'r> {
        &self.0.headers
    }

    /// The token that ended the path.
    pub fn url_token(self) -> Option<&'r str> {
        self.0.url_token
    }

    /// The sender: the peer, or what a trusted proxy reports.
    pub fn remote_addr(self) -> Option<IpAddr> {
        self.0.remote_addr
    }

    /// When the head was read.
    pub fn received_at(self) -> Time {
        self.0.received_at
    }
}

/// Header names, in lower case, and values in the order received.
#[derive(Debug, Default)]
pub struct Headers<'r>(Vec<(&'r str, &'r [u8])>);

impl<'r> Headers<'r> {
    /// Every value of a header.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'r [u8]> {
        self.0.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// All headers.
    pub fn iter(&self) -> impl Iterator<Item = (&'r str, &'r [u8])> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty<'r>() -> RawRequest<'r> {
        RawRequest::new(Method::Post, "/webhooks/s/***", Time::from_unix_seconds(0).unwrap())
    }

    #[test]
    fn parameters_are_decoded_in_the_order_received() {
        let request = empty().with_query("a=1&a=%C3%A9+x&b&&=c").with_body(b"\xef\xbb\xbfd=%zz&e=\xff\r\n", false);
        let query: Vec<_> = request.query_fields().collect();
        assert_eq!(query, [("a", "1"), ("a", "\u{e9} x"), ("b", ""), ("", "c")]);
        let form: Vec<_> = request.form_fields().collect();
        assert_eq!(form, [("d", "%zz"), ("e", "\u{fffd}")]);
        assert_eq!(request.form_fields().collect::<Vec<_>>(), form, "they are read once");
    }

    #[test]
    fn parameters_are_those_of_the_last_body() {
        let request = empty().with_body(b"a=1", false);
        assert_eq!(request.form_fields().count(), 1);
        let request = request.with_body(b"b=2&c=3", false);
        assert_eq!(request.form_fields().next(), Some(("b", "2")));
    }

    #[test]
    fn what_the_provider_called_is_known_if_the_configuration_tells() {
        let target = "/webhooks/s/a-token?a=%20b";
        assert_eq!(empty().with_target(target, None).external_url(), None);
        let request = empty().with_target(target, Some("https://hooks.example.com"));
        assert_eq!(request.external_url().unwrap(), "https://hooks.example.com/webhooks/s/a-token?a=%20b");
        assert!(!format!("{request:?}").contains("a-token"));
    }
}
