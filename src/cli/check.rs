//! `trunkline check`

use std::process::ExitCode;

use super::{Context, output};
use crate::config::{KafkaSettings, Loaded};
use crate::http;
use crate::publish::client::{self, Unusable};
use crate::publish::topics::{self, TopicState};

/// Check the configuration and print it resolved, secrets redacted
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline check --config trunkline.toml
  trunkline check --config trunkline.toml --online   also ask the brokers about the topics

Tells every problem at once, with file, key and how to mend it. Exit code 0 or 1.")]
pub struct Check {
    /// Also check brokers, topics and their settings
    #[arg(long)]
    online: bool,
}

impl Check {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let loaded = context.load()?;
        let settings = &loaded.settings;
        client::validate(&settings.kafka)?;
        if let Some(files) = &settings.server.tls {
            http::tls::server_config(files)?;
        }
        output::line(loaded.redacted.trim_end());
        print_urls(&loaded);
        if !self.online {
            output::line("\nThe configuration holds.");
            return Ok(ExitCode::SUCCESS);
        }
        let problems = online_problems(&settings.kafka).await?;
        for problem in &problems {
            output::error(problem);
        }
        if problems.is_empty() {
            output::line("\nThe configuration holds, and the brokers answer.");
        }
        Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print_urls(loaded: &Loaded) {
    let base = loaded.settings.base_url();
    output::line("\n# Webhook URLs:");
    for source in &loaded.settings.sources {
        let url = format!("{base}/webhooks/{}", source.name);
        let unsigned = source.url_token.is_some().then(|| format!("{url}/<token>"));
        let signed = (source.signature_secret.is_some() || source.doors.open).then_some(url);
        let urls: Vec<String> = signed.into_iter().chain(unsigned).collect();
        output::line(&format!("#   {}", urls.join("  and unsigned  ")));
    }
}

async fn online_problems(settings: &KafkaSettings) -> anyhow::Result<Vec<String>> {
    let asked = settings.clone();
    let mut states = tokio::task::spawn_blocking(move || topics::look(&asked)).await??;
    if let Err(error) = topics::describe(settings, &mut states).await {
        tracing::warn!("the brokers do not tell the topics' settings: {:#}", anyhow::Error::from(error));
    }
    let mut problems = tokio::task::spawn_blocking({
        let asked = settings.clone();
        move || topics::unreachable_brokers(&asked)
    })
    .await??;
    for state in &states {
        // What is allowed and unwise.
        state.advice(settings).iter().for_each(|sentence| tracing::warn!("{sentence}"));
        problems.extend(problem_of(state, settings.create_topics));
    }
    Ok(problems)
}

fn problem_of(state: &TopicState, created_at_start: bool) -> Option<String> {
    match state.unusable? {
        Unusable::Missing if created_at_start => {
            output::line(&format!("# {} is not there yet; `trunkline serve` creates it", state.name));
            None
        }
        Unusable::Missing => Some(format!("{}: is not there; create it with `trunkline topics --create`", state.name)),
        refused @ Unusable::Refused(_) => Some(format!("{}: {refused}", state.name)),
    }
}
