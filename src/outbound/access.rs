//! Credentials of a source, and tokens that are renewed.
//!
//! A provider may end an old refresh token the moment it gives a new one. So a new one is kept before it is used: a
//! process that dies in between finds it again, and so does the one that goes on after it. None is asked for while none
//! can be kept, one that could not be kept is held until it can, and nobody who stops waiting stops that.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::sync::Mutex;

use super::exchange::{Client, Trouble};
use super::wait::told_wait;
use crate::event::time::Time;
use crate::provider::api::{Access, Answer, Api, OAuth, Verdict};
use crate::telemetry::api::ApiMetrics;

/// Tokens of one source.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// What requests are authorised with.
    pub access: SecretString,
    /// When that was given.
    pub since: Time,
    /// When it ends.
    pub until: Time,
    /// What the next one is asked for with; none where the client's own credentials are enough.
    pub refresh: Option<SecretString>,
    /// When that ends, if the provider says so.
    pub refresh_until: Option<Time>,
    /// The SHA-256 of the refresh token that the configuration named when these were begun with.
    pub seed: [u8; 32],
}

/// Tokens could not be kept, and so were not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the new token could not be kept")]
pub struct NotKept;

/// It is not known which tokens are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the kept token could not be read")]
pub struct NotRead;

/// Keeps the tokens of a source beyond the process.
pub trait Vault: Send + Sync {
    /// The newest tokens that any process has kept. Where that is not known, nothing is asked for: an old refresh token
    /// that is used again may end the newer ones.
    fn load(&self) -> BoxFuture<'_, Result<Option<Tokens>, NotRead>>;

    /// Keeps tokens. They are durable when this is done.
    fn keep(&self, tokens: Tokens) -> BoxFuture<'_, Result<(), NotKept>>;

    /// Whether tokens could be kept now. None are asked for while they could not.
    fn is_open(&self) -> bool {
        true
    }
}

/// Keeps nothing: for tokens that can be asked for again at any time.
#[derive(Debug, Clone, Copy)]
pub struct NoVault;

impl Vault for NoVault {
    fn load(&self) -> BoxFuture<'_, Result<Option<Tokens>, NotRead>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn keep(&self, _tokens: Tokens) -> BoxFuture<'_, Result<(), NotKept>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The class of requests for tokens, in metrics.
const CLASS: &str = "token";

/// How long to wait before asking for a token again, where the provider has enough and does not say.
const THROTTLED: Duration = Duration::from_secs(60);

/// The credentials of one source, as its requests carry them.
pub(super) struct Authorisation(Arc<Renewal>);

struct Renewal {
    api: Arc<dyn Api>,
    vault: Arc<dyn Vault>,
    metrics: Arc<ApiMetrics>,
    /// Held while a token is being renewed, so that others wait for it.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// What requests are authorised with.
    tokens: Option<Tokens>,
    /// What the provider has given and could not be kept yet. It is not used before, and not dropped: those before it
    /// may be void.
    given: Option<Tokens>,
}

impl Authorisation {
    pub(super) fn new(api: Arc<dyn Api>, vault: Arc<dyn Vault>, metrics: Arc<ApiMetrics>) -> Self {
        Self(Arc::new(Renewal { api, vault, metrics, held: Mutex::default() }))
    }

    pub(super) fn is_renewable(&self) -> bool {
        matches!(self.0.api.access(), Access::OAuth(_))
    }

    /// The value of the header `Authorization`, another one than `refused`.
    ///
    /// # Errors
    /// The verdict, when there is no token to be had.
    pub(super) async fn header(
        &self,
        client: &Client,
        refused: Option<&SecretString>,
    ) -> Result<SecretString, Verdict> {
        match self.0.api.access() {
            Access::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
                Ok(format!("Basic {pair}").into())
            }
            Access::Bearer(token) => Ok(bearer(token)),
            Access::OAuth(_) => self.token(client.clone(), refused.cloned()).await,
        }
    }

    /// A task of its own: a request may be dropped at any moment, and a token that has just been given may not.
    async fn token(&self, client: Client, refused: Option<SecretString>) -> Result<SecretString, Verdict> {
        let renewal = Arc::clone(&self.0);
        let token = tokio::spawn(async move { renewal.token(&client, refused.as_ref()).await });
        token.await.unwrap_or_else(|_| Err(not_kept()))
    }
}

impl Renewal {
    async fn token(&self, client: &Client, refused: Option<&SecretString>) -> Result<SecretString, Verdict> {
        let Access::OAuth(oauth) = self.api.access() else { return Err(misconfigured("the API has no tokens")) };
        let mut held = self.held.lock().await;
        if held.tokens.is_none() {
            held.tokens = self.stored(oauth).await?;
        }
        let header = |held: &Held| held.tokens.as_ref().map(|tokens| (bearer(&tokens.access), tokens.until));
        let is_fresh = held.given.is_none() && held.tokens.as_ref().is_some_and(|held| !is_due(held, Time::now()));
        let accepted = |header: &(SecretString, Time)| !is_same(Some(&header.0), refused);
        if let Some((header, _)) = header(&held).filter(accepted).filter(|_| is_fresh) {
            return Ok(header);
        }
        let renewed = self.renew(oauth, client, &mut held).await;
        self.tell(&held);
        // Where it could not be renewed, what is due is not over yet.
        let usable = header(&held).filter(accepted).filter(|(_, until)| renewed.is_ok() || Time::now() < *until);
        let unusable = || misconfigured("the provider gives the very token that it does not accept");
        usable.map(|(header, _)| header).ok_or_else(|| renewed.err().unwrap_or_else(unusable))
    }

    /// When the refresh token ends: then only the operator can help.
    fn tell(&self, held: &Held) {
        let until = held.tokens.as_ref().and_then(|tokens| tokens.refresh_until);
        self.metrics.token_expires(until.map_or(0, Time::unix_seconds));
    }

    /// The kept tokens, unless the operator has authorised anew since.
    async fn stored(&self, oauth: &OAuth) -> Result<Option<Tokens>, Verdict> {
        let stored = self.vault.load().await.map_err(|NotRead| Verdict::Again { word: "token_not_read" })?;
        Ok(stored.filter(|tokens| tokens.seed == seed_of(oauth)))
    }

    async fn renew(&self, oauth: &OAuth, client: &Client, held: &mut Held) -> Result<(), Verdict> {
        if !self.vault.is_open() {
            return Err(not_kept());
        }
        if held.given.is_none() {
            self.ask(oauth, client, held).await?;
        }
        let Some(given) = held.given.clone() else { return Ok(()) };
        self.vault.keep(given).await.map_err(|NotKept| not_kept())?;
        held.tokens = held.given.take();
        Ok(())
    }

    /// Asks for new tokens. Where the refresh token is void, another process may have kept newer ones.
    async fn ask(&self, oauth: &OAuth, client: &Client, held: &mut Held) -> Result<(), Verdict> {
        let refresh = refresh_of(oauth, held.tokens.as_ref());
        let verdict = match self.ask_with(oauth, client, refresh.as_ref()).await {
            Err(verdict @ Verdict::Misconfigured { .. }) => verdict,
            given => return given.map(|given| held.given = Some(given)),
        };
        let stored = self.stored(oauth).await?;
        let other = stored.filter(|stored| !is_same(stored.refresh.as_ref(), refresh.as_ref())).ok_or(verdict)?;
        let is_due = is_due(&other, Time::now());
        let refresh = held.tokens.insert(other).refresh.clone();
        if is_due {
            held.given = Some(self.ask_with(oauth, client, refresh.as_ref()).await?);
        }
        Ok(())
    }

    async fn ask_with(
        &self,
        oauth: &OAuth,
        client: &Client,
        refresh: Option<&SecretString>,
    ) -> Result<Tokens, Verdict> {
        let given = self.post(oauth, client, refresh).await;
        self.metrics.request(CLASS, given.as_ref().err().map_or("ok", Verdict::word));
        given
    }

    async fn post(&self, oauth: &OAuth, client: &Client, refresh: Option<&SecretString>) -> Result<Tokens, Verdict> {
        let base = self.api.bases().iter().find(|(name, _)| *name == oauth.base);
        let (_, base) = base.ok_or_else(|| misconfigured("the API has no base for its tokens"))?;
        let mut url = base.clone();
        url.set_path(oauth.path);
        let mut form =
            vec![("client_id", oauth.client_id.as_str()), ("client_secret", oauth.client_secret.expose_secret())];
        match refresh {
            Some(refresh) => form.extend([("grant_type", "refresh_token"), ("refresh_token", refresh.expose_secret())]),
            None => form.push(("grant_type", "client_credentials")),
        }
        let answer = client.post_form(url, &form).await.map_err(verdict_of)?;
        read_tokens(&answer, oauth, refresh, Time::now())
    }
}

fn refresh_of(oauth: &OAuth, tokens: Option<&Tokens>) -> Option<SecretString> {
    tokens.map_or(oauth.refresh_token.as_ref(), |tokens| tokens.refresh.as_ref()).cloned()
}

fn not_kept() -> Verdict {
    Verdict::Again { word: "token_not_kept" }
}

/// Tokens are renewed at half their life, so that much can fail before they end.
fn is_due(tokens: &Tokens, now: Time) -> bool {
    let life_s = tokens.until.unix_seconds() - tokens.since.unix_seconds();
    now.unix_seconds() >= tokens.since.unix_seconds() + life_s / 2
}

fn is_same(one: Option<&SecretString>, other: Option<&SecretString>) -> bool {
    one.map(|one| one.expose_secret()) == other.map(|other| other.expose_secret())
}

fn seed_of(oauth: &OAuth) -> [u8; 32] {
    let first = oauth.refresh_token.as_ref().map(|token| token.expose_secret()).unwrap_or_default();
    Sha256::digest(first).into()
}

fn bearer(token: &SecretString) -> SecretString {
    format!("Bearer {}", token.expose_secret()).into()
}

fn misconfigured(mend: &str) -> Verdict {
    Verdict::Misconfigured { word: "unauthorized", mend: mend.to_owned() }
}

fn verdict_of(trouble: Trouble) -> Verdict {
    match trouble {
        Trouble::Failed { word, .. } => Verdict::Again { word },
        Trouble::Refused { word, mend } => Verdict::Misconfigured { word, mend },
        Trouble::Redirected | Trouble::NotWritten => Verdict::Again { word: trouble.word() },
        Trouble::TooLarge => Verdict::Again { word: "not_understood" },
    }
}

/// The answer of a token's URL (RFC 6749 section 5).
#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
    refresh_token_expires_in: Option<u64>,
}

fn read_tokens(answer: &Answer, oauth: &OAuth, refresh: Option<&SecretString>, now: Time) -> Result<Tokens, Verdict> {
    match answer.status {
        200 | 201 => {}
        400 | 401 | 403 => {
            return Err(misconfigured(
                "the provider gives no token for these credentials; the application has to be authorised anew, or its \
                 client_secret is wrong",
            ));
        }
        429 => return Err(Verdict::Throttled { otherwise: told_wait(answer).unwrap_or(THROTTLED) }),
        _ => return Err(Verdict::Again { word: "server_error" }),
    }
    let given: Given = answer.json().ok_or(Verdict::Again { word: "not_understood" })?;
    let after = |seconds: u64| now.plus_s(i64::try_from(seconds).unwrap_or(i64::MAX));
    let lifetime_s = given.expires_in.unwrap_or(oauth.default_lifetime.as_secs());
    let spared_s = oauth.spared.as_secs().min(lifetime_s / 2);
    Ok(Tokens {
        access: given.access_token.into(),
        since: now,
        until: after(lifetime_s - spared_s),
        refresh: given.refresh_token.map(Into::into).or_else(|| refresh.cloned()),
        refresh_until: given.refresh_token_expires_in.map(after),
        seed: seed_of(oauth),
    })
}

/// How long a token lasts where its answer does not say.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);
