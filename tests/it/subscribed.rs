//! `trunkline subscribe` against the doubles of APIs that take subscriptions, through the whole program.

use std::sync::Arc;

use serde_json::{Value, json};
use trunkline::config::{self, Environment};
use trunkline::outbound::access::NoVault;
use trunkline::outbound::{Client, ClientSettings, Line, real_sleep};
use trunkline::provider::subscriptions::Destination;
use trunkline::subscriptions::{Kept, keep};
use trunkline::telemetry::metrics::Metrics;

use crate::harness::double::{self, TestDouble, world};
use crate::harness::program::{Finished, Place};

fn place(source: &str) -> Place {
    let place = Place::new();
    let head = "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[server]\npublic_url = \"https://hooks.example.com\"\n";
    place.file("trunkline.toml", &format!("{head}[[sources]]\n{source}"));
    place
}

fn telphin(double: &TestDouble, token: &str) -> Place {
    place(&format!(
        "name = \"telphin\"\nprovider = \"telphin\"\naccount_id = \"999\"\nurl_tokens = [\"{token}\"]\nclient_id = \"{}\"\n\
         client_secret = \"{}\"\napi_url = \"{}\"\n",
        double.credential("client_id"),
        double.credential("client_secret"),
        double.bases.first,
    ))
}

fn webex(double: &TestDouble) -> Place {
    place(&format!(
        "name = \"webex\"\nprovider = \"webex\"\nsignature_secrets = [\"the secret of webhooks\"]\naccess_token = \"{}\"\n\
         api_url = \"{}\"\n",
        double.credential("access_token"),
        double.bases.first,
    ))
}

fn subscribe(place: &Place, name: &str, more: &[&str]) -> Finished {
    let arguments = [&["--log", "error", "subscribe", name], more].concat();
    // The double answers on this test's own threads.
    tokio::task::block_in_place(|| place.run(&arguments))
}

fn deeds(finished: &Finished, deed: &str) -> usize {
    finished.stdout.lines().filter(|line| line.starts_with(deed)).count()
}

async fn events(double: &TestDouble, extension: u32) -> Vec<Value> {
    let target = format!("/api/ver1.0/extension/{extension}/event/");
    let answer = double.get(&target).header("accept-encoding", "gzip").send().await.unwrap();
    double::json(answer).await.as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_extension_of_telphin_is_subscribed_once() {
    let double = TestDouble::start("telphin", world(), "");
    let place = telphin(&double, "a-long-random-token");
    let dry = subscribe(&place, "telphin", &["--dry-run"]);
    assert_eq!((dry.code, deeds(&dry, "add")), (Some(4), 9), "{dry:?}");
    assert!(events(&double, 1_000_101).await.is_empty(), "a dry run changes nothing");
    let made = subscribe(&place, "telphin", &[]);
    assert_eq!((made.code, deeds(&made, "add")), (Some(0), 9), "{made:?}");
    assert!(!made.stdout.contains("a-long-random-token") && !made.stderr.contains("a-long-random-token"));
    let of_phone = events(&double, 1_000_101).await;
    assert_eq!((of_phone.len(), events(&double, 1_000_099).await.len()), (4, 1));
    assert_eq!(of_phone[0]["url"], "https://hooks.example.com/webhooks/telphin/a-long-random-token");
    let again = subscribe(&place, "telphin", &[]);
    assert_eq!((again.code, deeds(&again, "keep"), again.stdout.lines().count()), (Some(0), 9, 9));
    let rotated = subscribe(&telphin(&double, "another-long-token"), "telphin", &[]);
    assert_eq!((rotated.code, deeds(&rotated, "repair")), (Some(0), 9), "{rotated:?}");
    let urls: Vec<Value> = events(&double, 1_000_101).await.iter().map(|event| event["url"].clone()).collect();
    assert_eq!(urls, vec![json!("https://hooks.example.com/webhooks/telphin/another-long-token"); 4]);
    let removed = subscribe(&place, "telphin", &["--remove"]);
    assert_eq!((removed.code, deeds(&removed, "remove")), (Some(0), 9));
    assert!(events(&double, 1_000_101).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_quota_leaves_over_is_made_by_the_next_run() {
    let double = TestDouble::start("telphin", world(), "[manners]\nquota_per_hour = 100\nused_by_others = 70\n");
    let place = telphin(&double, "a-long-random-token");
    let first = subscribe(&place, "telphin", &[]);
    assert!(first.code == Some(4) && first.stderr.contains("asked again in"), "{first:?}");
    double.turn_clock(3600);
    double.play("").await;
    let second = subscribe(&place, "telphin", &[]);
    assert!(second.code == Some(0) && deeds(&second, "keep") > 0 && deeds(&second, "add") > 0, "{second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_of_webex_is_made_activated_and_renewed() {
    let double = TestDouble::start("webex", world(), "");
    let place = webex(&double);
    let made = subscribe(&place, "webex", &[]);
    assert_eq!((made.code, made.stdout.as_str()), (Some(0), "add     telephony_calls all"), "{made:?}");
    let webhooks = async || {
        let answer = double.get("/v1/webhooks?ownedBy=org").send().await.unwrap();
        double::json(answer).await["items"].as_array().unwrap().clone()
    };
    let first = webhooks().await;
    assert_eq!((first.len(), &first[0]["targetUrl"]), (1, &json!("https://hooks.example.com/webhooks/webex")));
    assert_eq!(deeds(&subscribe(&place, "webex", &[]), "keep"), 1);
    double.play("[manners]\nwebhooks = \"inactive\"\n").await;
    assert_eq!(deeds(&subscribe(&place, "webex", &[]), "repair"), 1);
    assert_eq!((webhooks().await[0]["status"].clone(), webhooks().await.len()), (json!("active"), 1));
    assert_eq!(deeds(&subscribe(&place, "webex", &["--rotate"]), "repair"), 1);
    let renewed = webhooks().await;
    assert!(renewed.len() == 1 && renewed[0]["id"] != first[0]["id"]);
    assert_eq!(subscribe(&place, "webex", &["--remove"]).code, Some(0));
    assert!(webhooks().await.is_empty());
}

#[test]
fn what_is_entered_by_hand_is_printed_and_what_is_missing_is_told() {
    let vonage = "name = \"vonage\"\nprovider = \"vonage\"\nsignature_secrets = [\"secret\"]\n";
    let told = place(vonage).run(&["--log", "error", "subscribe", "vonage"]);
    assert!(told.code == Some(0) && told.stdout.ends_with("https://hooks.example.com/webhooks/vonage"), "{told:?}");
    let telphin =
        "name = \"t\"\nprovider = \"telphin\"\naccount_id = \"999\"\nurl_tokens = [\"a-long-random-token\"]\n";
    let refused = place(telphin).run(&["--log", "error", "subscribe", "t"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("no credentials"), "{refused:?}");
    let nowhere = Place::new();
    nowhere.file("trunkline.toml", &format!("[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[[sources]]\n{vonage}"));
    let refused = nowhere.run(&["subscribe", "vonage"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("public_url"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_day_has_undone_is_mended_without_a_command() {
    let double = TestDouble::start("telphin", world(), "");
    let text = format!(
        "[[sources]]\nname = \"telphin\"\nprovider = \"telphin\"\naccount_id = \"999\"\nurl_tokens = [\"a-long-random-token\"]\n\
         client_id = \"{}\"\nclient_secret = \"{}\"\napi_url = \"{}\"\n",
        double.credential("client_id"),
        double.credential("client_secret"),
        double.bases.first,
    );
    let settings = config::load_text("test", &text, &Environment::default()).unwrap().settings;
    let api = Arc::clone(settings.sources[0].api.as_ref().unwrap());
    let client = Client::new(&ClientSettings::default()).unwrap();
    let metrics = Arc::new(Metrics::new().apis.of("telphin"));
    let line = Line::new("telphin", Arc::clone(&api), client, Arc::new(NoVault), metrics, real_sleep());
    let destination = Destination {
        url: "https://hooks.example.com/webhooks/telphin".to_owned(),
        token: Some("a-long-random-token".into()),
        secret: None,
    };
    let subscriptions = api.subscriptions().unwrap();
    let keep = async || keep(&line, subscriptions, destination.clone()).await.unwrap();
    assert_eq!(keep().await, Kept { mended: 9, ..Kept::default() });
    let first = events(&double, 1_000_101).await[0]["id"].clone();
    let url = format!("{}/api/ver1.0/extension/1000101/event/{first}", double.bases.first);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let bearer = double.credential("access_token");
    let gone = client.delete(url).bearer_auth(bearer).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(gone.status(), 204);
    assert_eq!(keep().await, Kept { right: 8, mended: 1, failed: 0 });
}
