//! `trunkline serve`

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::Context;
use crate::app::App;
use crate::publish::Left;

/// Run the service: receiver, publisher and the operators' endpoints
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  trunkline serve --config /etc/trunkline/trunkline.toml

SIGTERM or SIGINT stops it: requests in flight finish, what Kafka has not acknowledged goes to the spool
and is waited for, all within server.shutdown_timeout_ms. A second signal stops at once; nothing that was
answered 200 is lost either way. SIGHUP is ignored: the configuration is read at a start.

Exit code 3 tells that events are left in the spool: keep its directory. Exit code 1 tells that a part of the
service has failed, or that events were received and neither stored nor answered: their providers repeat them.")]
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
    let failure = tokio::select! {
        error = app.ended() => Some(error),
        name = stop.next() => {
            tracing::info!(signal = name, "stopping");
            None
        }
    };
    if let Some(error) = &failure {
        tracing::error!(cause = format!("{error:#}"), "stopping, since a part of the service has failed");
    }
    tokio::select! {
        left = app.stop() => {
            let code = told(left);
            failure.map_or(Ok(code), Err)
        }
        name = stop.next() => {
            tracing::warn!(signal = name, "stopped at once");
            std::process::exit(1)
        }
    }
}

/// Tells what is left, also to whoever looks at the exit code: 3 means that the spool is to be kept.
fn told(left: Left) -> ExitCode {
    let Left { unsaved, spooled, quarantined } = left;
    if spooled > 0 || quarantined > 0 {
        tracing::warn!(
            spooled,
            quarantined,
            "stopped with a spool that is not empty: keep its directory, or empty it with `trunkline spool drain --dir`"
        );
    }
    if unsaved > 0 {
        tracing::error!(
            unsaved,
            "stopped with events that are neither in Kafka nor in the spool; none was answered, so their providers repeat them"
        );
        return ExitCode::FAILURE;
    }
    if spooled > 0 || quarantined > 0 {
        return ExitCode::from(super::spool::NOT_EMPTY);
    }
    tracing::info!("stopped; everything was acknowledged");
    ExitCode::SUCCESS
}

/// The signals that stop a service. They are listened to before anything is started, so that none of
/// them ever ends the program by its default action.
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals can not be listened to");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                // Its default action would end the program without saving anything.
                _ = self.hang_up.recv() => {
                    tracing::warn!("SIGHUP is ignored: a changed configuration is read by a restart");
                }
            }
        }
    }
}
