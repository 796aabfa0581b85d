//! One request and its answer.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::Url;

use super::fetch::File;
use super::link::PublicResolver;
use super::origin;
use crate::build::BUILD;
use crate::provider::api::{Answer, Api, Request, Verb};

/// The greatest answer with a token.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

const MAX_REDIRECTS: usize = 3;

/// How long and how large an exchange may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Time to reach the host.
    pub(super) connect: Duration,
    /// Time without a byte.
    pub(super) silence: Duration,
    /// The same for files, which a provider may have to find first.
    pub(super) file_silence: Duration,
    /// Time for all of it, redirects included; not for files, which take as long as they are large.
    pub(super) whole: Duration,
    /// The greatest answer, after compression was undone.
    pub(super) answer_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            file_silence: Duration::from_secs(60),
            whole: Duration::from_secs(120),
            answer_bytes: 64 * 1024 * 1024,
        }
    }
}

/// How the process reaches the providers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// An HTTP proxy.
    pub proxy: Option<Url>,
    /// More root certificates than the system's, in PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// Why there is no client. Nothing of what was given is repeated.
#[derive(Debug, Error)]
pub enum ClientError {
    /// What should be certificates is something else.
    #[error("the file holds no certificate in PEM, or one that can not be read")]
    NoCertificate,
    /// The library refuses what it was given, or the system has no root certificates.
    #[error("no HTTP client can be made")]
    Invalid(#[source] reqwest::Error),
}

/// The connections of the process. A copy shares them.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// For files, whose bytes are kept as they come.
    files: reqwest::Client,
    /// For links of providers, which may not lead into a network of ours.
    links: reqwest::Client,
    bounds: Bounds,
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It failed on the way there or back.
    Failed { word: &'static str, was_sent: bool },
    /// Nothing will come of it.
    Refused { word: &'static str, mend: String },
    /// It leads to another host, which gets no credentials, or in a circle.
    Redirected,
    /// The answer is too large.
    TooLarge,
    /// A file can not be written here.
    NotWritten,
}

impl Trouble {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Failed { word, .. } | Self::Refused { word, .. } => word,
            Self::Redirected => "redirect_refused",
            Self::TooLarge => "too_large",
            Self::NotWritten => "not_written",
        }
    }
}

impl Client {
    /// Makes the client. Proxies of the environment are not asked.
    ///
    /// # Errors
    /// When the certificates or the proxy can not be used.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        Self::within(settings, Bounds::default())
    }

    pub(super) fn within(settings: &ClientSettings, bounds: Bounds) -> Result<Self, ClientError> {
        let build = |builder: reqwest::ClientBuilder| builder.build().map_err(ClientError::Invalid);
        let http = build(builder(settings, &bounds)?)?;
        let of_files = || builder(settings, &bounds).map(|of| of.no_gzip().read_timeout(bounds.file_silence));
        let (files, links) = (build(of_files()?)?, build(of_files()?.dns_resolver(Arc::new(PublicResolver)))?);
        Ok(Self { http, files, links, bounds })
    }

    /// For files of hosts that are on this machine.
    pub(super) fn files(&self) -> &reqwest::Client {
        &self.files
    }

    /// For links.
    pub(super) fn links(&self) -> &reqwest::Client {
        &self.links
    }

    /// Makes a request of an API with its credentials. The body of an answer 200 goes into `file` where there is one.
    pub(super) async fn exchange(
        &self,
        api: &dyn Api,
        request: &Request,
        credentials: &SecretString,
        file: Option<&mut File<'_>>,
    ) -> Result<Answer, Trouble> {
        let url = url_of(api, request)?;
        match file {
            Some(file) => self.follow(request, url, credentials, Some(file)).await,
            None => within(self.bounds.whole, self.follow(request, url, credentials, None)).await,
        }
    }

    async fn follow(
        &self,
        request: &Request,
        mut url: Url,
        credentials: &SecretString,
        mut file: Option<&mut File<'_>>,
    ) -> Result<Answer, Trouble> {
        for _ in 0..=MAX_REDIRECTS {
            let builder = self.builder(request, url.clone(), credentials, file.is_some())?;
            let answer = answer_of(builder, self.bounds.answer_bytes, file.as_deref_mut()).await?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            url = redirected(request, &url, &answer)?;
        }
        Err(Trouble::Redirected)
    }

    fn builder(
        &self,
        request: &Request,
        url: Url,
        credentials: &SecretString,
        is_file: bool,
    ) -> Result<reqwest::RequestBuilder, Trouble> {
        let method = match request.verb {
            Verb::Get => reqwest::Method::GET,
            Verb::Post => reqwest::Method::POST,
            Verb::Put => reqwest::Method::PUT,
            Verb::Delete => reqwest::Method::DELETE,
        };
        let mut authorization =
            reqwest::header::HeaderValue::from_str(credentials.expose_secret()).map_err(|_| not_a_header())?;
        authorization.set_sensitive(true);
        let http = if is_file { &self.files } else { &self.http };
        let mut builder = http.request(method, url).header(reqwest::header::AUTHORIZATION, authorization);
        if let Some(body) = &request.body {
            builder = builder.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        if is_file {
            builder = builder.header(reqwest::header::ACCEPT_ENCODING, "identity");
        }
        Ok(builder)
    }

    /// Posts a form for a token, which carries its credentials in itself.
    pub(super) async fn post_form(&self, url: Url, form: &[(&str, &str)]) -> Result<Answer, Trouble> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let media_type = "application/x-www-form-urlencoded";
        let builder = self.http.post(url).header(reqwest::header::CONTENT_TYPE, media_type).body(body);
        within(self.bounds.whole, answer_of(builder, MAX_TOKEN_BYTES, None)).await
    }
}

/// What all requests have in common.
fn builder(settings: &ClientSettings, bounds: &Bounds) -> Result<reqwest::ClientBuilder, ClientError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(format!("trunkline/{}", BUILD.version))
        .connect_timeout(bounds.connect)
        .read_timeout(bounds.silence)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy();
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(ClientError::Invalid)?);
    }
    if let Some(pem) = &settings.ca_pem {
        builder = builder.tls_certs_merge(certificates(pem)?);
    }
    Ok(builder)
}

/// The certificates of a file. One that is unreadable would only show when the client is made, and is looked for here,
/// so that it is not taken for something else.
fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, ClientError> {
    let ders: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let ders = ders.ok().filter(|ders| !ders.is_empty()).ok_or(ClientError::NoCertificate)?;
    let mut roots = rustls::RootCertStore::empty();
    for der in &ders {
        roots.add(der.clone()).map_err(|_| ClientError::NoCertificate)?;
    }
    ders.iter().map(|der| reqwest::Certificate::from_der(der).map_err(ClientError::Invalid)).collect()
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

fn redirected(request: &Request, from: &Url, answer: &Answer) -> Result<Url, Trouble> {
    let location = answer.header("location").filter(|location| !location.trim().is_empty());
    let to = location.and_then(|location| origin::redirected(from, location));
    to.filter(|_| request.verb == Verb::Get).ok_or(Trouble::Redirected)
}

fn not_a_header() -> Trouble {
    let mend = "the credentials hold characters that no header can carry".to_owned();
    Trouble::Refused { word: "unauthorized", mend }
}

async fn within<T>(limit: Duration, exchange: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let timed_out = |_| Trouble::Failed { word: "timeout", was_sent: true };
    tokio::time::timeout(limit, exchange).await.map_err(timed_out)?
}

async fn answer_of(
    builder: reqwest::RequestBuilder,
    max_bytes: usize,
    file: Option<&mut File<'_>>,
) -> Result<Answer, Trouble> {
    let mut response = builder.send().await.map_err(|error| trouble_of(&error))?;
    let status = response.status().as_u16();
    let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let body = match file.filter(|_| status == 200) {
        Some(file) => file.take(&mut response).await.map(|()| Vec::new())?,
        None => held(&mut response, max_bytes).await?,
    };
    Ok(Answer { status, headers, body })
}

/// Reads the whole body, counted after compression was undone.
async fn held(response: &mut reqwest::Response, max_bytes: usize) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| trouble_of(&error))? {
        if body.len() + chunk.len() > max_bytes {
            return Err(Trouble::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What an error of the client says. Nothing of its own text is handed on: it may hold the URL.
pub(super) fn trouble_of(error: &reqwest::Error) -> Trouble {
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

fn is_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
        return true;
    }
    // An `io::Error` tells as its source not what it holds, but the source of that.
    let held = error.downcast_ref().and_then(std::io::Error::get_ref);
    let held = held.map(|held| -> &(dyn std::error::Error + 'static) { held });
    held.into_iter().chain(error.source()).any(is_certificate)
}
