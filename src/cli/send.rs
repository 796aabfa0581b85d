//! `trunkline send`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::dev::DEMO_ACCOUNT;
use super::output;
use crate::config::{Settings, Source};
use crate::event::time::Time;
use crate::provider::ProviderInfo;
use crate::provider::simulate::{Credentials, Seed, SignedRequest, Signing, Simulation};
use crate::providers::{self, PROVIDERS};
use crate::request::Method;

/// Act as a provider: make a realistic webhook, sign it as the provider does, and send it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline send --list
  trunkline send vonage message-status --source vonage-eu --config trunkline.toml
  trunkline send vonage message-status --secret SECRET --set status=rejected --set error.title=1130
  trunkline send vonage inbound-message --secret SECRET --count 100 --rate 20
  trunkline send vonage message-status --secret SECRET --tamper

Exit code 0 if every webhook was taken (with --tamper: if every one was refused).")]
pub struct Send {
    /// Provider, see --list
    #[arg(required_unless_present = "list")]
    provider: Option<String>,
    /// Kind of webhook, see --list
    #[arg(required_unless_present = "list")]
    kind: Option<String>,
    /// List providers and kinds
    #[arg(long)]
    list: bool,
    /// Where to send it [default: the URL of --source, else the demo source of `trunkline dev`]
    #[arg(long)]
    url: Option<String>,
    /// Take secret, account and URL from this source of the configuration
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Secret to sign with, or token of the URL: `env:NAME`, `file:PATH` or the text itself
    #[arg(long, conflicts_with = "source")]
    secret: Option<String>,
    /// Account to sign for [default: that of --source, else that of `trunkline dev`]
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Change a field of the body; a path such as error.title=1130, or := for JSON, such as sms:={}
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Send this body as it is, instead of a simulated one
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    file: Option<PathBuf>,
    /// Records in each body, for providers that send batches
    #[arg(long, default_value_t = 1, value_name = "N")]
    records: usize,
    /// Shape of the body, for providers that use several, see --list
    #[arg(long, value_name = "SHAPE")]
    shape: Option<String>,
    /// How many to send
    #[arg(long, default_value_t = 1, value_name = "N")]
    count: u64,
    /// At most this many a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Sign with a wrong secret
    #[arg(long)]
    tamper: bool,
}

struct Target {
    url: String,
    credentials: Credentials,
    /// The token of a source that takes unsigned requests, where the provider itself could sign.
    token: Option<String>,
}

impl Send {
    pub(super) async fn run(&self, context: &super::Context) -> anyhow::Result<ExitCode> {
        let (Some(provider), Some(kind)) = (&self.provider, &self.kind) else {
            list();
            return Ok(ExitCode::SUCCESS);
        };
        let info = providers::find(provider)
            .ok_or_else(|| anyhow::anyhow!("{provider:?} is not known; `trunkline send --list` names the providers"))?;
        let simulation = find(info, kind)?;
        let target = self.target(info, context)?;
        let client = client(&target.url)?;
        let mut as_wanted = 0;
        let started = Instant::now();
        let mut sent = 0;
        for index in 0..self.count {
            for body in self.bodies(simulation, &target.credentials, index)? {
                self.pace(started, sent).await;
                let signing = Signing { credentials: &target.credentials, url: &target.url, now: Time::now() };
                let mut request = (simulation.sign)(&signing, body);
                request.url_token = request.url_token.or_else(|| target.token.clone());
                as_wanted += u64::from(self.send(&client, &target.url, request).await?);
                sent += 1;
            }
        }
        if sent > 1 {
            let seconds = started.elapsed().as_secs_f64();
            let wanted = if self.tamper { "refused" } else { "taken" };
            output::line(&format!("{as_wanted} of {sent} {wanted} in {seconds:.1} s"));
        }
        Ok(if as_wanted == sent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn target(&self, info: &'static ProviderInfo, context: &super::Context) -> anyhow::Result<Target> {
        if let Some(name) = &self.source {
            let settings = context.load()?.settings;
            let source = settings.sources.iter().find(|source| source.name == *name);
            let source = source.ok_or_else(|| anyhow::anyhow!("the configuration has no source {name:?}"))?;
            return self.target_of_source(info, &settings, source);
        }
        let secret = self.secret.as_ref().map(|written| crate::config::Secret::resolve(written, &context.environment));
        let secret = secret.transpose().map_err(anyhow::Error::msg)?.map(|secret| secret.value);
        anyhow::ensure!(secret.is_some(), "--secret or --source is needed; `trunkline dev` prints its secrets");
        let url = self.url_or(|| format!("http://127.0.0.1:8080/webhooks/{}-demo", info.name));
        Ok(Target { url, credentials: self.credentials(None, secret), token: None })
    }

    fn target_of_source(
        &self,
        info: &'static ProviderInfo,
        settings: &Settings,
        source: &Source,
    ) -> anyhow::Result<Target> {
        anyhow::ensure!(source.info.name == info.name, "the source {} is one of {}", source.name, source.info.title);
        let url = self.url_or(|| format!("{}/webhooks/{}", settings.base_url(), source.name));
        let secret = if info.signs { &source.signature_secret } else { &source.url_token };
        let token = source.url_token.as_ref().filter(|_| secret.is_none()).map(|token| self.shown_token(token));
        Ok(Target { url, credentials: self.credentials(source.account_id.clone(), secret.clone()), token })
    }

    /// A slash at the end is as none, and a token may have to follow.
    fn url_or(&self, default: impl FnOnce() -> String) -> String {
        let url = self.url.clone().unwrap_or_else(default);
        url.trim_end_matches('/').to_owned()
    }

    fn shown_token(&self, token: &SecretString) -> String {
        let wrong = if self.tamper { "-tampered" } else { "" };
        format!("{}{wrong}", token.expose_secret())
    }

    fn credentials(&self, account: Option<String>, secret: Option<SecretString>) -> Credentials {
        let account_id = self.account.clone().or(account).unwrap_or_else(|| DEMO_ACCOUNT.to_owned());
        Credentials { account_id, secret, tamper: self.tamper }
    }

    /// Keeps to the rate by the time since the start, so that a slow answer is made up for.
    async fn pace(&self, started: Instant, index: u64) {
        if let Some(rate) = self.rate {
            let due = Duration::from_secs(1) * u32::try_from(index).unwrap_or(u32::MAX) / rate;
            tokio::time::sleep_until((started + due).into()).await;
        }
    }

    /// The bodies of one report, in the order in which they are sent.
    fn bodies(&self, simulation: &Simulation, credentials: &Credentials, index: u64) -> anyhow::Result<Vec<Vec<u8>>> {
        if let Some(path) = &self.file {
            return Ok(vec![std::fs::read(path).with_context(|| format!("{} can not be read", path.display()))?]);
        }
        let seed = Seed {
            id: uuid::Uuid::new_v4().to_string(),
            account_id: credentials.account_id.clone(),
            now: Time::now(),
            index,
            records: self.records,
            shape: self.shape(simulation)?,
        };
        let mut bodies = (simulation.bodies)(&seed);
        for body in bodies.iter_mut().filter(|_| !self.set.is_empty()) {
            let record = body.pointer_mut(simulation.record);
            let record = record.context("--set changes the default shape only, and a body with a record in it")?;
            self.set.iter().try_for_each(|change| set(record, change))?;
        }
        Ok(bodies.iter().map(simulation.encode).collect())
    }

    fn shape(&self, simulation: &Simulation) -> anyhow::Result<String> {
        let Some(shape) = &self.shape else { return Ok(String::new()) };
        let shapes = simulation.shapes;
        anyhow::ensure!(!shapes.is_empty(), "--shape: {} has one shape only", simulation.name);
        anyhow::ensure!(shapes.contains(&shape.as_str()), "--shape: the shapes are: {}", shapes.join(", "));
        Ok(shape.clone())
    }

    /// Sends one webhook and tells whether it was answered as wanted.
    async fn send(&self, client: &reqwest::Client, url: &str, request: SignedRequest) -> anyhow::Result<bool> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let started = Instant::now();
        let token = request.url_token.map(|token| format!("/{}", utf8_percent_encode(&token, NON_ALPHANUMERIC)));
        let token = token.unwrap_or_default();
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        let mut builder = client.request(method, format!("{url}{token}{query}")).body(request.body);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        // The error's own URL ends with the token.
        let response = builder.send().await.map_err(reqwest::Error::without_url);
        let response = response.with_context(|| format!("nothing takes webhooks at {url}"))?;
        let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
        let status = response.status();
        let wanted = if self.tamper { status == reqwest::StatusCode::UNAUTHORIZED } else { status.is_success() };
        let remark = if self.tamper && wanted { ", as it should be" } else { "" };
        output::line(&format!("{status}{remark} ({milliseconds:.1} ms)"));
        Ok(wanted)
    }
}

/// Asks a proxy of the environment (`HTTP_PROXY`) only where a name has to be reached that may be far away. What is
/// given by its address, as in the lines that `dev` prints, is reached directly.
fn client(url: &str) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().timeout(Duration::from_secs(60));
    let is_far = Url::parse(url).is_ok_and(|url| url.domain().is_some_and(|name| name != "localhost"));
    Ok(if is_far { builder } else { builder.no_proxy() }.build()?)
}

fn list() {
    let mut rows = Vec::new();
    for info in PROVIDERS {
        for simulation in info.simulations {
            let shapes = match simulation.shapes {
                [] => String::new(),
                shapes => format!("; --shape {}", shapes.join("|")),
            };
            let summary = format!("{}{shapes}", simulation.summary);
            rows.push(vec![info.name.to_owned(), simulation.name.to_owned(), summary]);
        }
    }
    output::table(&rows);
}

fn find(info: &ProviderInfo, kind: &str) -> anyhow::Result<&'static Simulation> {
    let names = || info.simulations.iter().map(|simulation| simulation.name).collect::<Vec<_>>().join(", ");
    info.simulation(kind).ok_or_else(|| anyhow::anyhow!("{} sends no {kind:?}; it sends: {}", info.title, names()))
}

/// Changes one field. Text stays text, a number stays a number where the new value is one.
fn set(body: &mut Value, change: &str) -> anyhow::Result<()> {
    let (path, value) = change.split_once('=').context("--set takes FIELD=VALUE, such as status=rejected")?;
    let (path, as_json) = path.strip_suffix(':').map_or((path, false), |path| (path, true));
    let mut place = body;
    for name in path.split('.') {
        let object = place
            .as_object_mut()
            .with_context(|| format!("--set {path}: {name} is below a value that is no object"))?;
        place = object.entry(name).or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    *place = match (as_json, place.is_number()) {
        (true, _) => serde_json::from_str(value).with_context(|| format!("--set {path}: {value} is not JSON"))?,
        (false, true) => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
        (false, false) => Value::from(value),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_changed_and_made_by_path() {
        let mut body = json!({"status": "delivered", "error": {"code": 1300}});
        for change in [
            "status=rejected",
            "error.code=1130",
            "error.title=1130",
            "sms:={\"count_total\":\"2\"}",
            "to=447700900009",
        ] {
            set(&mut body, change).unwrap();
        }
        assert_eq!(
            body,
            json!({"status": "rejected", "error": {"code": 1130, "title": "1130"}, "sms": {"count_total": "2"}, "to": "447700900009"})
        );
        assert!(set(&mut body, "status").is_err());
        assert!(set(&mut body, "status.x=1").is_err());
        assert!(set(&mut body, "sms:=nonsense").is_err());
    }
}
