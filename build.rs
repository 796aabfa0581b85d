//! Tells the program which sources and which compiler it was made of.
//!
//! The commit is that of the work tree in which the package lies. Where there is none, as in a container's build or
//! an unpacked package, `TRUNKLINE_COMMIT` may name it and `TRUNKLINE_COMMIT_EPOCH_S` its time. The time of the build
//! is told nowhere, so that equal sources make equal programs.

use std::env;
use std::path::Path;
use std::process::Command;

const UNKNOWN: &str = "unknown";

/// Digits of a commit that are shown, more than git's own default so that they stay unique.
const COMMIT_DIGITS: usize = 12;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let of_work_tree = |arguments: &[&str]| if is_work_tree() { git(arguments) } else { None };
    if is_work_tree() {
        watch_head();
    }
    let commit = variable("TRUNKLINE_COMMIT").or_else(|| of_work_tree(&["rev-parse", "HEAD"]));
    let date = variable("TRUNKLINE_COMMIT_EPOCH_S").or_else(|| of_work_tree(&["log", "-1", "--format=%ct"]));
    tell("COMMIT", commit.map(|commit| commit.chars().take(COMMIT_DIGITS).collect()));
    tell("EPOCH_S", date);
    tell("TARGET", env::var("TARGET").ok());
    tell("RUSTC", env::var("RUSTC").ok().and_then(|rustc| output(&rustc, &["--version"])));
}

/// Whether the package is itself a work tree of git, and not merely unpacked somewhere inside another one.
fn is_work_tree() -> bool {
    let root = git(&["rev-parse", "--show-toplevel"]).and_then(|root| Path::new(&root).canonicalize().ok());
    root.is_some() && root == package().and_then(|package| Path::new(&package).canonicalize().ok())
}

/// Has cargo run this again when another commit is checked out, and at no other change: the log of `HEAD` grows
/// then. Only files that exist are named, since a missing one would mean a new run at every build.
fn watch_head() {
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--path-format=absolute", "--git-path", name]);
        if let Some(path) = path.filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}

fn tell(name: &str, value: Option<String>) {
    println!("cargo:rustc-env=TRUNKLINE_BUILD_{name}={}", value.as_deref().unwrap_or(UNKNOWN));
}

fn variable(name: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn package() -> Option<String> {
    env::var("CARGO_MANIFEST_DIR").ok()
}

fn git(arguments: &[&str]) -> Option<String> {
    output("git", &[&["-C", &package()?], arguments].concat())
}

/// The first line that a program prints; nothing if it is not there or fails.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}
