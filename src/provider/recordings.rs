//! Recordings of calls at a provider, as far as it can be told without a network: what is asked, and what answers hold.

use std::fmt;

use url::Url;

use super::api::{Answer, Request};
use crate::event::time::Time;

/// Whose recordings are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// All of the account.
    Account,
    /// Those of a group of extensions.
    Group(String),
    /// Those of an extension.
    Extension(String),
}

/// One recording. Whatever but its id is not told is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// Its id.
    pub id: String,
    /// The id of its call, as in events.
    pub call_id: Option<String>,
    /// The extension that it is of.
    pub extension_id: Option<String>,
    /// When the leg began.
    pub begins_at: Option<Time>,
    /// When it ended.
    pub ends_at: Option<Time>,
    /// Its length in seconds.
    pub duration_s: Option<u64>,
    /// Its size in bytes.
    pub size_bytes: Option<u64>,
    /// How the call ended, in the provider's words.
    pub result: Option<String>,
}

/// A provider's recordings as one source uses them. Stretches of time are without their last instant. What may not be
/// asked for at once is asked for in several requests.
pub trait Recordings: fmt::Debug + Send + Sync {
    /// Asks whose credentials these are.
    fn whose(&self) -> Request;

    /// Whether they are the account's.
    ///
    /// # Errors
    /// What the operator has to do.
    fn is_ours(&self, answer: &Answer) -> Result<(), String>;

    /// Asks for the recordings of a stretch of time.
    fn list(&self, level: &Level, from: Time, to: Time) -> Vec<Request>;

    /// The recordings in an answer to that; none if it is no list.
    fn listed(&self, answer: &Answer) -> Option<Vec<Recording>>;

    /// Asks for their number and size.
    fn stats(&self, level: &Level, from: Time, to: Time) -> Vec<Request>;

    /// Asks for the link to one, which may need no login: it is a secret.
    fn link(&self, level: &Level, id: &str) -> Request;

    /// The link in an answer to that.
    fn linked(&self, answer: &Answer) -> Option<Url>;

    /// Asks for the file itself.
    fn file(&self, level: &Level, id: &str) -> Request;

    /// Asks for an archive, which is sent by mail.
    fn archive(&self, from: Time, to: Time, emails: &str) -> Vec<Request>;

    /// Deletes one.
    fn delete(&self, id: &str) -> Request;

    /// Deletes all of an extension in a stretch of time.
    fn delete_range(&self, extension_id: &str, from: Time, to: Time) -> Vec<Request>;
}

/// Whether a text may stand in a path as an id.
pub fn is_path_id(text: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= 128 && text.bytes().all(may_stand)
}
