//! Instructions of each stage that a webhook passes, compared with what they were.
//!
//! Instructions are counted by callgrind, a tool of valgrind: unlike times they hardly vary from run to run
//! and do not depend on what else the machine does. They depend on the compiler, which is pinned, and on the
//! processor's features, of which valgrind shows every program much the same. `docs/performance.md` tells how
//! to run this and how to accept new numbers.
//!
//! Without arguments, this program starts itself under callgrind for each stage of each webhook; there it is
//! called with `count` and both names.

#![expect(clippy::unwrap_used, reason = "a measurement stops at the first thing that is not as it should be")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::process::ExitCode;

mod callgrind;
mod limits;
mod stage;

use limits::{Limits, Verdict};

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => check(&Limits::read()),
        ["accept"] => accept(&Limits::read()),
        ["count", stage, webhook] => {
            stage::run(stage, webhook);
            ExitCode::SUCCESS
        }
        _ => panic!("expected nothing or `accept`, not {arguments:?}"),
    }
}

/// Compares every stage with its limit.
fn check(limits: &Limits) -> ExitCode {
    println!("{:<16} {:<10} {:>12} {:>12} {:>9}", "webhook", "stage", "before", "now", "change");
    let mut verdict = Verdict::Holds;
    for (webhook, stage) in stage::all() {
        let (before, now) = (limits.of(webhook, stage), callgrind::count(stage, webhook));
        let change_percent = limits::change_percent(before, now);
        let judged = limits.judge(change_percent);
        println!("{webhook:<16} {stage:<10} {before:>12} {now:>12} {change_percent:>+8.1}%{}", judged.remark());
        verdict = verdict.max(judged);
    }
    println!("{}", verdict.explanation(limits.tolerance_percent));
    if verdict == Verdict::TooMany { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Writes what is counted now as the new limits.
fn accept(limits: &Limits) -> ExitCode {
    let counted = stage::all().map(|(webhook, stage)| (webhook, stage, callgrind::count(stage, webhook)));
    limits.write(&counted.collect::<Vec<_>>());
    println!("written: {}", limits::FILE);
    ExitCode::SUCCESS
}
