//! Counting instructions of one function.

use std::process::Command;

use crate::stage;

/// Instructions of a stage for one webhook.
pub(crate) fn count(stage: &str, webhook: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={}", stage::COUNTED_FUNCTION))
        .arg(std::env::current_exe().unwrap())
        .args(["count", stage, webhook])
        .output()
        .unwrap_or_else(|error| panic!("valgrind does not run, install it by the machine's packages: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    collected(&said).unwrap_or_else(|| panic!("callgrind counted nothing: {said}")) / stage::TIMES as u64
}

/// Reads a line such as `==4711== Collected : 123456`.
fn collected(said: &str) -> Option<u64> {
    let count = said.lines().find_map(|line| line.split_once("Collected : "))?.1;
    count.trim().parse().ok().filter(|count| *count > 0)
}
