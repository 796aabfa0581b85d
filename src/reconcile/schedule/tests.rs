use super::*;

const HOUR: i64 = HOUR_S;
const WEBEX: [u32; 3] = [1800, 43_200, 144_000];

fn timing(ages_s: &[u32]) -> Timing {
    Timing { ages_s: ages_s.to_vec(), lookback_s: 169_200, reach_s: 172_800, reach_is_sure: false }
}

/// So many seconds after an hour that begins.
fn at(seconds: i64) -> Time {
    Time::parse_iso("2026-02-03T00:00:00Z").unwrap().plus_s(seconds)
}

fn hour(number: i64) -> Window {
    Window::hour_at(at(number * HOUR))
}

/// A schedule that has read everything by now.
fn caught_up(timing: Timing, now: Time) -> Schedule {
    let mut schedule = Schedule::begin(timing, now);
    for read in schedule.plan(now).reads {
        assert_eq!(complete(&mut schedule, read, now), Settled::Complete);
    }
    assert_eq!(schedule.plan(now).reads, []);
    schedule
}

fn reading(read: Read, end: End) -> Reading {
    Reading { read, end, counts: Counts::default(), accounts: Vec::new() }
}

fn complete(schedule: &mut Schedule, read: Read, now: Time) -> Settled {
    schedule.settle(reading(read, End::Complete { digest: Digest::default() }), now)
}

fn fail(schedule: &mut Schedule, read: Read, now: Time) -> Settled {
    schedule.settle(reading(read, End::Open { why: "timeout".to_owned() }), now)
}

fn windows(reads: &[Read]) -> Vec<(Window, u32)> {
    reads.iter().map(|read| (read.window, read.age_s)).collect()
}

#[test]
fn the_first_sweep_begins_at_the_lookback_and_reads_each_window_once_for_its_greatest_age() {
    let now = at(1000);
    let mut schedule = Schedule::begin(timing(&WEBEX), now);
    let reads = schedule.plan(now).reads;
    // 47 h back, to 30 min ago.
    assert_eq!((reads.len(), reads[0].window, reads.last().unwrap().window), (46, hour(-47), hour(-2)));
    let of_age =
        |age_s: u32| reads.iter().filter(|read| read.age_s == age_s).map(|read| read.window).collect::<Vec<_>>();
    assert_eq!(of_age(144_000), (-47..=-41).map(hour).collect::<Vec<_>>());
    assert_eq!(of_age(43_200), (-40..=-13).map(hour).collect::<Vec<_>>());
    assert_eq!(of_age(1800), (-12..=-2).map(hour).collect::<Vec<_>>());
    assert!(reads.is_sorted_by_key(|read| read.window) && reads.iter().all(|read| !read.is_retry));
}

#[test]
fn what_leaves_the_provider_within_six_hours_is_marked() {
    let reads = Schedule::begin(timing(&WEBEX), at(0)).plan(at(0)).reads;
    let soon: Vec<Window> = reads.iter().filter(|read| read.leaves_soon).map(|read| read.window).collect();
    assert_eq!(soon, (-47..=-42).map(hour).collect::<Vec<_>>());
}

#[test]
fn of_several_streams_what_leaves_soon_goes_first() {
    let stream = |reach_s: u32| Schedule::begin(Timing { reach_s, ..timing(&[1800]) }, at(0)).plan(at(0)).reads;
    let (long, short) = (stream(2_592_000), stream(172_800));
    let mut reads: Vec<Read> = long.iter().chain(&short).copied().collect();
    reads.sort_by_key(Read::turn);
    assert_eq!(reads[..6], short[..6]);
    assert!(reads[6..].is_sorted_by_key(|read| read.window) && long[0].window == reads[6].window);
}

#[test]
fn a_window_is_due_when_its_end_has_the_age_and_not_earlier() {
    let mut schedule = caught_up(timing(&WEBEX), at(0));
    assert_eq!(schedule.plan(at(1799)).reads, []);
    assert_eq!(windows(&schedule.plan(at(1800)).reads), [(hour(-1), 1800)]);
    let later = schedule.plan(at(HOUR)).reads;
    assert_eq!(windows(&later), [(hour(-40), 144_000), (hour(-12), 43_200), (hour(-1), 1800)]);
}

#[test]
fn an_open_window_rests_for_an_eighth_of_its_age() {
    let mut schedule = caught_up(timing(&[1800]), at(0));
    let read = schedule.plan(at(1800)).reads[0];
    assert_eq!(fail(&mut schedule, read, at(1800)), Settled::Open);
    assert_eq!(schedule.plan(at(1801)).reads, []);
    // Its age is 2057 s, of which an eighth are 257 s.
    assert_eq!(schedule.plan(at(1800 + 257)).reads, []);
    let retry = schedule.plan(at(1800 + 258)).reads[0];
    assert_eq!((retry.window, retry.is_retry), (hour(-1), true));
    assert_eq!(complete(&mut schedule, retry, at(2058)), Settled::Complete);
    assert_eq!(schedule.progress().open().len(), 0);
}

#[test]
fn an_open_window_is_read_for_a_greater_age_once_it_has_it() {
    let mut schedule = caught_up(timing(&[1800, 43_200]), at(0));
    let read = schedule.plan(at(1800)).reads[0];
    fail(&mut schedule, read, at(1800));
    let now = at(44_000);
    let reads: Vec<Read> = schedule.plan(now).reads.into_iter().filter(|read| read.window == hour(-1)).collect();
    assert_eq!(windows(&reads), [(hour(-1), 43_200)]);
    assert_eq!((reads[0].is_retry, schedule.progress().open().next().unwrap().tries), (true, 1));
}

#[test]
fn at_most_24_open_windows_are_tried_again_in_a_sweep_and_all_get_their_turn() {
    let mut schedule = Schedule::begin(timing(&[1800]), at(0));
    for read in schedule.plan(at(0)).reads {
        fail(&mut schedule, read, at(0));
    }
    let (mut tried, mut now) = (BTreeSet::new(), at(0));
    for _ in 0..2 {
        now = now.plus_s(6 * HOUR);
        let retries: Vec<Read> = schedule.plan(now).reads.into_iter().filter(|read| read.is_retry).collect();
        assert!(retries.len() <= 24);
        for read in retries {
            tried.insert(read.window);
            fail(&mut schedule, read, now);
        }
    }
    assert!((-36..=-2).all(|number| tried.contains(&hour(number))), "{tried:?}");
}

#[test]
fn with_a_thousand_open_windows_no_new_ones_are_begun() {
    let long = Timing { lookback_s: 2_592_000 * 2, reach_s: 34_214_400, ..timing(&[1800]) };
    let mut schedule = Schedule::begin(long, at(0));
    let reads = schedule.plan(at(0)).reads;
    assert_eq!(reads.len(), 1000);
    for read in reads {
        assert_eq!(fail(&mut schedule, read, at(0)), Settled::Open);
    }
    let begun = schedule.progress().reached()[0].through;
    assert!(schedule.plan(at(60)).reads.iter().all(|read| read.is_retry));
    let new = Read { window: Window::hour_at(begun), age_s: 1800, is_retry: false, leaves_soon: false };
    assert_eq!(fail(&mut schedule, new, at(60)), Settled::Unmoved);
    assert_eq!(schedule.progress().reached()[0].through, begun, "what is not remembered stays due");
    let retry = schedule.plan(at(HOUR * 24 * 30)).reads[0];
    complete(&mut schedule, retry, at(HOUR * 24 * 30));
    assert_eq!(schedule.plan(at(HOUR * 24 * 30)).reads.iter().filter(|read| !read.is_retry).count(), 1);
}

#[test]
fn a_sweep_that_is_cut_off_moves_only_over_what_it_has_read() {
    let mut schedule = Schedule::begin(timing(&[1800]), at(0));
    let reads = schedule.plan(at(0)).reads;
    complete(&mut schedule, reads[0], at(0));
    complete(&mut schedule, reads[2], at(0));
    assert_eq!(schedule.progress().reached()[0].through, reads[1].window.from());
    assert_eq!(
        windows(&schedule.plan(at(1)).reads)[..2],
        windows(&[reads[1], reads[3]])[..],
        "no window is read twice"
    );
    complete(&mut schedule, reads[1], at(2));
    assert_eq!(schedule.progress().reached()[0].through, reads[3].window.from());
}

#[test]
fn an_open_window_is_warned_of_and_expires_with_what_was_found() {
    let mut schedule = caught_up(timing(&[1800]), at(0));
    let read = schedule.plan(at(1800)).reads[0];
    let counts = Counts { expected: 9, held: 8, unexplained: 1, ..Counts::default() };
    schedule.settle(Reading { counts, ..reading(read, End::Open { why: "unexplained".to_owned() }) }, at(1800));
    let horizon = at(47 * HOUR - 60);
    assert_eq!((schedule.horizon(hour(-1)), schedule.horizon_s(at(0))), (horizon, Some(47 * HOUR - 60)));
    let told = |schedule: &mut Schedule, now: Time| {
        let plan = schedule.plan(now);
        (plan.warnings.len(), plan.expired)
    };
    let three_quarters = horizon.plus_s(-(47 * HOUR - 60) / 4);
    assert_eq!(told(&mut schedule, three_quarters.plus_s(-1)), (0, vec![]));
    assert_eq!(told(&mut schedule, three_quarters), (1, vec![]));
    assert_eq!(told(&mut schedule, three_quarters.plus_s(1)), (0, vec![]), "once");
    assert_eq!(told(&mut schedule, horizon.plus_s(-6 * HOUR)).0, 1);
    assert_eq!(told(&mut schedule, horizon.plus_s(-1)).0, 1, "at each sweep of the last six hours");
    let (warnings, expired) = told(&mut schedule, horizon);
    assert_eq!((warnings, expired.len()), (0, 1));
    assert_eq!((expired[0].window, expired[0].counts, expired[0].tries), (hour(-1), counts, 1));
    assert_eq!((told(&mut schedule, horizon), schedule.horizon_s(horizon)), ((0, vec![]), None));
}

#[test]
fn what_seems_too_old_is_asked_for_once_where_it_is_not_certain() {
    let old = Timing { lookback_s: 10 * 86_400, ..timing(&[1800]) };
    let mut schedule = Schedule::begin(old.clone(), at(0));
    let read = schedule.plan(at(0)).reads[0];
    assert_eq!(read.window, hour(-240));
    assert!(matches!(fail(&mut schedule, read, at(0)), Settled::Expired(_)));
    assert_eq!(schedule.plan(at(0)).reads[0].window, hour(-239));

    let since = Progress::begin(at(-10 * 86_400), &[1800]);
    let sure = Timing { reach_is_sure: true, ..old };
    let mut schedule = Schedule::resume(since, sure.clone(), at(0));
    let plan = schedule.plan(at(0));
    assert_eq!(
        plan.expired.iter().map(|expired| expired.window).collect::<Vec<_>>(),
        [Window::new(at(-864_000), at(-47 * HOUR)).unwrap()]
    );
    assert_eq!(plan.reads[0].window, hour(-47));
    let first = Schedule::begin(sure, at(0)).plan(at(0));
    assert_eq!((first.expired, first.reads[0].window), (vec![], hour(-46)), "a new stream begins with what is kept");
}

#[test]
fn a_new_age_begins_where_the_next_greater_one_stands() {
    let now = at(0);
    let progress = caught_up(timing(&[1800, 43_200]), now).progress().clone();
    let through = |ages_s: &[u32]| -> Vec<i64> {
        let schedule = Schedule::resume(progress.clone(), timing(ages_s), now);
        schedule
            .progress()
            .reached()
            .iter()
            .map(|age| (age.through.unix_seconds() - now.unix_seconds()) / HOUR)
            .collect()
    };
    assert_eq!(through(&[1800, 43_200]), [-1, -12]);
    assert_eq!(through(&[900, 7200, 43_200]), [-1, -12, -12]);
    assert_eq!(through(&[1800]), [-1]);
    assert_eq!(through(&[1800, 86_400]), [-1, -47], "no greater age is known");
    assert_eq!(through(&[86_400]), [-47]);
}

#[test]
fn a_new_age_begins_no_later_than_where_the_stream_stands() {
    let stopped = caught_up(timing(&[1800]), at(0)).progress().clone();
    let schedule = Schedule::resume(stopped, timing(&[1800, 43_200]), at(100 * HOUR));
    assert_eq!(schedule.progress().reached()[1].through, at(-HOUR));
}

#[test]
fn after_a_long_stop_nothing_is_jumped_over() {
    let mut schedule = caught_up(timing(&[1800]), at(0));
    assert_eq!(schedule.plan(at(500 * HOUR)).reads[0].window, hour(-1));
}

#[test]
fn a_clock_that_was_ahead_has_read_nothing() {
    let mut schedule = caught_up(timing(&[1800]), at(0));
    let ahead = at(86_400);
    for read in schedule.plan(ahead).reads {
        complete(&mut schedule, read, ahead);
    }
    let written = schedule.progress().clone();
    // It was ahead by 22.5 h at least, and may have been for as long.
    let again: Vec<(Window, u32)> = (-22..=-1).map(|number| (hour(number), 1800)).collect();
    assert_eq!(windows(&schedule.plan(at(HOUR)).reads), again);
    let mut restarted = Schedule::resume(written, timing(&[1800]), at(HOUR));
    assert_eq!(windows(&restarted.plan(at(HOUR)).reads), again);
}

#[test]
fn what_a_clock_that_was_ahead_has_read_out_of_order_is_forgotten_too() {
    let mut schedule = caught_up(timing(&[1800]), at(0));
    let ahead = at(86_400);
    let read = schedule.plan(ahead).reads.into_iter().find(|read| read.window == hour(4)).unwrap();
    complete(&mut schedule, read, ahead);
    schedule.plan(at(HOUR));
    assert!(windows(&schedule.plan(at(6 * HOUR)).reads).contains(&(hour(4), 1800)));
}

#[test]
fn clocks_that_differ_by_a_minute_read_nothing_again() {
    let mut schedule = caught_up(timing(&[1800]), at(1800));
    assert_eq!(schedule.plan(at(1740)).reads, []);
    assert_eq!(schedule.progress().reached()[0].through, at(0));
}

#[test]
fn a_try_that_seems_to_lie_ahead_holds_up_nothing() {
    let mut schedule = caught_up(timing(&[1800]), at(0));
    let read = schedule.plan(at(1800)).reads[0];
    fail(&mut schedule, read, at(86_400));
    assert_eq!(schedule.plan(at(2000)).reads.len(), 1);
}

#[test]
fn a_window_that_has_not_changed_is_told_from_one_that_has() {
    let mut schedule = caught_up(timing(&[1800, 43_200]), at(0));
    let mut digest = Digest::default();
    let known = |schedule: &Schedule, window: Window| schedule.digests().find(|(from, _)| *from == window.from());
    assert_eq!(known(&schedule, hour(-2)), Some((hour(-2).from(), digest)));
    digest.add_count("a", 1);
    assert_ne!(known(&schedule, hour(-2)), Some((hour(-2).from(), digest)));
    assert_eq!(known(&schedule, hour(5)), None);
    let read = Read { window: hour(-2), age_s: 43_200, is_retry: false, leaves_soon: false };
    fail(&mut schedule, read, at(43_200));
    assert_eq!(known(&schedule, hour(-2)), None, "it is open");
}

#[test]
fn a_window_with_withheld_rows_is_compared_again_though_it_has_not_changed() {
    let mut schedule = caught_up(timing(&[1800, 43_200]), at(0));
    let read = Read { window: hour(-2), age_s: 43_200, is_retry: false, leaves_soon: false };
    let counts = Counts { expected: 1, missing: 1, withheld: 1, ..Counts::default() };
    let withheld = Reading { counts, ..reading(read, End::Complete { digest: Digest::default() }) };
    assert_eq!(schedule.settle(withheld, at(43_200)), Settled::Complete);
    assert!(schedule.digests().all(|(from, _)| from != hour(-2).from()));
}

#[test]
fn an_older_cursor_is_answered_and_a_further_one_is_not() {
    let older = caught_up(timing(&[1800]), at(0)).progress().clone();
    let mut schedule = Schedule::resume(older.clone(), timing(&[1800]), at(4 * HOUR));
    let reads = schedule.plan(at(4 * HOUR)).reads;
    complete(&mut schedule, reads[0], at(4 * HOUR));
    fail(&mut schedule, reads[1], at(4 * HOUR));
    let further = schedule.progress().clone();
    assert!(schedule.is_taken_back_by(&older));
    assert!(!schedule.is_taken_back_by(&further));
    let zombie = Schedule::resume(older, timing(&[1800]), at(4 * HOUR));
    assert!(!zombie.is_taken_back_by(&further));
}

#[test]
fn the_lag_counts_from_the_oldest_window_that_was_not_read() {
    let mut schedule = caught_up(timing(&[1800, 43_200]), at(0));
    assert_eq!(schedule.lag_s(at(0)), HOUR);
    let reads = schedule.plan(at(2 * HOUR)).reads;
    complete(&mut schedule, reads[0], at(2 * HOUR));
    assert_eq!(schedule.lag_s(at(2 * HOUR)), 3 * HOUR, "an old window that is read again is no lag");
}

#[test]
fn the_end_of_all_times_is_no_endless_way() {
    let last = at(0).plus_s(i64::MAX);
    let mut schedule = Schedule::begin(Timing { lookback_s: 7200, ..timing(&[0]) }, last);
    for read in schedule.plan(last).reads {
        fail(&mut schedule, read, last);
    }
    schedule.plan(last);
}
