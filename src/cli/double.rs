//! `trunkline double`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

mod deliver;

use super::output::{self, strong};
use super::{Context, serve};
use crate::event::time::Time;
use crate::http::double::{Doors, Theatre};
use crate::provider::ProviderInfo;
use crate::provider::double::stage::Stage;
use crate::provider::double::world::{Fates, MOST_FACTS_PER_HOUR, World};
use crate::provider::double::{Bases, DoubleInfo, Entrance, Recipient, dice};
use crate::providers::PROVIDERS;

/// Act as a provider's API on this machine, with invented traffic, and do what a script says wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline double --list
  trunkline double webex --listen 127.0.0.1:9200 --hours 6 --rate 200 --accounts 3 --seed 1
  trunkline double webex --webhook-url http://127.0.0.1:8080/webhooks/webex-demo --secret SECRET \\
      --lose 5 --repeat 5 --late 10
  trunkline double vonage --rate 600
  trunkline double webex --script faults.toml
  curl http://127.0.0.1:9200/_double/facts     what really happened, and which webhooks were lost
  curl http://127.0.0.1:9200/_double/log       what the double was asked
  curl --data-binary @faults.toml http://127.0.0.1:9200/_double/script

The second address is the next port. Equal seeds and numbers make equal traffic, also after a restart.
docs/double.md tells the keys of scripts.")]
pub struct Double {
    /// Provider, see --list
    #[arg(required_unless_present = "list")]
    provider: Option<String>,
    /// List the providers that have a double
    #[arg(long)]
    list: bool,
    /// Address on loopback and port; the next port is used too
    #[arg(long, default_value = "127.0.0.1:9200")]
    listen: SocketAddr,
    /// Hours of traffic before now
    #[arg(long, default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=8784))]
    hours: u32,
    /// Facts an hour, such as calls
    #[arg(
        long,
        default_value_t = 200,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_FACTS_PER_HOUR))
    )]
    rate: u32,
    /// Customers
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    accounts: u32,
    /// What the traffic is made of
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Send webhooks to this URL, those of the past at once
    #[arg(long, value_name = "URL", requires = "secret")]
    webhook_url: Option<String>,
    /// Secret to sign webhooks with: `env:NAME`, `file:PATH` or the text itself
    #[arg(long, requires = "webhook_url")]
    secret: Option<String>,
    #[command(flatten)]
    fates: FateOptions,
    /// Script of what goes wrong
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// What goes wrong with facts, each in percent.
#[derive(Debug, clap::Args)]
struct FateOptions {
    /// Facts of which the webhook never comes, of a hundred
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    lose: u8,
    /// Facts of which the webhook comes twice, of a hundred
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    repeat: u8,
    /// Facts of which the webhook comes late, of a hundred
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    late: u8,
    /// Facts that the provider itself learns of late, of a hundred
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    late_records: u8,
    /// Users of whom webhooks tell nothing and the API does, of a hundred
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    untold: u8,
    /// Facts that the API tells otherwise two hours later, of a hundred
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    amend: u8,
}

impl Double {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let Some(name) = self.provider.as_deref().filter(|_| !self.list) else {
            output::table(
                &known()
                    .map(|(info, double)| vec![info.name.to_owned(), double.summary.to_owned()])
                    .collect::<Vec<_>>(),
            );
            return Ok(ExitCode::SUCCESS);
        };
        let (info, double) = find(name)?;
        let recipient = self.recipient(context)?;
        let mut stop = serve::Signals::new()?;
        let doors = Doors::bind(self.listen)?;
        let bases = doors.bases();
        let mut stage = Stage::new((double.open)(self.world()?, bases.clone()), self.seed);
        self.play(&mut stage)?;
        let entrance = stage.double().entrance();
        let theatre = Theatre::new(stage, Arc::new(Time::now));
        let mut server = crate::http::double::serve(doors, &theatre)?;
        self.explain(info, &bases, &entrance);
        tokio::select! {
            ended = server.ended() => ended.context("the double's server has ended")?,
            ended = deliver::deliver(&theatre, recipient) => ended.context("webhooks can not be sent")?,
            _ = stop.next() => (),
        }
        server.stop().await;
        Ok(ExitCode::SUCCESS)
    }

    fn world(&self) -> anyhow::Result<World> {
        let since = World::beginning(self.hours, Time::now()).context("--hours begins before the calendar does")?;
        let FateOptions { lose, repeat, late, late_records, untold, amend } = self.fates;
        let fates = Fates {
            lose_percent: lose,
            repeat_percent: repeat,
            late_percent: late,
            late_records_percent: late_records,
            untold_percent: untold,
            amend_percent: amend,
        };
        Ok(World { seed: self.seed, since, facts_per_hour: self.rate, accounts: self.accounts, fates })
    }

    fn recipient(&self, context: &Context) -> anyhow::Result<Option<Recipient>> {
        let (Some(url), Some(written)) = (&self.webhook_url, &self.secret) else { return Ok(None) };
        let secret = crate::config::Secret::resolve(written, &context.environment).map_err(anyhow::Error::msg)?;
        Ok(Some(Recipient { url: url.trim_end_matches('/').to_owned(), secret: secret.value }))
    }

    fn play(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let Some(path) = &self.script else { return Ok(()) };
        let script = std::fs::read_to_string(path).with_context(|| format!("{} can not be read", path.display()))?;
        stage.play(&script).with_context(|| format!("{} is no script", path.display()))
    }

    /// Prints what a client needs, and a source to paste.
    fn explain(&self, info: &ProviderInfo, bases: &Bases, entrance: &Entrance) {
        let Bases { first, second } = bases;
        output::line(&strong(&format!("{} is acted here. All of it is invented.", info.title)));
        output::line("");
        output::line(&format!("  base URL      {first}\n  second URL    {second}"));
        output::line(&format!("  truth         {first}/_double/facts\n  asked so far  {first}/_double/log"));
        for (name, value) in &entrance.credentials {
            output::line(&format!("  {name:<13} {value}"));
        }
        output::line("");
        output::line(&strong("A source that asks it:"));
        output::line(&source(info, self.seed, entrance, self.secret.as_deref()));
        output::line("Stop it with Ctrl-C.");
    }
}

fn known() -> impl Iterator<Item = (&'static ProviderInfo, &'static DoubleInfo)> {
    PROVIDERS.iter().filter_map(|info| info.double.map(|double| (*info, double)))
}

fn find(name: &str) -> anyhow::Result<(&'static ProviderInfo, &'static DoubleInfo)> {
    let names = || known().map(|(info, _)| info.name).collect::<Vec<_>>().join(", ");
    let found = known().find(|(info, _)| info.name == name);
    found.ok_or_else(|| anyhow::anyhow!("there is no double of {name:?}; there is one of: {}", names()))
}

/// Blocks of a configuration file, in which the secret stands as it was given. The key for tokens is made of the seed, so that a restart finds its own again.
fn source(info: &ProviderInfo, seed: u64, entrance: &Entrance, secret: Option<&str>) -> String {
    let name = info.name;
    let secret = secret.unwrap_or("the-secret-of-its-webhooks");
    let state_key = dice::uuid(seed, 0, "state key");
    format!(
        "[reconcile]\nstate_keys = [\"{state_key}\"]\n\n[[sources]]\nname = \"{name}-double\"\nprovider = \"{name}\"\n\
         {} = [{secret:?}]\n{}",
        info.secret_key(),
        entrance.source
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_to_paste_is_a_table_of_this_provider() {
        let bases = Bases { first: "http://127.0.0.1:1".to_owned(), second: "http://127.0.0.1:2".to_owned() };
        for (info, double) in known() {
            let world = World { seed: 1, since: Time::EPOCH, facts_per_hour: 1, accounts: 1, fates: Fates::default() };
            let entrance = (double.open)(world, bases.clone()).entrance();
            let text = source(info, 1, &entrance, Some("a \"quoted\" secret"));
            let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
            let source = table["sources"][0].as_table().unwrap();
            assert_eq!(source["provider"].as_str(), Some(info.name));
            assert_eq!(source[info.secret_key()][0].as_str(), Some("a \"quoted\" secret"));
            assert!(source["reconcile"]["products"].is_array());
        }
    }
}
