//! Credentials of a source, and tokens that are renewed.
//!
//! A provider may end an old refresh token the moment it gives a new one. So a new one is kept before it is used: a
//! process that dies in between finds it again, and so does the one that goes on after it.

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
use crate::event::time::Time;
use crate::provider::api::{Access, Answer, Api, OAuth, Verdict};

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

/// Keeps the tokens of a source beyond the process.
pub trait Vault: Send + Sync {
    /// The newest tokens that any process has kept.
    fn load(&self) -> BoxFuture<'_, Option<Tokens>>;

    /// Keeps tokens. They are durable when this is done.
    fn keep(&self, tokens: Tokens) -> BoxFuture<'_, Result<(), NotKept>>;
}

/// Keeps nothing: for tokens that can be asked for again at any time.
#[derive(Debug, Clone, Copy)]
pub struct NoVault;

impl Vault for NoVault {
    fn load(&self) -> BoxFuture<'_, Option<Tokens>> {
        Box::pin(std::future::ready(None))
    }

    fn keep(&self, _tokens: Tokens) -> BoxFuture<'_, Result<(), NotKept>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The credentials of one source, as its requests carry them.
pub(super) struct Authorisation {
    api: Arc<dyn Api>,
    vault: Arc<dyn Vault>,
    /// Held while a token is being renewed, so that others wait for it.
    tokens: Mutex<Option<Tokens>>,
}

impl Authorisation {
    pub(super) fn new(api: Arc<dyn Api>, vault: Arc<dyn Vault>) -> Self {
        Self { api, vault, tokens: Mutex::new(None) }
    }

    pub(super) fn is_renewable(&self) -> bool {
        matches!(self.api.access(), Access::OAuth(_))
    }

    /// The value of the header `Authorization`. `is_refused` says that the one before was not accepted.
    ///
    /// # Errors
    /// The verdict, when there is no token to be had.
    pub(super) async fn header(&self, client: &Client, is_refused: bool) -> Result<SecretString, Verdict> {
        match self.api.access() {
            Access::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
                Ok(format!("Basic {pair}").into())
            }
            Access::Bearer(token) => Ok(bearer(token)),
            Access::OAuth(oauth) => self.token(oauth, client, is_refused).await.map(|token| bearer(&token)),
        }
    }

    async fn token(&self, oauth: &OAuth, client: &Client, is_refused: bool) -> Result<SecretString, Verdict> {
        let mut held = self.tokens.lock().await;
        if held.is_none() {
            *held = self.stored(oauth).await;
        }
        match held.as_ref() {
            Some(tokens) if !is_refused && !is_due(tokens, Time::now()) => return Ok(tokens.access.clone()),
            _ => {}
        }
        let renewed = self.renew(oauth, client, held.as_ref()).await;
        match (renewed, held.as_ref()) {
            (Ok(tokens), _) => Ok(held.insert(tokens).access.clone()),
            // What is due is not over yet.
            (Err(_), Some(tokens)) if !is_refused && Time::now() < tokens.until => Ok(tokens.access.clone()),
            (Err(verdict), _) => Err(verdict),
        }
    }

    /// The kept tokens, unless the operator has authorised anew since.
    async fn stored(&self, oauth: &OAuth) -> Option<Tokens> {
        self.vault.load().await.filter(|tokens| tokens.seed == seed_of(oauth))
    }

    async fn renew(&self, oauth: &OAuth, client: &Client, held: Option<&Tokens>) -> Result<Tokens, Verdict> {
        let refresh = held.map_or(oauth.refresh_token.as_ref(), |tokens| tokens.refresh.as_ref()).cloned();
        match self.ask(oauth, client, refresh.as_ref()).await {
            Ok(tokens) => self.keep(tokens).await,
            Err(verdict @ Verdict::Misconfigured { .. }) => {
                // Another process may have renewed it, and so have ended the one that we had.
                let stored = self.stored(oauth).await;
                let other = stored.filter(|stored| !is_same(stored.refresh.as_ref(), refresh.as_ref()));
                let Some(other) = other else { return Err(verdict) };
                if !is_due(&other, Time::now()) {
                    return Ok(other);
                }
                let tokens = self.ask(oauth, client, other.refresh.as_ref()).await?;
                self.keep(tokens).await
            }
            Err(verdict) => Err(verdict),
        }
    }

    async fn keep(&self, tokens: Tokens) -> Result<Tokens, Verdict> {
        match self.vault.keep(tokens.clone()).await {
            Ok(()) => Ok(tokens),
            Err(NotKept) => Err(Verdict::Again { word: "token_not_kept" }),
        }
    }

    async fn ask(&self, oauth: &OAuth, client: &Client, refresh: Option<&SecretString>) -> Result<Tokens, Verdict> {
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
        429 => return Err(Verdict::Again { word: "throttled" }),
        _ => return Err(Verdict::Again { word: "server_error" }),
    }
    let given: Given = answer.json().ok_or(Verdict::Again { word: "not_understood" })?;
    let after = |seconds: u64| now.plus_s(i64::try_from(seconds).unwrap_or(i64::MAX));
    Ok(Tokens {
        access: given.access_token.into(),
        since: now,
        until: after(given.expires_in.unwrap_or(oauth.default_lifetime.as_secs())),
        refresh: given.refresh_token.map(Into::into).or_else(|| refresh.cloned()),
        refresh_until: given.refresh_token_expires_in.map(after),
        seed: seed_of(oauth),
    })
}

/// How long a token lasts where its answer does not say.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);
