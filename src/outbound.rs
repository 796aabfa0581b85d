//! Asking the providers' APIs: the only place where requests to them are made.
//!
//! A [`Line`] is one source's connection to its provider. It holds the conversation that the provider's side leads
//! ([`Talk`](crate::provider::api::Talk)), and does everything that is alike for all of them: credentials, which go to the configured hosts alone;
//! rates; repeating what failed for a moment; redirects; bounds of bodies and times; the provider's clock.
//!
//! # What is repeated
//! What only reads is repeated after a failure of the network or of the server, six times at most, with growing random
//! waits. What changes something is repeated only where it can not have arrived, or was refused for its number. Where
//! the provider says how long to wait, it is waited so long, up to a quarter of an hour; beyond that the question ends as
//! [`Ended::Throttled`], and can be asked again then.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use ulid::Ulid;

use crate::event::time::Time;
use crate::provider::api::{Answer, Api, Ending, Found, Heard, Question, Request, Say, Verb, Verdict};
use crate::telemetry::api::ApiMetrics;

pub mod access;
mod archive;
mod exchange;
mod fetch;
mod link;
mod origin;
mod pace;
mod quota;
mod wait;
mod work;

use access::{Authorisation, Vault};
use exchange::Trouble;
pub use exchange::{Client, ClientError, ClientSettings};
use fetch::File;
pub use fetch::{Fetching, Target};
use pace::Paces;
use quota::Quota;
use wait::{LONGEST_ON_THE_SPOT, busy_wait, delays, told_wait};
use work::Reading;
pub use work::WorkFile;

/// How much a conversation may say, however much there is left.
#[derive(Debug, Clone, Copy)]
struct Limits {
    requests: u32,
    duration: Duration,
}

const LIMITS: Limits = Limits { requests: 10_000, duration: Duration::from_secs(6 * 3600) };

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

    /// This was answered, once more after a minute too, and is no answer of this API.
    fn not_understood(&mut self, _answer: &Answer, _fetched: &Arc<Fetched>) {}

    /// Room for a file while it is read.
    ///
    /// # Errors
    /// When there is none.
    fn work_file(&mut self) -> io::Result<WorkFile> {
        Err(io::ErrorKind::Unsupported.into())
    }
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
    quota: Quota,
    metrics: Arc<ApiMetrics>,
    sleep: Sleep,
    limits: Limits,
    is_lossy: AtomicBool,
}

impl fmt::Debug for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Line").field(&self.source_name).finish()
    }
}

/// What became of one request.
#[derive(Debug)]
enum Exchanged {
    /// The word is that of the answer by itself.
    Answered(Answer, Arc<Fetched>, &'static str),
    /// It is no answer of this API, and the second one.
    Strange(Answer, Arc<Fetched>),
    Judged(Verdict),
    Throttled(Duration),
}

/// What has been tried of one request.
#[derive(Default)]
struct Tried {
    /// The credentials that were not accepted.
    refused: Option<SecretString>,
    /// Whether it was answered with something that is no answer.
    misunderstood: bool,
    /// How often it was waited because the provider said so.
    waited: u32,
    /// How often it came too early.
    early: u32,
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
        let authorisation = Authorisation::new(Arc::clone(&api), vault, Arc::clone(&metrics));
        let paces = Paces::new(api.paces(), Arc::clone(&sleep));
        let quota = Quota::new(api.quota_reserve_percent());
        api.paces().iter().for_each(|pace| metrics.begin(pace.class));
        let source_name = source_name.to_owned();
        Self {
            source_name,
            api,
            client,
            authorisation,
            paces,
            quota,
            metrics,
            sleep,
            limits: LIMITS,
            is_lossy: AtomicBool::default(),
        }
    }

    /// By how many seconds the provider's clock was ahead of ours, by its last answer.
    pub fn clock_skew_s(&self) -> i64 {
        self.metrics.last_skew_s()
    }

    /// How many requests the provider still allows, if it has said so.
    pub fn quota_remaining(&self) -> Option<i64> {
        self.metrics.last_quota()
    }

    /// When the refresh token ends, if it is known.
    pub fn token_expires_at(&self) -> Option<Time> {
        self.metrics.token_expires_unix_s().and_then(Time::from_unix_seconds)
    }

    /// The provider's side.
    pub fn api(&self) -> &Arc<dyn Api> {
        &self.api
    }

    /// Asks a question and hands over what the answers hold. Dropping the future ends the asking.
    pub async fn ask(&self, question: &Question, findings: &mut (dyn Findings + Send)) -> Ended {
        let started = Instant::now();
        let mut talk = self.api.ask(question);
        let mut say = talk.next(Heard::Begin, findings);
        for _ in 0..self.limits.requests {
            if started.elapsed() >= self.limits.duration && !matches!(say, Say::Done(_)) {
                return too_long();
            }
            let request = match say {
                Say::Done(ending) => return Ended::Said(ending),
                Say::Send(request) => request,
                Say::Wait(wait) => {
                    (self.sleep)(wait).await;
                    say = talk.next(Heard::Waited, findings);
                    continue;
                }
                Say::Fetch(download) => {
                    say = match self.read_file(&download, findings).await {
                        Reading::Read(read) => talk.next(Heard::File(read), findings),
                        Reading::Judged(verdict) => talk.next(Heard::Judged(&verdict), findings),
                        Reading::Throttled(wait) => return Ended::Throttled(wait),
                    };
                    continue;
                }
            };
            say = match self.exchange(&request, None).await {
                Exchanged::Answered(answer, fetched, word) => {
                    findings.fetched(&fetched);
                    let next = talk.next(Heard::Answer(&answer), findings);
                    self.metrics.request(request.class, fault_in(&next).unwrap_or(word));
                    next
                }
                Exchanged::Strange(answer, fetched) => {
                    findings.not_understood(&answer, &fetched);
                    talk.next(Heard::Judged(&Verdict::NotUnderstood), findings)
                }
                Exchanged::Judged(verdict) => talk.next(Heard::Judged(&verdict), findings),
                Exchanged::Throttled(wait) => return Ended::Throttled(wait),
            };
        }
        match say {
            Say::Done(ending) => Ended::Said(ending),
            Say::Send(_) | Say::Wait(_) | Say::Fetch(_) => too_long(),
        }
    }

    /// Makes one request outside of any conversation.
    ///
    /// # Errors
    /// What came of it instead of an answer; [`Verdict::Throttled`] where the provider wants to be left alone.
    pub async fn request(&self, request: &Request) -> Result<Answer, Verdict> {
        match self.exchange(request, None).await {
            Exchanged::Answered(answer, _, word) => {
                self.metrics.request(request.class, word);
                Ok(answer)
            }
            Exchanged::Strange(..) => Err(Verdict::NotUnderstood),
            Exchanged::Judged(verdict) => Err(verdict),
            Exchanged::Throttled(otherwise) => Err(Verdict::Throttled { otherwise }),
        }
    }

    /// Makes one request until it is answered or nothing will come of it.
    async fn exchange(&self, request: &Request, mut file: Option<&mut File<'_>>) -> Exchanged {
        if let Some(throttled) = self.wait_for_quota(request).await {
            return throttled;
        }
        let mut delays = delays();
        let mut tried = Tried::default();
        loop {
            let (word, wait) = match self.once(request, &mut tried, file.as_deref_mut()).await {
                Next::Done(exchanged) => return exchanged,
                Next::Again { word, wait: Some(wait) } if wait > LONGEST_ON_THE_SPOT => {
                    tracing::info!(source.name = %self.source_name, request.class, word, wait_s = wait.as_secs(), "the provider wants to be asked later");
                    return Exchanged::Throttled(wait);
                }
                Next::Again { word, wait: Some(wait) } => {
                    tried.waited += 1;
                    (word, Some(wait).filter(|_| tried.waited <= MAX_THROTTLED))
                }
                Next::Again { word, wait: None } => (word, delays.next()),
            };
            let Some(wait) = wait else { return Exchanged::Judged(Verdict::Again { word }) };
            self.metrics.throttled(if word == "throttled" { wait } else { Duration::ZERO });
            tracing::debug!(source.name = %self.source_name, request.class, word, wait_ms = wait.as_millis(), "asking again");
            (self.sleep)(wait).await;
        }
    }

    /// Waits until the quota begins anew, where what is left of it is others'.
    async fn wait_for_quota(&self, request: &Request) -> Option<Exchanged> {
        let wait = self.quota.wait()?;
        if wait > LONGEST_ON_THE_SPOT {
            tracing::info!(source.name = %self.source_name, request.class, wait_s = wait.as_secs(), "the rest of the provider's quota is left to others");
            return Some(Exchanged::Throttled(wait));
        }
        self.metrics.throttled(wait);
        (self.sleep)(wait).await;
        None
    }

    /// One try.
    async fn once(&self, request: &Request, tried: &mut Tried, file: Option<&mut File<'_>>) -> Next {
        let _turn = self.paces.turn(request.class).await;
        let credentials = match self.authorisation.header(&self.client, tried.refused.as_ref()).await {
            Ok(credentials) => credentials,
            Err(verdict) => return without_token(verdict),
        };
        let (started, fetched) = (Instant::now(), fetched(request));
        let sent = self.client.exchange(&*self.api, request, &credentials, file).await;
        let took = started.elapsed();
        self.metrics.duration(took);
        match sent {
            Ok(answer) => {
                let fetched = Fetched { at: Time::now(), ..fetched };
                self.note_clock(&answer, fetched.at, took);
                self.note_quota(&answer);
                self.log(request, &answer, &fetched, took);
                self.answered(request, answer, fetched, tried, credentials)
            }
            Err(trouble) => self.troubled(request, trouble),
        }
    }

    fn answered(
        &self,
        request: &Request,
        answer: Answer,
        fetched: Fetched,
        tried: &mut Tried,
        credentials: SecretString,
    ) -> Next {
        match self.api.judge(request, &answer) {
            verdict @ (Verdict::Fine | Verdict::Empty) => {
                let word = self.word_of(&verdict, &answer);
                Next::Done(Exchanged::Answered(answer, Arc::new(fetched), word))
            }
            Verdict::Again { word } if may_repeat(request, &answer) => self.again(request, word, told_wait(&answer)),
            Verdict::Later { word, wait, tries } if request.verb == Verb::Get && tried.early + 1 < tries => {
                tried.early += 1;
                self.again(request, word, Some(told_wait(&answer).unwrap_or(wait)))
            }
            Verdict::Later { word, .. } => self.judged(request, Verdict::Again { word }),
            Verdict::Throttled { otherwise } if may_repeat(request, &answer) => {
                self.again(request, "throttled", Some(told_wait(&answer).unwrap_or(otherwise)))
            }
            Verdict::Busy if may_repeat(request, &answer) => {
                self.again(request, "throttled", Some(told_wait(&answer).unwrap_or(busy_wait(tried.waited))))
            }
            Verdict::Throttled { .. } | Verdict::Busy => self.judged(request, Verdict::Again { word: "throttled" }),
            Verdict::Renew if tried.refused.is_none() && self.authorisation.is_renewable() => {
                tried.refused = Some(credentials);
                self.again(request, "unauthorized", Some(Duration::ZERO))
            }
            Verdict::Renew => self.judged(request, unauthorized()),
            Verdict::NotUnderstood if request.verb == Verb::Get && !tried.misunderstood => {
                tried.misunderstood = true;
                self.again(request, "not_understood", Some(NOT_UNDERSTOOD_WAIT))
            }
            Verdict::NotUnderstood => {
                self.metrics.request(request.class, Verdict::NotUnderstood.word());
                Next::Done(Exchanged::Strange(answer, Arc::new(fetched)))
            }
            verdict => self.judged(request, verdict),
        }
    }

    /// Bytes that are no text are replaced, and nothing else is lost by them.
    fn word_of(&self, verdict: &Verdict, answer: &Answer) -> &'static str {
        if std::str::from_utf8(&answer.body).is_ok() {
            return verdict.word();
        }
        if !self.is_lossy.swap(true, Ordering::Relaxed) {
            tracing::info!(source.name = %self.source_name, "the provider's answers hold bytes that are no UTF-8; they are replaced");
        }
        "lossy"
    }

    fn troubled(&self, request: &Request, trouble: Trouble) -> Next {
        let word = trouble.word();
        tracing::debug!(source.name = %self.source_name, request.class, word, "a request has failed");
        match trouble {
            Trouble::Failed { was_sent, .. } if request.verb == Verb::Get || !was_sent => {
                self.again(request, word, None)
            }
            Trouble::Failed { .. } => self.judged(request, Verdict::Again { word }),
            Trouble::Refused { mend, .. } => self.judged(request, Verdict::Misconfigured { word, mend }),
            Trouble::Redirected => {
                tracing::error!(source.name = %self.source_name, request.class, "the provider redirects to another host or in a circle, which is not followed; is the configured URL of its API right?");
                self.judged(request, Verdict::Again { word })
            }
            Trouble::NotWritten => self.judged(request, Verdict::Again { word }),
            Trouble::TooLarge => {
                self.metrics.request(request.class, word);
                Next::Done(Exchanged::Judged(Verdict::Narrower))
            }
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

    /// Tells the log of an answer, with the ids by which it can be found again. Nothing of what was asked.
    fn log(&self, request: &Request, answer: &Answer, fetched: &Fetched, took: Duration) {
        let request_id = self.api.request_id(answer).unwrap_or_default();
        tracing::debug!(
            source.name = %self.source_name, request.class, answer.status, took_ms = took.as_millis(),
            raw_id = %fetched.raw_id, provider.request_id = %request_id, "an API has answered"
        );
    }

    /// How many requests the provider still allows, if it says so.
    fn note_quota(&self, answer: &Answer) {
        let names = ["x-ratelimit-remaining", "ratelimit-remaining"];
        let told = names.iter().find_map(|name| answer.header(name)?.trim().parse().ok());
        told.into_iter().for_each(|remaining| self.metrics.quota(remaining));
        self.quota.note(answer);
    }

    /// How far the provider's clock is ahead of ours, which stood at `at` when the answer had come. A long answer was
    /// dated some time before that, so the middle of the exchange counts.
    fn note_clock(&self, answer: &Answer, at: Time, took: Duration) {
        let Some(date) = answer.header("date").and_then(wait::http_date) else { return };
        let half_s = i64::try_from(took.as_secs() / 2).unwrap_or(i64::MAX);
        let skew_s = date.unix_seconds() - at.plus_s(-half_s).unix_seconds();
        if self.metrics.clock_skew(skew_s).abs() <= SKEW_TO_WARN_S && skew_s.abs() > SKEW_TO_WARN_S {
            tracing::warn!(source.name = %self.source_name, skew_s, "the provider's clock and ours differ");
        }
    }
}

fn too_long() -> Ended {
    Ended::Said(Ending::Partial("too_long"))
}

/// What the conversation finds wrong with the answer that it has just heard.
fn fault_in(next: &Say) -> Option<&'static str> {
    match next {
        Say::Done(Ending::Partial(word)) => Some(word),
        _ => None,
    }
}

/// A token that can not be had now is asked for again, as any request is.
fn without_token(verdict: Verdict) -> Next {
    match verdict {
        Verdict::Again { word } => Next::Again { word, wait: None },
        Verdict::Throttled { otherwise } => Next::Again { word: "throttled", wait: Some(otherwise) },
        verdict => Next::Done(Exchanged::Judged(verdict)),
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
