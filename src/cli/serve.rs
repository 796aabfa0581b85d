//! `trunkline serve`

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::Context;
use crate::app::App;

/// Run the service: receiver, publisher and the operators' endpoints
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  trunkline serve --config /etc/trunkline/trunkline.toml

SIGTERM or SIGINT stops it: requests in flight finish and are acknowledged first. A second signal
stops at once; nothing that was answered 200 is lost either way.")]
pub struct Serve {}

impl Serve {
    /// Runs until a signal comes or a part fails.
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let settings = context.load()?.settings;
        let stop = Signals::new()?;
        run_until_stopped(App::start(settings)?, stop).await
    }
}

/// Runs a started service to its end.
pub(super) async fn run_until_stopped(mut app: App, mut stop: Signals) -> anyhow::Result<ExitCode> {
    tokio::select! {
        error = app.ended() => return Err(error),
        name = stop.next() => tracing::info!(signal = name, "stopping"),
    }
    tokio::select! {
        left = app.stop() => {
            match left {
                0 => tracing::info!("stopped; everything was acknowledged"),
                left => tracing::warn!(left, "stopped; what is left was not answered 200 and will be sent again by the provider"),
            }
            Ok(ExitCode::SUCCESS)
        }
        name = stop.next() => {
            tracing::warn!(signal = name, "stopped at once");
            std::process::exit(1)
        }
    }
}

/// The signals that stop a service. They are listened to before anything is started, so that none of
/// them ever ends the program by its default action.
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals can not be listened to");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
