//! A connection to the provider of a source, for commands.

use std::sync::Arc;

use anyhow::Context as _;

use crate::outbound::access::NoVault;
use crate::outbound::{Client, Line, real_sleep};
use crate::provider::api::Access;
use crate::reconcile::command::{Command, Options};
use crate::settings::{Settings, Source};
use crate::telemetry::metrics::Metrics;

/// A source by its name.
///
/// # Errors
/// When there is none; those that there are.
pub(super) fn source<'s>(settings: &'s Settings, name: &str) -> anyhow::Result<&'s Arc<Source>> {
    let source = settings.sources.iter().find(|source| source.name == name);
    let known = || settings.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    source.with_context(|| format!("there is no source {name:?} in the configuration; the sources are: {}", known()))
}

/// A line, with what keeps its tokens.
#[derive(Debug)]
pub(super) enum Connection {
    /// Its tokens can be asked for again at any time.
    Alone(Box<Line>),
    /// Its newest token lies in Kafka.
    WithTokens(Box<Command>),
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// Without credentials, or where Kafka is away and keeps the tokens.
    pub(super) async fn open(settings: &Settings, source: &Source) -> anyhow::Result<Self> {
        let (api, name) = (source.api.clone(), source.name.as_str());
        let api = api.with_context(|| format!("{name} has no credentials for its provider's API"))?;
        if matches!(api.access(), Access::OAuth(oauth) if oauth.refresh_token.is_some()) {
            let options = Options { dry_run: true, ..Options::default() };
            return Ok(Self::WithTokens(Box::new(Command::start(settings, name, options).await?)));
        }
        let metrics = Arc::new(Metrics::new().apis.of(name));
        let client = Client::new(&settings.outbound)?;
        Ok(Self::Alone(Box::new(Line::new(name, api, client, Arc::new(NoVault), metrics, real_sleep()))))
    }

    pub(super) fn line(&self) -> &Line {
        match self {
            Self::Alone(line) => line,
            Self::WithTokens(command) => command.line(),
        }
    }
}
