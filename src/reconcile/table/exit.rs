//! With what code a run ends.

use serde::Serialize;

use crate::reconcile::compare::Counts;

/// How many windows ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WindowNumbers {
    /// Read whole, and nothing is left.
    pub complete: u64,
    /// Something is left.
    pub open: u64,
    /// Given up.
    pub expired: u64,
}

impl WindowNumbers {
    /// All of them.
    pub fn all(self) -> u64 {
        self.complete + self.open + self.expired
    }

    /// Whether every one is.
    pub fn are_complete(self) -> bool {
        self.open + self.expired == 0
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOutcome {
    /// Its windows.
    pub windows: WindowNumbers,
    /// Windows of which the provider told anything.
    pub answered_windows: u64,
    /// The sums of everything.
    pub totals: Counts,
    /// Whether something failed that trying again does not mend: wrong credentials, a window beyond what a topic
    /// keeps, no Kafka.
    pub has_failed: bool,
    /// Whether it was stopped before its end.
    pub was_interrupted: bool,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is done.
    Done,
    /// It could not do its work.
    Failed,
    /// It did what it could, and something is left.
    Incomplete,
}

impl Exit {
    /// By what a run came to. In a dry run rows that would be published are left too.
    pub fn of(outcome: &RunOutcome) -> Self {
        let RunOutcome { windows, answered_windows, totals, has_failed, was_interrupted } = outcome;
        let nothing_answered = *answered_windows == 0 && windows.all() > 0 && !was_interrupted;
        let is_left = totals.unreadable + totals.withheld > 0 || !totals.is_settled();
        match (has_failed | nothing_answered, was_interrupted | is_left | !windows.are_complete()) {
            (true, _) => Self::Failed,
            (_, true) => Self::Incomplete,
            _ => Self::Done,
        }
    }

    /// The code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Incomplete => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(change: impl FnOnce(&mut RunOutcome)) -> u8 {
        let windows = WindowNumbers { complete: 3, open: 0, expired: 0 };
        let totals = Counts { expected: 9, held: 7, missing: 2, published: 2, ..Counts::default() };
        let mut outcome =
            RunOutcome { windows, answered_windows: 3, totals, has_failed: false, was_interrupted: false };
        change(&mut outcome);
        Exit::of(&outcome).code()
    }

    #[test]
    fn a_run_ends_with_0_only_if_nothing_is_left() {
        assert_eq!(code(|_| ()), 0);
        assert_eq!(code(|run| *run = RunOutcome::default()), 0, "there was nothing to do");
        assert_eq!(code(|run| run.windows.open = 1), 4);
        assert_eq!(code(|run| run.windows.expired = 1), 4);
        assert_eq!(code(|run| run.totals.unexplained = 1), 4);
        assert_eq!(code(|run| run.totals.unreadable = 1), 4);
        assert_eq!(code(|run| run.was_interrupted = true), 4);
        assert_eq!(code(|run| run.totals.published = 0), 4, "as after a dry run");
        assert_eq!(code(|run| (run.totals.published, run.totals.withheld) = (1, 1)), 4);
        assert_eq!(code(|run| run.totals.surplus = 5), 0);
    }

    #[test]
    fn a_run_that_could_do_nothing_has_failed() {
        assert_eq!(code(|run| run.has_failed = true), 1);
        assert_eq!(code(|run| (run.has_failed, run.was_interrupted) = (true, true)), 1);
        assert_eq!(code(|run| run.answered_windows = 0), 1);
        assert_eq!(code(|run| (run.answered_windows, run.was_interrupted) = (0, true)), 4);
    }
}
