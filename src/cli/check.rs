//! `trunkline check`

use std::process::ExitCode;

use super::{Context, output};
use crate::config::{KafkaSettings, Loaded};
use crate::http;
use crate::provider::api::StreamInfo;
use crate::publish::client::Unusable;
use crate::publish::permits::{self, Verdict};
use crate::publish::topics::{self, TopicState};
use crate::reconcile::command::{Command, Options};
use crate::settings::reconcile::ReconcileOptions;
use crate::settings::{Settings, Source};

/// Check the configuration and print it resolved, secrets redacted
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline check --config trunkline.toml
  trunkline check --config trunkline.toml --online   also ask the brokers about the topics, and the providers' APIs

Tells every problem at once, with file, key and how to mend it. Exit code 0 or 1.")]
pub struct Check {
    /// Also check brokers, topics and their settings, and ask each provider's API whether it may be asked
    #[arg(long)]
    online: bool,
}

impl Check {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let loaded = context.load()?;
        let settings = &loaded.settings;
        if let Some(files) = &settings.server.tls {
            http::tls::server_config(files)?;
        }
        output::line(loaded.redacted.trim_end());
        print_urls(&loaded);
        if !self.online {
            output::line("\nThe configuration holds.");
            return Ok(ExitCode::SUCCESS);
        }
        let mut problems = online_problems(settings).await?;
        if problems.is_empty() {
            problems.extend(problems_of_apis(settings).await);
        }
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

async fn online_problems(all: &Settings) -> anyhow::Result<Vec<String>> {
    let settings = &all.kafka;
    // First, since a client goes on under the names that brokers tell, and who is not reached there answers nothing.
    let unreachable = blocking(settings, topics::unreachable_brokers).await??;
    if !unreachable.is_empty() {
        return Ok(unreachable);
    }
    let mut states = blocking(settings, topics::look).await??;
    if let Err(error) = topics::describe(settings, &mut states).await {
        tracing::warn!("the brokers do not tell the topics' settings: {:#}", anyhow::Error::from(error));
    }
    let mut problems = not_allowed(settings, &states).await?;
    for state in &states {
        // What is allowed and unwise.
        let kept = all.sources.iter().filter_map(|source| too_short_for(source, state));
        state.advice(settings).into_iter().chain(kept).for_each(|sentence| tracing::warn!("{sentence}"));
        problems.extend(problem_of(state, settings.create_topics));
    }
    Ok(problems)
}

/// Asks each API that a source has credentials for. A token may be renewed for it, and is then kept, as it has to be.
async fn problems_of_apis(settings: &Settings) -> Vec<String> {
    let mut problems = Vec::new();
    for source in settings.sources.iter().filter(|source| source.api.is_some()) {
        let options = Options { dry_run: true, ..Options::default() };
        match Command::start(settings, &source.name, options).await {
            Ok(command) => problems.extend(problems_of_api(&source.name, &command).await),
            Err(error) => problems.push(format!("{}: {error}", source.name)),
        }
    }
    problems
}

async fn problems_of_api(source_name: &str, command: &Command) -> Vec<String> {
    let mut problems = Vec::new();
    for (stream, answer) in command.try_access().await {
        match answer {
            Ok(()) => output::line(&format!("# {source_name}: the provider's API answers for {}", stream.name)),
            Err(problem) => problems.push(format!("{source_name}: {}: {problem}", stream.name)),
        }
    }
    problems
}

/// What it costs that a topic keeps less than a source is compared with.
fn too_short_for(source: &Source, state: &TopicState) -> Option<String> {
    let options = source.reconcile.as_ref().filter(|_| source.api.is_some())?;
    let streams = source.info.streams_of(options.products.as_deref()).ok()?;
    let of_topic =
        |stream: &&&StreamInfo| stream.kinds.iter().any(|kind| kind.info().topic.suffix == state.info.suffix);
    let needed_s = streams.iter().filter(of_topic).map(|stream| looked_back_s(stream, options)).max()?;
    state.advice_to_keep(needed_s, &source.name)
}

/// How far back the topics are looked through: an hour is read at its greatest age, from its beginning and some minutes
/// before.
fn looked_back_s(stream: &StreamInfo, options: &ReconcileOptions) -> u64 {
    const HOUR_WITH_MARGIN_S: u64 = 3600 + 600;
    let again_s = options.ages.again_s.as_deref().unwrap_or(stream.again_s);
    let first_s = options.ages.delay_s.unwrap_or(stream.delay_s);
    let greatest_s = again_s.iter().copied().chain([first_s, options.lookback_s.unwrap_or_default()]).max();
    u64::from(greatest_s.unwrap_or_default()) + HOUR_WITH_MARGIN_S
}

async fn blocking<T: Send + 'static>(
    settings: &KafkaSettings,
    task: impl FnOnce(&KafkaSettings) -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let settings = settings.clone();
    tokio::task::spawn_blocking(move || task(&settings)).await
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

/// Topics that are there and may not be written to, or are missing and may not be made.
async fn not_allowed(settings: &KafkaSettings, states: &[TopicState]) -> anyhow::Result<Vec<String>> {
    let missing: Vec<&TopicState> =
        states.iter().filter(|state| settings.create_topics && state.unusable == Some(Unusable::Missing)).collect();
    let mut problems = Vec::new();
    for (topic, code) in topics::uncreatable(settings, &missing).await? {
        problems.push(format!("{topic}: is not there and can not be created: {code}"));
    }
    let there = states.iter().filter(|state| state.unusable.is_none());
    let names: Vec<String> = there.map(|state| state.name.clone()).collect();
    for (topic, verdict) in blocking(settings, move |settings| permits::ask(settings, &names)).await?? {
        match verdict {
            Verdict::Writable => {}
            Verdict::Refused(code) => problems.push(format!("{topic}: can not be written to: {code}")),
            Verdict::Taken => {
                tracing::warn!("{topic}: whether it may be written to can not be asked; it has an empty record now");
            }
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    fn looked_back(keys: &str) -> u64 {
        let text = format!(
            "[reconcile]\nstate_keys = [\"env:KEY\"]\n[[sources]]\nname = \"a\"\nprovider = \"webex\"\n\
             signature_secrets = [\"env:KEY\"]\nclient_id = \"C\"\nclient_secret = \"env:KEY\"\n\
             refresh_token = \"env:KEY\"\n[sources.reconcile]\n{keys}"
        );
        let environment = Environment::from([("KEY".to_owned(), "a-long-invented-secret".to_owned())]);
        let settings = config::load_text("test", &text, &environment).unwrap().settings;
        let source = &settings.sources[0];
        looked_back_s(&source.info.streams[0], source.reconcile.as_ref().unwrap())
    }

    #[test]
    fn topics_are_looked_through_as_far_back_as_an_hour_is_read() {
        assert_eq!(looked_back(""), 144_000 + 4200);
        assert_eq!(looked_back("again_s = []"), 1800 + 4200);
        assert_eq!(looked_back("again_s = [7200]\nlookback_s = 86400"), 86_400 + 4200);
    }
}
