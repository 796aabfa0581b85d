//! The two programs that are measured, each in a process of its own.

use std::fs::File;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::generator::{self, Report, count};
use crate::kafka::free_port;
use crate::usage::{self, Memory};
use crate::watchdog::Watchdog;
use crate::webhooks::{Place, SECRET, Webhook};

/// Nothing starts so slowly unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Enough to warm up both programs, and to guess how many webhooks a run needs.
const WARM_UP: Duration = Duration::from_millis(500);

/// Webhooks of the warm-up, for one record in each.
const WARM_UP_RECORDS: usize = 20_000;

/// A run is given so many times the webhooks that it needs at the rate of the run before.
const SPARE: f64 = 1.5;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Floor,
    Trunkline,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Trunkline => "trunkline",
        }
    }
}

/// A running program. It is killed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Target {
    child: Child,
    watchdog: Option<Watchdog>,
    address: String,
    admin: String,
    webhook: &'static Webhook,
    /// Requests per second of the run before.
    rate: f64,
    pub(crate) folder: TempDir,
}

/// What was seen of both sides of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) report: Report,
    /// The program's, from the start of the run to its end.
    pub(crate) processor_time: Duration,
    pub(crate) memory: Memory,
}

impl Target {
    /// Starts a program and waits until it takes webhooks.
    pub(crate) fn start(
        program: Program,
        webhook: &'static Webhook,
        bootstrap_servers: &str,
        topic_prefix: &str,
        linger_ms: Option<f64>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [address, admin] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        let (webhooks, admin_address, spool) = (&*address, &*admin, folder.path().join("spool"));
        let spool = spool.to_str().unwrap();
        let place = Place { webhooks, admin: admin_address, bootstrap_servers, topic_prefix, spool, linger_ms };
        let file = folder.path().join("trunkline.toml");
        std::fs::write(&file, webhook.configuration(&place)).unwrap();
        let child = spawn(program, webhook, &file, &folder.path().join("log"));
        let watchdog = Some(Watchdog::arm(r#"kill -KILL "$1""#, &[&child.id().to_string()]));
        let rate = count(WARM_UP_RECORDS / webhook.records) / WARM_UP.as_secs_f64();
        let mut target = Self { child, watchdog, address, admin, webhook, rate, folder };
        target.wait_until_ready(program);
        target
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_ready(&mut self, program: Program) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready(program) {
            assert!(self.child.try_wait().unwrap().is_none(), "{program:?} ended: {}", self.log());
            assert!(Instant::now() < deadline, "{program:?} is not ready: {}", self.log());
            sleep(POLL_INTERVAL);
        }
    }

    fn is_ready(&self, program: Program) -> bool {
        match program {
            Program::Floor => TcpStream::connect(&self.address).is_ok(),
            Program::Trunkline => {
                self.ask("readyz").is_some_and(|text| text.contains(r#""kafka":{"ready":true"#))
                    && self.metric("trunkline_dedup_warm") == 1.0
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What the program's admin server tells, if it answers.
    fn ask(&self, path: &str) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = format!("http://{}/{path}", self.admin);
        runtime.block_on(async { reqwest::get(url).await.ok()?.text().await.ok() })
    }

    /// A metric that has no labels; 0 if it is not there yet.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.ask("metrics").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Runs that are not counted, until the rate is known.
    pub(crate) fn warm_up(&mut self, connections: usize) {
        self.run_for(connections, WARM_UP);
    }

    /// Sends new webhooks over so many connections.
    pub(crate) fn run_for(&mut self, connections: usize, duration: Duration) -> Run {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of webhooks")]
        let needed = (self.rate * duration.as_secs_f64() * SPARE) as usize + connections;
        self.run(connections, duration, needed)
    }

    /// Sends so many new webhooks at most.
    pub(crate) fn run(&mut self, connections: usize, duration: Duration, most: usize) -> Run {
        let webhooks = self.webhook.prepare(most);
        usage::forget_peak(self.process_id());
        let used_before = usage::processor_time(self.process_id());
        let report = generator::run(&self.address, connections, duration, webhooks);
        let processor_time = usage::processor_time(self.process_id()) - used_before;
        self.rate = report.requests_per_second();
        Run { report, processor_time, memory: usage::memory(self.process_id()) }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        self.watchdog.take().into_iter().for_each(Watchdog::disarm);
    }
}

fn spawn(program: Program, webhook: &Webhook, configuration: &Path, log: &Path) -> Child {
    let mut command = match program {
        Program::Floor => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg("floor").arg(configuration).arg(webhook.name);
            command
        }
        Program::Trunkline => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
            command.args(["serve", "--config"]).arg(configuration);
            command
        }
    };
    let log = File::create(log).unwrap();
    command.env("BENCH_SECRET", SECRET).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}
