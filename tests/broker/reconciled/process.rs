//! A process that compares, which tests kill, stop and halt: this program again, running one test that does nothing
//! else. Its clock is told to it, and it waits for no rates, so that a sweep takes a moment.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use trunkline::event::time::Time;
use trunkline::publish::Publisher;
use trunkline::reconcile::command;
use trunkline::reconcile::service::Reconcilers;
use trunkline::telemetry::metrics::Metrics;

use super::{no_sleep, settings};
use crate::service::PATIENCE;

const CONFIGURATION: &str = "TRUNKLINE_TEST_RECONCILER";
const NOW: &str = "TRUNKLINE_TEST_RECONCILER_NOW_MS";

/// The process that tests start. By itself it does nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of other tests"]
async fn reconciler() {
    let (Ok(text), Ok(now)) = (std::env::var(CONFIGURATION), std::env::var(NOW)) else { return };
    let (settings, started) = (settings(&text), Instant::now());
    let begun = Time::from_unix_ms(now.parse().unwrap()).unwrap();
    let clock = move || begun.plus_s(i64::try_from(started.elapsed().as_secs()).unwrap());
    let metrics = Arc::new(Metrics::new());
    let publisher = Publisher::start(&settings.kafka, None, command::STATE, 1000, &metrics).unwrap();
    let publisher = Arc::new(publisher);
    let service = Reconcilers::start(&settings, &publisher, &metrics, Arc::new(clock), no_sleep()).unwrap().unwrap();
    let (asked, mut stop) = tokio::sync::mpsc::unbounded_channel();
    // A line on the input asks it to stop.
    std::thread::spawn(move || {
        std::io::stdin().lines().next();
        asked.send(()).unwrap();
    });
    let mut told = String::new();
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        let stream = service.json()["sources"][0]["streams"][0].clone();
        let here = service.json()["sources"][0]["owner"]["here"] == true;
        let is_done = stream["state"] == "idle" && !stream["next_sweep_at"].is_null();
        let now = match (here, is_done) {
            (false, _) => "elsewhere",
            (true, false) => "owned",
            (true, true) => "done",
        };
        let state = format!("{now} {} {}", stream["state"], stream["problem"]);
        if told != state {
            println!("{now}\nstate {state}");
            std::io::stdout().flush().unwrap();
            told = state;
        }
    }
    assert!(service.stop(Instant::now() + PATIENCE).await);
    tokio::task::block_in_place(|| publisher.stop(Instant::now() + PATIENCE));
    println!("stopped");
}

/// A process that compares.
pub(super) struct Reconciler {
    pub(super) process: Child,
    lines: Receiver<String>,
    said: String,
    state: String,
}

impl Reconciler {
    pub(super) fn start(configuration: &str, now: Time) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "reconciled::process::reconciler", "--ignored", "--nocapture"]);
        command.env(CONFIGURATION, configuration).env(NOW, now.unix_ms().to_string());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (line, lines) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        // Ends with the process, whose output it reads.
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).take_while(|text| line.send(text.clone()).is_ok()).for_each(drop);
        });
        Self { process, lines, said: String::new(), state: String::new() }
    }

    /// Listens for a while, and tells whether it says one of these.
    pub(super) fn says(&mut self, words: &[&str], patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !words.contains(&self.said.as_str()) {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.starts_with("state ") => self.state = line,
                Ok(line) => self.said = line,
                Err(RecvTimeoutError::Timeout) => return false,
                Err(error) => panic!("a process is gone: {error}"),
            }
        }
        true
    }

    pub(super) fn wait_until(&mut self, words: &[&str]) {
        assert!(self.says(words, PATIENCE), "{words:?} is never said, the last was {:?}: {}", self.said, self.state);
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to stop, and tells how long that took.
    pub(super) fn stop(&mut self) -> Duration {
        let began = Instant::now();
        writeln!(self.process.stdin.as_mut().unwrap(), "stop").unwrap();
        self.wait_until(&["stopped"]);
        began.elapsed()
    }
}

impl Drop for Reconciler {
    fn drop(&mut self) {
        self.signal("KILL");
        self.process.wait().unwrap();
    }
}
