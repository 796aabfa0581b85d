//! `trunkline subscribe`

use std::process::ExitCode;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use super::line::Connection;
use super::{Context, output};
use crate::provider::api::Api;
use crate::provider::subscriptions::{Deed, Destination, Subscriptions, Wish};
use crate::settings::{Settings, Source};
use crate::subscriptions::{SubscriptionsError, carry_out, destination_of, survey};

/// Something was left undone.
const LEFT: u8 = 4;

/// Make the provider send its webhooks to a source
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline subscribe telphin --dry-run     what is missing?
  trunkline subscribe telphin               subscribe every extension
  trunkline subscribe webex --rotate        give the webhook the first of signature_secrets
  trunkline subscribe telphin --remove      remove our own, and nobody else's

Compares the webhooks at the provider with what the source needs, and prints what is kept, added, repaired and removed.
Ours are those whose URL is server.public_url with exactly /webhooks/<source>, or that and a token. Of a provider that
has no API for it the URL to enter is printed.

Exit codes: 0 done; 4 something is left, or is to be done where --dry-run; 1 it could not do its work; 2 wrong usage.")]
pub struct Subscribe {
    /// Name of the source in the configuration
    source: String,
    /// Only print what is to be done
    #[arg(long)]
    dry_run: bool,
    /// Remove all of ours
    #[arg(long, conflicts_with = "rotate")]
    remove: bool,
    /// Make them anew, with the secret that is configured now
    #[arg(long)]
    rotate: bool,
}

impl Subscribe {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let settings = context.load()?.settings;
        let source = super::line::source(&settings, &self.source)?;
        let destination = destination(&settings, source)?;
        let Some(subscriptions) = source.api.as_deref().and_then(Api::subscriptions) else {
            return explain(source, &destination);
        };
        let connection = Connection::open(&settings, source).await?;
        tokio::select! {
            done = self.act(&connection, subscriptions, destination) => told(done),
            _ = tokio::signal::ctrl_c() => {
                output::error("interrupted; the same command goes on");
                Ok(ExitCode::from(LEFT))
            }
        }
    }

    async fn act(
        &self,
        connection: &Connection,
        subscriptions: &dyn Subscriptions,
        destination: Destination,
    ) -> anyhow::Result<ExitCode> {
        let wish = match (self.remove, self.rotate) {
            (true, _) => Wish::Removed,
            (_, true) => Wish::Renewed,
            _ => Wish::Complete,
        };
        let (line, mut left) = (connection.line(), 0);
        for change in survey(line, subscriptions, destination, wish).await? {
            output::line(&format!("{:<6}  {}", change.deed.as_str(), change.what));
            if change.deed == Deed::Keep {
                continue;
            }
            if self.dry_run {
                left += 1;
                continue;
            }
            match carry_out(line, &change).await {
                Ok(()) => {}
                Err(error @ SubscriptionsError::Failed(_)) => {
                    output::error(&format!("{}: {error}", change.what));
                    left += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::from(LEFT) })
    }
}

/// Where the webhooks of a source go. Without a public URL the provider would be given one that only we can reach.
fn destination(settings: &Settings, source: &Source) -> anyhow::Result<Destination> {
    let public_url = settings.server.public_url.as_ref();
    let public_url = public_url.context("server.public_url is missing: it is what the provider has to call")?;
    Ok(destination_of(source, public_url))
}

/// Of a provider that is told by hand.
fn explain(source: &Source, destination: &Destination) -> anyhow::Result<ExitCode> {
    let is_possible = !source.info.streams.is_empty() && source.api.is_none();
    let mend = || format!("{} has no credentials for its provider's API", source.name);
    anyhow::ensure!(!is_possible || source.info.signs, mend());
    output::line(&format!(
        "{} is told by hand where to call; {} says where:",
        source.info.title, source.info.documentation
    ));
    match (&destination.secret, &destination.token) {
        // A signed webhook needs no token.
        (None, Some(token)) => output::line(&format!("{}/{}", destination.url, token.expose_secret())),
        _ => output::line(&destination.url),
    }
    Ok(ExitCode::SUCCESS)
}

/// What the provider puts off is left, and nothing has failed.
fn told(done: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    done.or_else(|error| match error.downcast_ref() {
        Some(SubscriptionsError::Throttled(_)) => {
            output::error(&error.to_string());
            Ok(ExitCode::from(LEFT))
        }
        _ => Err(error),
    })
}
