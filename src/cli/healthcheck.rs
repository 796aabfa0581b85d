//! `trunkline healthcheck`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::{Context, output};

/// Ask a running service whether it is ready, for a container's health check
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline healthcheck
  trunkline healthcheck --url http://127.0.0.1:9100/readyz

Exit code 0 if it is ready, 1 if not. A configuration that has been changed and does not hold is warned of, and
says nothing about the service that runs.")]
pub struct Healthcheck {
    /// Where to ask [default: /readyz at admin.listen]
    #[arg(long)]
    url: Option<String>,
}

impl Healthcheck {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let Some(url) = &self.url else {
            let admin = context.admin();
            let asked = ask(&format!("{}/readyz", admin.url)).await;
            return match asked {
                Ok(code) => {
                    admin.warn();
                    Ok(code)
                }
                Err(error) => Err(admin.explain(error)),
            };
        };
        ask(url).await
    }
}

async fn ask(url: &str) -> anyhow::Result<ExitCode> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build()?;
    let response = client.get(url).send().await.with_context(|| format!("nothing answers at {url}"))?;
    let status = response.status();
    output::line(response.text().await.unwrap_or_default().trim());
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
