//! `trunkline reports`

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};

use super::reconcile::time;
use super::{Context, output};
use crate::event::time::Time;
use crate::outbound::access::NoVault;
use crate::outbound::{Client, Fetching, Line, WorkFile, real_sleep};
use crate::provider::api::reports::{Order, Progress, Reports as ProvidersReports, Told};
use crate::provider::api::{Answer, Request, Verdict};
use crate::telemetry::metrics::Metrics;

/// Waits between two readings of a state: the first, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Ask a provider for reports, and fetch them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline reports vonage-eu create --product SMS --direction outbound --from 2026-02-01 --to 2026-02-02 --wait
  trunkline reports vonage-eu list --state PENDING,PROCESSING
  trunkline reports vonage-eu status 6c5506b7-f16a-44dc-af06-756bbf467488
  trunkline reports vonage-eu download 6c5506b7-f16a-44dc-af06-756bbf467488 --output sms.zip
  trunkline reports vonage-eu cancel 6c5506b7-f16a-44dc-af06-756bbf467488

Only Vonage makes reports, and charges for them. The source needs credentials for the provider's API. What a report holds
is compared with the topics by `trunkline reconcile`, which makes its own.

Exit codes: 0 done; 4 the report is not whole, or not there yet; 1 it could not be done; 2 wrong usage.")]
pub struct Reports {
    /// Name of the source in the configuration
    source: String,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Have a report made, and print its id
    Create(Create),
    /// Print how far a report is
    Status {
        /// Id of the report
        id: String,
    },
    /// Wait until a report has ended
    Wait {
        /// Id of the report
        id: String,
    },
    /// Print the reports of the account
    List {
        /// Only those in these states, separated by commas
        #[arg(long, value_name = "STATE", value_delimiter = ',')]
        state: Vec<String>,
        /// Asked for from this time on
        #[arg(long, value_name = "TIME", value_parser = time)]
        from: Option<Time>,
        /// Asked for up to this time
        #[arg(long, value_name = "TIME", value_parser = time)]
        to: Option<Time>,
    },
    /// Fetch the file of a report
    Download {
        /// Id of the report
        id: String,
        /// Where to write it; nothing is overwritten [default: the product and the id]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Give a report up
    Cancel {
        /// Id of the report
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The provider's product, such as MESSAGES
    #[arg(long)]
    product: String,
    /// inbound or outbound, where the product has two
    #[arg(long)]
    direction: Option<String>,
    /// From this time on: 2026-02-03T12:00:00Z, or a date in UTC
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Time,
    /// Up to this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Time,
    /// A further parameter of the provider, such as network=23410
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// With the texts of messages
    #[arg(long)]
    include_message: bool,
    /// Wait until it has ended
    #[arg(long)]
    wait: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "NAME=VALUE".to_owned())
}

impl Reports {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let settings = context.load()?.settings;
        let source = settings.sources.iter().find(|source| source.name == self.source);
        let source = source.ok_or_else(|| anyhow!("there is no source {:?} in the configuration", self.source))?;
        let api = source.api.clone();
        let api = api.with_context(|| format!("{} has no credentials for its provider's API", self.source))?;
        if api.reports().is_none() {
            bail!("{} makes no reports", source.info.title);
        }
        let client = Client::new(&settings.outbound)?;
        let metrics = Metrics::new();
        let line = Line::new(
            &self.source,
            api,
            client,
            Arc::new(NoVault),
            Arc::new(metrics.apis.of(&self.source)),
            real_sleep(),
        );
        let desk = Desk { line, max_bytes: settings.reconcile.max_work_bytes };
        match &self.action {
            Action::Create(create) => desk.create(create).await,
            Action::Status { id } => Ok(shown(&desk.state(id).await?)),
            Action::Wait { id } => {
                let told = desk.state(id).await?;
                desk.wait(told).await
            }
            Action::List { state, from, to } => desk.list(state, *from, *to).await,
            Action::Download { id, output } => desk.download(id, output.clone()).await,
            Action::Cancel { id } => desk.cancel(id).await,
        }
    }
}

/// Where reports are asked for.
struct Desk {
    line: Line,
    max_bytes: u64,
}

impl Desk {
    fn reports(&self) -> anyhow::Result<&dyn ProvidersReports> {
        self.line.api().reports().context("the provider makes no reports")
    }

    async fn ask(&self, request: &Request) -> anyhow::Result<Answer> {
        self.line.request(request).await.map_err(|verdict| refusal(&verdict))
    }

    async fn create(&self, create: &Create) -> anyhow::Result<ExitCode> {
        if create.from >= create.to {
            bail!("--from {} is not before --to {}", create.from, create.to);
        }
        let order = Order {
            product: create.product.clone(),
            direction: create.direction.clone(),
            from: create.from,
            to: create.to,
            with_texts: create.include_message,
            more: create.set.clone(),
        };
        let request = self.reports()?.create(&order);
        let answer = self.ask(&request).await?;
        let told = self.reports()?.told(&answer).context("the answer tells of no report")?;
        output::line(&told.id);
        if create.wait { self.wait(told).await } else { Ok(ExitCode::SUCCESS) }
    }

    async fn state(&self, id: &str) -> anyhow::Result<Told> {
        let request = self.reports()?.state(id).with_context(|| format!("{id:?} can be no id of a report"))?;
        let answer = self.ask(&request).await?;
        self.reports()?.told(&answer).context("the answer tells of no report")
    }

    async fn wait(&self, mut told: Told) -> anyhow::Result<ExitCode> {
        let (mut wait, mut waited_s) = (FIRST_WAIT, 0);
        while told.progress == Progress::Pending {
            output::progress(&format!("{} {}, {waited_s} s", told.id, told.word));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = tokio::signal::ctrl_c() => break,
            }
            waited_s += wait.as_secs();
            wait = (wait * 3 / 2).min(LONGEST_WAIT);
            told = self.state(&told.id).await?;
        }
        output::progress("");
        Ok(shown(&told))
    }

    async fn list(&self, states: &[String], from: Option<Time>, to: Option<Time>) -> anyhow::Result<ExitCode> {
        let request = self.reports()?.list(states, from, to);
        let answer = self.ask(&request).await?;
        let all = self.reports()?.all_told(&answer).context("the answer is no list of reports")?;
        let head = ["ID", "STATE", "PRODUCT", "FROM", "TO", "ROWS"].map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = [head].into_iter().chain(all.iter().map(row)).collect();
        output::table(&rows);
        Ok(ExitCode::SUCCESS)
    }

    async fn download(&self, id: &str, path: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let told = self.state(id).await?;
        let Some(request) = &told.file else { return Ok(shown(&told)) };
        let product = told.product.as_deref().unwrap_or("REPORT");
        let product: String =
            product.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
        let path = path.unwrap_or_else(|| PathBuf::from(format!("{product}_{id}.zip")));
        let mut partial = path.clone().into_os_string();
        partial.push(".part");
        let partial = PathBuf::from(partial);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
        let file = file.with_context(|| format!("{} can not be made", partial.display()))?;
        let mut work = WorkFile { file, max_bytes: self.max_bytes };
        let fetching = self.line.fetch(request, &mut work, self.max_bytes).await;
        let kept = self.keep(fetching, &mut work, &partial, &path);
        if kept.is_err() {
            // What is there is of no use; that it could not be removed changes nothing of the error.
            drop(std::fs::remove_file(&partial));
        }
        output::line(&format!("{} {} bytes", path.display(), kept?));
        Ok(code_of(&told))
    }

    /// A whole file gets its name, unless there is one of that name.
    fn keep(
        &self,
        fetching: Fetching,
        work: &mut WorkFile,
        partial: &std::path::Path,
        path: &std::path::Path,
    ) -> anyhow::Result<u64> {
        let bytes = match fetching {
            Fetching::Whole { bytes, .. } => bytes,
            Fetching::Judged(Verdict::Narrower) => bail!("the file is larger than {} bytes", self.max_bytes),
            Fetching::Judged(verdict) => return Err(refusal(&verdict)),
            Fetching::Throttled(wait) => bail!("the provider wants to be asked again in {} s", wait.as_secs()),
        };
        work.file.flush()?;
        work.file.sync_all()?;
        std::fs::hard_link(partial, path).with_context(|| format!("{} can not be made", path.display()))?;
        std::fs::remove_file(partial)?;
        Ok(bytes)
    }

    async fn cancel(&self, id: &str) -> anyhow::Result<ExitCode> {
        let request = self.reports()?.cancel(id).with_context(|| format!("{id:?} can be no id of a report"))?;
        let answer = self.ask(&request).await?;
        let told = if self.reports()?.had_ended(&answer) { "it had ended" } else { "given up" };
        output::line(&format!("{id} {told}"));
        Ok(ExitCode::SUCCESS)
    }
}

fn refusal(verdict: &Verdict) -> anyhow::Error {
    match verdict {
        Verdict::Misconfigured { word, mend } => anyhow!("{word}: {mend}"),
        Verdict::Expired => anyhow!("there is no such report or file, or it is not kept any more"),
        Verdict::Throttled { otherwise } => {
            anyhow!("the provider wants to be asked again in {} s", otherwise.as_secs())
        }
        other => anyhow!("the provider did not answer as it should ({})", other.word()),
    }
}

fn shown(told: &Told) -> ExitCode {
    output::line(row(told).join("  ").trim_end());
    code_of(told)
}

fn code_of(told: &Told) -> ExitCode {
    match told.progress {
        Progress::Ready => ExitCode::SUCCESS,
        Progress::Pending | Progress::Truncated => ExitCode::from(4),
        Progress::Failed => ExitCode::FAILURE,
    }
}

fn row(told: &Told) -> Vec<String> {
    let time = |time: Option<Time>| time.map(|time| time.to_string()).unwrap_or_default();
    let rows = told.rows.map(|rows| rows.to_string()).unwrap_or_default();
    let product = told.product.clone().unwrap_or_default();
    [told.id.clone(), told.word.clone(), product, time(told.from), time(told.to), rows].to_vec()
}
