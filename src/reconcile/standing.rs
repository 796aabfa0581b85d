//! What is known of the streams of a process, for operators: what each is doing, how far it has come, what is left.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

use super::compare::Counts;
use super::cursor::Cursor;
use super::schedule::progress::Reached;
use super::table::exit::WindowNumbers;
use crate::event::time::Time;

/// Seconds for which the sums of sweeps are kept.
const DAY_S: i64 = 86_400;

/// What a stream is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// It waits for its next sweep.
    #[default]
    Idle,
    /// The provider is asked.
    Asking,
    /// The topics are looked through.
    Comparing,
    /// What they lack is published.
    Publishing,
    /// The provider wants to be left alone for a while.
    Throttled,
    /// Kafka is away, or events of webhooks wait to be drained.
    WaitingForKafka,
    /// The operator has something to do.
    Misconfigured,
}

impl StreamState {
    /// The names of all states, as metrics and JSON have them.
    pub const NAMES: &[&str] =
        &["idle", "asking", "comparing", "publishing", "throttled", "waiting_for_kafka", "misconfigured"];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// What one sweep of a stream came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct SweepSums {
    /// How its windows ended.
    pub windows: WindowNumbers,
    /// The sums of its cells.
    #[serde(flatten)]
    pub counts: Counts,
    /// Answers of the provider.
    pub requests: u64,
    /// Records of the topics that were looked at.
    pub scanned_records: u64,
    /// How long it took.
    pub seconds: f64,
}

/// One stream that this process compares.
#[derive(Debug, Clone, Default)]
pub struct StreamStanding {
    /// What it is doing.
    pub state: StreamState,
    /// What is wrong, if something is.
    pub problem: Option<String>,
    /// Until when the provider wants to be left alone.
    pub throttled_until: Option<Time>,
    /// When it sweeps next.
    pub next_sweep_at: Option<Time>,
    /// How far it has come.
    pub cursor: Option<Arc<Cursor>>,
    last_sweep: Option<(Time, SweepSums)>,
    day: VecDeque<(Time, Counts)>,
}

impl StreamStanding {
    /// Keeps what a sweep came to.
    pub fn swept(&mut self, now: Time, sums: SweepSums) {
        self.last_sweep = Some((now, sums));
        self.day.push_back((now, sums.counts));
        self.forget(now);
    }

    fn forget(&mut self, now: Time) {
        while self.day.front().is_some_and(|(at, _)| at.plus_s(DAY_S) <= now) {
            self.day.pop_front();
        }
    }

    /// The sums of the sweeps of the last 24 hours.
    pub fn day(&self, now: Time) -> Counts {
        let mut sums = Counts::default();
        self.day.iter().filter(|(at, _)| at.plus_s(DAY_S) > now).for_each(|(_, counts)| sums += *counts);
        sums
    }

    /// How long the oldest window has waited that was not read yet, in seconds.
    pub fn lag_s(&self, now: Time) -> Option<i64> {
        Some(lag_s(self.cursor.as_ref()?, now))
    }

    /// How many windows are tried again.
    pub fn open_windows(&self) -> usize {
        self.cursor.as_ref().map_or(0, |cursor| cursor.progress.open().len())
    }

    fn json(&self, stream: &str, now: Time) -> Value {
        let last_sweep = self.last_sweep.map(|(at, sums)| {
            let mut told = json!(sums);
            told["ended_at"] = json!(at);
            told
        });
        let mut told = json!({
            "stream": stream,
            "state": self.state,
            "problem": self.problem,
            "throttled_until": self.throttled_until,
            "next_sweep_at": self.next_sweep_at,
            "last_sweep": last_sweep,
            "totals_24h": self.day(now),
        });
        merge(&mut told, self.cursor.as_ref().map_or_else(|| json!({}), |cursor| progress_json(cursor, now)));
        told
    }
}

/// Each hour that ends by then was read at its first age, or is open.
pub fn read_to(cursor: &Cursor) -> Time {
    cursor.progress.reached().first().map_or(cursor.progress.since(), |reached| reached.through)
}

fn lag_s(cursor: &Cursor, now: Time) -> i64 {
    now.unix_seconds().saturating_sub(read_to(cursor).unix_seconds()).max(0)
}

fn merge(told: &mut Value, more: Value) {
    if let (Value::Object(told), Value::Object(more)) = (told, more) {
        told.extend(more);
    }
}

/// What a cursor tells of a stream, whoever wrote it.
pub fn progress_json(cursor: &Cursor, now: Time) -> Value {
    let ages =
        cursor.progress.reached().iter().map(|Reached { age_s, through }| json!({"age_s": age_s, "through": through}));
    let open = cursor.progress.open().map(|open| {
        json!({"from": open.window.from(), "to": open.window.to(), "why": open.why, "tries": open.tries,
               "unexplained": open.counts.unexplained})
    });
    json!({
        "lag_seconds": lag_s(cursor, now),
        "ages": ages.collect::<Vec<_>>(),
        "open": open.collect::<Vec<_>>(),
        "written_at": cursor.written_at,
    })
}

/// Everything that a cursor tells: what is not complete, newest first, and the latest windows that are.
pub fn cursor_json(cursor: &Cursor, limit: usize) -> Value {
    let open = cursor.progress.open().collect::<Vec<_>>();
    let open = open.into_iter().rev().take(limit).map(|open| {
        let mut told = json!(open.counts);
        let accounts: BTreeMap<&str, u64> =
            open.accounts.iter().map(|(account, rows)| (account.as_str(), *rows)).collect();
        merge(
            &mut told,
            json!({
                "from": open.window.from(), "to": open.window.to(), "age_s": open.age_s, "why": open.why,
                "tries": open.tries, "tried_at": open.tried_at, "accounts": accounts,
            }),
        );
        told
    });
    let done: Vec<_> = cursor.progress.done().collect();
    let done = done.into_iter().rev().map(|(from, done)| {
        let mut told = json!(done);
        told["from"] = json!(from);
        told
    });
    json!({
        "stream": cursor.stream,
        "instance": cursor.instance,
        "written_at": cursor.written_at,
        "open": open.collect::<Vec<_>>(),
        "windows": done.collect::<Vec<_>>(),
    })
}

/// The streams of one source.
pub type Standings = BTreeMap<&'static str, StreamStanding>;

type BySource = BTreeMap<Arc<str>, Standings>;

/// The streams of the sources that this process owns.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<BySource>>);

impl Board {
    /// Tells of a stream from now on.
    pub fn begin(&self, source_name: &Arc<str>, stream: &'static str) {
        self.with(|board| {
            board.entry(Arc::clone(source_name)).or_default().insert(stream, StreamStanding::default());
        });
    }

    /// Tells nothing of a source any more.
    pub fn end(&self, source_name: &str) {
        self.with(|board| drop(board.remove(source_name)));
    }

    /// Changes what is known of a stream.
    pub fn update(&self, source_name: &str, stream: &str, change: impl FnOnce(&mut StreamStanding)) {
        self.with(|board| {
            if let Some(standing) = board.get_mut(source_name).and_then(|streams| streams.get_mut(stream)) {
                change(standing);
            }
        });
    }

    /// The streams of a source; none where it is not owned.
    pub fn of(&self, source_name: &str) -> Option<Standings> {
        self.with(|board| board.get(source_name).cloned())
    }

    /// The streams of a source as JSON; none where it is not owned.
    pub fn json(&self, source_name: &str, now: Time) -> Option<Vec<Value>> {
        self.of(source_name)
            .map(|streams| streams.iter().map(|(stream, standing)| standing.json(stream, now)).collect())
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut BySource) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
