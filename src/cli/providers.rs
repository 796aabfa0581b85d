//! `trunkline providers`

use std::process::ExitCode;

use super::output::{self, strong};
use crate::provider::ProviderInfo;
use crate::providers::{self, PROVIDERS};

/// Show the providers, how they are verified, what they report, and how to configure them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline providers
  trunkline providers vonage")]
pub struct Providers {
    /// Only this one
    provider: Option<String>,
}

impl Providers {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        match &self.provider {
            None => PROVIDERS.iter().for_each(|info| print(info)),
            Some(name) => {
                let info = providers::find(name);
                print(info.ok_or_else(|| anyhow::anyhow!("{name:?} is not known; `trunkline providers` lists them"))?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(info: &ProviderInfo) {
    let methods: Vec<&str> = info.methods.iter().map(|method| method.as_str()).collect();
    let kinds: Vec<&str> = info.kinds.iter().map(|kind| kind.info().name).collect();
    output::line(&strong(&format!("{} ({})", info.title, info.name)));
    output::line(&format!("  verified by    {}", info.verification));
    output::line(&format!("  webhooks by    {}", methods.join(", ")));
    output::line(&format!("  reports        {}", kinds.join(", ")));
    output::line(&format!("  documentation  {}", info.documentation));
    output::line("  configuration:\n");
    for line in info.example.lines() {
        output::line(&format!("    {line}"));
    }
    output::line("");
}
