//! `trunkline send`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

mod change;
mod target;

use super::output;
use crate::event::time::Time;
use crate::provider::ProviderInfo;
use crate::provider::simulate::{Credentials, Encoding, Seed, SignedRequest, Signing, Simulation};
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
  trunkline send vonage sms-dlr --secret SECRET --method form
  trunkline send vonage voice call --secret SECRET
  trunkline send vonage message-status --secret SECRET --tamper

Exit code 0 if every webhook was taken (with --tamper: if every one was refused).")]
pub struct Send {
    /// Provider, see --list
    #[arg(required_unless_present = "list")]
    provider: Option<String>,
    /// Kind of webhook, see --list
    #[arg(required_unless_present = "list")]
    kind: Option<String>,
    /// Shape of the webhook, for kinds that have several, see --list
    #[arg(id = "shape-name", value_name = "SHAPE")]
    third: Option<String>,
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
    /// Send this body instead of a simulated one: JSON, a form or a query, as --method says
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    file: Option<PathBuf>,
    /// Records in each body, for providers that send batches
    #[arg(long, default_value_t = 1, value_name = "N")]
    records: usize,
    /// The same as the third word
    #[arg(long, value_name = "SHAPE", conflicts_with = "shape-name")]
    shape: Option<String>,
    /// How to send it, where the provider may choose [default: the first that --list names]
    #[arg(long, value_parser = PossibleValuesParser::new(Encoding::ALL.map(Encoding::name)))]
    method: Option<String>,
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

impl Send {
    pub(super) async fn run(&self, context: &super::Context) -> anyhow::Result<ExitCode> {
        let (Some(provider), Some(kind)) = (&self.provider, &self.kind) else {
            list();
            return Ok(ExitCode::SUCCESS);
        };
        let info = providers::find(provider)
            .ok_or_else(|| anyhow::anyhow!("{provider:?} is not known; `trunkline send --list` names the providers"))?;
        let simulation = find(info, kind)?;
        let encoding = self.encoding(simulation)?;
        let target = self.target(info, context)?;
        let client = client(&target.url)?;
        let mut as_wanted = 0;
        let started = Instant::now();
        let mut sent = 0;
        for index in 0..self.count {
            for body in self.bodies(simulation, encoding, &target.credentials, index)? {
                self.pace(started, sent).await;
                let (credentials, url) = (&target.credentials, target.url.as_str());
                let signing = Signing { credentials, url, now: Time::now(), encoding };
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

    /// Keeps to the rate by the time since the start, so that a slow answer is made up for.
    async fn pace(&self, started: Instant, index: u64) {
        if let Some(rate) = self.rate {
            let due = Duration::from_secs(1) * u32::try_from(index).unwrap_or(u32::MAX) / rate;
            tokio::time::sleep_until((started + due).into()).await;
        }
    }

    /// The bodies of one report, written, in the order in which they are sent.
    fn bodies(
        &self,
        simulation: &Simulation,
        encoding: Encoding,
        credentials: &Credentials,
        index: u64,
    ) -> anyhow::Result<Vec<Vec<u8>>> {
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
            self.set.iter().try_for_each(|change| change::set(record, change))?;
        }
        Ok(bodies.iter().map(|body| encoding.write(body)).collect())
    }

    fn shape(&self, simulation: &Simulation) -> anyhow::Result<String> {
        let Some(shape) = self.third.as_ref().or(self.shape.as_ref()) else { return Ok(String::new()) };
        let (name, shapes) = (simulation.name, simulation.shapes);
        anyhow::ensure!(!shapes.is_empty(), "{shape:?}: {name} has one shape only");
        anyhow::ensure!(shapes.contains(&shape.as_str()), "{shape:?}: the shapes of {name} are: {}", shapes.join(", "));
        Ok(shape.clone())
    }

    fn encoding(&self, simulation: &Simulation) -> anyhow::Result<Encoding> {
        let Some(method) = &self.method else { return Ok(simulation.encoding()) };
        let found = simulation.encodings.iter().copied().find(|encoding| encoding.name() == method);
        let possible = methods(simulation, ", ");
        found.ok_or_else(|| anyhow::anyhow!("--method {method}: {} is sent by: {possible}", simulation.name))
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
            let methods = match simulation.encodings {
                [] | [_] => String::new(),
                _ => format!("; --method {}", methods(simulation, "|")),
            };
            let summary = format!("{}{methods}{shapes}", simulation.summary);
            rows.push(vec![info.name.to_owned(), simulation.name.to_owned(), summary]);
        }
    }
    output::table(&rows);
}

fn methods(simulation: &Simulation, between: &str) -> String {
    simulation.encodings.iter().map(|encoding| encoding.name()).collect::<Vec<_>>().join(between)
}

fn find(info: &ProviderInfo, kind: &str) -> anyhow::Result<&'static Simulation> {
    let names = || info.simulations.iter().map(|simulation| simulation.name).collect::<Vec<_>>().join(", ");
    info.simulation(kind).ok_or_else(|| anyhow::anyhow!("{} sends no {kind:?}; it sends: {}", info.title, names()))
}
