//! Webhooks to send: made and signed by the provider's own simulation.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use trunkline::event::time::Time;
use trunkline::provider::ProviderInfo;
use trunkline::provider::simulate::{Credentials, Encoding, Seed, Signing};
use trunkline::providers;

use super::{ACCOUNT, SECRET, SOURCE};

/// A request on its way to the receiver.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Webhook {
    /// A JSON body, signed for the source "vonage-eu".
    pub(crate) fn signed(body: &Value) -> Self {
        Self::signed_bytes(body.to_string())
    }

    /// Any bytes, signed for the source "vonage-eu".
    pub(crate) fn signed_bytes(body: impl Into<Vec<u8>>) -> Self {
        Self::signed_by(&credentials(), Time::now(), body)
    }

    /// Any bytes, signed with anything at any time.
    pub(crate) fn signed_by(credentials: &Credentials, now: Time, body: impl Into<Vec<u8>>) -> Self {
        let signing = Signing { credentials, url: "", now, encoding: Encoding::Json };
        let signed = (vonage().simulations[0].sign)(&signing, body.into());
        let headers = signed.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { method: "POST", path: format!("/webhooks/{SOURCE}"), headers, body: signed.body }
    }

    /// Any bytes without a signature.
    pub(crate) fn unsigned(body: impl Into<Vec<u8>>) -> Self {
        Self::signed_by(&Credentials { secret: None, ..credentials() }, Time::now(), body)
    }

    /// Sends it elsewhere.
    pub(crate) fn to(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Sends it by another method.
    pub(crate) fn by(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// Sets a header.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        let mut webhook = self.without_header(name);
        webhook.headers.push((name.to_owned(), value.to_owned()));
        webhook
    }

    /// Leaves a header out.
    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// Compresses the body. The signature stays that of the bytes before.
    pub(crate) fn gzipped(mut self) -> Self {
        self.body = gzip(&self.body);
        self.header("content-encoding", "gzip")
    }

    /// The head of the request in HTTP/1.1, without the header that tells how long the body is.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: trunkline.test\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        head
    }

    /// The whole request in HTTP/1.1.
    pub(crate) fn to_http(&self) -> Vec<u8> {
        let mut bytes = format!("{}content-length: {}\r\n\r\n", self.head(), self.body.len()).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The whole request in HTTP/1.1, with a body in chunks of this many bytes.
    pub(crate) fn to_chunked_http(&self, chunk_bytes: usize) -> Vec<u8> {
        let mut bytes = format!("{}transfer-encoding: chunked\r\n\r\n", self.head()).into_bytes();
        for chunk in self.body.chunks(chunk_bytes) {
            bytes.extend(chunk_of(chunk));
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }

    /// The longer words of the request, none of which belongs into an answer.
    pub(crate) fn words(&self) -> Vec<String> {
        let headers: Vec<&str> = self.headers.iter().map(|(_, value)| value.as_str()).collect();
        let body = String::from_utf8_lossy(self.body.get(..4096).unwrap_or(&self.body));
        let text = format!("{} {} {body}", self.path, headers.join(" "));
        let is_word = |word: &&str| word.len() >= 8 && word.is_ascii();
        text.split(|character: char| !character.is_alphanumeric()).filter(is_word).map(str::to_lowercase).collect()
    }
}

/// One chunk of a chunked body.
pub(crate) fn chunk_of(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// What "vonage-eu" signs with.
pub(crate) fn credentials() -> Credentials {
    Credentials::new(ACCOUNT, SECRET)
}

/// A status that is signed so many seconds ahead of the clock.
pub(crate) fn signed_s_ahead(seconds: i64) -> Webhook {
    let time = Time::from_unix_seconds(Time::now().unix_seconds() + seconds).unwrap();
    Webhook::signed_by(&credentials(), time, status().to_string())
}

/// The JSON Web Token that a webhook carries.
pub(crate) fn bearer(webhook: &Webhook) -> String {
    let header = webhook.headers.iter().find(|(name, _)| name == "authorization");
    header.unwrap().1.strip_prefix("Bearer ").unwrap().to_owned()
}

pub(crate) fn vonage() -> &'static ProviderInfo {
    providers::find("vonage").unwrap()
}

/// A body as the provider makes it, with a fresh id.
pub(crate) fn simulated(name: &str) -> Value {
    let simulation = vonage().simulation(name).unwrap();
    let seed = Seed {
        id: uuid::Uuid::new_v4().to_string(),
        account_id: ACCOUNT.to_owned(),
        now: Time::now(),
        index: 0,
        records: 1,
        shape: String::new(),
    };
    (simulation.bodies)(&seed).remove(0)
}

/// A status callback, version 1.
pub(crate) fn status() -> Value {
    simulated("message-status")
}

/// An inbound message, version 1.
pub(crate) fn inbound() -> Value {
    simulated("inbound-message")
}

/// A body with some members changed.
pub(crate) fn with(mut body: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A body without some members.
pub(crate) fn without(mut body: Value, members: &[&str]) -> Value {
    for name in members {
        body.as_object_mut().unwrap().shift_remove(*name);
    }
    body
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
