//! Acting as a provider: what `trunkline send` and the tests share.
//!
//! Each provider signs here with code of its own, written from the provider's documentation and not
//! from the receiver, so that the two check each other.

use std::borrow::Cow;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

mod encoding;

use crate::event::time::Time;
use crate::request::{Method, RawRequest};
pub use encoding::{Encoding, as_parameter};

/// Something that a provider reports, in one webhook or in several.
#[derive(Debug)]
pub struct Simulation {
    /// Name on the command line.
    pub name: &'static str,
    /// Shorter names.
    pub aliases: &'static [&'static str],
    /// What it is, in one line.
    pub summary: &'static str,
    /// JSON Pointer to the first record inside a body, for changes of its fields; empty where the body
    /// itself is the record.
    pub record: &'static str,
    /// Shapes of the body that the provider may use, the first being the default; empty if it has one.
    pub shapes: &'static [&'static str],
    /// Makes realistic bodies with invented numbers, in the order in which they are sent.
    pub bodies: fn(&Seed) -> Vec<Value>,
    /// The encodings that the provider may use, the first being the default.
    pub encodings: &'static [Encoding],
    /// Signs bytes as the provider does, which are written in the encoding of the signing.
    pub sign: fn(&Signing<'_>, Vec<u8>) -> SignedRequest,
}

impl Simulation {
    /// The encoding in which it is sent unless another one is asked for.
    pub fn encoding(&self) -> Encoding {
        self.encodings.first().copied().unwrap_or(Encoding::Json)
    }

    /// Writes and signs a body.
    pub fn request(&self, signing: &Signing<'_>, body: &Value) -> SignedRequest {
        (self.sign)(signing, signing.encoding.write(body))
    }
}

/// What makes one simulated report different from the next.
#[derive(Debug, Clone)]
pub struct Seed {
    /// Fresh id of the message or call, a UUID.
    pub id: String,
    /// The account that it happens to.
    pub account_id: String,
    /// The moment at which it happens.
    pub now: Time,
    /// Number of this report in its run, from 0.
    pub index: u64,
    /// Records in a body, for providers that send batches.
    pub records: usize,
    /// One of the simulation's shapes; the first, if empty.
    pub shape: String,
}

/// With what to sign.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account's id at the provider.
    pub account_id: String,
    /// The secret, or the URL token of a provider that signs nothing; absent for a source that checks
    /// nothing.
    pub secret: Option<SecretString>,
    /// How the account signs, where the provider leaves a choice; else, or for the provider's default, absent.
    pub signature_method: Option<&'static str>,
    /// Use another secret than the right one.
    pub tamper: bool,
}

impl Credentials {
    /// Those of an account, signing rightly.
    pub fn new(account_id: &str, secret: &str) -> Self {
        let account_id = account_id.to_owned();
        Self { account_id, secret: Some(secret.into()), signature_method: None, tamper: false }
    }

    /// The secret to sign with, or to end the URL with, which is a wrong one for a forger.
    pub fn key(&self) -> Option<String> {
        let wrong = if self.tamper { "-tampered" } else { "" };
        self.secret.as_ref().map(|secret| format!("{}{wrong}", secret.expose_secret()))
    }
}

/// What a signature may depend on besides the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Signing<'s> {
    /// With what to sign.
    pub credentials: &'s Credentials,
    /// The URL of the webhook, without the token that may end it.
    pub url: &'s str,
    /// When it is signed.
    pub now: Time,
    /// How the bytes are written.
    pub encoding: Encoding,
}

/// A webhook, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The method.
    pub method: Method,
    /// What is added to the URL's path as its last part: the token.
    pub url_token: Option<String>,
    /// The query, without `?`.
    pub query: String,
    /// Headers to set.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl SignedRequest {
    /// The request as it is received at this URL, or at a path alone, by somebody who knows what the URL is.
    pub fn received<'r>(&'r self, url: &'r str, received_at: Time) -> RawRequest<'r> {
        let headers = self.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let (host, path) = split_url(url);
        RawRequest::new(self.method, path, received_at)
            .with_target(self.target(path), host)
            .with_token(self.url_token.as_deref())
            .with_query(&self.query)
            .with_headers(headers)
            .with_body(&self.body, false)
    }
}

impl SignedRequest {
    /// Path and query as they are sent, if this is the path without a token.
    fn target<'r>(&self, path: &'r str) -> Cow<'r, str> {
        if self.url_token.is_none() && self.query.is_empty() {
            return path.into();
        }
        let token = self.url_token.as_ref().map(|token| format!("/{token}")).unwrap_or_default();
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        format!("{path}{token}{query}").into()
    }
}

/// What stands before the path of a URL, and the path.
fn split_url(url: &str) -> (Option<&str>, &str) {
    let host = url.find("://").map_or(0, |scheme| scheme + "://".len());
    let path = url.get(host..).and_then(|rest| rest.find('/')).map_or(url.len(), |path| host + path);
    let (before, path) = url.split_at(path);
    ((!before.is_empty()).then_some(before), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_knows_the_url_that_it_was_sent_to() {
        let at = Time::from_unix_seconds(0).unwrap();
        let url = "https://hooks.example.com/webhooks/s";
        for (url_token, query, sent_to) in
            [(None, "", url.to_owned()), (Some("a-token"), "a=1", format!("{url}/a-token?a=1"))]
        {
            let (url_token, query) = (url_token.map(str::to_owned), query.to_owned());
            let signed = SignedRequest { method: Method::Get, url_token, query, headers: Vec::new(), body: Vec::new() };
            let received = signed.received(url, at);
            assert_eq!((received.path, received.external_url()), ("/webhooks/s", Some(sent_to)));
            assert_eq!(signed.received("/webhooks/s", at).external_url(), None);
        }
    }
}
