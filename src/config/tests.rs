use super::*;
use crate::event::privacy::TextPolicy;
use crate::settings::Policy;

pub(super) const SOURCE: &str = r#"
[[sources]]
name = "vonage-eu"
provider = "vonage"
signature_secrets = ["env:VONAGE_SECRET"]
"#;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let secrets = [
        ("VONAGE_SECRET", "hunter2-hunter2-hunter2"),
        ("OLD_SECRET", "hunter2-of-last-year"),
        ("URL_TOKEN", "hunter2-in-the-url"),
    ];
    secrets.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    load_text("trunkline.toml", text, &environment(variables))
}

pub(super) fn problems(text: &str) -> Vec<String> {
    let problems = load_with(text, &[]).expect_err("this configuration does not hold");
    problems.0.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let settings = load_with(SOURCE, &[]).unwrap().settings;
    assert_eq!(settings.server.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.admin_listen.to_string(), "127.0.0.1:9100");
    assert_eq!(settings.kafka.topic_prefix, "telecom.");
    assert_eq!(settings.dedup_window, 100_000);
    let source = &settings.sources[0];
    assert_eq!((source.max_body_bytes, source.ack_timeout.as_millis()), (10 << 20, 500));
    assert_eq!(source.on_kafka_down, Policy::Spool);
    assert_eq!(source.privacy.message_text, TextPolicy::Drop);
}

#[test]
fn every_problem_is_told_at_once_with_key_and_mend() {
    let found = problems(
        r#"
        nonsense = 1
        [server]
        listen = "everywhere"
        max_body_bytes = "10 MB"
        [kafka]
        ack_timeout_ms = 0
        envelope = "paper"
        tls = true
        [kafka.properties]
        acks = "1"
        [privacy]
        numbers = "hash"
        [[sources]]
        name = "a/b"
        provider = "vonage"
        signature_secrets = ["env:NOT_SET", ""]
        colour = "red"
        [[sources]]
        name = "x"
        provider = "acme"
        "#,
    );
    for expected in [
        "trunkline.toml:4: server.listen: \"everywhere\" is not an address and port such as 0.0.0.0:8080",
        "server.max_body_bytes: expected a whole number from 1 to 1073741824, found text",
        "kafka.ack_timeout_ms: expected a whole number from 1 to 86400000, found the number 0",
        "kafka.envelope: expected \"binary\" or \"structured\", found \"paper\"",
        "kafka.tls: unknown key; the keys here are: bootstrap_servers, topic_prefix",
        "kafka.properties.acks: is set by Trunkline: 200 is answered only for acks=all; remove it",
        "privacy.hash_key: is missing, and \"hash\" needs it",
        "sources.0.name: may have letters, digits",
        "sources.0.signature_secrets: the environment variable NOT_SET is not set",
        "sources.0.signature_secrets: the secret (text) is empty",
        "sources.0.colour: unknown key",
        "sources.1.provider: \"acme\" is not known; the providers are: vonage",
        "nonsense: unknown key",
    ] {
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}\n{found:#?}");
    }
}

#[test]
fn the_environment_overrides_the_file_and_is_named_in_problems() {
    let variables = [
        ("TRUNKLINE_KAFKA__BOOTSTRAP_SERVERS", "broker:9092"),
        ("TRUNKLINE_KAFKA__ACK_TIMEOUT_MS", "750"),
        ("TRUNKLINE_KAFKA__CREATE_TOPICS", "false"),
        ("TRUNKLINE_KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SSL"),
        ("TRUNKLINE_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1"),
        ("TRUNKLINE_SOURCES__0__ACCOUNT_ID", "0123"),
        ("TRUNKLINE_CONFIG", "elsewhere.toml"),
    ];
    let settings = load_with(SOURCE, &variables).unwrap().settings;
    assert_eq!(settings.kafka.bootstrap_servers, "broker:9092");
    assert!(!settings.kafka.create_topics);
    assert_eq!(settings.kafka.properties[0].0, "security.protocol");
    assert_eq!(settings.server.trusted_proxies.len(), 2);
    assert_eq!(settings.sources[0].account_id.as_deref(), Some("0123"));
    assert_eq!(settings.sources[0].ack_timeout.as_millis(), 750);

    let wrong = load_with(SOURCE, &[("TRUNKLINE_KAFKA__ACK_TIMEOUT_MS", "soon")]).expect_err("not a number");
    assert_eq!(
        (wrong.0[0].origin.as_str(), wrong.0[0].key.as_str()),
        ("TRUNKLINE_KAFKA__ACK_TIMEOUT_MS", "kafka.ack_timeout_ms")
    );
    let stray = load_with(SOURCE, &[("TRUNKLINE_KAFKA_BOOTSTRAP_SERVERS", "x")]).unwrap();
    assert!(stray.warnings.iter().any(|warning| warning.origin == "TRUNKLINE_KAFKA_BOOTSTRAP_SERVERS"));
    let key = format!("[privacy]\nnumbers = \"hash\"\nhash_key = \"env:TRUNKLINE_HASH_KEY\"\n{SOURCE}");
    let hashed = load_with(&key, &[("TRUNKLINE_HASH_KEY", "a-key-of-sixteen-bytes")]).unwrap();
    assert_eq!(hashed.warnings, []);
    let unknown = load_with(SOURCE, &[("TRUNKLINE_KAFAK__X", "1")]).expect_err("no such section");
    assert!(unknown.to_string().contains("TRUNKLINE_KAFAK__X"));
}

#[test]
fn a_missing_file_and_broken_toml_say_so() {
    let missing = load(Some(Path::new("/nonexistent/trunkline.toml")), &Environment::new()).expect_err("missing");
    assert!(missing.to_string().contains("can not be read") && missing.to_string().contains("trunkline dev"));
    let broken = load_with("[server\n", &[]).expect_err("no TOML");
    assert!(broken.to_string().starts_with("trunkline.toml:1: is no TOML, at column 8"), "{broken}");
}
