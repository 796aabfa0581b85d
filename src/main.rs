//! The `trunkline` program: everything is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    trunkline::cli::main()
}
