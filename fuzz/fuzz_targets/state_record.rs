#![no_main]

use trunkline::event::time::Time;
use trunkline::reconcile::cursor::Cursor;
use trunkline::reconcile::schedule::{Schedule, Timing};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(cursor) = Cursor::read(data, "source", "stream") else { return };
    let now = Time::from_unix_seconds(1_770_000_000).expect("a time");
    let timing = Timing { ages_s: vec![1800, 43_200], lookback_s: 169_200, reach_s: 172_800, reach_is_sure: true };
    let mut schedule = Schedule::resume(cursor.progress.clone(), timing, now);
    assert!(schedule.plan(now).reads.len() <= 1024);
    let written = cursor.write().expect("a cursor is JSON");
    Cursor::read(&written, "source", "stream").expect("what was written can be read");
});
