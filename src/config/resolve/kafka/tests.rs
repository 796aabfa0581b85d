use crate::config::tests::{SOURCE, load_with, problems};

#[test]
fn brokers_are_named_as_librdkafka_reads_them() {
    let brokers = |text: &str| load_with(&format!("[kafka]\nbootstrap_servers = \"{text}\"\n{SOURCE}"), &[]);
    for right in [
        "localhost:9092",
        "kafka-1.example.com:9092, kafka-2.example.com:9092",
        "kafka_1:9092",
        "kafka",
        "[2001:db8::1]:9092",
        "192.0.2.1:9092",
        "SASL_SSL://kafka:9093",
    ] {
        assert!(brokers(right).is_ok(), "{right}: {}", brokers(right).unwrap_err());
    }
    for wrong in [
        "not a host:::",
        "kafka:",
        ":9092",
        "kafka:70000",
        "kafka:0",
        "kafka:9092,",
        "a/b:9092",
        "me@kafka:9092",
        "kafka:x",
    ] {
        assert!(brokers(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_empty_topic_prefix_is_accepted() {
    let loaded = load_with(&format!("[kafka]\ntopic_prefix = \"\"\n{SOURCE}"), &[]).unwrap();
    assert_eq!(loaded.settings.kafka.topic_prefix, "");
    assert!(loaded.redacted.contains("topic_prefix = \"\""), "{}", loaded.redacted);
    let variable = load_with(SOURCE, &[("TRUNKLINE_KAFKA__TOPIC_PREFIX", "")]).unwrap();
    assert_eq!(variable.settings.kafka.topic_prefix, "");
}

/// All that decides over loss, order and memory, by all names that librdkafka's CONFIGURATION.md has for it.
const OWNED: [&str; 20] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "partitioner",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "message.send.max.retries",
    "retries",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "queue.buffering.max.messages",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.ms",
    "message.max.bytes",
    "transactional.id",
    "delivery.report.only.error",
    "allow.auto.create.topics",
];

#[test]
fn every_owned_property_is_refused_by_each_of_its_names() {
    for name in OWNED {
        let found = problems(&format!("{SOURCE}\n[kafka.properties]\n\"{name}\" = \"1\"\n"));
        assert!(
            found.iter().any(|problem| problem.contains(&format!("kafka.properties.{name}: is set by Trunkline"))),
            "{found:?}"
        );
    }
}

#[test]
fn a_property_may_be_empty_if_it_is_no_secret() {
    let with = |properties: &str| format!("{SOURCE}\n[kafka.properties]\n{properties}\n");
    let found = problems(&with("\"client.id\" = \"\"\n\"sasl.password\" = \"\""));
    assert_eq!(found.iter().filter(|problem| problem.contains("kafka.properties")).count(), 1, "{found:?}");
    assert!(found.iter().any(|problem| problem.contains("sasl.password: the secret (text) is empty")), "{found:?}");
    let loaded = load_with(&with("\"client.id\" = \"env:NOTHING\""), &[("NOTHING", "")]).unwrap();
    assert!(loaded.settings.kafka.properties[0].1.is_empty());
}
