//! The program, run as people run it.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::DEADLINE;

/// What a finished command left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A folder to run the program in.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a file and tells its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command.args(arguments);
        self.finish(command)
    }

    /// Runs the program to its end with a variable of the environment.
    pub(crate) fn run_with(&self, (name, value): (&str, &str), arguments: &[&str]) -> Finished {
        self.run_line(&format!("{name}='{value}' {} {}", env!("CARGO_BIN_EXE_trunkline"), arguments.join(" ")))
    }

    /// Runs a line as a shell does.
    pub(crate) fn run_line(&self, line: &str) -> Finished {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        self.finish(command)
    }

    fn finish(&self, command: Command) -> Finished {
        let mut running = self.spawn(command);
        running.child.stdin.take();
        let code = running.wait();
        Finished { code, stdout: running.stdout.rest(), stderr: running.stderr.rest() }
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command.args(arguments);
        self.spawn(command)
    }

    /// Starts a line as a shell does.
    pub(crate) fn start_line(&self, line: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> Running {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRUNKLINE_")) {
            command.env_remove(name);
        }
        let child = command
            .current_dir(self.folder.path())
            .env("VONAGE_SECRET", super::SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Running { child, stdout, stderr }
    }
}

/// A running program. It is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
}

impl Running {
    /// Waits for the end and tells the exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the program ends in time");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The lines that a program writes, read as they come.
pub(crate) struct Lines {
    lines: Receiver<String>,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let read = BufReader::new(stream).lines().map_while(Result::ok);
            read.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
        });
        Self { lines }
    }

    /// Every line up to the first that holds a text.
    pub(crate) fn until(&self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.contains(text)) {
            let line = self.lines.recv_timeout(DEADLINE);
            lines.push(line.unwrap_or_else(|_| panic!("{text:?} is printed, after {lines:#?}")));
        }
        lines
    }

    /// Everything that is left, up to the end.
    pub(crate) fn rest(&self) -> String {
        let lines: Vec<String> = self.lines.iter().collect();
        lines.join("\n")
    }
}
