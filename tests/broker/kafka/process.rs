//! The process of a broker, which ends no later than the test process does.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use super::{POLL_INTERVAL, locate::Runtime};

/// A running broker. Dropping it kills it, paused or not, and waits for its end.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    watchdog: Child,
    runtime: &'static Runtime,
    container: String,
}

impl Process {
    pub(super) fn spawn(mut command: Command, runtime: &'static Runtime, container: String, log: &Path) -> Self {
        let log = File::options().append(true).create(true).open(log);
        let log = log.expect("the log of a broker can be written");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be opened twice"))
            .stderr(log)
            // Ctrl-C is meant for the tests; a paused broker could not obey it, so the watchdog
            // passes it on.
            .process_group(0)
            .spawn()
            .expect("a broker can be started");
        let watchdog = spawn_watchdog(&runtime.signal("KILL", child.id(), &container));
        Self { child, watchdog, runtime, container }
    }

    pub(super) fn signal(&mut self, name: &str) {
        assert!(!self.has_exited(), "the broker ended before it was sent SIG{name}");
        assert!(self.try_signal(name), "the broker could not be sent SIG{name}");
    }

    /// Whether it ended, waiting for that until the deadline.
    pub(super) fn exits_before(&mut self, deadline: Instant) -> bool {
        while !self.has_exited() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(POLL_INTERVAL);
        }
        true
    }

    /// Once this is true the process id may belong to somebody else, and must not be sent a signal
    /// any more.
    pub(super) fn has_exited(&mut self) -> bool {
        let exited = !matches!(self.child.try_wait(), Ok(None));
        if exited {
            self.disarm_watchdog();
        }
        exited
    }

    fn try_signal(&self, name: &str) -> bool {
        let mut command = self.runtime.signal(name, self.child.id(), &self.container);
        command.output().is_ok_and(|output| output.status.success())
    }

    fn disarm_watchdog(&mut self) {
        // Both fail only where it has ended already, which is what they are for.
        self.watchdog.kill().ok();
        self.watchdog.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_exited() {
            self.try_signal("CONT");
            // A container that is still being made takes no signal yet, so it is sent until it
            // counts.
            while !self.try_signal("KILL") && !self.has_exited() {
                thread::sleep(POLL_INTERVAL);
            }
            self.disarm_watchdog();
            self.child.wait().ok();
        }
    }
}

/// Starts a shell that runs `kill` as soon as this process is gone, however it went: the pipe to it
/// is closed then.
fn spawn_watchdog(kill: &Command) -> Child {
    Command::new("sh")
        .args(["-c", r#"read -r _; exec "$@""#, "watchdog"])
        .arg(kill.get_program())
        .args(kill.get_args())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell can be started")
}
