#![no_main]

use trunkline::event::time::Time;
use trunkline::reconcile::cursor::Cursor;
use trunkline::reconcile::cursor::run::Run;
use trunkline::reconcile::schedule::{Schedule, Timing};
use trunkline::reconcile::window::Window;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let now = Time::from_unix_seconds(1_770_000_000).expect("a time");
    take_run(data, now);
    let Ok(cursor) = Cursor::read(data, "source", "stream") else { return };
    let timing = Timing { ages_s: vec![1800, 43_200], lookback_s: 169_200, reach_s: 172_800, reach_is_sure: true };
    let mut schedule = Schedule::resume(cursor.progress.clone(), timing, now);
    assert!(schedule.plan(now).reads.len() <= 1024);
    let written = cursor.write().expect("a cursor is JSON");
    Cursor::read(&written, "source", "stream").expect("what was written can be read");
});

/// What a command remembers of its run.
fn take_run(data: &[u8], now: Time) {
    let whole = Window::new(now.plus_s(-172_800), now).expect("the second is later");
    let Ok(run) = Run::read(data, "source", "stream", whole) else { return };
    assert!(run.left().all(|window| whole.from() <= window.from() && window.to() <= whole.to()));
    let written = run.write().expect("a run is JSON");
    Run::read(&written, "source", "stream", whole).expect("what was written can be read");
}
