//! A client of Webex's API that nobody here has written reads from the double as from Webex.

use serde_json::{Value, json};
use trunkline::event::time::Time;
use trunkline::provider::double::world::HOUR_MS;

use crate::harness::double::{TestDouble, world};
use crate::harness::python::{self, Library};

const LIBRARY: Library = Library { folder: "vendor-webex", requirements: "tests/vendor/webex-requirements.txt" };

const MANNERS: &str = "[manners]\npage_records = 7\n";

/// A window by hours and minutes since the world began.
fn window(from_min: i64, to_min: i64) -> Value {
    let moment = |minutes: i64| Time::from_unix_ms(world().since.unix_ms() + minutes * 60_000).unwrap().to_string();
    json!({"from": moment(from_min), "to": moment(to_min)})
}

fn ids(records: &Value) -> Vec<&str> {
    records.as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_of_others_reads_both_feeds_to_their_ends_and_keeps_webhooks() {
    let double = TestDouble::start("webex", world(), MANNERS);
    let asked = json!({
        "base": double.bases.first, "client_id": double.credential("client_id"),
        "client_secret": double.credential("client_secret"), "refresh_token": double.credential("refresh_token"),
        "feed": window(0, 60), "stream": window(60, 120), "nothing": window(-60, -30), "young": window(100, 179),
        "webhooks": 5,
    });
    double.play(&format!("{MANNERS}rates = false")).await;
    let Some(told) =
        tokio::task::spawn_blocking(move || python::run(&LIBRARY, "tests/vendor/webex.py", &asked)).await.unwrap()
    else {
        return;
    };
    let facts = double.facts("to=2026-02-03T13:00:00Z").await;
    let own: Vec<&Value> = facts.iter().filter(|fact| fact["account_id"] == double.credential("org_id")).collect();
    let within = |name: &str, from_min: i64| -> Vec<&str> {
        let moment_ms = |fact: &Value| Time::parse_iso(fact[name].as_str().unwrap()).unwrap().unix_ms();
        let from_ms = world().since.unix_ms() + from_min * 60_000;
        let mut within: Vec<_> =
            own.iter().filter(|fact| (from_ms..from_ms + HOUR_MS).contains(&moment_ms(fact))).collect();
        within.sort_by_key(|fact| moment_ms(fact));
        within.iter().map(|fact| fact["record_id"].as_str().unwrap()).collect()
    };
    assert!(within("report_time", 0).len() > 7, "there are several pages");
    assert_eq!(ids(&told["feed"]), within("report_time", 0));
    assert_eq!(ids(&told["stream"]), within("learnt_at", 60));
    assert_ne!(told["refresh_token"], double.credential("refresh_token"));
    let refused = |name: &str| (told[name]["status"].as_u64().unwrap(), told[name]["message"].as_str().unwrap());
    assert_eq!(refused("nothing"), (404, "No CDRs for requested time range and filters"));
    assert_eq!(refused("young"), (400, "End time is not older than 5 minutes"));
    assert_eq!(told["listed"], json!(["Calls 0", "Calls 1", "Calls 2", "Calls 3", "Calls 4"]));
    assert_eq!(told["changed"], json!(["Changed", "https://b.example.com/", "active"]));
    assert_eq!(told["left"], json!(["Changed", "Calls 1", "Calls 2", "Calls 3"]));
}
