//! Keeping every processor busy, so that threads are stopped where they like it least.

use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

use crate::watchdog::Watchdog;

/// Processes that do nothing as fast as they can. They end when this value is dropped, or the drill does.
#[derive(Debug)]
pub(crate) struct Busy(Vec<Spinner>);

#[derive(Debug)]
struct Spinner {
    process: Child,
    watchdog: Option<Watchdog>,
}

impl Busy {
    /// One process for each processor, with the priority that this one has.
    pub(crate) fn on_every_processor() -> Self {
        Self((0..available_parallelism().unwrap().get()).map(|_| Spinner::start()).collect())
    }

    pub(crate) fn processes(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|spinner| spinner.process.id())
    }
}

impl Spinner {
    fn start() -> Self {
        let process = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let watchdog = Watchdog::arm(r#"kill -KILL "$1""#, &[&process.id().to_string()]);
        Self { process, watchdog: Some(watchdog) }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        // Its line would kill whoever has the number by then.
        self.watchdog.take().into_iter().for_each(Watchdog::disarm);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Ticks that a process has computed; absent if there is none.
    fn ticks(process: u32) -> Option<u64> {
        let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{process}/stat"))).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(11)?.parse().ok()
    }

    #[test]
    fn every_processor_is_kept_busy_until_it_is_dropped() {
        let busy = Busy::on_every_processor();
        let processes: Vec<_> = busy.processes().collect();
        assert_eq!(processes.len(), available_parallelism().unwrap().get());
        let deadline = Instant::now() + PATIENCE;
        while !processes.iter().all(|process| ticks(*process) > Some(0)) {
            assert!(Instant::now() < deadline, "somebody does nothing");
            std::thread::yield_now();
        }
        drop(busy);
        assert!(processes.iter().all(|process| ticks(*process).is_none()));
    }
}
