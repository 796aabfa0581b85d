//! `trunkline topics`

use std::process::ExitCode;

use super::{Context, output};
use crate::publish::topics::{self, MoreTopics, TopicState};

/// Show the topics wanted and found, or create the missing ones
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline topics --config trunkline.toml
  trunkline topics --create --config trunkline.toml")]
pub struct Topics {
    /// Create the topics that are not there
    #[arg(long)]
    create: bool,
}

impl Topics {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let settings = context.load()?.settings.kafka;
        if self.create {
            for name in topics::create_missing(&settings, MoreTopics::default()).await? {
                output::line(&format!("created {name}"));
            }
        }
        let asked = settings.clone();
        let mut states = tokio::task::spawn_blocking(move || topics::look(&asked)).await??;
        if let Err(error) = topics::describe(&settings, &mut states).await {
            tracing::warn!("the brokers do not tell the topics' settings: {:#}", anyhow::Error::from(error));
        }
        print(&states);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(states: &[TopicState]) {
    let heading = ["TOPIC", "PARTITIONS", "REPLICAS", "RETENTION", "CLEANUP", "HOLDS"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(states.iter().map(row));
    output::table(&rows);
}

/// Found beside wanted, where they differ.
fn row(state: &TopicState) -> Vec<String> {
    let wanted = state.info;
    let found = |name: &str| state.settings.get(name).cloned().unwrap_or_else(|| "?".to_owned());
    let retention = match state.settings.get("retention.ms").and_then(|text| text.parse::<i64>().ok()) {
        Some(..0) => "for ever".to_owned(),
        Some(ms) => format!("{} days", ms / 86_400_000),
        None => "?".to_owned(),
    };
    let partitions = match state.partitions {
        0 => format!("missing (wanted {})", wanted.partitions),
        found if i32::try_from(found) == Ok(wanted.partitions) => found.to_string(),
        found => format!("{found} (wanted {})", wanted.partitions),
    };
    vec![
        state.name.clone(),
        partitions,
        state.replicas.to_string(),
        retention,
        found("cleanup.policy"),
        wanted.summary.to_owned(),
    ]
}
