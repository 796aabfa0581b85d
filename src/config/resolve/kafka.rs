//! The broker: `[kafka]` and the properties for librdkafka.

use secrecy::ExposeSecret;
use url::Url;

use super::DAY_MS;
use crate::config::{KafkaSettings, Secret};
use crate::event::envelope::Mode;
use crate::publish::client;
use crate::section::Section;

/// Properties of librdkafka that decide over loss, order and memory, and why they are ours.
const OWNED_PROPERTIES: &[(&[&str], &str)] = &[
    (&["bootstrap.servers", "metadata.broker.list"], "it is kafka.bootstrap_servers"),
    (&["acks", "request.required.acks"], "200 is answered only for acks=all"),
    (&["enable.idempotence", "enable.gapless.guarantee"], "the producer is always idempotent, which keeps the order"),
    (&["partitioner"], "keys are placed as Java clients place them, by murmur2_random"),
    (
        &["message.timeout.ms", "delivery.timeout.ms"],
        "an event is never given up; kafka.ack_timeout_ms bounds the answer",
    ),
    (&["message.send.max.retries", "retries"], "an event is never given up"),
    (
        &["max.in.flight", "max.in.flight.requests.per.connection"],
        "more than 5 requests in flight would break the order",
    ),
    (
        &["queue.buffering.max.messages", "queue.buffering.max.kbytes"],
        "the memory of the producer is bounded by Trunkline",
    ),
    (&["queue.buffering.max.ms"], "write linger.ms instead"),
    (&["message.max.bytes"], "dead letters need 16 MiB"),
    (&["transactional.id"], "Trunkline publishes without transactions"),
    (&["delivery.report.only.error"], "every acknowledgement is needed"),
    (
        &["allow.auto.create.topics"],
        "a topic that a broker makes by itself has the broker's defaults; kafka.create_topics makes them as they should be",
    ),
];

pub(super) fn kafka(mut section: Section<'_>) -> (KafkaSettings, i64) {
    section.heading("[kafka]");
    let bootstrap_servers = bootstrap_servers(&mut section);
    let topic_prefix = topic_prefix(&mut section);
    let create_topics = section.flag_or("create_topics", true);
    let raw_topic = section.flag_or("raw_topic", false);
    let ack_timeout_ms = section.number_or("ack_timeout_ms", 500, 1..=DAY_MS);
    let envelope = section.choice_or_first("envelope", &[("binary", Mode::Binary), ("structured", Mode::Structured)]);
    let properties = section.section_if_present("properties").map(properties).unwrap_or_default();
    let settings = KafkaSettings { bootstrap_servers, topic_prefix, create_topics, raw_topic, envelope, properties };
    check_together(&section, &settings);
    section.finish();
    (settings, ack_timeout_ms)
}

fn bootstrap_servers(section: &mut Section<'_>) -> String {
    let servers = section.text_or("bootstrap_servers", "localhost:9092");
    for server in servers.split(',').filter(|server| !is_broker(server.trim())) {
        let found = section.shown("bootstrap_servers", server);
        let form = "host:port, such as \"kafka-1.example.com:9092\"; several are separated by commas";
        section.problem("bootstrap_servers", format!("{found} is not {form}"));
    }
    servers
}

/// librdkafka takes a protocol before the host and does without a port.
fn is_broker(server: &str) -> bool {
    let address = server.split_once("://").map_or(server, |(_, address)| address);
    let Ok(url) = Url::parse(&format!("kafka://{address}")) else { return false };
    let is_bare = url.path().is_empty() && url.query().is_none() && url.fragment().is_none();
    let is_whole = url.has_host() && !address.ends_with(':') && url.port() != Some(0);
    is_whole && is_bare && url.username().is_empty() && url.password().is_none()
}

fn topic_prefix(section: &mut Section<'_>) -> String {
    let prefix = section.text_or_empty("topic_prefix", "telecom.");
    let legal = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if prefix.len() > 200 || !prefix.chars().all(legal) {
        section.problem("topic_prefix", "Kafka allows letters, digits, `.`, `_` and `-` in a topic's name".to_owned());
    }
    prefix
}

fn properties(mut section: Section<'_>) -> Vec<(String, Secret)> {
    section.heading("[kafka.properties]");
    let properties = section.remaining_as_secrets();
    for (name, value) in &properties {
        let owned = OWNED_PROPERTIES.iter().find(|(names, _)| names.contains(&name.as_str()));
        if let Some((_, reason)) = owned {
            section.problem(name, format!("is set by Trunkline: {reason}; remove it"));
        } else if let Some(fault) = client::property_fault(name, value) {
            section.problem(name, fault.to_owned());
        }
    }
    check_log_in(&section, &properties);
    section.finish();
    properties
}

/// Who logs in needs a name and a password. Where nobody does, librdkafka looks at neither.
fn check_log_in(section: &Section<'_>, properties: &[(String, Secret)]) {
    let is_given = |wanted: &str| properties.iter().any(|(name, _)| name == wanted);
    let protocol = properties.iter().find(|(name, _)| name == "security.protocol");
    if !protocol.is_some_and(|(_, protocol)| protocol.value.expose_secret().to_uppercase().starts_with("SASL")) {
        return;
    }
    for (given, missing) in [("sasl.username", "sasl.password"), ("sasl.password", "sasl.username")] {
        if is_given(given) && !is_given(missing) && !section.has_problem(missing) {
            section.problem(missing, format!("is missing; {given} is of no use without it"));
        }
    }
}

/// Properties that are right one by one may not go together. What is wrong with one of them is told by then.
fn check_together(section: &Section<'_>, settings: &KafkaSettings) {
    if settings.properties.is_empty() || section.has_problem_below("properties") {
        return;
    }
    if let Err(error) = client::validate(settings) {
        section.problem("properties", error.to_string());
    }
}

#[cfg(test)]
mod tests;
