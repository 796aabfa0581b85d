//! The command line, run as people run it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::harness::program::{Finished, Place, Running};
use crate::harness::schema;
use crate::harness::webhook::status;
use crate::harness::{SECRET, STATUS, TestApp, value_of};

const DEV: [&str; 5] = ["dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];

/// Starts `trunkline dev` and tells what it prints.
fn dev(place: &Place) -> (Running, Vec<String>) {
    let running = place.start(&DEV);
    let lines = running.stdout.until("Ctrl-C");
    (running, lines)
}

/// The printed command that holds some words.
fn command<'l>(lines: &'l [String], words: &str) -> &'l str {
    let line = lines.iter().find(|line| line.contains(words));
    line.unwrap_or_else(|| panic!("{words:?} is in {lines:#?}")).trim()
}

/// A configuration of one source for a running service.
fn configuration(app: &TestApp) -> String {
    let listen = app.webhook_url("").replace("http://", "");
    let admin = app.admin_url("").replace("http://", "");
    let brokers = app.brokers();
    format!(
        "[server]\nlisten = \"{listen}\"\n[admin]\nlisten = \"{admin}\"\n\
         [kafka]\nbootstrap_servers = \"{brokers}\"\ncreate_topics = false\n\
         [[sources]]\nname = \"vonage-eu\"\nprovider = \"vonage\"\naccount_id = \"abcd1234\"\n\
         signature_secrets = [\"env:VONAGE_SECRET\"]\n"
    )
}

fn assert_done(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[test]
fn the_commands_that_dev_prints_work_as_they_stand() {
    let place = Place::new();
    let (_running, lines) = dev(&place);
    let send = command(&lines, " send vonage message-status");
    let sent = place.run_line(send);
    assert_done(&sent);
    assert!(sent.stdout.starts_with("200 OK"), "{sent:?}");
    let tail = command(&lines, " tail ");
    let read = place.run_line(&format!("{tail} --until-end"));
    assert_done(&read);
    for part in ["message_status", "vonage/demo", "delivered", "sms", "AcmeInc -> +447700900000", "0.0333 EUR"] {
        assert!(read.stdout.contains(part), "{part:?} is in {read:?}");
    }
    assert_eq!(read.stdout.lines().count(), 1);
    let ready = command(&lines, "/readyz").split_whitespace().find(|word| word.ends_with("/readyz")).unwrap();
    assert_done(&place.run(&["healthcheck", "--url", ready]));
}

#[test]
fn dev_says_plainly_that_it_keeps_nothing_and_ends_on_a_signal() {
    for signal in ["TERM", "INT"] {
        let (mut running, lines) = dev(&Place::new());
        assert!(lines[0].contains("keeps nothing"), "{lines:?}");
        running.signal(signal);
        assert_eq!(running.wait(), Some(0), "{signal}");
    }
}

#[test]
fn dev_takes_no_configuration() {
    let place = Place::new();
    let file = place.file("trunkline.toml", "");
    let finished = place.run(&["dev", "--config", file.to_str().unwrap()]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("trunkline serve"), "{finished:?}");
}

#[test]
fn a_tampered_webhook_is_refused_and_that_is_a_success() {
    let place = Place::new();
    let (_running, lines) = dev(&place);
    let send = command(&lines, " send vonage message-status");
    let finished = place.run_line(&format!("{send} --tamper"));
    assert_done(&finished);
    assert!(finished.stdout.starts_with("401 Unauthorized, as it should be"), "{finished:?}");
    let tail = command(&lines, " tail ");
    assert_eq!(place.run_line(&format!("{tail} --until-end")).stdout, "");
}

#[test]
fn fields_can_be_set_and_events_be_filtered() {
    let place = Place::new();
    let (_running, lines) = dev(&place);
    let send = command(&lines, " send vonage message-status");
    assert_done(&place.run_line(&format!("{send} --set status=rejected --set error.title=1130 --count 2 --rate 100")));
    assert_done(&place.run_line(send));
    let tail = command(&lines, " tail ");
    let read = place.run_line(&format!("{tail} --json --filter error.code=1130 --until-end"));
    assert_done(&read);
    let events: Vec<Value> = read.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2, "{read:?}");
    for event in &events {
        schema::assert_valid(event);
        assert_eq!(event["status_raw"], "rejected");
    }
    let counted = place.run_line(&format!("{tail} message-status --count 1"));
    assert_eq!(counted.stdout.lines().count(), 1, "{counted:?}");
    assert_eq!(place.run_line(&format!("{tail} inbound-message --until-end")).stdout, "");
}

#[test]
fn a_file_is_sent_as_it_is() {
    let place = Place::new();
    let (_running, lines) = dev(&place);
    let file = place.file("body.txt", "not JSON");
    let send = command(&lines, " send vonage message-status");
    assert_done(&place.run_line(&format!("{send} --file {}", file.display())));
    let tail = command(&lines, " tail ");
    let read = place.run_line(&format!("{tail} dead-letter --json --until-end"));
    let letter: Value = serde_json::from_str(&read.stdout).unwrap();
    assert_eq!((&letter["reason"]["code"], &letter["body"]), (&"invalid_json".into(), &"not JSON".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn send_takes_secret_account_and_url_from_the_configuration() {
    let app = TestApp::start().await;
    let place = Place::new();
    place.file("trunkline.toml", &configuration(&app));
    let finished = place.run(&["send", "vonage", "inbound", "--source", "vonage-eu"]);
    assert_done(&finished);
    assert!(!finished.stdout.contains(SECRET) && !finished.stderr.contains(SECRET));
    assert_eq!(app.value("inbound-message.v1")["source_name"], "vonage-eu");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_webhook_is_a_failure() {
    let app = TestApp::start().await;
    let url = app.webhook_url("/webhooks/vonage-eu");
    let finished = Place::new().run(&["send", "vonage", "status", "--url", &url, "--secret", "another secret"]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stdout.starts_with("401"), "{finished:?}");
}

#[test]
fn send_without_a_receiver_tells_where_it_looked() {
    let url = "http://127.0.0.1:1/webhooks/vonage-demo";
    let finished = Place::new().run(&["send", "vonage", "status", "--url", url, "--secret", "a secret"]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains(url), "{finished:?}");
}

#[test]
fn send_lists_providers_and_kinds_and_names_them_in_errors() {
    let place = Place::new();
    let list = place.run(&["send", "--list"]);
    assert_done(&list);
    for kind in ["message-status", "message-status-v0.1", "inbound-message", "inbound-message-v0.1"] {
        assert!(list.stdout.lines().any(|line| line.split_whitespace().nth(1) == Some(kind)), "{kind}: {list:?}");
    }
    let unknown = place.run(&["send", "vonage", "telegram", "--secret", "a secret"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("inbound-message"), "{unknown:?}");
    let unknown = place.run(&["send", "nobody", "status", "--secret", "a secret"]);
    assert!(unknown.stderr.contains("send --list"), "{unknown:?}");
}

#[test]
fn check_tells_every_problem_at_once() {
    let place = Place::new();
    let text = "[server]\nlisten = \"nowhere\"\n[kafka]\nacks = \"1\"\n\
                [[sources]]\nname = \"a b\"\nprovider = \"vonage\"\n\
                [[sources]]\nname = \"c\"\nprovider = \"vonage\"\nsignature_secrets = [\"env:NOT_SET\"]\n";
    let file = place.file("broken.toml", text);
    let finished = place.run(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(finished.code, Some(1));
    for part in ["server.listen", "kafka.acks", "sources.0.name", "sources.0.signature_secrets", "NOT_SET"] {
        assert!(finished.stderr.contains(part), "{part:?} is in {finished:#?}");
    }
    assert!(finished.stderr.lines().all(|line| line.starts_with("error: ") && line.contains("broken.toml")));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_prints_the_configuration_without_its_secrets() {
    let app = TestApp::start().await;
    let place = Place::new();
    let text = configuration(&app) + "url_tokens = [\"the-token-in-the-url\"]\n";
    let text = text.replace("[[sources]]", "[kafka.properties]\n\"sasl.password\" = \"hunter2hunter2\"\n[[sources]]");
    let file = place.file("good.toml", &text);
    let finished = place.run(&["check", "--online", "--config", file.to_str().unwrap()]);
    assert_done(&finished);
    for secret in [SECRET, "the-token-in-the-url", "hunter2hunter2"] {
        assert!(!finished.stdout.contains(secret) && !finished.stderr.contains(secret), "{finished:?}");
    }
    assert!(finished.stdout.contains("env:VONAGE_SECRET"), "{finished:?}");
    assert!(finished.stdout.contains(&app.webhook_url("/webhooks/vonage-eu")), "{finished:?}");
    assert!(finished.stdout.contains("the brokers answer"), "{finished:?}");
}

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, text)| (format!("{name}/{inner}"), text)));
        } else {
            found.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
    found
}

#[test]
fn the_schemas_that_are_written_are_the_published_ones() {
    let place = Place::new();
    assert_done(&place.run(&["schemas", "--out", "written"]));
    let mut published = files(&schema::folder());
    published.remove("README.md");
    assert_eq!(files(&place.path("written")), published);
    let printed = place.run(&["schemas"]);
    assert_done(&printed);
    assert!(published.keys().all(|name| printed.stdout.contains(&format!("# {name}"))));
}

#[test]
fn every_provider_of_dev_takes_every_webhook_that_send_can_make() {
    let place = Place::new();
    let (_running, lines) = dev(&place);
    for line in lines.iter().filter(|line| line.contains(" --secret ")) {
        let sent = place.run_line(line);
        assert_done(&sent);
        assert!(sent.stdout.starts_with("200 OK"), "{line}: {sent:?}");
    }
    for info in trunkline::providers::PROVIDERS {
        let first = command(&lines, &format!(" send {} ", info.name));
        let (program, rest) = first.split_once(" send ").unwrap();
        let (_, options) = rest.split_once(" --url ").unwrap();
        // What each shape and encoding becomes is tried without starting a program for each.
        for simulation in info.simulations {
            let line = format!("{program} send {} {} --url {options} --records 3", info.name, simulation.name);
            let sent = place.run_line(&line);
            assert_done(&sent);
            assert!(sent.stdout.contains("200 OK"), "{line}: {sent:?}");
            assert_done(&place.run_line(&format!("{line} --tamper")));
        }
    }
}

#[test]
fn providers_are_shown_with_an_example_that_holds() {
    let place = Place::new();
    let all = place.run(&["providers"]);
    assert_done(&all);
    let one = place.run(&["providers", "vonage"]);
    assert!(one.stdout.contains("Vonage (vonage)") && all.stdout.contains(&one.stdout), "{all:?}");
    let (_, example) = one.stdout.split_once("configuration:\n").unwrap();
    let file = place.file("example.toml", example);
    assert_done(&place.run(&["check", "--config", file.to_str().unwrap()]));
    assert_eq!(place.run(&["providers", "nobody"]).code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_tells_by_its_exit_code() {
    let app = TestApp::start().await;
    let place = Place::new();
    place.file("trunkline.toml", &configuration(&app));
    let ready = place.run(&["healthcheck"]);
    assert_done(&ready);
    assert!(ready.stdout.contains("\"ready\""), "{ready:?}");
    app.broker.go_down().unwrap();
    app.wait_for_readiness(false).await;
    assert_eq!(place.run(&["healthcheck"]).code, Some(1));
    let nobody = place.run(&["healthcheck", "--url", "http://127.0.0.1:1/readyz"]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("127.0.0.1:1"), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_shown_also_by_a_broker_that_does_not_describe_them() {
    let app = TestApp::start().await;
    let place = Place::new();
    place.file("trunkline.toml", &configuration(&app));
    let finished = place.run(&["topics"]);
    assert_done(&finished);
    for topic in ["telecom.message-status.v1", "telecom.inbound-message.v1", "telecom.dead-letter.v1"] {
        let line = finished.stdout.lines().find(|line| line.starts_with(topic));
        assert!(line.unwrap().contains(" 3 "), "{finished:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_takes_webhooks_and_ends_on_a_signal() {
    let app = TestApp::start().await;
    let place = Place::new();
    let text = configuration(&app);
    let listens = text.lines().map(|line| if line.starts_with("listen") { "listen = \"127.0.0.1:0\"" } else { line });
    place.file("trunkline.toml", &listens.collect::<Vec<_>>().join("\n"));
    let mut running = place.start(&["serve", "--log-format", "json"]);
    let started: Value = serde_json::from_str(running.stderr.until("\"listening\"").last().unwrap()).unwrap();
    let url = format!("http://{}/webhooks/vonage-eu", started["fields"]["webhooks"].as_str().unwrap());
    running.stderr.until("Kafka is ready");
    assert_done(&place.run(&["send", "vonage", "status", "--source", "vonage-eu", "--url", &url]));
    running.signal("HUP");
    running.stderr.until("SIGHUP is ignored");
    running.signal("TERM");
    assert_eq!(running.wait(), Some(0));
    let log = running.stderr.rest();
    assert!(log.contains("everything was acknowledged"), "{log}");
    assert!(!log.contains("447700900000") && !log.contains(SECRET), "{log}");
    assert_eq!(value_of(&app.record(STATUS))["status"], "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_fails_where_an_address_is_taken_and_says_which() {
    let app = TestApp::start().await;
    let place = Place::new();
    place.file("trunkline.toml", &configuration(&app));
    let finished = place.run(&["serve"]);
    assert_eq!(finished.code, Some(1));
    let address = app.webhook_url("").replace("http://", "");
    assert!(finished.stderr.contains("server.listen") && finished.stderr.contains(&address), "{finished:?}");
    assert_eq!(app.post(&status()).await.status, 200);
}

#[test]
fn without_a_configuration_the_mend_is_told() {
    let place = Place::new();
    for command in ["serve", "check", "topics", "healthcheck"] {
        let finished = place.run(&[command, "--config", "nowhere.toml"]);
        assert_eq!(finished.code, Some(1), "{command}");
        assert!(finished.stderr.contains("nowhere.toml") && finished.stderr.contains("--config"), "{finished:?}");
        let finished = place.run(&[command]);
        assert_eq!(finished.code, Some(1), "{command}");
        assert!(finished.stderr.contains("error: "), "{finished:?}");
        assert!(finished.stderr.contains("[[sources]]"), "{finished:?}");
    }
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    let place = Place::new();
    for arguments in [
        &["nonsense"][..],
        &[],
        &["send"],
        &["send", "vonage"],
        &["serve", "--nonsense"],
        &["tail", "--from", "yesterday"],
        &["tail", "--filter", "nonsense"],
        &["send", "vonage", "status", "--rate", "0"],
        &["dev", "--listen", "nowhere"],
    ] {
        let finished = place.run(arguments);
        assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
        assert!(finished.stdout.is_empty() && !finished.stderr.is_empty(), "{finished:?}");
    }
    assert_done(&place.run(&["--help"]));
}

#[test]
fn the_version_tells_what_the_program_was_made_of() {
    let told = Place::new().run(&["--version"]).stdout;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], concat!("trunkline ", env!("CARGO_PKG_VERSION"), " (schema 1.0)"));
    let starts = ["commit ", "target ", "compiler rustc "];
    assert!(lines[1..].iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{told}");
    assert_eq!(lines.len(), 4, "{told}");
}
