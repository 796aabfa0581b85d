//! The program, started and ended as operators and accidents do.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::kafka::free_port;
use crate::traffic::{SECRET, SOURCES, Source};
use crate::watchdog::Watchdog;

/// Beyond what `server.shutdown_timeout_ms` allows twice.
const STOP_PATIENCE: Duration = Duration::from_secs(180);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How the program is run, every time anew.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) webhooks: String,
    pub(crate) admin: String,
    /// The text of its configuration file.
    pub(crate) configuration: String,
    file: PathBuf,
    log: PathBuf,
}

impl Launch {
    /// Writes the configuration into a folder. Every start appends to the log.
    pub(crate) fn prepare(folder: &Path, disk: &Disk, bootstrap_servers: &str, log: PathBuf) -> Self {
        // The ports stay the same over restarts, so they must be such as no outgoing connection is given.
        let [webhooks, admin] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        let configuration = configuration(&webhooks, &admin, &disk.spool(), bootstrap_servers);
        let file = folder.join("trunkline.toml");
        std::fs::write(&file, &configuration).unwrap();
        File::create(&log).unwrap();
        Self { webhooks: format!("http://{webhooks}"), admin: format!("http://{admin}"), configuration, file, log }
    }

    pub(crate) fn start(&self, disk: &Disk) -> Program {
        let log = File::options().append(true).open(&self.log).unwrap();
        let mut command = disk.command(env!("CARGO_BIN_EXE_trunkline"));
        let inherited = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRUNKLINE_"));
        for (name, _) in inherited {
            command.env_remove(name);
        }
        let child = command
            .args(["serve", "--config"])
            .arg(&self.file)
            .env("DRILL_SECRET", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let watchdog = Watchdog::arm(r#"kill -KILL "$1""#, &[&child.id().to_string()]);
        Program { child, watchdog: Some(watchdog), log: self.log.clone() }
    }
}

/// The process. It is killed when this value is dropped, or the drill ends.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    watchdog: Option<Watchdog>,
    log: PathBuf,
}

impl Program {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// # Panics
    ///
    /// When the program ended and nobody told it to.
    pub(crate) fn check_runs(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the program ended by itself: {ended:?}, see {}", self.log.display());
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.check_runs();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.watchdog.take().unwrap().disarm();
    }

    /// SIGTERM, and waits for the end; tells the exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.check_runs();
        let sent = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap();
        assert!(sent.success(), "the program can not be sent SIGTERM");
        let status = self.wait();
        self.watchdog.take().unwrap().disarm();
        status.code()
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + STOP_PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not stop within {STOP_PATIENCE:?} of SIGTERM");
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Its watchdog is there only as long as nobody has ended it.
        if let Some(watchdog) = self.watchdog.take() {
            self.child.kill().ok();
            self.child.wait().ok();
            watchdog.disarm();
        }
    }
}

fn configuration(webhooks: &str, admin: &str, spool: &Path, bootstrap_servers: &str) -> String {
    // The spool may be larger than its disk, so that it is the disk that ends first.
    let head = format!(
        "[server]\nlisten = \"{webhooks}\"\n[admin]\nlisten = \"{admin}\"\n\
         [kafka]\nbootstrap_servers = \"{bootstrap_servers}\"\nack_timeout_ms = 500\ncreate_topics = false\n\
         [spool]\ndir = \"{}\"\nmax_bytes = 1099511627776\n",
        spool.display()
    );
    SOURCES.iter().fold(head, |text, source| text + &block(source))
}

fn block(source: &Source) -> String {
    let Source { name, provider, account_id, strict } = source;
    let key = source.info().secret_key();
    let policy = if *strict { "strict" } else { "spool" };
    format!(
        "[[sources]]\nname = \"{name}\"\nprovider = \"{provider}\"\naccount_id = \"{account_id}\"\n\
         on_kafka_down = \"{policy}\"\n{key} = [\"env:DRILL_SECRET\"]\n"
    )
}
