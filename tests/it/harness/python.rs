//! Others' libraries for Python, each in a virtual environment below the target folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// A library and all that it needs, by exact versions.
pub(crate) struct Library {
    /// Name of the folder of its environment.
    pub(crate) folder: &'static str,
    /// The requirements file, relative to the repository.
    pub(crate) requirements: &'static str,
}

impl Library {
    /// The Python that has the library. Without it nothing can be compared: that is told loudly, and in CI it is a
    /// failure.
    pub(crate) fn python(&self) -> Option<PathBuf> {
        /// Two tests must not make one environment.
        static MAKING: Mutex<()> = Mutex::new(());
        let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = match self.installed() {
            Ok(python) => return Some(python),
            Err(reason) => reason,
        };
        assert!(std::env::var_os("CI").is_none(), "{reason}");
        // Past what the test harness keeps to itself of tests that pass.
        let told = writeln!(std::io::stderr(), "SKIPPED, nothing is compared with {}: {reason}", self.folder);
        told.unwrap();
        None
    }

    /// The environment is made anew when the versions change.
    fn installed(&self) -> Result<PathBuf, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.folder);
        let requirements = repository().join(self.requirements);
        let wanted = std::fs::read_to_string(&requirements).map_err(|error| error.to_string())?;
        let (python, mark) = (folder.join("bin/python"), folder.join("installed.txt"));
        if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
            return Ok(python);
        }
        done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        done(install.arg(requirements))?;
        std::fs::write(mark, wanted).map_err(|error| error.to_string())?;
        Ok(python)
    }
}

/// Has a script take what is asked, as JSON, and tell what comes of it. Nothing, without the library.
pub(crate) fn run(library: &Library, script: &str, asked: &Value) -> Option<Value> {
    let python = library.python()?;
    let mut command = Command::new(python);
    let command = command.arg(repository().join(script)).env("NO_PROXY", "127.0.0.1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the library took all of it");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Where the repository is.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn done(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(output),
        false => Err(format!("{command:?}: {}{}", text(&output.stdout), text(&output.stderr))),
    }
}
