//! `trunkline spool`, run as people run it.

use std::path::Path;

use serde_json::Value;
use trunkline::spool::{Options, Store};

use crate::harness::program::{Finished, Place};
use crate::harness::rows::{Step, changes};
use crate::harness::webhook::inbound;
use crate::harness::{INBOUND, TestApp};

fn filled(place: &Place) -> Store {
    let options = Options { dir: place.path("spool"), vfs: None };
    let mut store = Store::open(&options).unwrap().store;
    let steps = [Step::Append(1, 100), Step::Append(2, 100), Step::Append(5, 40_000), Step::Bury(9, 70)];
    store.apply(&changes(&steps)).unwrap();
    store
}

fn run(place: &Place, arguments: &[&str]) -> Finished {
    let dir = place.path("spool");
    place.run(&[&["spool"], arguments, &["--dir", dir.to_str().unwrap()]].concat())
}

fn overwrite(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let end = bytes.len() - at;
    bytes[end] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn list_shows_rows_and_quarantine_and_never_a_value() {
    let place = Place::new();
    drop(filled(&place));
    let listed = run(&place, &["list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    for part in [
        "waiting for Kafka: 3 rows, ",
        "in the quarantine: 1 rows, ",
        "NUMBER",
        "vonage-eu",
        "too_large",
        "dead-letter.v1",
    ] {
        assert!(listed.stdout.contains(part), "{part:?} is in {}", listed.stdout);
    }
    let lines = run(&place, &["list", "--json", "--limit", "2"]).stdout;
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.iter().map(|row| row["number"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 9]);
    assert_eq!(rows[0]["key"], "vonage:abcd1234:aaaaaaaa-bbbb-cccc-dddd-000000000001");
    assert_eq!((&rows[0]["source_name"], &rows[0]["provider"]), (&"vonage-eu".into(), &"vonage".into()));
    assert_eq!(
        (&rows[2]["quarantine"]["reason"], &rows[2]["spooled_at"]),
        (&"too_large".into(), &"2026-02-03T12:14:26.103Z".into())
    );
    assert!(rows.iter().all(|row| row.get("value").is_none()));
}

#[test]
fn verify_tells_by_its_exit_code_whether_everything_holds() {
    let place = Place::new();
    let mut store = filled(&place);
    while store.give_back(100).unwrap() {}
    drop(store);
    let good = run(&place, &["verify"]);
    assert_eq!((good.code, good.stdout.as_str()), (Some(0), "3 rows and 1 rows of the quarantine hold."), "{good:?}");
    // The large row's last page is somewhere in the file: the byte is one of its value.
    let database = place.path("spool").join("spool.db");
    let at = std::fs::read(&database).unwrap().len() / 2;
    overwrite(&database, at);
    let bad = run(&place, &["verify"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.stderr.contains("row 5 is damaged"), "{bad:?}");
    assert!(run(&place, &["list"]).stdout.contains("damaged: its checksum does not hold"));
}

#[test]
fn a_spool_that_is_in_use_missing_or_damaged_is_left_alone_with_a_clear_error() {
    let place = Place::new();
    let missing = run(&place, &["list"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("there is no spool in"), "{missing:?}");
    assert!(!place.path("spool").exists());
    let mut store = filled(&place);
    while store.give_back(100).unwrap() {}
    let in_use = run(&place, &["verify"]);
    assert_eq!(in_use.code, Some(1));
    assert!(in_use.stderr.contains("is in use by another process"), "{in_use:?}");
    drop(store);
    let database = place.path("spool").join("spool.db");
    std::fs::write(&database, "rubbish").unwrap();
    let damaged = run(&place, &["list"]);
    assert_eq!(damaged.code, Some(1));
    assert!(damaged.stderr.contains("trunkline serve"), "{damaged:?}");
    assert_eq!(std::fs::read(&database).unwrap(), b"rubbish");
}

/// A service whose Kafka is away, with three events in its spool.
async fn with_three_spooled() -> TestApp {
    let app = TestApp::start_with("kafka.ack_timeout_ms = 50\nsource.on_kafka_down = \"spool\"").await;
    app.broker.go_down().unwrap();
    for _ in 0..3 {
        assert_eq!(app.post(&inbound()).await.status, 200);
    }
    app
}

fn configuration(place: &Place, app: &TestApp) -> String {
    let admin = app.admin_url("").replace("http://", "");
    let text = format!(
        "[admin]\nlisten = \"{admin}\"\n[kafka]\nbootstrap_servers = \"{}\"\ncreate_topics = false\n\
         [[sources]]\nname = \"s\"\nprovider = \"vonage\"\nsignature_secrets = [\"env:VONAGE_SECRET\"]\n",
        app.brokers()
    );
    place.file("trunkline.toml", &text).to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_asked_and_told_to_drain() {
    let app = with_three_spooled().await;
    let place = Place::new();
    let file = configuration(&place, &app);
    let run = |arguments: &[&str]| place.run(&[&["spool"], arguments, &["--config", &file]].concat());
    let listed = run(&["list", "--json"]);
    assert_eq!((listed.code, listed.stdout.lines().count()), (Some(0), 3), "{listed:?}");
    assert!(listed.stdout.lines().all(|line| line.contains("vonage:abcd1234:")));
    assert!(run(&["list"]).stdout.contains("waiting for Kafka: 3 rows, "));
    let verified = run(&["verify"]);
    assert_eq!((verified.code, verified.stdout.as_str()), (Some(0), "3 rows and 0 rows of the quarantine hold."));
    let waiting = run(&["drain", "--timeout-s", "1"]);
    assert_eq!(waiting.code, Some(3), "{waiting:?}");
    app.broker.come_up().unwrap();
    let drained = run(&["drain"]);
    assert_eq!(drained.code, Some(0), "{drained:?}");
    assert_eq!(app.records(INBOUND).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphaned_directory_is_drained_by_the_command() {
    let mut app = with_three_spooled().await;
    let place = Place::new();
    let file = configuration(&place, &app);
    let dir = app.spool().join("spool").to_str().unwrap().to_owned();
    let drain = |timeout| place.run(&["spool", "drain", "--dir", &dir, "--timeout-s", timeout, "--config", &file]);
    let in_use = drain("1");
    assert_eq!(in_use.code, Some(1));
    assert!(in_use.stderr.contains("stop the service first"), "{in_use:?}");
    assert_eq!(app.stop().await.spooled, 3);
    let unasked = place.run(&["spool", "list", "--config", &file]);
    assert_eq!(unasked.code, Some(1));
    assert!(unasked.stderr.contains("no service answers at"), "{unasked:?}");
    let away = drain("1");
    assert_eq!((away.code, away.stdout.as_str()), (Some(3), "3 events wait in the spool, 0 are in the quarantine."));
    app.broker.come_up().unwrap();
    let drained = drain("60");
    assert_eq!(drained.code, Some(0), "{drained:?}");
    assert_eq!(app.records(INBOUND).len(), 3);
}
