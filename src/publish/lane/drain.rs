//! The way back: from the spool to Kafka, and from there to a live lane.

use std::time::Instant;

use super::{Lane, Mode, Outside, RowFacts};

/// Rows handed to Kafka before one of them has proved that it takes them again.
const PROBE_ROWS: usize = 16;

/// Rows of one lane that may be in flight when Kafka is well, in number and bytes. Every lane of every
/// topic together then leaves room in the queue of Kafka's client for live traffic.
pub(super) const MAX_ROWS_IN_FLIGHT: usize = 512;
const MAX_ROW_BYTES_IN_FLIGHT: u64 = 1 << 20;

/// With so few rows left, new events wait in memory for them instead of following them to the spool.
/// Without it a busy lane would never be live again.
const CLOSE_BELOW_ROWS: usize = 1024;

impl<P, R> Lane<P, R> {
    /// Goes on as far as the state allows.
    pub(super) fn progress(&mut self, now: Instant, out: &mut impl Outside<P, R>) {
        if self.gated {
            return;
        }
        match self.mode {
            Mode::Live if self.rows.is_empty() || self.is_unreadable(now) => {}
            Mode::Live => self.load(MAX_ROWS_IN_FLIGHT, out),
            Mode::Spooling { retry_at } => self.try_again(retry_at, now, out),
            Mode::Draining { at_most, proven } => self.drain(at_most, proven, now, out),
            Mode::Closing => self.close(now, out),
        }
    }

    /// Leaves `Spooling` once everything that was handed to Kafka before has had its outcome.
    fn try_again(&mut self, retry_at: Instant, now: Instant, out: &mut impl Outside<P, R>) {
        if !self.in_flight.is_empty() || !self.loading.is_empty() {
            return;
        }
        let unreadable = self.is_unreadable(now);
        if self.appending.is_empty() && (self.rows.is_empty() || unreadable) {
            self.mode = Mode::Live;
        } else if now >= retry_at && !unreadable && !self.next_rows(1).is_empty() {
            self.mode = Mode::Draining { at_most: PROBE_ROWS, proven: self.acknowledged };
            self.progress(now, out);
        }
    }

    fn drain(&mut self, at_most: usize, proven: bool, now: Instant, out: &mut impl Outside<P, R>) {
        let left = self.rows.len() + self.loading.len() + self.appending.len();
        if proven && left <= CLOSE_BELOW_ROWS {
            self.mode = Mode::Closing;
            self.close(now, out);
        } else if !proven && self.in_flight.is_empty() && left == 0 {
            // The rows that were to be tried have been removed by somebody else.
            self.mode = Mode::Live;
        } else {
            let alone = self.goes_alone();
            self.load(if alone { 1 } else { at_most }, out);
        }
    }

    /// Is live again when the last row is in Kafka's queue: what was held goes behind it.
    pub(super) fn close(&mut self, now: Instant, out: &mut impl Outside<P, R>) {
        if self.goes_alone() {
            return self.try_the_next_alone(now, out);
        }
        if !self.rows.is_empty() || !self.loading.is_empty() || !self.appending.is_empty() {
            return self.load(MAX_ROWS_IN_FLIGHT, out);
        }
        self.mode = Mode::Live;
        for (number, waiting) in std::mem::take(&mut self.held) {
            match self.mode {
                Mode::Live => self.launch(number, waiting, now, out),
                _ => self.divert(number, waiting, out),
            }
        }
    }

    /// Reads the next rows, as many as may be in flight. Only one reading is under way at a time, and
    /// none before half of what may be in flight has landed, so that rows are not read one by one.
    pub(super) fn load(&mut self, at_most: usize, out: &mut impl Outside<P, R>) {
        let busy = self.in_flight.len() > at_most / 2 || self.row_bytes_in_flight > MAX_ROW_BYTES_IN_FLIGHT / 2;
        if busy || !self.loading.is_empty() {
            return;
        }
        let numbers = self.next_rows(at_most - self.in_flight.len());
        if numbers.is_empty() {
            return;
        }
        for number in &numbers {
            if let Some(row) = self.rows.remove(number) {
                self.loading.insert(*number, row);
            }
        }
        out.load(numbers);
    }

    /// The oldest rows, at most so many. An event that is on its way to the spool may be older than rows
    /// that are there already; those wait for it.
    pub(super) fn next_rows(&self, at_most: usize) -> Vec<u64> {
        let before = self.appending.keys().next().copied().unwrap_or(u64::MAX);
        let mut bytes = 0;
        let fits = |(_, row): &(&u64, &RowFacts)| {
            let first = bytes == 0;
            bytes += row.bytes;
            first || bytes <= MAX_ROW_BYTES_IN_FLIGHT / 2
        };
        self.rows.range(..before).take(at_most).take_while(fits).map(|(number, _)| *number).collect()
    }

    fn is_unreadable(&self, now: Instant) -> bool {
        self.unreadable_until.is_some_and(|until| now < until)
    }
}
