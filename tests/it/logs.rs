//! What the log tells, what it does not tell, and how often.

use std::collections::HashSet;

use rdkafka::error::RDKafkaErrorCode;

use crate::harness::program::{Place, Running};
use crate::harness::{TestApp, sample, wait_until};

/// What no line may hold.
const HIDDEN: &str = "hunter2hunter2";

/// A service on a broker, with a source "vonage-eu" and more TOML.
fn configuration(place: &Place, brokers: &str, policy: &str, kafka: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[spool]\ndir = {:?}\n\
         [[sources]]\nname = \"vonage-eu\"\nprovider = \"vonage\"\naccount_id = \"abcd1234\"\n\
         signature_secrets = [\"env:VONAGE_SECRET\"]\non_kafka_down = \"{policy}\"\n\
         [kafka]\nbootstrap_servers = \"{brokers}\"\ncreate_topics = false\n{kafka}",
        place.path("spool")
    )
}

/// Starts the service and tells where webhooks and operators are taken.
fn serve(place: &Place) -> (Running, String, String) {
    let running = place.start(&["serve"]);
    let listening = running.stderr.until("listening").pop().unwrap();
    let address = |name: &str| {
        let (_, rest) = listening.split_once(name).unwrap();
        format!("http://{}", rest.split_whitespace().next().unwrap())
    };
    let (webhooks, admin) = (address("webhooks="), address("admin="));
    (running, webhooks, admin)
}

/// The rest of the log, after a stop.
fn rest_of(mut running: Running) -> String {
    running.signal("TERM");
    running.wait();
    running.stderr.rest()
}

/// The lines without their times.
fn lines(log: &str) -> Vec<&str> {
    log.lines().map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest)).collect()
}

async fn get(url: String) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).send().await.unwrap().text().await.unwrap()
}

fn send(place: &Place, webhooks: &str, more: &[&str]) -> String {
    let url = format!("{webhooks}/webhooks/vonage-eu");
    let arguments = [&["send", "vonage", "status", "--source", "vonage-eu", "--url", url.as_str()], more].concat();
    place.run(&arguments).stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_webhooks_are_told_by_source_and_reason_and_not_each_one() {
    let app = TestApp::start().await;
    let place = Place::new();
    place.file("trunkline.toml", &configuration(&place, app.brokers(), "spool", ""));
    let (running, webhooks, _) = serve(&place);
    for _ in 0..5 {
        assert!(send(&place, &webhooks, &["--tamper"]).starts_with("401"));
    }
    let told = running.stderr.until("webhooks are refused").pop().unwrap();
    for part in ["WARN", "source.name=\"vonage-eu\"", "reason=\"wrong_signature\"", "count=1"] {
        assert!(told.contains(part), "{part} {told}");
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..2 {
        let deleted = client.delete(format!("{webhooks}/webhooks/vonage-eu")).send().await.unwrap();
        assert_eq!(deleted.status(), 405);
    }
    let log = rest_of(running);
    let refused: Vec<&str> = lines(&log).into_iter().filter(|line| line.contains("webhooks are refused")).collect();
    assert!(refused.len() == 1 && refused[0].contains("reason=\"method_not_allowed\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafkas_client_says_repeats_no_property() {
    let place = Place::new();
    let kafka = "[kafka.properties]\n\"security.protocol\" = \"SASL_PLAINTEXT\"\n\"sasl.mechanism\" = \"OAUTHBEARER\"\n\
                 \"enable.sasl.oauthbearer.unsecure.jwt\" = true\n\
                 \"sasl.oauthbearer.config\" = \"principal=me hunter2hunter2=x\"\n";
    place.file("trunkline.toml", &configuration(&place, "127.0.0.1:1", "spool", kafka));
    let running = place.start(&["serve", "--log", "info,trunkline=debug"]);
    let mut log = running.stderr.until("listening webhooks=");
    let listening = log.last().unwrap().clone();
    // Either of the two may be told first.
    if !log.iter().any(|line| line.contains("Kafka is not ready")) {
        log.extend(running.stderr.until("Kafka is not ready"));
    }
    let told = log.iter().find(|line| line.contains("Kafka is not ready")).unwrap();
    assert!(told.contains("Unrecognized sasl.oauthbearer.config beginning at:***"), "{told}");
    let ready = get(format!("http://{}/readyz", listening.split_once("admin=").unwrap().1)).await;
    assert!(ready.contains("beginning at:***"), "{ready}");
    log.push(ready);
    log.push(rest_of(running));
    for command in [&["check", "--online"][..], &["topics", "--create"], &["tail", "--until-end"], &["replay", "raw"]] {
        log.push(format!("{:?}", place.run(command)));
    }
    assert!(log.iter().all(|line| !line.contains("hunter2")), "{log:#?}");
}

#[test]
fn no_value_of_the_environment_is_told_by_what_reads_it() {
    let place = Place::new();
    for variable in
        ["TRUNKLINE_LOG", "TRUNKLINE_LOG_FORMAT", "TRUNKLINE_ADMIN__LISTEN", "TRUNKLINE_SOURCES__0__PROVIDER"]
    {
        let value = format!("{HIDDEN}=[[");
        for command in ["check", "serve", "healthcheck", "topics"] {
            let finished = place.run_with((variable, &value), &[command]);
            assert_eq!(finished.code, Some(1), "{variable} {command} {finished:?}");
            assert!(
                finished.stderr.contains(variable) && !finished.stderr.contains("hunter2"),
                "{command} {finished:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_clients_do_not_warn_of_the_properties_of_the_publishing_one() {
    let app = TestApp::start().await;
    let place = Place::new();
    let kafka = "[kafka.properties]\n\"linger.ms\" = 1\n\"batch.size\" = 100000\n\"fetch.min.bytes\" = 1\n\
                 \"client.id\" = \"\"\n";
    place.file("trunkline.toml", &configuration(&place, app.brokers(), "spool", kafka));
    for command in
        [&["tail", "--until-end", "--from", "beginning"][..], &["replay", "raw", "--dry-run"], &["topics", "--create"]]
    {
        let finished = place.run(command);
        assert!(!finished.stderr.contains("CONFWARN") && !finished.stderr.contains("will be ignored"), "{finished:?}");
    }
    let (running, webhooks, _) = serve(&place);
    assert!(send(&place, &webhooks, &[]).starts_with("200"));
    let log = rest_of(running);
    assert!(!log.contains("CONFWARN"), "{log}");
}

#[test]
fn dev_makes_no_noise_about_its_own_topics() {
    let place = Place::new();
    let log = ["--log", "info,trunkline=debug"];
    let running =
        place.start(&[&["dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], &log[..]].concat());
    let lines = running.stdout.until("Ctrl-C");
    let line = lines.iter().find(|line| line.contains(" send vonage message-status")).unwrap();
    assert_eq!(place.run_line(line).code, Some(0));
    // Its broker does not tell the topics' settings, and then what is unwise about them would be told.
    let mut log = running.stderr.until("do not tell the topics' settings").join("\n");
    log.push_str(&rest_of(running));
    assert!(!log.contains("documented") && !log.contains("other partitions"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_is_told_once_and_as_what_it_is() {
    let app = TestApp::start().await;
    for policy in ["spool", "strict"] {
        let place = Place::new();
        place.file("trunkline.toml", &configuration(&place, app.brokers(), policy, ""));
        let (running, webhooks, admin) = serve(&place);
        running.stderr.until("Kafka is ready");
        app.broker.fail_produce(RDKafkaErrorCode::TopicAuthorizationFailed, 100_000).unwrap();
        let answer = if policy == "spool" { "200" } else { "503" };
        let failures = "trunkline_delivery_failures_total";
        wait_until("the delivery has failed several times", async || {
            assert!(send(&place, &webhooks, &[]).starts_with(answer));
            sample(&get(format!("{admin}/metrics")).await, failures, &[]) > 4.0
        })
        .await;
        let log = rest_of(running);
        assert!(log.contains("Topic authorization failed"), "{log}");
        assert!(!log.contains("in time"), "{log}");
        assert!(policy == "spool" || !log.contains("go to the spool"), "{log}");
        let told = lines(&log);
        assert_eq!(told.iter().collect::<HashSet<_>>().len(), told.len(), "each is told once: {log}");
    }
}
