use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::reconcile::compare::digest::Digest;
use crate::reconcile::window::HOUR_S;

fn time(text: &str) -> Time {
    Time::parse_iso(text).unwrap()
}

/// Hours after an arbitrary one.
fn hour(number: i64) -> Window {
    Window::hour_at(time("2026-02-01T00:00:00Z").plus_s(number * HOUR_S))
}

fn open(number: i64, why: &str, accounts: Vec<(String, u64)>) -> OpenWindow {
    let counts = Counts { expected: 3009, held: 3001, missing: 7, published: 7, unexplained: 1, ..Counts::default() };
    let tried_at = hour(number + 2).from();
    OpenWindow { window: hour(number), age_s: 1800, why: why.to_owned(), tries: 2, tried_at, counts, accounts }
}

fn done(expected: u64) -> DoneWindow {
    let mut digest = Digest::default();
    digest.add_count("a", expected);
    DoneWindow { age_s: 1800, digest, expected, missing: 1, published: 1 }
}

fn cursor(open: Vec<OpenWindow>, done: Vec<(Time, DoneWindow)>) -> Cursor {
    let reached =
        vec![Reached { age_s: 1800, through: hour(59).from() }, Reached { age_s: 43_200, through: hour(47).from() }];
    let report = PendingReport { id: "r".to_owned(), from: hour(0).from(), to: hour(1).to(), asked_at: hour(9).from() };
    Cursor {
        source_name: "webex-partner".to_owned(),
        stream: "cdr".to_owned(),
        progress: Progress::restored(hour(10).from(), reached, open, done),
        reports: vec![report],
        region: [("org".to_owned(), "https://calling-eu.example.com".to_owned())].into(),
        instance: "01JK5Q0V8T".to_owned(),
        written_at: hour(60).from(),
    }
}

fn read(value: &[u8]) -> Result<Cursor, CursorFault> {
    Cursor::read(value, "webex-partner", "cdr")
}

fn read_json(value: &Value) -> Result<Cursor, CursorFault> {
    read(&serde_json::to_vec(value).unwrap())
}

fn as_json(cursor: &Cursor) -> Value {
    serde_json::from_slice(&cursor.write().unwrap()).unwrap()
}

#[test]
fn a_cursor_is_read_as_it_was_written() {
    let cursor = cursor(
        vec![open(57, "unexplained", vec![("org".to_owned(), 1)]), open(58, "timeout", Vec::new())],
        vec![(hour(56).from(), done(2870))],
    );
    assert_eq!(read(&cursor.write().unwrap()), Ok(cursor.clone()));
    let value = as_json(&cursor);
    assert_eq!((&value["kind"], &value["version"]), (&json!("reconcile_cursor"), &json!(1)));
    assert_eq!(value["ages"][1], json!({"age_s": 43_200, "through": "2026-02-02T23:00:00Z"}));
    let open = json!({
        "from": "2026-02-03T09:00:00Z", "to": "2026-02-03T10:00:00Z", "age_s": 1800, "why": "unexplained", "tries": 2,
        "tried_at": "2026-02-03T11:00:00Z", "expected": 3009, "held": 3001, "missing": 7, "updated": 0, "published": 7,
        "unexplained": 1, "accounts": [["org", 1]]
    });
    assert_eq!(value["open"][0], open);
    assert_eq!(value["windows"][0]["digest"].as_str().unwrap().len(), 32);
    assert_eq!(key("webex-partner", "cdr"), "reconcile/webex-partner/cdr");
}

#[test]
fn unknown_members_are_dropped_and_a_later_layout_is_refused() {
    let cursor = cursor(vec![open(57, "unexplained", Vec::new())], Vec::new());
    let mut value = as_json(&cursor);
    value["news"] = json!({"a": [1]});
    value["open"][0]["news"] = json!("x");
    value["ages"][0]["news"] = json!(null);
    assert_eq!(read_json(&value), Ok(cursor));
    let later = json!({"kind": "reconcile_cursor", "version": 2, "everything": "else"});
    assert_eq!(read_json(&later), Err(CursorFault::Newer { version: 2 }));
}

#[test]
fn half_a_cursor_is_none() {
    let whole = as_json(&cursor(vec![open(57, "unexplained", Vec::new())], vec![(hour(56).from(), done(1))]));
    for (pointer, wrong) in [
        ("/kind", json!("replay_mark")),
        ("/version", json!("1")),
        ("/source_name", json!("another")),
        ("/stream", json!("another")),
        ("/since", json!("yesterday")),
        ("/ages", json!(null)),
        ("/ages/0/through", json!(5)),
        ("/ages/0/age_s", json!(-1)),
        ("/open", json!({})),
        ("/open/0", json!("x")),
        ("/open/0/to", json!("2026-02-03T09:59:00Z")),
        ("/open/0/from", json!("2026-02-03T08:00:00Z")),
    ] {
        let mut value = whole.clone();
        *value.pointer_mut(pointer).unwrap() = wrong;
        assert!(matches!(read_json(&value), Err(CursorFault::Unreadable { .. })), "{pointer}");
    }
    for member in ["kind", "version", "since", "ages", "open"] {
        let mut value = whole.clone();
        value.as_object_mut().unwrap().remove(member);
        assert!(matches!(read_json(&value), Err(CursorFault::Unreadable { .. })), "{member}");
    }
}

#[test]
fn what_only_saves_work_may_be_wrong() {
    let cursor = cursor(Vec::new(), vec![(hour(55).from(), done(1)), (hour(56).from(), done(2))]);
    let mut value = as_json(&cursor);
    value["windows"][0]["digest"] = json!("no digest");
    value["reports"] = json!("x");
    value["region"] = json!([]);
    let read = read_json(&value).unwrap();
    assert_eq!(read.progress.done().map(|(from, _)| from).collect::<Vec<_>>(), [hour(56).from()]);
    assert!(read.reports.is_empty() && read.region.is_empty());
}

#[test]
fn statements_that_contradict_each_other_are_put_in_order() {
    let mut value = as_json(&cursor(Vec::new(), Vec::new()));
    value["ages"] = json!([
        {"age_s": 43_200, "through": "2026-02-03T00:00:00Z"},
        {"age_s": 900, "through": "2026-02-03T05:30:00Z"},
        {"age_s": 1800, "through": "2026-02-02T00:00:00Z"},
        {"age_s": 900, "through": "2026-02-03T07:00:00Z"},
    ]);
    let reached: Vec<(u32, String)> =
        read_json(&value).unwrap().progress.reached().iter().map(|age| (age.age_s, age.through.to_string())).collect();
    let expected = [(900, "2026-02-03T05:00:00Z"), (1800, "2026-02-03T00:00:00Z"), (43_200, "2026-02-03T00:00:00Z")];
    assert_eq!(reached, expected.map(|(age_s, through)| (age_s, through.to_owned())));
}

#[test]
fn the_fullest_cursor_is_smaller_than_350_kb() {
    let long = |number: i64| format!("{number:0>100}");
    let accounts = |number: i64| (0..100).map(|one| (long(number * 100 + one), u64::MAX)).collect();
    let counts = Counts {
        expected: 4_000_000_000,
        held: 4_000_000_000,
        missing: 1,
        new: 0,
        updated: 1,
        published: 1_000_000,
        unreadable: 1,
        withheld: 0,
        unexplained: 1_000_000,
        surplus: 0,
    };
    let open = (0..1000).map(|number| OpenWindow { counts, ..open(number, &"w".repeat(999), accounts(number)) });
    let done = (1000..1200).map(|number| (hour(number).from(), done(4_000_000_000)));
    let mut full = cursor(open.collect(), done.collect());
    full.region = (0..999).map(|number| (long(number), long(number))).collect();
    full.reports = vec![full.reports[0].clone(); 999];
    let value = full.write().unwrap();
    assert!(value.len() < 350_000, "{}", value.len());
    let read = read(&value).unwrap();
    assert_eq!((read.progress.open().len(), read.progress.done().len()), (1000, 200));
    assert_eq!(read.progress.open().map(|open| open.accounts.len()).sum::<usize>(), ACCOUNTS_AT_MOST);
    assert_eq!((read.region.len(), read.reports.len()), (REGIONS_AT_MOST, REPORTS_AT_MOST));
}

#[test]
fn a_fault_repeats_nothing_of_the_record() {
    let fault = read(br#"{"kind":"reconcile_cursor","version":1,"since":"secret"}"#).unwrap_err();
    assert!(!format!("{fault} {fault:?}").contains("secret"));
}

proptest! {
    #[test]
    fn reading_holds_against_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn reading_holds_against_any_damage(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
    ) {
        let whole = cursor(vec![open(57, "unexplained", vec![("org".to_owned(), 1)])], vec![(hour(56).from(), done(1))]);
        let mut value = whole.write().unwrap();
        for (place, byte, cuts) in changes {
            let place = place.index(value.len());
            value[place] = byte;
            if cuts && value.len() > 1 {
                value.remove(place);
            }
        }
        if let Ok(read) = read(&value) {
            prop_assert!(read.progress.reached().windows(2).all(|pair| pair[0].through >= pair[1].through));
            prop_assert_eq!(Cursor::read(&read.write().unwrap(), "webex-partner", "cdr").map(|read| read.progress), Ok(read.progress));
        }
    }
}
