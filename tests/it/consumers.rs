//! The statements of `examples/consumers/sql`, run as a consumer runs them.

use std::path::Path;

use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

/// A consumer's database.
struct Consumer(Connection);

fn statement(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/consumers/sql").join(name).with_extension("sql");
    std::fs::read_to_string(file).unwrap()
}

impl Consumer {
    fn new() -> Self {
        let database = Connection::open_in_memory().unwrap();
        database.execute_batch(&statement("tables")).unwrap();
        Self(database)
    }

    /// Takes one event and tells whether it was new.
    fn take(&self, event: &Value, facthash: &str) -> bool {
        let id = event["event_id"].as_str().unwrap();
        let is_new = self.0.execute(&statement("event"), params![id, facthash, event.to_string()]).unwrap() == 1;
        if is_new {
            self.0.execute(&statement(event["kind"].as_str().unwrap()), [id, facthash]).unwrap();
        }
        is_new
    }

    /// The only row of a question.
    fn row(&self, question: &str) -> Vec<Cell> {
        let mut statement = self.0.prepare(question).unwrap();
        let columns = statement.column_count();
        let mut rows = statement
            .query_map([], |row| (0..columns).map(|column| row.get(column)).collect::<Result<Vec<Cell>, _>>())
            .unwrap();
        let row = rows.next().unwrap().unwrap();
        assert!(rows.next().is_none(), "{question} has more than one row");
        row
    }

    fn status(&self) -> String {
        match &self.row("SELECT status FROM message_status")[0] {
            Cell::Text(status) => status.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn status(status: &str, rank: u32, occurred_at: &str) -> Value {
    json!({
        "event_id": format!("{status}-{occurred_at}"), "kind": "message_status", "provider": "vonage", "account_id": "abcd1234",
        "message_id": "m-1", "to": {"kind": "phone", "e164": "+447700900000", "value": "447700900000"}, "status": status,
        "status_rank": rank, "is_final": rank >= 35, "occurred_at": occurred_at, "received_at": "2026-01-01T00:10:00Z",
    })
}

fn record(id: &str, leg: &str, state: &str, version: &str, received_at: &str, talk_ms: u64) -> Value {
    json!({
        "event_id": format!("{id}-{leg}-{state}-{version}"), "kind": "call_record", "provider": "webex",
        "account_id": "org-1", "record_id": id, "leg_id": leg, "session_id": "s-1", "state": state, "record_version": version,
        "received_at": received_at, "direction": "inbound", "outcome": "answered", "answered": true,
        "started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:05:00.5Z", "talk_ms": talk_ms,
    })
}

fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = items.split_first() else { return vec![Vec::new()] };
    let insert = |order: Vec<T>| {
        (0..=order.len()).map(move |place| [&order[..place], std::slice::from_ref(first), &order[place..]].concat())
    };
    permutations(rest).into_iter().flat_map(insert).collect()
}

#[test]
fn the_greatest_rank_wins_in_whatever_order_statuses_come() {
    let events = [
        status("sent", 30, "2026-01-01T00:00:03Z"),
        status("failed", 40, "2026-01-01T00:00:02Z"),
        status("delivered", 50, "2026-01-01T00:00:01Z"),
        status("queued", 20, "2026-01-01T00:00:04Z"),
    ];
    for order in permutations(&events) {
        let consumer = Consumer::new();
        assert!(order.iter().all(|event| consumer.take(event, "")));
        assert_eq!(
            consumer.row("SELECT status, status_rank, is_final, since FROM message_status"),
            [text("delivered"), Cell::Integer(50), Cell::Integer(1), text("2026-01-01T00:00:01")]
        );
    }
}

#[test]
fn at_equal_rank_the_later_time_wins_and_then_the_first() {
    let consumer = Consumer::new();
    consumer.take(&status("failed", 40, "2026-01-01T00:00:01Z"), "");
    consumer.take(&status("rejected", 40, "2026-01-01T00:00:01.5Z"), "");
    assert_eq!(consumer.status(), "rejected");
    consumer.take(&status("expired", 40, "2026-01-01T00:00:01.5Z"), "");
    consumer.take(&status("canceled", 40, "2026-01-01T00:00:01.25Z"), "");
    assert_eq!(consumer.status(), "rejected");
}

#[test]
fn a_copy_changes_nothing_and_a_correction_fills_what_was_empty() {
    let consumer = Consumer::new();
    let mut delivered = status("delivered", 50, "2026-01-01T00:00:01Z");
    assert!(consumer.take(&delivered, "0000000000000001"));
    assert!(!consumer.take(&delivered, "0000000000000001"));
    delivered["price"] = json!({"amount": "0.0333", "currency": "EUR"});
    assert!(consumer.take(&delivered, "0000000000000002"));
    consumer.take(&status("sent", 30, "2026-01-01T00:00:02Z"), "");
    assert_eq!(
        consumer.row("SELECT status, price_amount, price_currency FROM message_status"),
        [text("delivered"), text("0.0333"), text("EUR")]
    );
}

#[test]
fn a_final_record_and_the_greater_version_win_in_whatever_order_they_come() {
    let records = [
        record("r-1", "l-1", "provisional", "h:00000000000000ff", "2026-01-01T00:09:00Z", 1),
        record("r-1", "l-1", "final", "2026-01-01T00:06:00.000Z", "2026-01-01T00:08:00Z", 2),
        record("r-1", "l-1", "final", "2026-01-01T00:07:00.000Z", "2026-01-01T00:07:30Z", 3),
    ];
    for order in permutations(&records) {
        let consumer = Consumer::new();
        assert!(order.iter().all(|event| consumer.take(event, "")));
        assert_eq!(consumer.row("SELECT is_final, talk_ms FROM call_record"), [Cell::Integer(1), Cell::Integer(3)]);
    }
}

#[test]
fn where_versions_are_hashes_the_record_received_later_wins() {
    let consumer = Consumer::new();
    consumer.take(&record("r-1", "l-1", "final", "h:00000000000000ff", "2026-01-01T00:09:00.5Z", 1), "");
    consumer.take(&record("r-1", "l-1", "final", "h:0000000000000001", "2026-01-01T00:09:00.75Z", 2), "");
    consumer.take(&record("r-1", "l-1", "final", "h:ffffffffffffffff", "2026-01-01T00:09:00Z", 3), "");
    assert_eq!(consumer.row("SELECT talk_ms FROM call_record"), [Cell::Integer(2)]);
}

#[test]
fn the_legs_of_a_call_are_joined_by_its_session() {
    let consumer = Consumer::new();
    consumer.take(&record("r-1", "l-1", "final", "v", "2026-01-01T00:09:00Z", 1000), "");
    consumer.take(&record("r-2", "l-2", "final", "v", "2026-01-01T00:09:00Z", 2000), "");
    // Two provisional legs of one record, which the provider then reports as a whole.
    consumer.take(&record("r-3", "l-3", "provisional", "h:1", "2026-01-01T00:09:00Z", 4000), "");
    consumer.take(&record("r-3", "l-4", "provisional", "h:2", "2026-01-01T00:09:00Z", 8000), "");
    consumer.take(&record("r-3", "", "final", "h:3", "2026-01-01T00:10:00Z", 16000), "");
    assert_eq!(
        consumer.row(&statement("calls")),
        [
            text("webex"),
            text("org-1"),
            text("s-1"),
            Cell::Integer(3),
            text("2026-01-01T00:00:00"),
            text("2026-01-01T00:05:00.5"),
            Cell::Integer(19000),
            Cell::Integer(1),
            Cell::Integer(1),
        ]
    );
}

/// What the mapping makes of a webhook of Vonage's Voice API.
fn of_voice(file: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vonage");
    let text = std::fs::read_to_string(folder.join(file).with_extension("events.json")).unwrap();
    let made: Value = serde_json::from_str(&text).unwrap();
    made["records"].as_array().unwrap().iter().map(|record| record["value"].clone()).collect()
}

#[test]
fn calls_are_joined_from_the_records_of_webhooks_too() {
    let consumer = Consumer::new();
    for file in ["call-event+call-record/completed", "call-event+call-record/completed-by-get"] {
        let records = of_voice(file).into_iter().filter(|event| event["kind"] == "call_record");
        records.for_each(|record| assert!(consumer.take(&record, "")));
    }
    let call = consumer.row(&statement("calls"));
    assert_eq!(call[2], text("CON-2541d01c-253e-48be-a8e0-000000000001"));
    assert_eq!(
        call[3..],
        [
            Cell::Integer(2),
            Cell::Null,
            text("2026-02-03T12:14:40"),
            Cell::Integer(14_000),
            Cell::Integer(1),
            Cell::Integer(0),
        ]
    );
}

#[test]
fn an_end_that_tells_a_cause_wins_over_one_that_tells_less_in_whatever_order_they_come() {
    let ends = ["call-event/busy", "call-event+call-record/completed-after-busy", "call-event/ringing"];
    let events: Vec<Value> = ends.iter().map(|file| of_voice(file).remove(0)).collect();
    for order in permutations(&events) {
        let consumer = Consumer::new();
        for event in &order {
            let id = event["event_id"].as_str().unwrap();
            consumer.0.execute(&statement("event"), params![id, "", event.to_string()]).unwrap();
        }
        let ending = consumer.row(&statement("endings"));
        assert_eq!(ending[3..5], [text("0a1b2c3d4e5f60718293a4b5c6d7e8f9"), text("busy")]);
    }
}

#[test]
fn an_event_without_what_the_state_needs_is_refused_and_can_be_set_aside() {
    let consumer = Consumer::new();
    let event = json!({"event_id": "e-1", "kind": "message_status"});
    consumer.0.execute(&statement("event"), params!["e-1", "", event.to_string()]).unwrap();
    let refused = consumer.0.execute(&statement("message_status"), ["e-1", ""]).unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::ConstraintViolation));
    for changed in [1, 0] {
        let place = params!["telecom.message-status.v1", 3, 12345, "NOT NULL"];
        assert_eq!(consumer.0.execute(&statement("unreadable"), place).unwrap(), changed);
    }
}
