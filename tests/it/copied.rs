//! `trunkline recordings ... copy` against the double of Telphin's API, into a folder and into a store of S3.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::double::{TestDouble, world};
use crate::harness::program::{Finished, Place};
use crate::harness::python::{Library, repository};
use crate::harness::{CALL_EVENT, TestApp, schema, value_of};

const STORE: Library =
    Library { folder: "vendor-recordings-store", requirements: "tests/vendor/recordings-store-requirements.txt" };

fn place(app: &TestApp, double: &TestDouble, recordings: &str) -> Place {
    let place = Place::new();
    place.file(
        "trunkline.toml",
        &format!(
            "[kafka]\nbootstrap_servers = \"{}\"\ncreate_topics = false\n[spool]\ndir = {:?}\n[[sources]]\nname = \"telphin\"\n\
             provider = \"telphin\"\naccount_id = \"999\"\nurl_tokens = [\"a-long-random-token\"]\nclient_id = \"{}\"\n\
             client_secret = \"{}\"\napi_url = \"{}\"\n[sources.recordings]\n{recordings}",
            app.brokers(),
            place.path("spool"),
            double.credential("client_id"),
            double.credential("client_secret"),
            double.bases.first,
        ),
    );
    place
}

fn copy(place: &Place) -> Finished {
    let range = ["--from", "2026-02-03T10:00:00Z", "--to", "2026-02-03T10:20:00Z"];
    let arguments = [&["--log", "error", "recordings", "telphin", "copy"][..], &range].concat();
    // The double answers on this test's own threads.
    tokio::task::block_in_place(|| place.run(&arguments))
}

/// The recordings that should be copied: the name of each, and how many there are.
async fn recorded(double: &TestDouble) -> Vec<String> {
    let facts = double.facts("from=2026-02-03T10:00:00Z&to=2026-02-03T10:20:00Z").await;
    let recordings = facts.iter().filter_map(|fact| fact["recording"].as_str());
    let mut names: Vec<String> = recordings.map(|id| format!("telphin/2026/02/03/{id}.mp3")).collect();
    names.sort();
    names
}

fn copies(app: &TestApp) -> Vec<Value> {
    app.records(CALL_EVENT).iter().map(value_of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recording_is_copied_into_a_folder_once_with_an_event() {
    let app = TestApp::start().await;
    let double = TestDouble::start("telphin", world(), "");
    let folder = tempfile::tempdir().unwrap();
    let place = place(&app, &double, &format!("copy_to = \"file://{}/calls\"\n", folder.path().display()));
    let first = copy(&place);
    let names = recorded(&double).await;
    assert!(names.len() > 15, "{}", names.len());
    assert_eq!(first.stdout, format!("{} copied, 0 there before, 0 not ready yet, 0 failed", names.len()), "{first:?}");
    let events = copies(&app);
    assert_eq!(events.len(), names.len());
    for event in &events {
        schema::assert_valid(event);
        assert_eq!((&event["event"], &event["product"]), (&json!("recording_ready"), &json!("recordings")));
        let recording = &event["recording"];
        let path = recording["uri"].as_str().unwrap().strip_prefix("file://").unwrap();
        let bytes = std::fs::read(path).unwrap();
        assert_eq!((&recording["bytes"], &recording["content_type"]), (&json!(bytes.len()), &json!("audio/mpeg")));
        assert_eq!(recording["sha256"], hex::encode(Sha256::digest(&bytes)));
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(path.ends_with(&format!("/calls/telphin/2026/02/03/{}.mp3", event["recording_id"].as_str().unwrap())));
        assert!(!event.to_string().contains("/records/"), "the provider's link is shown nowhere");
    }
    let again = copy(&place);
    assert_eq!(again.stdout, format!("0 copied, {} there before, 0 not ready yet, 0 failed", names.len()));
    let one = folder.path().join("calls").join(&names[0]);
    std::fs::write(&one, b"half").unwrap();
    std::fs::remove_file(folder.path().join("calls").join(&names[1])).unwrap();
    assert!(copy(&place).stdout.starts_with("2 copied"), "what is not whole is copied again");
    let ids: std::collections::BTreeSet<String> =
        copies(&app).iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((copies(&app).len(), ids.len()), (names.len() + 2, names.len()), "under the same id");
    let files = std::fs::read_dir(folder.path().join("calls/telphin/2026/02/03")).unwrap().count();
    assert_eq!(files, names.len(), "nothing is left over");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ready_is_left_and_what_can_not_be_done_is_told() {
    let app = TestApp::start().await;
    let double = TestDouble::start("telphin", world(), "");
    let folder = tempfile::tempdir().unwrap();
    let copy_to = format!("copy_to = \"file://{}\"\n", folder.path().display());
    double.play("[[fault]]\nwhen = { path = \"/records/*\" }\nthen = { status = 500 }\n").await;
    let failed = copy(&place(&app, &double, &copy_to));
    assert!(failed.code == Some(4) && failed.stdout.contains("0 copied"), "{failed:?}");
    assert_eq!(copies(&app).len(), 0);
    let closed = Place::new();
    closed.file("file", "");
    let nowhere = format!("copy_to = \"file://{}/below\"\n", closed.path("file").display());
    let told = copy(&place(&app, &double, &nowhere));
    assert!(told.code == Some(1) && told.stderr.contains("the store of recordings"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_copied_into_a_store_of_s3_is_what_others_read_there() {
    let Some(python) = STORE.python() else { return };
    let mut store = Command::new(python)
        .arg(repository().join("tests/vendor/recordings_store.py"))
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (store.stdin.take().unwrap(), BufReader::new(store.stdout.take().unwrap()));
    let mut ask = |command: Value| -> Value {
        writeln!(stdin, "{command}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let url = ask(json!({"start": "recordings"}))["url"].as_str().unwrap().to_owned();
    let app = TestApp::start().await;
    let double = TestDouble::start("telphin", world(), "");
    let s3 = format!(
        "copy_to = \"s3://recordings/a/prefix\"\n[sources.recordings.s3]\nendpoint = \"{url}\"\naccess_key_id = \"a-key\"\n\
         secret_access_key = \"a-secret-of-the-store\"\n"
    );
    let place = place(&app, &double, &s3);
    let names = recorded(&double).await;
    let first = copy(&place);
    assert!(first.stdout.starts_with(&format!("{} copied, 0 there", names.len())), "{first:?}");
    assert!(copy(&place).stdout.starts_with(&format!("0 copied, {} there", names.len())));
    let objects = ask(json!({"list": "recordings"}))["objects"].as_array().unwrap().clone();
    let keys: Vec<&str> = objects.iter().map(|object| object["key"].as_str().unwrap()).collect();
    assert_eq!(keys, names.iter().map(|name| format!("a/prefix/{name}")).collect::<Vec<_>>());
    for event in copies(&app) {
        let recording = &event["recording"];
        let key = recording["uri"].as_str().unwrap().strip_prefix("s3://recordings/").unwrap();
        let object = objects.iter().find(|object| object["key"] == key).unwrap();
        for member in ["bytes", "content_type", "sha256"] {
            assert_eq!(object[member], recording[member], "{member}");
        }
    }
    assert!(!first.stderr.contains("a-secret-of-the-store"));
    drop(stdin);
    store.wait().unwrap();
}
