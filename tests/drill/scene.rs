//! What is being done to the service at each moment, on one clock for all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How soon after the disk has room again the service must use it.
const DISK_RECOVERY: Duration = Duration::from_secs(5);

/// Something that excuses certain answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The program is being killed or stopped, or has not opened its doors again.
    Restart,
    /// The disk of the spool is full, or was a moment ago.
    Disk,
    /// Some broker is away, hangs or catches up.
    Kafka,
}

/// From when to when a trouble lasted, in microseconds since the start.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) trouble: Trouble,
    pub(crate) from_us: u64,
    /// `u64::MAX` while it lasts.
    pub(crate) to_us: u64,
}

/// Everything that happened, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// When each phase began, in microseconds since the start, and its name.
    pub(crate) phases: Vec<(u64, &'static str)>,
    pub(crate) windows: Vec<Window>,
}

impl History {
    pub(crate) fn phase_at(&self, at_us: u64) -> &'static str {
        let begun = self.phases.iter().rev().find(|(from_us, _)| *from_us <= at_us);
        begun.map_or("setting up", |(_, name)| name)
    }

    /// Whether a trouble lasted at any moment of an interval.
    pub(crate) fn troubled(&self, trouble: Trouble, from_us: u64, to_us: u64) -> bool {
        let overlaps = |window: &&Window| window.from_us <= to_us && from_us <= window.to_us;
        self.windows.iter().filter(overlaps).any(|window| window.trouble == trouble)
    }
}

/// The clock and the history, shared by all.
#[derive(Debug)]
pub(crate) struct Scene {
    started: Instant,
    started_unix_ms: u64,
    /// Odd while one process runs from its start on; even while it is not sure which one answers.
    life: AtomicU64,
    history: Mutex<History>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let started_unix_ms = u64::try_from(since_1970.as_millis()).unwrap();
        Self { started: Instant::now(), started_unix_ms, life: AtomicU64::new(0), history: Mutex::default() }
    }

    /// Its clock at zero, in milliseconds since 1970.
    pub(crate) fn started_unix_ms(&self) -> u64 {
        self.started_unix_ms
    }

    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Number of the running process; even while processes are changed.
    pub(crate) fn life(&self) -> u64 {
        self.life.load(Ordering::SeqCst)
    }

    /// The process that answers is another one from now on, or none.
    pub(crate) fn change_life(&self) {
        self.life.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn enter(&self, phase: &'static str) {
        let now_us = self.now_us();
        self.history().phases.push((now_us, phase));
    }

    pub(crate) fn begin(&self, trouble: Trouble) {
        let from_us = self.now_us();
        self.history().windows.push(Window { trouble, from_us, to_us: u64::MAX });
    }

    /// Ends a trouble, with the time that the service is granted to notice.
    pub(crate) fn end(&self, trouble: Trouble) {
        let grace = if trouble == Trouble::Disk { DISK_RECOVERY } else { Duration::ZERO };
        let to_us = self.now_us() + u64::try_from(grace.as_micros()).unwrap_or(0);
        let mut history = self.history();
        let open = |window: &&mut Window| window.trouble == trouble && window.to_us == u64::MAX;
        history.windows.iter_mut().filter(open).for_each(|window| window.to_us = to_us);
    }

    pub(crate) fn phase(&self) -> &'static str {
        self.history().phase_at(u64::MAX)
    }

    pub(crate) fn recorded(&self) -> History {
        self.history().clone()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
