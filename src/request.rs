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
    /// When the request was read.
    pub received_at: Time,
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
