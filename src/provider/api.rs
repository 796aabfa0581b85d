//! A provider's own API, as far as it can be told without a network: what is asked, and what an answer means.
//!
//! A provider's side is pure. It is a conversation that says the next request and hears the answer, and a judge of
//! every answer. Whoever holds the conversation does the rest, for all providers alike: connections, credentials, rates,
//! retries, redirects and clocks.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use url::Url;

#[cfg(test)]
pub(crate) mod conversation;
pub mod reports;

use super::Sink;
use super::recordings::Recordings;
use super::subscriptions::Subscriptions;
use crate::event::kind::Kind;
use crate::event::time::Time;

/// One thing that a provider's API tells, stretch of time by stretch of time. Times are in seconds.
#[derive(Debug)]
pub struct StreamInfo {
    /// Name in keys, labels and output, lower case.
    pub name: &'static str,
    /// Its word in `products` of the configuration.
    pub product: &'static str,
    /// The kinds of event that its rows become.
    pub kinds: &'static [Kind],
    /// Whether the provider is asked for numbers of rows first.
    pub counted: bool,
    /// Whether no webhook tells the same.
    pub primary: bool,
    /// Name of a stream whose rows are all among those of this one, so that both are never asked for.
    pub includes: Option<&'static str>,
    /// The longest stretch of time that one request may ask for.
    pub widest_s: u32,
    /// What is asked for beyond each end of a window. None where the answer alone places a row.
    pub margin_s: u32,
    /// The least age at which the provider tells of a time.
    pub least_delay_s: u32,
    /// Age of the first reading, unless the configuration says otherwise.
    pub delay_s: u32,
    /// Ages of the further readings, unless the configuration says otherwise.
    pub again_s: &'static [u32],
    /// How long the provider keeps rows.
    pub reach_s: u32,
    /// Whether that is documented for certain.
    pub reach_is_sure: bool,
}

/// A provider's API as one source uses it. Everything in it is a function of what it is given.
pub trait Api: fmt::Debug + Send + Sync {
    /// With what requests are authorised.
    fn access(&self) -> &Access;

    /// The hosts, by the names that [`Request::base`] has. They alone are given credentials.
    fn bases(&self) -> &[(&'static str, Url)];

    /// How often each class of request may be made. Classes that are not here are not held back.
    fn paces(&self) -> &'static [Pace];

    /// What is published of its events as `ingest.scheme`.
    fn scheme(&self) -> &'static str;

    /// The longest stretch of time that one question about a stream may be about, in seconds.
    fn widest_s(&self, stream: &StreamInfo) -> u32 {
        stream.widest_s
    }

    /// By which way the rows of an answer came, by the path that was asked: what is published as `ingest.via`.
    fn via(&self, _path: &str) -> &'static str {
        "poll"
    }

    /// Reports that somebody may ask for by hand, if the provider makes any.
    fn reports(&self) -> Option<&dyn reports::Reports> {
        None
    }

    /// Texts of messages are to be asked for too, since they are published.
    fn want_texts(&mut self) {}

    /// Begins a conversation about a question.
    fn ask(&self, question: &Question) -> Box<dyn Talk>;

    /// What an answer means, before the conversation hears it.
    fn judge(&self, request: &Request, answer: &Answer) -> Verdict;

    /// The share of the account's quota of requests that is left to others, in percent. Where less is left, nothing is
    /// asked until the quota begins anew.
    fn quota_reserve_percent(&self) -> u32 {
        0
    }

    /// Further kinds of event whose records tell that webhooks told of a row: their keys are those of its events.
    fn heard_in(&self) -> &'static [Kind] {
        &[]
    }

    /// The recordings of calls, where the API has them.
    fn recordings(&self) -> Option<&dyn Recordings> {
        None
    }

    /// The provider's webhooks, where the API can change them.
    fn subscriptions(&self) -> Option<&dyn Subscriptions> {
        None
    }

    /// The id by which the provider finds a request again, for the log.
    fn request_id<'a>(&self, answer: &'a Answer) -> Option<&'a str> {
        answer.header("x-request-id")
    }

    /// Turns one row into events, as [`normalize`](super::Provider::normalize) does with a webhook.
    fn map<'r>(&self, row: &Row<'r>, out: &mut dyn Sink<'r>);

    /// The time by which a row belongs to a window.
    fn placed_at(&self, row: &Row<'_>) -> Option<Time>;

    /// Whether rows may be of users whom the webhooks leave out for good. Then only those of users that webhooks have
    /// told of are surely missing.
    fn tells_of_more_users(&self) -> bool {
        false
    }

    /// Seconds from one sweep to the next, unless the configuration says otherwise.
    fn sweeps_every_s(&self) -> u32 {
        3600
    }

    /// Whether rows name users, so that [`user_of`](Self::user_of) tells something.
    fn names_users(&self) -> bool {
        false
    }

    /// The id of the user whose row it is, for APIs that tell of more users than webhooks do.
    fn user_of(&self, _row: &Row<'_>) -> Option<String> {
        None
    }

    /// The same of a record of a topic, by its value, if a webhook has told it.
    fn user_told(&self, _value: &[u8]) -> Option<String> {
        None
    }

    /// The time by which a record of a topic belongs to a window, by its value; for streams that are counted.
    fn held_at(&self, _value: &[u8]) -> Option<Time> {
        None
    }
}

/// With what requests are authorised.
#[derive(Debug)]
pub enum Access {
    /// A name and a password with every request (RFC 7617).
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// A token that the operator has made, and that is not renewed.
    Bearer(SecretString),
    /// Tokens that are renewed (RFC 6749).
    OAuth(OAuth),
}

/// How tokens are renewed.
#[derive(Debug)]
pub struct OAuth {
    /// The base of the token's URL.
    pub base: &'static str,
    /// Its path.
    pub path: &'static str,
    /// Id of the client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// The first refresh token; none where the client's own credentials are enough.
    pub refresh_token: Option<SecretString>,
    /// How long a token is taken to last where the answer does not say.
    pub default_lifetime: Duration,
    /// So much before its end a token is not used any more, if it lasts twice as long.
    pub spared: Duration,
}

/// How often requests of a class may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The class.
    pub class: &'static str,
    /// At most so many.
    pub requests: u32,
    /// In so long.
    pub per: Duration,
    /// At most so many at a time.
    pub at_once: usize,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// How many rows each account has in a stretch of time.
    Counts(Asked),
    /// Which rows there are.
    Rows(Asked),
    /// Whether the credentials and rights for a stream are there: something harmless about a stretch of time that is
    /// over and may be asked for.
    Check(Asked),
}

/// A stretch of time of a stream, the end of which is outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Name of the stream.
    pub stream: &'static str,
    /// Its first instant.
    pub from: Time,
    /// The first instant after it.
    pub to: Time,
    /// Only this account's rows.
    pub account: Option<String>,
    /// The host of another region, to which an earlier answer has directed.
    pub region: Option<Url>,
}

/// A conversation.
pub trait Talk: Send {
    /// Hears the answer to what was said last, hands over what it holds, and says what comes next.
    fn next(&mut self, heard: Heard<'_>, found: &mut dyn Found) -> Say;
}

/// What a conversation hears.
#[derive(Debug)]
pub enum Heard<'a> {
    /// It begins.
    Begin,
    /// An answer that was judged [`Verdict::Fine`] or [`Verdict::Empty`].
    Answer(&'a Answer),
    /// The request came to nothing, for good: nobody will ask it again.
    Judged(&'a Verdict),
    /// It was waited.
    Waited,
    /// A file is there. Its rows were handed over, so many; or none of them, since something is wrong with it.
    File(Result<u64, FileFault>),
}

/// What a conversation says.
#[derive(Debug)]
pub enum Say {
    /// This is to be asked next.
    Send(Request),
    /// The next thing is to be said after so long.
    Wait(Duration),
    /// A file is to be fetched, and its rows are to be handed over once all of it is proven.
    Fetch(Download),
    /// It is over.
    Done(Ending),
}

/// A file to be fetched: a table of texts (CSV with names in its first line), alone in a zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Where it is.
    pub request: Request,
    /// Columns without which its rows are of no use: of each group one.
    pub needed: &'static [&'static [&'static str]],
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFault {
    /// It is no zip with one table, is damaged, or unpacks to more than can be right.
    Broken,
    /// Its table lacks columns that are needed.
    ColumnsMissing,
    /// It can not be written or read here.
    NotWritten,
}

impl FileFault {
    /// A short word for logs and outcomes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Broken => "broken_file",
            Self::ColumnsMissing => "columns_missing",
            Self::NotWritten => "not_written",
        }
    }
}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Everything that was asked for was told.
    Whole,
    /// Not everything; what was handed over is true. The word is one of a fixed list, such as `page_repeats`.
    Partial(&'static str),
    /// The question has to be one about less.
    Narrower,
    /// What was asked for is not kept any more.
    Expired,
    /// It could not be answered because of this.
    Failed(Verdict),
}

/// Takes what a conversation finds.
pub trait Found {
    /// So many rows does the provider count of an account.
    fn count(&mut self, account: &str, rows: u64);

    /// One row, as JSON text.
    fn row(&mut self, json: &str);

    /// Nothing that was told since the conversation began is to be believed.
    fn take_back(&mut self) {}

    /// What was asked for is at another host of the provider, where it can be asked for at once the next time.
    fn moved(&mut self, _host: &Url) {}
}

/// A method of HTTP that an API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
}

/// One request. It names no host: that is what its base is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// One of [`Api::bases`].
    pub base: &'static str,
    /// Another host in its place, which the provider named and the API's side has found acceptable.
    pub elsewhere: Option<Url>,
    /// What sort of request it is, for rates, logs and metrics: `partner_counts`.
    pub class: &'static str,
    /// The method.
    pub verb: Verb,
    /// The path, with a slash at its beginning.
    pub path: String,
    /// The query, not yet encoded.
    pub query: Vec<(String, String)>,
    /// A body of JSON.
    pub body: Option<String>,
}

impl Request {
    /// A request that reads.
    pub fn get(base: &'static str, class: &'static str, path: impl Into<String>) -> Self {
        let (path, query) = (path.into(), Vec::new());
        Self { base, elsewhere: None, class, verb: Verb::Get, path, query, body: None }
    }

    /// The same request with one more pair in its query.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }
}

/// An answer, with its whole body.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// Header names in lower case, and values, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body, after any compression was undone.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are none are replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON of a certain shape, if it is that.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.text()).ok()
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was asked for.
    Fine,
    /// There is nothing of what was asked for.
    Empty,
    /// The provider is in trouble for a moment.
    Again {
        /// A short word for logs and metrics.
        word: &'static str,
    },
    /// It can be asked in the same words after a while: it is too early for it.
    Later {
        /// A short word for logs and metrics.
        word: &'static str,
        /// How long to wait where the answer does not say.
        wait: Duration,
        /// How often it is asked in all before it is left for now.
        tries: u32,
    },
    /// Too many requests. Where the answer says how long to wait, that is waited.
    Throttled {
        /// How long to wait where the answer does not say.
        otherwise: Duration,
    },
    /// Another question of the account is under way. It is asked again after pauses that grow.
    Busy,
    /// The token is not accepted.
    Renew,
    /// It is to be asked at another host.
    Elsewhere(Url),
    /// It is to be asked for less at a time.
    Narrower,
    /// It is not kept any more.
    Expired,
    /// It is no answer of this API.
    NotUnderstood,
    /// Nothing will come of it until the operator has done something.
    Misconfigured {
        /// A short word: `forbidden`.
        word: &'static str,
        /// What is to be done, with the provider's own words where they help.
        mend: String,
    },
}

impl Verdict {
    /// A short word for logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Empty => "empty",
            Self::Again { word } | Self::Later { word, .. } | Self::Misconfigured { word, .. } => word,
            Self::Throttled { .. } | Self::Busy => "throttled",
            Self::Renew => "unauthorized",
            Self::Elsewhere(_) => "elsewhere",
            Self::Narrower => "invalid",
            Self::Expired => "expired",
            Self::NotUnderstood => "not_understood",
        }
    }
}

/// One record of the provider, as JSON text.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    /// Name of the stream that it is of.
    pub stream: &'static str,
    /// It.
    pub text: &'r str,
    /// The account that the configuration names.
    pub account_id: Option<&'r str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_leniently() {
        let headers = vec![("link".to_owned(), "1".to_owned()), ("link".to_owned(), "2".to_owned())];
        let answer = Answer { status: 200, headers, body: b"[\"a\xff\"]".to_vec() };
        assert_eq!((answer.header("link"), answer.header("date")), (Some("1"), None));
        assert_eq!(answer.json::<Vec<String>>().unwrap(), ["a\u{fffd}"]);
        assert_eq!(answer.json::<u64>(), None);
    }
}
