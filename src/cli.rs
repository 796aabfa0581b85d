//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};

pub mod check;
pub mod dev;
pub mod double;
pub mod healthcheck;
mod line;
pub mod output;
pub mod providers;
pub mod reconcile;
pub mod recordings;
pub mod replay;
pub mod reports;
pub mod schemas;
pub mod send;
pub mod serve;
pub mod spool;
pub mod subscribe;
pub mod tail;
pub mod topics;

use crate::build::BUILD;
use crate::config::{self, Environment, Loaded};
use crate::telemetry::{self, LogFormat};

/// Receives telephony providers' webhooks, verifies and normalises them, and publishes them to Kafka.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version = VERSION.as_str(), max_term_width = 100, after_help = MAIN_HELP)]
pub struct Cli {
    /// Configuration file [default: `$TRUNKLINE_CONFIG`, else `./trunkline.toml`]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Format of the log on standard error [default: `$TRUNKLINE_LOG_FORMAT`, else text]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged, in the syntax of RUST_LOG [default: `$TRUNKLINE_LOG`, else info, else warn for
    /// commands that print results]
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

/// What follows the program's name in `--version`.
static VERSION: LazyLock<String> = LazyLock::new(|| BUILD.to_string());

const MAIN_HELP: &str = "\
Examples:
  trunkline dev                        try it: no configuration, no Kafka
  trunkline check --config my.toml     is my configuration right?
  trunkline serve --config my.toml     run it

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 stopped with a spool that is not empty,
4 a comparison that left something.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Dev(dev::Dev),
    Check(check::Check),
    Send(send::Send),
    Double(double::Double),
    Tail(tail::Tail),
    Replay(replay::Replay),
    Reconcile(reconcile::Reconcile),
    Recordings(recordings::Recordings),
    Reports(reports::Reports),
    Subscribe(subscribe::Subscribe),
    Topics(topics::Topics),
    Spool(spool::Spool),
    Providers(providers::Providers),
    Schemas(schemas::Schemas),
    Healthcheck(healthcheck::Healthcheck),
}

/// What every command may need.
#[derive(Debug)]
pub struct Context {
    /// The configuration file that was named.
    pub config: Option<PathBuf>,
    /// The environment.
    pub environment: Environment,
}

impl Context {
    /// Loads the configuration and logs its warnings.
    ///
    /// # Errors
    /// Every problem of it, and the mend where there is no configuration at all.
    pub fn load(&self) -> anyhow::Result<Loaded> {
        let file = config::find_file(self.config.as_deref(), &self.environment);
        let loaded = config::load(file.as_deref(), &self.environment)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(loaded)
    }
}

/// Where the operators' server of a running service is.
#[derive(Debug)]
pub struct AdminAddress {
    /// Its URL.
    pub url: String,
    /// What is wrong with the configuration as it is now, if it does not hold: the service runs on with the one that it
    /// read at its start.
    pub broken: Option<anyhow::Error>,
}

impl Context {
    /// Finds the operators' server by the configuration, also by one that does not hold any more.
    pub fn admin(&self) -> AdminAddress {
        match self.load() {
            Ok(loaded) => AdminAddress { url: loaded.settings.admin_url(), broken: None },
            Err(error) => {
                let file = config::find_file(self.config.as_deref(), &self.environment);
                let url = config::admin_url(config::admin_listen(file.as_deref(), &self.environment));
                AdminAddress { url, broken: Some(error) }
            }
        }
    }
}

impl AdminAddress {
    /// Warns of a configuration that does not hold, since the service would not start with it.
    pub fn warn(&self) {
        for line in
            self.broken.iter().flat_map(|error| error.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
        {
            tracing::warn!("the next start will fail: {line}");
        }
    }

    /// Adds what is wrong with the configuration to an error: the address may be wrong too then.
    pub fn explain(self, error: anyhow::Error) -> anyhow::Error {
        match self.broken {
            Some(broken) => anyhow::anyhow!("{broken:#}\n{error:#}"),
            None => error,
        }
    }
}

/// Parses the command line, runs the command and turns its result into an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            output::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let serves = matches!(cli.command, Command::Serve(_) | Command::Dev(_));
    let environment = config::environment();
    let filter = cli.log.as_ref().or_else(|| environment.get("TRUNKLINE_LOG"));
    let format = match cli.log_format {
        Some(format) => format,
        None => {
            environment.get("TRUNKLINE_LOG_FORMAT").map_or(Ok(LogFormat::Text), |name| LogFormat::from_name(name))?
        }
    };
    telemetry::init(format, filter.map_or(if serves { "info,actix_server=warn" } else { "warn" }, String::as_str))?;
    let context = Context { config: cli.config, environment };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(command) => command.run(&context).await,
            Command::Dev(command) => command.run(&context).await,
            Command::Check(command) => command.run(&context).await,
            Command::Send(command) => command.run(&context).await,
            Command::Double(command) => command.run(&context).await,
            Command::Tail(command) => command.run(&context),
            Command::Replay(command) => command.run(&context).await,
            Command::Reconcile(command) => command.run(&context).await,
            Command::Recordings(command) => command.run(&context).await,
            Command::Reports(command) => command.run(&context).await,
            Command::Subscribe(command) => command.run(&context).await,
            Command::Topics(command) => command.run(&context).await,
            Command::Spool(command) => command.run(&context).await,
            Command::Providers(command) => command.run(),
            Command::Schemas(command) => command.run(),
            Command::Healthcheck(command) => command.run(&context).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_has_an_example() {
        for command in Cli::command().get_subcommands_mut() {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example"), "{name}: {help}");
            assert!(help.contains(&format!("trunkline {name}")), "{name}: {help}");
        }
    }
}
