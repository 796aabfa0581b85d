//! Where the spool is: with a running service, or in a directory that no service uses.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Context, LOOK};
use crate::config::SpoolSettings;
use crate::publish::Publisher;
use crate::publish::topics::MoreTopics;
use crate::spool::{Options, SpoolError, Store};
use crate::telemetry::metrics::Metrics;

/// The operators' server answers at once, but for a check of the whole spool.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Which spool is meant.
#[derive(Debug, clap::Args)]
pub(super) struct SpoolArgs {
    /// Directory of a spool that no running service uses [default: ask the running service]
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

impl SpoolArgs {
    /// What is in the spool.
    pub(super) async fn overview(&self, context: &Context, limit: usize) -> anyhow::Result<Value> {
        match &self.dir {
            Some(dir) => Ok(open(dir)?.overview(limit)?),
            None => self.ask(context, reqwest::Method::GET, &format!("/api/spool?limit={limit}")).await,
        }
    }

    /// Whether it holds.
    pub(super) async fn verification(&self, context: &Context) -> anyhow::Result<Value> {
        match &self.dir {
            Some(dir) => Ok(open(dir)?.verify()?.json()),
            None => self.ask(context, reqwest::Method::POST, "/-/spool/verify").await,
        }
    }

    /// How much is in the spool of the running service.
    pub(super) async fn state(&self, context: &Context) -> anyhow::Result<Value> {
        Ok(self.ask(context, reqwest::Method::GET, "/readyz").await?["spool"].take())
    }

    /// Lets the running service try Kafka again, and tells how much is in its spool.
    pub(super) async fn ask_to_drain(&self, context: &Context) -> anyhow::Result<Value> {
        self.ask(context, reqwest::Method::POST, "/-/spool/drain").await
    }

    async fn ask(&self, context: &Context, method: reqwest::Method, path: &str) -> anyhow::Result<Value> {
        let admin = context.admin();
        let asked = self.ask_at(&format!("{}{path}", admin.url), method).await;
        asked.map_err(|error| admin.explain(error))
    }

    async fn ask_at(&self, url: &str, method: reqwest::Method) -> anyhow::Result<Value> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        let unreachable = || format!("no service answers at {url}; `--dir` looks into a directory");
        let response = client.request(method, url).send().await.with_context(unreachable)?;
        let text = response.text().await.with_context(unreachable)?;
        let answer: Value = serde_json::from_str(&text).with_context(|| format!("{url} answers no JSON"))?;
        match answer["detail"].as_str() {
            Some(problem) => anyhow::bail!("{problem}"),
            None => Ok(answer),
        }
    }
}

/// Opens the spool of a directory. It is not made if it is not there, and not mended if it is damaged.
fn open(dir: &Path) -> anyhow::Result<Store> {
    let opened = Store::open_existing(&Options { dir: dir.to_owned(), vfs: None });
    let opened = opened.map_err(|error| match error {
        SpoolError::InUse { .. } => anyhow::Error::from(error).context("stop the service first, or leave out --dir"),
        SpoolError::Corrupt(_) => anyhow::Error::from(error)
            .context("`trunkline serve` sets the damaged file aside and saves every row whose checksum holds"),
        other => other.into(),
    })?;
    if opened.foreign > 0 {
        tracing::warn!(rows = opened.foreign, "rows of another version of trunkline, which this one leaves alone");
    }
    Ok(opened.store)
}

/// A publisher that only empties a spool.
pub(super) struct Offline {
    publisher: Publisher,
}

impl Offline {
    /// Opens the spool of a directory for the Kafka of the configuration.
    pub(super) fn start(context: &Context, dir: &Path) -> anyhow::Result<Self> {
        let settings = context.load()?.settings;
        drop(open(dir)?);
        let spool = SpoolSettings { dir: dir.to_owned(), ..settings.spool };
        // No webhook comes, so there are no duplicates to remember.
        let publisher =
            Publisher::start(&settings.kafka, Some(&spool), MoreTopics::default(), 0, &Arc::new(Metrics::new()))?;
        Ok(Self { publisher })
    }

    /// Waits until the spool is empty or the time is over.
    pub(super) async fn drain(self, deadline: Instant) -> anyhow::Result<Value> {
        while self.publisher.spool().events > 0 && Instant::now() < deadline {
            progress(&json!(self.publisher.spool()));
            tokio::time::sleep(LOOK).await;
        }
        let left = tokio::task::spawn_blocking(move || self.publisher.stop(Instant::now())).await?;
        Ok(json!({"events": left.spooled, "quarantined": left.quarantined}))
    }
}

/// One line that is overwritten, on a terminal alone.
pub(super) fn progress(state: &Value) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // A terminal that can not be written to is no reason to stop.
        drop(write!(stderr, "\r{} events left   ", state["events"]).and_then(|()| stderr.flush()));
    }
}
