//! One request and its answer.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::Url;

use super::origin;
use crate::build::BUILD;
use crate::provider::api::{Answer, Api, Request, Verb};

const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);
const WHOLE: Duration = Duration::from_secs(120);

/// The greatest answer, after compression was undone.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The greatest answer with a token.
pub(super) const MAX_TOKEN_BYTES: usize = 64 * 1024;

const MAX_REDIRECTS: usize = 3;

/// How the process reaches the providers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// An HTTP proxy.
    pub proxy: Option<Url>,
    /// More root certificates than the system's, as a file of PEM.
    pub ca_file: Option<PathBuf>,
}

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The file of certificates can not be read.
    #[error("outbound.ca_file: {0}")]
    CaFile(#[source] std::io::Error),
    /// Something is not as it has to be.
    #[error("outbound: {0}")]
    Invalid(#[source] reqwest::Error),
}

/// The connections of the process. A copy shares them.
#[derive(Debug, Clone)]
pub struct Client(reqwest::Client);

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It failed on the way there or back.
    Failed { word: &'static str, was_sent: bool },
    /// Nothing will come of it.
    Refused { word: &'static str, mend: String },
    /// The answer is too large.
    TooLarge,
}

impl Trouble {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Failed { word, .. } | Self::Refused { word, .. } => word,
            Self::TooLarge => "too_large",
        }
    }
}

impl Client {
    /// Makes the client. Proxies of the environment are not asked.
    ///
    /// # Errors
    /// When the certificates or the proxy can not be used.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(format!("trunkline/{}", BUILD.version))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy();
        if let Some(proxy) = &settings.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(ClientError::Invalid)?);
        }
        if let Some(path) = &settings.ca_file {
            let pem = std::fs::read(path).map_err(ClientError::CaFile)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(ClientError::Invalid)?;
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map(Self).map_err(ClientError::Invalid)
    }

    /// Makes a request of an API with its credentials.
    pub(super) async fn exchange(
        &self,
        api: &dyn Api,
        request: &Request,
        credentials: &SecretString,
    ) -> Result<Answer, Trouble> {
        let mut url = url_of(api, request)?;
        for _ in 0..=MAX_REDIRECTS {
            let answer = within(WHOLE, self.send(request, url.clone(), credentials)).await?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            url = follow(request, &url, &answer)?;
        }
        Err(redirect_refused("it redirects in a circle"))
    }

    async fn send(&self, request: &Request, url: Url, credentials: &SecretString) -> Result<Answer, Trouble> {
        let method = match request.verb {
            Verb::Get => reqwest::Method::GET,
            Verb::Post => reqwest::Method::POST,
            Verb::Put => reqwest::Method::PUT,
            Verb::Delete => reqwest::Method::DELETE,
        };
        let mut authorization =
            reqwest::header::HeaderValue::from_str(credentials.expose_secret()).map_err(|_| not_a_header())?;
        authorization.set_sensitive(true);
        let mut builder = self.0.request(method, url).header(reqwest::header::AUTHORIZATION, authorization);
        if let Some(body) = &request.body {
            builder = builder.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        answer_of(builder, MAX_ANSWER_BYTES).await
    }

    /// Posts a form for a token, which carries its credentials in itself.
    pub(super) async fn post_form(&self, url: Url, form: &[(&str, &str)]) -> Result<Answer, Trouble> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let media_type = "application/x-www-form-urlencoded";
        let builder = self.0.post(url).header(reqwest::header::CONTENT_TYPE, media_type).body(body);
        within(WHOLE, answer_of(builder, MAX_TOKEN_BYTES)).await
    }
}

/// The URL of a request: at the base that the configuration names, or at the host to which the provider has directed.
fn url_of(api: &dyn Api, request: &Request) -> Result<Url, Trouble> {
    let base = api.bases().iter().find(|(name, _)| *name == request.base).map(|(_, url)| url);
    let mut url = request.elsewhere.as_ref().or(base).cloned().ok_or_else(|| Trouble::Refused {
        word: "foreign_host",
        mend: format!("the API has no base {:?}", request.base),
    })?;
    url.set_path(&request.path);
    url.set_query(None);
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    Ok(url)
}

fn follow(request: &Request, from: &Url, answer: &Answer) -> Result<Url, Trouble> {
    let location = answer.header("location").unwrap_or_default();
    let to = origin::redirected(from, location).filter(|_| request.verb == Verb::Get);
    to.ok_or_else(|| redirect_refused("it redirects to another host, which gets no credentials"))
}

fn redirect_refused(why: &str) -> Trouble {
    let mend = format!("{why}; the configured URL of the API is probably not the right one");
    Trouble::Refused { word: "redirect_refused", mend }
}

fn not_a_header() -> Trouble {
    let mend = "the credentials hold characters that no header can carry".to_owned();
    Trouble::Refused { word: "unauthorized", mend }
}

async fn within<T>(limit: Duration, exchange: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let timed_out = |_| Trouble::Failed { word: "timeout", was_sent: true };
    tokio::time::timeout(limit, exchange).await.map_err(timed_out)?
}

async fn answer_of(builder: reqwest::RequestBuilder, max_bytes: usize) -> Result<Answer, Trouble> {
    let mut response = builder.send().await.map_err(|error| trouble_of(&error))?;
    let status = response.status().as_u16();
    let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| trouble_of(&error))? {
        if body.len() + chunk.len() > max_bytes {
            return Err(Trouble::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

/// What an error of the client says. Nothing of its own text is handed on: it may hold the URL.
fn trouble_of(error: &reqwest::Error) -> Trouble {
    if is_certificate(error) {
        let mend =
            "the certificate of the API's host is not trusted; a proxy that makes its own needs outbound.ca_file";
        return Trouble::Refused { word: "tls", mend: mend.to_owned() };
    }
    match error {
        error if error.is_timeout() => Trouble::Failed { word: "timeout", was_sent: !error.is_connect() },
        error if error.is_connect() => Trouble::Failed { word: "unreachable", was_sent: false },
        error if error.is_body() || error.is_decode() => Trouble::Failed { word: "truncated", was_sent: true },
        _ => Trouble::Failed { word: "unreachable", was_sent: true },
    }
}

fn is_certificate(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is_some_and(|inner| matches!(inner.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))) {
            return true;
        }
        cause = error.source();
    }
    false
}
