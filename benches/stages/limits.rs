//! What was counted before, and how much more is too much.

use std::fmt::Write as _;

use toml::{Table, Value};

/// Read and written here, so that a change of it shows in a review.
pub(crate) const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/stages/limits.toml");

const PREAMBLE: &str = "\
# Instructions for one webhook in each stage, written by `make bench-accept` and compared by `make bench-check`.
";

const TOLERANCE: &str = "tolerance_percent";

/// Instructions by webhook and stage.
#[derive(Debug)]
pub(crate) struct Limits {
    /// So many per cent more are no regression.
    pub(crate) tolerance_percent: f64,
    counts: Table,
}

/// How a count compares with the one before, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Holds,
    /// So few that the limit no longer guards anything.
    Fewer,
    TooMany,
}

impl Limits {
    pub(crate) fn read() -> Self {
        let mut counts: Table = std::fs::read_to_string(FILE).unwrap().parse().unwrap();
        let tolerance = counts.remove(TOLERANCE).unwrap();
        Self { tolerance_percent: tolerance.as_float().unwrap(), counts }
    }

    /// The count before; 0 for a stage that is new.
    pub(crate) fn of(&self, webhook: &str, stage: &str) -> u64 {
        let count = self.counts.get(webhook).and_then(|stages| stages.get(stage)).and_then(Value::as_integer);
        count.map_or(0, |count| count.try_into().unwrap())
    }

    pub(crate) fn judge(&self, change_percent: f64) -> Verdict {
        match change_percent {
            more if more > self.tolerance_percent => Verdict::TooMany,
            fewer if fewer < -self.tolerance_percent => Verdict::Fewer,
            _ => Verdict::Holds,
        }
    }

    /// Replaces the file, the tolerance being kept.
    pub(crate) fn write(&self, counted: &[(&str, &str, u64)]) {
        let mut text = format!("{PREAMBLE}{TOLERANCE} = {:?}\n", self.tolerance_percent);
        for group in counted.chunk_by(|(one, ..), (other, ..)| one == other) {
            // Writing to a text does not fail.
            writeln!(text, "\n[{}]", group[0].0).unwrap();
            group.iter().for_each(|(_, stage, count)| writeln!(text, "{stage} = {count}").unwrap());
        }
        std::fs::write(FILE, text).unwrap();
    }
}

#[expect(clippy::cast_precision_loss, reason = "no stage takes so many instructions")]
pub(crate) fn change_percent(before: u64, now: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}

impl Verdict {
    pub(crate) fn remark(self) -> &'static str {
        match self {
            Self::Holds => "",
            Self::Fewer => "  fewer",
            Self::TooMany => "  TOO MANY",
        }
    }

    pub(crate) fn explanation(self, tolerance_percent: f64) -> String {
        let accept = "`make bench-accept` writes what is counted now to benches/stages/limits.toml";
        match self {
            Self::Holds => format!("every stage is within {tolerance_percent} % of its limit"),
            Self::Fewer => format!("some stages take fewer instructions than their limits; {accept}"),
            Self::TooMany => format!(
                "a stage takes over {tolerance_percent} % more instructions than before.\n\
                 If that is what the change is worth, {accept}; commit it with the change and say why."
            ),
        }
    }
}
