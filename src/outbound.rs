//! Asking the providers' APIs: the only place where requests to them are made.
//!
//! A [`Line`] is one source's connection to its provider. It holds the conversation that the provider's side leads
//! ([`Talk`]), and does everything that is alike for all of them: credentials, which go to the configured hosts alone;
//! rates; repeating what failed for a moment; redirects; bounds of bodies and times; the provider's clock.
//!
//! # What is repeated
//! What only reads is repeated after a failure of the network or of the server, six times at most, with growing random
//! waits. What changes something is repeated only where it can not have arrived, or was refused for its number. Where
//! the provider says how long to wait, it is waited so long, up to a quarter of an hour; beyond that the question ends as
//! [`Ended::Throttled`], and can be asked again then.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use ulid::Ulid;

use crate::event::time::Time;
use crate::provider::api::{Answer, Api, Ending, Found, Heard, Question, Request, Say, Verb, Verdict};
use crate::telemetry::api::ApiMetrics;

pub mod access;
mod exchange;
mod origin;
mod pace;
mod wait;

use access::{Authorisation, Vault};
use exchange::Trouble;
pub use exchange::{Client, ClientError, ClientSettings};
use pace::Paces;
use wait::{LONGEST_ON_THE_SPOT, delays, told_wait};

/// A conversation ends after so many requests, or so long, however much there is left to say.
const MAX_REQUESTS: u32 = 10_000;
const MAX_DURATION: Duration = Duration::from_secs(6 * 3600);

/// How long to wait before asking again what was answered by something that is no answer.
const NOT_UNDERSTOOD_WAIT: Duration = Duration::from_secs(60);

/// Requests that are refused for their number are repeated so often on the spot.
const MAX_THROTTLED: u32 = 20;

/// A clock that differs more than this is told.
const SKEW_TO_WARN_S: i64 = 60;

/// Waits for a while. Tests have one that does not.
pub type Sleep = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// The clock of the runtime.
pub fn real_sleep() -> Sleep {
    Arc::new(|duration| Box::pin(tokio::time::sleep(duration)))
}

/// Where the answer that something was found in came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Id of the answer, a ULID.
    pub raw_id: String,
    /// When it came.
    pub at: Time,
    /// The path that was asked.
    pub path: String,
    /// The query that was asked, encoded.
    pub query: String,
}

/// Takes what a conversation finds, and learns of each answer before what is in it.
pub trait Findings: Found {
    /// What is found from now on is in this answer.
    fn fetched(&mut self, fetched: &Arc<Fetched>);
}

/// How asking a question ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The conversation came to its end.
    Said(Ending),
    /// The provider wants to be left alone for so long.
    Throttled(Duration),
}

/// One source's connection to its provider.
pub struct Line {
    source_name: String,
    api: Arc<dyn Api>,
    client: Client,
    authorisation: Authorisation,
    paces: Paces,
    metrics: Arc<ApiMetrics>,
    sleep: Sleep,
}

impl fmt::Debug for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Line").field(&self.source_name).finish()
    }
}

/// What became of one request.
#[derive(Debug)]
enum Exchanged {
    Answered(Answer, Arc<Fetched>),
    Judged(Verdict),
    Throttled(Duration),
}

/// What is to be done after one try.
enum Next {
    Done(Exchanged),
    /// Wait, and try again. Whoever is refused for the number of requests has more tries.
    Again {
        word: &'static str,
        wait: Option<Duration>,
    },
}

impl Line {
    /// Connects nothing yet.
    pub fn new(
        source_name: &str,
        api: Arc<dyn Api>,
        client: Client,
        vault: Arc<dyn Vault>,
        metrics: Arc<ApiMetrics>,
        sleep: Sleep,
    ) -> Self {
        let authorisation = Authorisation::new(Arc::clone(&api), vault);
        let paces = Paces::new(api.paces(), Arc::clone(&sleep));
        Self { source_name: source_name.to_owned(), api, client, authorisation, paces, metrics, sleep }
    }

    /// The provider's side.
    pub fn api(&self) -> &Arc<dyn Api> {
        &self.api
    }

    /// Asks a question and hands over what the answers hold. Dropping the future ends the asking.
    pub async fn ask(&self, question: &Question, findings: &mut dyn Findings) -> Ended {
        let started = Instant::now();
        let mut talk = self.api.ask(question);
        let mut say = talk.next(Heard::Begin, findings);
        let mut requests = 0;
        loop {
            let request = match say {
                Say::Done(ending) => return Ended::Said(ending),
                Say::Send(request) => request,
            };
            requests += 1;
            if requests > MAX_REQUESTS || started.elapsed() > MAX_DURATION {
                return Ended::Said(Ending::Partial("too_long"));
            }
            say = match self.exchange(&request).await {
                Exchanged::Answered(answer, fetched) => {
                    findings.fetched(&fetched);
                    talk.next(Heard::Answer(&answer), findings)
                }
                Exchanged::Judged(verdict) => talk.next(Heard::Judged(&verdict), findings),
                Exchanged::Throttled(wait) => return Ended::Throttled(wait),
            };
        }
    }

    /// Makes one request until it is answered or nothing will come of it.
    async fn exchange(&self, request: &Request) -> Exchanged {
        let mut delays = delays();
        let (mut throttled, mut renewed, mut misunderstood) = (0, false, false);
        loop {
            let (word, wait) = match self.once(request, &mut renewed, &mut misunderstood).await {
                Next::Done(exchanged) => return exchanged,
                Next::Again { word, wait: Some(wait) } if wait > LONGEST_ON_THE_SPOT => {
                    tracing::info!(source.name = %self.source_name, request.class, word, wait_s = wait.as_secs(), "the provider wants to be asked later");
                    return Exchanged::Throttled(wait);
                }
                Next::Again { word, wait: Some(wait) } => {
                    throttled += 1;
                    (word, (throttled <= MAX_THROTTLED).then_some(wait))
                }
                Next::Again { word, wait: None } => (word, delays.next()),
            };
            let Some(wait) = wait else { return Exchanged::Judged(Verdict::Again { word }) };
            tracing::debug!(source.name = %self.source_name, request.class, word, wait_ms = wait.as_millis(), "asking again");
            self.metrics.throttled(if word == "throttled" { wait } else { Duration::ZERO });
            (self.sleep)(wait).await;
        }
    }

    /// One try.
    async fn once(&self, request: &Request, renewed: &mut bool, misunderstood: &mut bool) -> Next {
        let _turn = self.paces.turn(request.class).await;
        let credentials = match self.authorisation.header(&self.client, false).await {
            Ok(credentials) => credentials,
            Err(verdict) => return self.judged(request, verdict),
        };
        let started = Instant::now();
        let sent = self.client.exchange(&*self.api, request, &credentials).await;
        self.metrics.duration(started.elapsed());
        let answer = match sent {
            Ok(answer) => answer,
            Err(trouble) => return self.troubled(request, trouble),
        };
        self.note_clock(&answer);
        self.note_quota(&answer);
        let verdict = self.api.judge(request, &answer);
        match verdict {
            Verdict::Fine | Verdict::Empty => {
                self.metrics.request(request.class, verdict.word());
                Next::Done(Exchanged::Answered(answer, Arc::new(fetched(request))))
            }
            Verdict::Again { word } if may_repeat(request, &answer) => self.again(request, word, told_wait(&answer)),
            Verdict::Throttled { otherwise } => {
                self.again(request, "throttled", Some(told_wait(&answer).unwrap_or(otherwise)))
            }
            Verdict::Renew if !*renewed && self.authorisation.is_renewable() => {
                *renewed = true;
                self.renew(request).await
            }
            Verdict::NotUnderstood if !*misunderstood => {
                *misunderstood = true;
                self.again(request, "not_understood", Some(NOT_UNDERSTOOD_WAIT))
            }
            Verdict::Renew => self.judged(request, unauthorized()),
            verdict => self.judged(request, verdict),
        }
    }

    /// Gets another token, after one was not accepted.
    async fn renew(&self, request: &Request) -> Next {
        match self.authorisation.header(&self.client, true).await {
            Ok(_) => self.again(request, "unauthorized", Some(Duration::ZERO)),
            Err(verdict) => self.judged(request, verdict),
        }
    }

    fn troubled(&self, request: &Request, trouble: Trouble) -> Next {
        tracing::debug!(source.name = %self.source_name, request.class, word = trouble.word(), "a request has failed");
        match trouble {
            Trouble::Refused { word, mend } => self.judged(request, Verdict::Misconfigured { word, mend }),
            Trouble::TooLarge => self.judged(request, Verdict::Narrower),
            Trouble::Failed { word, was_sent } if request.verb == Verb::Get || !was_sent => {
                self.again(request, word, None)
            }
            Trouble::Failed { word, .. } => self.judged(request, Verdict::Again { word }),
        }
    }

    fn again(&self, request: &Request, word: &'static str, wait: Option<Duration>) -> Next {
        self.metrics.request(request.class, word);
        Next::Again { word, wait }
    }

    fn judged(&self, request: &Request, verdict: Verdict) -> Next {
        self.metrics.request(request.class, verdict.word());
        Next::Done(Exchanged::Judged(verdict))
    }

    /// How many requests the provider still allows, if it says so.
    fn note_quota(&self, answer: &Answer) {
        let names = ["x-ratelimit-remaining", "ratelimit-remaining"];
        let told = names.iter().find_map(|name| answer.header(name)?.trim().parse().ok());
        told.into_iter().for_each(|remaining| self.metrics.quota(remaining));
    }

    /// How far the provider's clock is ahead of ours.
    fn note_clock(&self, answer: &Answer) {
        let Some(date) = answer.header("date").and_then(wait::http_date) else { return };
        let skew_s = date.unix_seconds() - Time::now().unix_seconds();
        if self.metrics.clock_skew(skew_s).abs() <= SKEW_TO_WARN_S && skew_s.abs() > SKEW_TO_WARN_S {
            tracing::warn!(source.name = %self.source_name, skew_s, "the provider's clock and ours differ");
        }
    }
}

/// Only what changes nothing is repeated after it has arrived, but for what was refused unread.
fn may_repeat(request: &Request, answer: &Answer) -> bool {
    request.verb == Verb::Get || matches!(answer.status, 429 | 503)
}

fn fetched(request: &Request) -> Fetched {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query).finish();
    Fetched { raw_id: Ulid::generate().to_string(), at: Time::now(), path: request.path.clone(), query }
}

fn unauthorized() -> Verdict {
    let mend = "the provider does not accept the source's credentials; look at its keys for the API".to_owned();
    Verdict::Misconfigured { word: "unauthorized", mend }
}

#[cfg(test)]
mod tests;
