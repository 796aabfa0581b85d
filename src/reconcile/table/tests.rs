use serde_json::{Value, json};

use super::lines::{Summary, WindowState};
use super::*;

const ORG: &str = "5d1c9b8e-0000-4111-8222-5e6f70809010";

fn time(text: &str) -> Time {
    Time::parse_iso(text).unwrap()
}

fn whole() -> Window {
    Window::new(time("2026-02-01T10:00:00Z"), time("2026-02-03T10:00:00Z")).unwrap()
}

fn cell<'c>(account_id: &'c str, hour: &str, counts: Counts) -> CellOutcome<'c> {
    CellOutcome { account_id, hour: Window::hour_at(time(hour)), counts, is_complete: counts.is_settled() }
}

fn held(number: u64) -> Counts {
    Counts { expected: number, held: number, ..Counts::default() }
}

fn short() -> Counts {
    Counts { expected: 3009, held: 3001, missing: 7, published: 7, unexplained: 1, ..Counts::default() }
}

fn outcome<'o>(cells: &'o [CellOutcome<'o>], open: u64) -> StreamOutcome<'o> {
    StreamOutcome {
        source_name: "webex-partner",
        stream: "cdr",
        whole: whole(),
        windows: WindowNumbers { complete: 48 - open, open, expired: 0 },
        topics: &["telecom.call-record.v1"],
        scanned_records: 1_204_331,
        cells,
        is_dry_run: false,
        withheld_because: "as the configuration says",
        tried_until: Some(time("2026-02-05T08:59:00Z")),
    }
}

#[test]
fn the_table_tells_what_is_not_simply_there() {
    let cells = [
        cell("org-a", "2026-02-03T08:00:00Z", held(409_891)),
        cell(ORG, "2026-02-03T09:00:00Z", short()),
        cell("org-a", "2026-02-03T09:00:00Z", held(0)),
    ];
    let lines = outcome(&cells, 1).table(false);
    let expected = [
        "webex-partner cdr: 48 windows, 2026-02-01T10:00Z to 2026-02-03T10:00Z, compared with 1,204,331 records of \
         telecom.call-record.v1",
        "ACCOUNT                               HOUR               EXPECTED    HELD  MISSING  UPDATED  PUBLISHED  UNEXPLAINED",
        "5d1c9b8e-0000-4111-8222-5e6f70809010  2026-02-03T09:00Z      3009    3001        7        0          7            1",
        "2 accounts, 2 more cells: complete",
        "total                                                      412900  412892        7        0          7            1",
        "incomplete: 1 row that the provider counts and did not list; tried again until 2026-02-05T08:59Z",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_cell_that_was_not_read_whole_is_shown() {
    let broken = CellOutcome { is_complete: false, ..cell("a", "2026-02-03T08:00:00Z", held(1)) };
    let cells = [broken, cell("b", "2026-02-03T08:00:00Z", held(2))];
    let lines = outcome(&cells, 1).table(false);
    assert!(lines[2].starts_with("a ") && lines[3] == "2 accounts, 1 more cell: complete", "{lines:#?}");
    assert!(lines[5].starts_with("incomplete: 1 window that could not be read whole"), "{lines:#?}");
}

#[test]
fn all_cells_are_shown_when_asked_for() {
    let cells = [cell("a", "2026-02-03T08:00:00Z", held(1)), cell("b", "2026-02-03T08:00:00Z", held(2))];
    let lines = outcome(&cells, 0).table(true);
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert!(outcome(&cells, 0).table(false)[2].ends_with("2 more cells: complete"));
    assert!(lines[4].starts_with("total"), "nothing is left: {lines:#?}");
}

#[test]
fn rare_columns_appear_when_they_are_not_all_0() {
    let counts = Counts { new: 2, unreadable: 3, withheld: 2, surplus: 4, expected: 5, ..Counts::default() };
    let cells = [cell("a", "2026-02-03T08:00:00Z", counts)];
    let lines = outcome(&cells, 0).table(false);
    let names: Vec<&str> = lines[1].split_whitespace().collect();
    let expected = "ACCOUNT HOUR EXPECTED HELD MISSING NEW UPDATED PUBLISHED UNREADABLE WITHHELD UNEXPLAINED SURPLUS";
    assert_eq!(names, expected.split(' ').collect::<Vec<_>>());
    assert_eq!(
        lines[2].split_whitespace().collect::<Vec<_>>()[2..],
        ["5", "0", "0", "2", "0", "0", "3", "2", "0", "4"]
    );
    assert_eq!(lines.len(), 6, "unreadable and withheld rows are told: {lines:#?}");
    let told = "incomplete: 2 rows withheld, as the configuration says; --publish-missing publishes them";
    assert_eq!(lines[5], told);
}

#[test]
fn what_is_left_is_told_in_words() {
    let waiting = Counts { expected: 2, missing: 2, ..Counts::default() };
    let cells = [cell("a", "2026-02-03T08:00:00Z", waiting)];
    let dry = StreamOutcome { is_dry_run: true, ..outcome(&cells, 0) };
    assert_eq!(dry.table(false).last().unwrap(), "incomplete: 2 rows that would be published");
    let failed = outcome(&cells, 1).table(false);
    assert!(failed.last().unwrap().starts_with("incomplete: 2 rows that could not be published"), "{failed:#?}");
    let unread = StreamOutcome { tried_until: None, ..outcome(&[], 2) };
    assert_eq!(unread.table(false).last().unwrap(), "incomplete: 2 windows that could not be read whole");
    let mut expired = outcome(&[], 0);
    expired.windows.expired = 1;
    assert!(expired.table(false).last().unwrap().contains("1 window that left the provider"));
}

#[test]
fn an_accounts_name_can_not_break_the_table() {
    let cells = [cell("a\n\u{1b}[2J", "2026-02-03T08:00:00Z", short())];
    let lines = outcome(&cells, 1).table(false);
    assert!(lines.iter().all(|line| !line.contains(char::is_control)), "{lines:#?}");
}

#[test]
fn lines_of_json_hold_every_number() {
    let parsed = |line: Result<String, serde_json::Error>| -> Value { serde_json::from_str(&line.unwrap()).unwrap() };
    let numbers = json!({"expected": 3009, "held": 3001, "missing": 7, "new": 0, "updated": 0, "published": 7,
        "unreadable": 0, "withheld": 0, "unexplained": 1, "surplus": 0});
    let with = |mut object: Value| {
        object.as_object_mut().unwrap().extend(numbers.as_object().unwrap().clone());
        object
    };
    let short_cell = cell(ORG, "2026-02-03T09:00:00Z", short());
    assert_eq!(
        parsed(lines::cell("cdr", &short_cell)),
        with(json!({"kind": "cell", "stream": "cdr", "account_id": ORG, "hour": "2026-02-03T09:00:00Z"}))
    );
    assert_eq!(
        parsed(lines::window("cdr", short_cell.hour, short(), WindowState::Open)),
        with(json!({"kind": "window", "stream": "cdr", "from": "2026-02-03T09:00:00Z", "to": "2026-02-03T10:00:00Z",
            "state": "open"}))
    );
    let windows = WindowNumbers { complete: 47, open: 1, expired: 0 };
    let summary = Summary { source_name: "w", windows, totals: short(), requests: 48, scanned_records: 9, seconds: 3 };
    assert_eq!(
        parsed(lines::summary(&summary)),
        json!({"kind": "summary", "source": "w", "windows": {"complete": 47, "open": 1, "expired": 0},
            "totals": numbers, "requests": 48, "scanned_records": 9, "seconds": 3})
    );
}
