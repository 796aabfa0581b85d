//! Cleaning up also where the drill itself is ended in a way that drops nothing.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// A shell that runs a line as soon as this value is dropped or this process is gone, however it went:
/// the pipe to the shell is closed then.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// Arms a shell line; its arguments are `$1` and so on.
    pub(crate) fn arm(line: &str, arguments: &[&str]) -> Self {
        let shell = Command::new("sh")
            .args(["-c", &format!("read -r _; {line}"), "watchdog"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is meant for the drill; this shell has its work to do then.
            .process_group(0)
            .spawn();
        Self(shell.unwrap())
    }

    /// Ends the shell without running the line.
    pub(crate) fn disarm(mut self) {
        self.0.kill().unwrap();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // There is nothing to be done about a shell that can not be waited for.
        self.0.wait().ok();
    }
}
