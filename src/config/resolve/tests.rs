//! What is wrong with a configuration is told at once, each with its line.

use crate::config::tests::{SOURCE, load_with, problems};

/// A configuration with a mistake in nearly every line, and what is told of each.
const MISTAKES: &str = r#"
[server]
public_url = "https://"
[server.tls]
cert = "/nowhere/tls.crt"
[admin]
listen = "0.0.0.0:8080"
[kafka]
bootstrap_servers = "not a host:::"
topic_prefix = "a b"
[kafka.properties]
"sasl.pasword" = "hunter2hunter2"
"security.protocol" = "SASL_SSSL"
"sasl.username" = "me"
acks = "1"
[[sources]]
name = "first"
provider = "vonnage"
signature_secrets = ["env:NOT_SET"]
default_region = "Great Britain"
allowed_ips = ["203.0.113.0/99"]
ack_timeout_ms = 0
[sources.privacy]
numbers = "some"
[[sources]]
name = "second"
provider = "vonage"
signature_secrets = ["env:VONAGE_SECRET",
    "env:VONAGE_SECRET"]
api_key = "abcd1234"
colour = "red"
[[sources]]
name = "third"
provider = "telphin"
account_id = "999"
url_tokens = ["env:URL_TOKEN"]
api_url = "nonsense"
client_secret = "env:OLD_SECRET"
"#;

#[test]
fn every_mistake_is_told_with_its_line() {
    let told = problems(MISTAKES);
    let expected = [
        (3, "server.public_url: expected a URL such as"),
        (4, "server.tls.key: is missing"),
        (5, "server.tls.cert: the file can not be read"),
        (7, "admin.listen: is taken by server.listen"),
        (9, "kafka.bootstrap_servers: \"not a host:::\" is not host:port"),
        (10, "kafka.topic_prefix: Kafka allows"),
        (11, "kafka.properties.sasl.password: is missing; sasl.username is of no use without it"),
        (12, "kafka.properties.sasl.pasword: is no property of librdkafka"),
        (13, "kafka.properties.security.protocol: has a value that librdkafka does not accept"),
        (15, "kafka.properties.acks: is set by Trunkline"),
        (18, "sources.0.provider: \"vonnage\" is not known; the providers are: vonage"),
        (19, "sources.0.signature_secrets: the environment variable NOT_SET is not set"),
        (20, "sources.0.default_region: \"Great Britain\" is not an ISO 3166-1 code"),
        (21, "sources.0.allowed_ips: \"203.0.113.0/99\" is not a network"),
        (22, "sources.0.ack_timeout_ms: expected a whole number"),
        (24, "sources.0.privacy.numbers: expected \"keep\""),
        (25, "sources.1.api_secret: is missing; api_key is of no use without it"),
        (28, "sources.1.signature_secrets: the secrets from env:VONAGE_SECRET and env:VONAGE_SECRET are equal"),
        (31, "sources.1.colour: unknown key; the keys here are: name, provider"),
        (32, "sources.2.client_id: is missing; client_secret is of no use without it"),
        (37, "sources.2.api_url: expected a URL such as"),
    ];
    for (line, words) in expected {
        let start = format!("trunkline.toml:{line}: {words}");
        assert!(told.iter().any(|problem| problem.starts_with(&start)), "{start}\n{told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    assert!(told.iter().map(|problem| problem.split(':').nth(1).unwrap().parse::<usize>().unwrap()).is_sorted());
}

#[test]
fn everything_that_is_no_toml_is_told_with_its_line_and_column() {
    let told = problems("[server]\nlisten = everywhere\nworkers = 1 2\n[[sources]\n");
    for (line, column) in [(2, 10), (3, 11), (4, 11)] {
        let start = format!("trunkline.toml:{line}: is no TOML, at column {column}: ");
        assert!(told.iter().any(|problem| problem.starts_with(&start)), "{start} {told:#?}");
    }
}

#[test]
fn a_key_that_is_missing_is_told_with_the_line_of_its_table() {
    let told = problems("[server]\nworkers = 1\n\n[[sources]]\nprovider = \"vonage\"\n\n[[sources]]\nname = \"b\"\n");
    for start in ["trunkline.toml:4: sources.0.name: is missing", "trunkline.toml:7: sources.1.provider: is missing"] {
        assert!(told.iter().any(|problem| problem.starts_with(start)), "{start} {told:#?}");
    }
    assert!(problems("")[0].starts_with("trunkline.toml: sources: there is none"));
}

#[test]
fn what_comes_from_the_environment_has_no_line() {
    let wrong = load_with(SOURCE, &[("TRUNKLINE_SOURCES__0__ACK_TIMEOUT_MS", "soon")]).expect_err("no number");
    assert!(
        wrong.to_string().starts_with("TRUNKLINE_SOURCES__0__ACK_TIMEOUT_MS: sources.0.ack_timeout_ms: "),
        "{wrong}"
    );
}
