//! Which rows there are: page by page, a day at a time.

use std::collections::HashSet;

use super::page;
use super::requests::{self, Cursor, Scope};
use crate::event::time::Time;
use crate::provider::api::{Answer, Asked, Ending, Found, Heard, Request, Say, Talk, Verdict};

/// Vonage lists no more than a day at a time.
const DAY_S: i64 = 86_400;

/// So often is the same asked again where an answer is short.
const MAX_REPETITIONS: u32 = 2;

/// A conversation about rows.
#[derive(Debug)]
pub(super) struct Records {
    scope: Scope,
    asked: Asked,
    /// The day that is asked about begins here.
    from: Time,
    at: Option<Cursor>,
    /// Places of all pages of the day that were asked for.
    followed: HashSet<Cursor>,
    day: Day,
    repetitions: u32,
    /// Why not everything was told.
    fault: Option<&'static str>,
}

/// What was listed of a day.
#[derive(Debug, Default)]
struct Day {
    rows: u64,
    told: Option<u64>,
    /// Whether a page had another number of rows than it told.
    is_off: bool,
}

impl Records {
    /// Begins to ask.
    pub(super) fn about(asked: &Asked, scope: Scope) -> Self {
        Self {
            scope,
            asked: asked.clone(),
            from: asked.from,
            at: None,
            followed: HashSet::new(),
            day: Day::default(),
            repetitions: 0,
            fault: None,
        }
    }

    fn request(&self) -> Request {
        requests::records(&self.scope, &self.asked, self.from, self.to(), self.at.as_ref())
    }

    fn to(&self) -> Time {
        self.from.plus_s(DAY_S).min(self.asked.to)
    }

    /// Takes a page, and tells how it ends, if it does.
    fn take(&mut self, answer: &Answer, found: &mut dyn Found) -> Option<Ending> {
        let Some(page) = page::read(answer, &mut |row| found.row(row)) else {
            return Some(Ending::Failed(Verdict::NotUnderstood));
        };
        if page.rows == 0 && page.told.is_some_and(|told| told > self.day.rows) {
            self.repetitions += 1;
            if self.repetitions <= MAX_REPETITIONS {
                return None;
            }
            self.fault = Some("short_answer");
        }
        self.repetitions = 0;
        self.day.rows += page.rows;
        self.day.is_off |= page.told.is_some_and(|told| told != page.rows);
        self.day.told = page.told.or(self.day.told);
        match page.next {
            Some(next) => self.follow(next),
            None if page.is_truncated => Some(Ending::Partial("truncated")),
            None => self.end_day(),
        }
    }

    fn follow(&mut self, next: Cursor) -> Option<Ending> {
        if !self.followed.insert(next.clone()) {
            return Some(Ending::Partial("page_repeats"));
        }
        self.at = Some(next);
        None
    }

    /// What a page tells as its number of rows may be that of all pages.
    fn end_day(&mut self) -> Option<Ending> {
        let day = std::mem::take(&mut self.day);
        if day.is_off && day.told != Some(day.rows) {
            self.fault = self.fault.or(Some("count_mismatch"));
        }
        (self.from, self.at) = (self.to(), None);
        self.followed.clear();
        if self.from < self.asked.to {
            return None;
        }
        Some(self.fault.map_or(Ending::Whole, Ending::Partial))
    }
}

impl Talk for Records {
    fn next(&mut self, heard: Heard<'_>, found: &mut dyn Found) -> Say {
        let ending = match heard {
            Heard::Begin | Heard::Waited | Heard::File(_) => None,
            Heard::Answer(answer) => self.take(answer, found),
            Heard::Judged(verdict) => Some(ending_of(verdict)),
        };
        ending.map_or_else(|| Say::Send(self.request()), Say::Done)
    }
}

/// How a conversation ends with a verdict of which nothing comes.
pub(super) fn ending_of(verdict: &Verdict) -> Ending {
    match verdict {
        Verdict::Narrower => Ending::Narrower,
        Verdict::Expired => Ending::Expired,
        other => Ending::Failed(other.clone()),
    }
}

#[cfg(test)]
mod tests;
