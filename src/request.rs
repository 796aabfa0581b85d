//! A webhook request as it was received, free of any HTTP framework.

use std::net::IpAddr;

use serde::Deserialize;

use crate::event::time::Time;

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
#[derive(Debug)]
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
}

impl<'r> RawRequest<'r> {
    /// What is known before the body is read.
    pub fn head(&self) -> Head<'_, 'r> {
        Head(self)
    }

    /// The same request, now with its body.
    #[must_use]
    pub fn with_body<'b>(self, body: &'b [u8], undecodable: bool) -> RawRequest<'b>
    where
        'r: 'b,
    {
        RawRequest { body, undecodable, ..self }
    }
}

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
    /// Takes headers whose names are in lower case.
    pub fn new(headers: impl IntoIterator<Item = (&'r str, &'r [u8])>) -> Self {
        Self(headers.into_iter().collect())
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'r [u8]> {
        self.0.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// All headers.
    pub fn iter(&self) -> impl Iterator<Item = (&'r str, &'r [u8])> {
        self.0.iter().copied()
    }
}
