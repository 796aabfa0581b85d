//! What can be chosen by environment variables.

use std::str::FromStr;

/// How the drill is run.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `DRILL_SECONDS`: how long all phases last together, if no fault takes longer.
    pub(crate) seconds: f64,
    /// `DRILL_RATE`: new webhooks a second.
    pub(crate) rate_per_second: u32,
    /// `DRILL_DISK_BYTES`: size of the disk of the spool.
    pub(crate) disk_bytes: u64,
    /// `DRILL_WITHOUT_DISK=1`: passes also where the disk can not be filled.
    pub(crate) without_disk: bool,
    /// `DRILL_LONGEST_ANSWER_MS`: an answer that takes longer fails the drill.
    pub(crate) longest_answer_ms: u64,
    /// `DRILL_BUSY=1`: every processor is kept busy by another process.
    pub(crate) busy: bool,
    /// `DRILL_SEED`: of what is sent; when it is sent, chance decides in any case.
    pub(crate) seed: u64,
}

impl Settings {
    /// # Panics
    ///
    /// When a variable can not be read.
    pub(crate) fn from_environment() -> Self {
        Self {
            seconds: read("DRILL_SECONDS", 180.0),
            rate_per_second: read("DRILL_RATE", 200),
            disk_bytes: read("DRILL_DISK_BYTES", 256 << 20),
            without_disk: read("DRILL_WITHOUT_DISK", 0_u8) == 1,
            longest_answer_ms: read("DRILL_LONGEST_ANSWER_MS", 15_000),
            busy: read("DRILL_BUSY", 0_u8) == 1,
            seed: read("DRILL_SEED", rand::random()),
        }
    }
}

fn read<T: FromStr>(name: &str, default: T) -> T {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name}={text} can not be read"))
}
