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

#[test]
fn both_servers_need_a_port_each() {
    let listeners = |server: &str, admin: &str| {
        load_with(&format!("[server]\nlisten = \"{server}\"\n[admin]\nlisten = \"{admin}\"\n{SOURCE}"), &[])
    };
    for (server, admin) in [
        ("127.0.0.1:9100", "127.0.0.1:9100"),
        ("0.0.0.0:9100", "127.0.0.1:9100"),
        ("127.0.0.1:9100", "0.0.0.0:9100"),
        ("[::]:9100", "127.0.0.1:9100"),
    ] {
        let told = listeners(server, admin).expect_err("one port").to_string();
        assert!(told.starts_with("trunkline.toml:4: admin.listen: is taken"), "{server} {admin} {told}");
    }
    for (server, admin) in
        [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:80", "127.0.0.2:80"), ("0.0.0.0:1", "0.0.0.0:2")]
    {
        assert!(listeners(server, admin).is_ok(), "{server} {admin}");
    }
    let by_default = load_with(&format!("[server]\nlisten = \"0.0.0.0:9100\"\n{SOURCE}"), &[]);
    assert!(by_default.expect_err("the default of the other").to_string().contains("admin.listen"));
}

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
fn urls_are_urls() {
    let url = |text: &str| load_with(&format!("[server]\npublic_url = \"{text}\"\n{SOURCE}"), &[]);
    for (right, read) in [
        ("https://hooks.example.com", "https://hooks.example.com"),
        ("https://hooks.example.com:8443/", "https://hooks.example.com:8443"),
        ("http://192.0.2.1/telephony/", "http://192.0.2.1/telephony"),
    ] {
        assert_eq!(url(right).unwrap().settings.server.public_url.as_deref(), Some(read));
    }
    for wrong in [
        "https://",
        "nonsense",
        "hooks.example.com",
        "ftp://a",
        "https://a b",
        "https://a?b=c",
        "https://a#b",
        "https://me:pw@a",
    ] {
        assert!(url(wrong).expect_err(wrong).to_string().contains("server.public_url"), "{wrong}");
    }
}

#[test]
fn equal_secrets_of_a_source_are_told_wherever_they_stand() {
    let secrets = |signature: &str, tokens: &str| {
        let keys = format!("signature_secrets = [{signature}]\nurl_tokens = [{tokens}]\naccount_id = \"a\"");
        load_with(
            &format!("[[sources]]\nname = \"a\"\nprovider = \"vonage\"\n{keys}"),
            &[("COPY", "hunter2-in-the-url\n")],
        )
    };
    assert!(secrets("\"env:VONAGE_SECRET\", \"env:OLD_SECRET\"", "\"env:URL_TOKEN\"").is_ok());
    for (signature, tokens, key) in [
        ("\"env:VONAGE_SECRET\", \"env:VONAGE_SECRET\"", "", "signature_secrets"),
        ("", "\"env:URL_TOKEN\", \"env:COPY\"", "url_tokens"),
        ("\"env:COPY\"", "\"env:URL_TOKEN\"", "url_tokens"),
    ] {
        let told = secrets(signature, tokens).expect_err("equal").to_string();
        assert!(told.contains(&format!("sources.0.{key}: the secrets from ")) && told.contains("are equal"), "{told}");
    }
    let shared = format!("{SOURCE}{}", SOURCE.replace("vonage-eu", "vonage-us"));
    assert!(load_with(&shared, &[]).is_ok(), "two sources of one account have one secret");
}

#[test]
fn an_empty_topic_prefix_and_a_region_in_small_letters_are_accepted() {
    let text = format!("[kafka]\ntopic_prefix = \"\"\n{SOURCE}default_region = \"gb\"\n");
    let loaded = load_with(&text, &[]).unwrap();
    assert_eq!(loaded.settings.kafka.topic_prefix, "");
    assert!(loaded.redacted.contains("topic_prefix = \"\""), "{}", loaded.redacted);
    let unset = load_with(SOURCE, &[("TRUNKLINE_KAFKA__TOPIC_PREFIX", "")]).unwrap();
    assert_eq!(unset.settings.kafka.topic_prefix, "");
}
