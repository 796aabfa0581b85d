//! `trunkline recordings` against the double of Telphin's API, through the whole program.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::harness::double::{TestDouble, json, world};
use crate::harness::program::{Finished, Place};

const RANGE: [&str; 4] = ["--from", "2026-02-03T10:00:00Z", "--to", "2026-02-03T11:00:00Z"];

fn place(double: &TestDouble) -> Place {
    let place = Place::new();
    place.file(
        "trunkline.toml",
        &format!(
            "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[[sources]]\nname = \"telphin\"\nprovider = \"telphin\"\n\
             account_id = \"999\"\nurl_tokens = [\"a-long-random-token\"]\nclient_id = \"{}\"\nclient_secret = \"{}\"\n\
             api_url = \"{}\"\n[[sources]]\nname = \"other\"\nprovider = \"webex\"\nsignature_secrets = [\"secret\"]\n\
             access_token = \"token\"\n",
            double.credential("client_id"),
            double.credential("client_secret"),
            double.bases.first,
        ),
    );
    place
}

fn double(script: &str) -> TestDouble {
    TestDouble::start("telphin", world(), script)
}

fn run(place: &Place, arguments: &[&str]) -> Finished {
    let arguments = [&["--log", "error", "recordings", "telphin"], arguments].concat();
    // The double answers on this test's own threads.
    tokio::task::block_in_place(|| place.run(&arguments))
}

fn listed(place: &Place, more: &[&str]) -> Vec<Value> {
    let finished = run(place, &[&["list"], &RANGE[..], &["--json"], more].concat());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn id(recording: &Value) -> &str {
    recording["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_listed_at_each_level_and_summed() {
    let double = double("");
    let place = place(&double);
    let facts = double.facts("from=2026-02-03T10:00:00Z&to=2026-02-03T11:00:00Z").await;
    let recorded = facts.iter().filter(|fact| fact["recording"].is_string()).count();
    let all = listed(&place, &[]);
    assert_eq!((all.len(), recorded > 50), (recorded, true));
    let extension = all[0]["extension_id"].as_str().unwrap();
    let of_extension = listed(&place, &["--extension", extension]);
    assert!(!of_extension.is_empty() && of_extension.iter().all(|one| one["extension_id"] == *extension));
    assert!(listed(&place, &["--group", "77"]).len() < all.len());
    let table = run(&place, &[&["list"], &RANGE[..]].concat()).stdout;
    assert!(table.starts_with("RECORDING") && table.lines().count() == all.len() + 1, "{table}");
    let stats = run(&place, &[&["stats"], &RANGE[..]].concat());
    assert_eq!(serde_json::from_str::<Value>(&stats.stdout).unwrap()["call_records_count"], recorded);
    let archive = run(&place, &[&["archive", "--email", "ann@example.com"], &RANGE[..]].concat());
    assert!(archive.code == Some(0) && archive.stdout.contains("queued"), "{archive:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_fetched_once_and_whole_without_showing_anything_to_the_store() {
    let double = double("");
    let place = place(&double);
    let all = listed(&place, &[]);
    let output = place.path("recordings");
    let folder = output.to_str().unwrap().to_owned();
    let download = |more: &[&str]| run(&place, &[&["download", "--output", &folder], more].concat());
    let fetched = download(&RANGE);
    assert_eq!((fetched.code, fetched.stdout.lines().count()), (Some(0), all.len()), "{fetched:?}");
    for recording in &all {
        let file = std::fs::metadata(output.join(format!("{}.mp3", id(recording)))).unwrap();
        assert_eq!((file.len(), file.permissions().mode() & 0o777), (recording["size_bytes"].as_u64().unwrap(), 0o600));
    }
    let store = |log: &[Value]| log.iter().filter(|entry| entry["door"] == "second").count();
    let log = double.log().await;
    assert_eq!(store(&log), all.len());
    assert!(log.iter().filter(|entry| entry["door"] == "second").all(|entry| entry["authorization"] == false));
    assert_eq!(download(&RANGE).code, Some(0));
    assert_eq!(store(&double.log().await), all.len(), "what is there is passed over");
    let again = download(&[id(&all[0]), "1-UNKNOWN"]);
    assert!(again.code == Some(4) && again.stderr.contains("1-UNKNOWN"), "{again:?}");
    assert_eq!(download(&["1-UNKNOWN"]).code, Some(1));
    assert_eq!(std::fs::read_dir(&output).unwrap().count(), all.len(), "nothing half is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_store_the_api_has_the_file_and_what_is_cut_is_not_kept() {
    let double = double("[manners]\nstore = \"none\"\n");
    let place = place(&double);
    let all = listed(&place, &[]);
    let folder = place.path("recordings").to_str().unwrap().to_owned();
    let one = run(&place, &["download", id(&all[0]), "--output", &folder]);
    assert_eq!(one.code, Some(0), "{one:?}");
    let bytes = std::fs::read(place.path("recordings").join(format!("{}.mp3", id(&all[0])))).unwrap();
    assert_eq!(bytes.len() as u64, all[0]["size_bytes"].as_u64().unwrap());
    double.play("[[fault]]\nwhen = { path = \"/records/*\" }\nthen = { cut_bytes = 10 }\n").await;
    let cut = run(&place, &["download", id(&all[1]), "--output", &folder]);
    assert!(cut.code == Some(1) && cut.stderr.contains("truncated"), "{cut:?}");
    assert_eq!(std::fs::read_dir(place.path("recordings")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_shown_to_whoever_asks_and_lead_to_the_file() {
    let double = double("");
    let place = place(&double);
    let all = listed(&place, &[]);
    let shown = run(&place, &["url", id(&all[0])]);
    let link = shown.stdout.trim().to_owned();
    let target = link.strip_prefix(&double.bases.second).unwrap();
    let size = double.get_second(target).send().await.unwrap().bytes().await.unwrap().len();
    assert_eq!(size as u64, all[0]["size_bytes"].as_u64().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_without_being_asked_for_twice() {
    let double = double("");
    let place = place(&double);
    let all = listed(&place, &[]);
    let delete = |more: &[&str]| run(&place, &[&["delete"], more].concat());
    let asked = delete(&RANGE);
    assert!(asked.code == Some(2) && asked.stdout.contains(id(&all[0])), "{asked:?}");
    assert_eq!(listed(&place, &[]).len(), all.len());
    let one = delete(&[id(&all[0]), "--yes"]);
    assert_eq!((one.code, one.stdout.as_str()), (Some(0), "1 deleted"));
    let group = delete(&[&["--group", "77", "--yes"], &RANGE[..]].concat());
    assert_eq!(group.code, Some(0), "{group:?}");
    assert!(listed(&place, &["--group", "77"]).is_empty());
    let left = listed(&place, &[]).len();
    let rest = delete(&[&["--yes"], &RANGE[..]].concat());
    assert_eq!((rest.code, rest.stdout), (Some(0), format!("{left} deleted")));
    assert!(listed(&place, &[]).is_empty());
    let later = ["list", "--from", "2026-02-03T11:00:00Z", "--to", "2026-02-03T12:00:00Z"];
    assert!(run(&place, &later).stdout.lines().count() > 20, "the next hour is whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_done_is_told() {
    let double = double("[manners]\nclient_id = 1000\n");
    let place = place(&double);
    let folder = place.path("recordings").to_str().unwrap().to_owned();
    let foreign = run(&place, &[&["download", "--output", &folder], &RANGE[..]].concat());
    assert!(foreign.code == Some(1) && foreign.stderr.contains("wrong_account"), "{foreign:?}");
    let webex = tokio::task::block_in_place(|| place.run(&[&["recordings", "other", "list"], &RANGE[..]].concat()));
    assert!(webex.code == Some(1) && webex.stderr.contains("no recordings"), "{webex:?}");
    for wrong in [&["url", "../x"][..], &["delete", "--yes"], &["download", "1-A"], &["list", "--from", "yesterday"]] {
        assert_eq!(run(&place, wrong).code, Some(2), "{wrong:?}");
    }
    let later = "[[fault]]\nwhen = { path = \"/api/*\" }\nthen = { status = 429, body = \"{\\\"status\\\":\\\"rate_limit_exceeded\\\"}\" }\n";
    double.play(later).await;
    let put_off = run(&place, &[&["list"], &RANGE[..]].concat());
    assert!(put_off.code == Some(4) && put_off.stderr.contains("asked again in"), "{put_off:?}");
    let log = json(double.get("/_double/log").send().await.unwrap()).await;
    assert!(!log.to_string().contains("client_secret"));
}
