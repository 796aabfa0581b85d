//! Vonage's own library for Python, in a virtual environment below the target folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

const REQUIREMENTS: &str = include_str!("../../vendor/requirements.txt");

/// What the library returns for each call. Without it nothing can be compared: that is told loudly, and in CI it is a
/// failure.
pub(super) fn call(calls: &[Value]) -> Option<Vec<Value>> {
    static PYTHON: LazyLock<Result<PathBuf, String>> = LazyLock::new(installed);
    match &*PYTHON {
        Ok(python) => Some(run(python, calls)),
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "{reason}");
            // Past what the test harness keeps to itself of tests that pass.
            let told = writeln!(std::io::stderr(), "SKIPPED, nothing is compared with the vendor's library: {reason}");
            told.unwrap();
            None
        }
    }
}

fn run(python: &Path, calls: &[Value]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vendor/vonage.py");
    let mut command = Command::new(python);
    let mut child = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(Value::from(calls.to_vec()).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the library took every call");
    let results: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results.len(), calls.len());
    results
}

/// The Python of an environment that holds exactly the library wanted. It is made anew when the versions change.
fn installed() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vendor-python");
    let (python, mark) = (folder.join("bin/python"), folder.join("installed.txt"));
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(python);
    }
    done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vendor/requirements.txt");
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    done(install.arg(requirements))?;
    std::fs::write(mark, REQUIREMENTS).map_err(|error| error.to_string())?;
    Ok(python)
}

fn done(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let told = || format!("{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    output.status.success().then_some(()).ok_or_else(told)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
