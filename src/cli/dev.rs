//! `trunkline dev`

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use rand::Rng as _;

use super::output::{self, strong};
use super::{Context, serve};
use crate::app::App;
use crate::config::{self, Settings};
use crate::event::kind;
use crate::provider::ProviderInfo;
use crate::providers::PROVIDERS;
use crate::publish::embedded::EmbeddedBroker;

/// The account of every demo source, and the default of `trunkline send`.
pub(super) const DEMO_ACCOUNT: &str = "demo";

const TOPIC_PREFIX: &str = "telecom.";

/// As many as the topics of events have anywhere.
const PARTITIONS: i32 = 12;

/// Try Trunkline: needs no configuration and no Kafka, and keeps nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  trunkline dev
  trunkline dev --listen 127.0.0.1:8888

Starts an embedded broker and a demo source for each provider, and prints commands to try them with.")]
pub struct Dev {
    /// Address and port for webhooks
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address and port for health and metrics
    #[arg(long, default_value = "127.0.0.1:9100")]
    admin_listen: SocketAddr,
}

/// One provider's demo source.
struct Demo {
    info: &'static ProviderInfo,
    secret: String,
}

impl Demo {
    fn variable(&self) -> String {
        format!("DEMO_{}", self.info.name)
    }

    fn source(&self) -> String {
        let (name, key, variable) = (self.info.name, self.info.secret_key(), self.variable());
        format!(
            "[[sources]]\nname = \"{name}-demo\"\nprovider = \"{name}\"\naccount_id = \"{DEMO_ACCOUNT}\"\n\
             {key} = [\"env:{variable}\"]\n"
        )
    }
}

impl Dev {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        if context.config.is_some() {
            anyhow::bail!("`trunkline dev` takes no configuration; `trunkline serve --config FILE` does");
        }
        let stop = serve::Signals::new()?;
        let broker = EmbeddedBroker::start(TOPIC_PREFIX, PARTITIONS)?;
        let demos: Vec<Demo> = PROVIDERS.iter().map(|info| Demo { info, secret: random_secret() }).collect();
        let spool = tempfile::tempdir().context("no directory for the spool")?;
        let app = App::start(self.settings(&broker, spool.path(), &demos)?)?;
        explain(&app, broker.bootstrap_servers(), &demos);
        let code = serve::run_until_stopped(app, stop).await;
        drop((broker, spool));
        code
    }

    fn settings(&self, broker: &EmbeddedBroker, spool: &Path, demos: &[Demo]) -> anyhow::Result<Settings> {
        let base = format!(
            "[server]\nlisten = \"{}\"\n[admin]\nlisten = \"{}\"\n[kafka]\nbootstrap_servers = \"{}\"\n\
             topic_prefix = \"{TOPIC_PREFIX}\"\ncreate_topics = false\n[spool]\ndir = {:?}\n",
            self.listen,
            self.admin_listen,
            broker.bootstrap_servers(),
            spool.display().to_string()
        );
        let sources: String = demos.iter().map(Demo::source).collect();
        let secrets = demos.iter().map(|demo| (demo.variable(), demo.secret.clone()));
        Ok(config::load_text("trunkline dev", &format!("{base}{sources}"), &secrets.collect())?.settings)
    }
}

fn random_secret() -> String {
    let bytes: [u8; 16] = rand::rng().random();
    hex::encode(bytes)
}

/// Prints what to do next. Every line that looks like a command works as it stands.
fn explain(app: &App, broker: &str, demos: &[Demo]) {
    let webhooks = app.webhooks.address;
    let program = program();
    output::line(&strong("Trunkline is running. It keeps nothing: its broker lives in this process and ends with it."));
    output::line("");
    output::line(&format!("  broker     {broker}   (any Kafka client on this machine)"));
    output::line(&format!("  operators  http://{0}/readyz  http://{0}/metrics", app.admin.address));
    for demo in demos {
        let (name, title) = (demo.info.name, demo.info.title);
        output::line("");
        output::line(&strong(&format!("{title}: {}", demo.info.verification)));
        output::line(&format!("  webhook  http://{webhooks}/webhooks/{name}-demo"));
        output::line(&format!("  {:<7}  {}", if demo.info.signs { "secret" } else { "token" }, demo.secret));
        output::line("  send as the provider does:");
        for words in demo.info.proposals {
            output::line(&format!(
                "    {program} send {name} {words} --url http://{webhooks}/webhooks/{name}-demo --secret {}",
                demo.secret
            ));
        }
    }
    output::line("");
    output::line(&strong("Read the events:"));
    output::line(&format!("    {program} tail --brokers {broker} --from beginning"));
    for topic in kind::topics() {
        output::line(&format!("    kcat -b {broker} -t {TOPIC_PREFIX}{} -C -e -q -J", topic.suffix));
    }
    output::line("");
    output::line("Stop it with Ctrl-C.");
}

/// How this program was called, so that the printed commands work where it is not on the PATH.
fn program() -> String {
    let path = std::env::args().next().unwrap_or_else(|| "trunkline".to_owned());
    let plain = path.chars().all(|character| character.is_ascii_alphanumeric() || "/._-".contains(character));
    if plain { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}
