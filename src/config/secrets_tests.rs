//! Secrets: what they are read from, and that nothing ever repeats one.

use super::*;
use crate::config::tests::{SOURCE, load_with};
use crate::event::privacy::{NumberPolicy, TextPolicy};

#[test]
fn a_secret_loses_one_line_break_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    for (written, kept) in [
        ("  a secret of spaces \r\n", "  a secret of spaces "),
        ("a secret\n", "a secret"),
        ("a secret\n\n", "a secret\n"),
        ("a secret\r", "a secret\r"),
    ] {
        std::fs::write(&path, written).unwrap();
        let environment = Environment::from([("A_SECRET".to_owned(), written.to_owned())]);
        let expected = Secret { value: kept.into(), origin: String::new() };
        for place in [format!("file:{}", path.display()), "env:A_SECRET".to_owned()] {
            let secret = Secret::resolve(&place, &environment).unwrap();
            assert!(secret.equals(&expected), "{written:?} in {place} has {} bytes", secret.len());
        }
    }
    std::fs::write(&path, "\n").unwrap();
    let empty = Secret::resolve(&format!("file:{}", path.display()), &Environment::new());
    assert!(empty.expect_err("empty").contains("is empty"));
    let empty = Secret::resolve("env:A_SECRET", &Environment::from([("A_SECRET".to_owned(), "\n".to_owned())]));
    assert!(empty.expect_err("empty").contains("is empty"));
}

#[test]
fn white_space_at_the_ends_of_a_secret_is_warned_of() {
    let text = format!(
        "{SOURCE}[privacy]\nhash_key = \"env:KEY\"\n[kafka.properties]\n\"sasl.username\" = \"u\"\n\
         \"sasl.password\" = \"env:PASSWORD\"\n"
    );
    let with = |end: &str| {
        let (secret, password, key) = (
            format!("hunter2-hunter2-hunter2{end}"),
            format!("hunter2{end}"),
            format!("{end}hunter2-hunter2-hunter2{end}"),
        );
        let loaded = load_with(&text, &[("VONAGE_SECRET", &secret), ("PASSWORD", &password), ("KEY", &key)]).unwrap();
        assert!(!format!("{:?}", loaded.warnings).contains("hunter2"), "{:?}", loaded.warnings);
        loaded.warnings.into_iter().map(|warning| warning.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(with(""), Vec::<String>::new());
    for end in [" ", "\t", "\n\n"] {
        let warnings = with(end);
        for key in ["sources.0.signature_secrets", "kafka.properties.sasl.password", "privacy.hash_key"] {
            let told = |warning: &&String| warning.contains(key) && warning.contains("white space");
            assert_eq!(warnings.iter().filter(told).count(), 1, "{end:?} {key} {warnings:?}");
        }
    }
}

#[test]
fn a_line_break_at_the_end_of_a_variable_is_no_part_of_the_value() {
    let variables = [("TRUNKLINE_SERVER__LISTEN", "127.0.0.1:8080\n"), ("TRUNKLINE_KAFKA__TOPIC_PREFIX", "a.\r\n")];
    let settings = load_with(SOURCE, &variables).unwrap().settings;
    assert_eq!((settings.server.listen.port(), settings.kafka.topic_prefix.as_str()), (8080, "a."));
}

#[test]
fn no_secret_is_ever_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "file-secret-file-secret").unwrap();
    let text = format!(
        r#"
        [kafka.properties]
        "sasl.password" = "property-secret-1"
        "sasl.username" = "env:KAFKA_USER"
        "ssl.key.pem" = "property-secret-2"
        "linger.ms" = 3
        [privacy]
        message_text = "hash"
        hash_key = "hash-secret-hash-secret"
        [[sources]]
        name = "v"
        provider = "vonage"
        account_id = "abcd1234"
        signature_secrets = ["env:VONAGE_SECRET", "literal-secret-literal"]
        url_tokens = ["file:{}"]
        [sources.privacy]
        numbers = "hash"
        "#,
        path.display()
    );
    let loaded = load_with(&text, &[("KAFKA_USER", "user-secret")]).unwrap();
    let source = &loaded.settings.sources[0];
    assert_eq!((source.privacy.numbers, source.privacy.message_text), (NumberPolicy::Hash, TextPolicy::Hash));
    let printed = format!("{}{:?}{:?}", loaded.redacted, loaded.settings, loaded.warnings);
    for secret in ["hunter2", "property-secret", "user-secret", "hash-secret", "literal-secret", "file-secret"] {
        assert!(!printed.contains(secret), "{secret}");
    }
    for shown in
        ["[\"***\", \"***\"]  # from env:VONAGE_SECRET, text", "\"linger.ms\" = \"3\"", "iat_max_age_s = 90000"]
    {
        assert!(loaded.redacted.contains(shown), "{shown}\n{}", loaded.redacted);
    }
    assert!(loaded.redacted.parse::<toml::Table>().is_ok(), "what is printed is TOML:\n{}", loaded.redacted);
}

/// What stands for a secret in every wrong configuration below.
const HIDDEN: &str = "hunter2hunter2";

fn assert_hidden(text: &str, variables: &[(&str, &str)]) {
    let problems = load_with(text, variables).expect_err(text);
    for printed in [problems.to_string(), format!("{problems:?}")] {
        assert!(!printed.contains("hunter2") && !printed.contains("4242"), "{text}\n{variables:?}\n{printed}");
    }
}

#[test]
fn no_message_repeats_a_line_that_is_no_toml() {
    for line in [
        "\"sasl.password\" = hunter2hunter2",
        "\"sasl.password\" = \"hunter2hunter2",
        "\"sasl.password\" = 'hunter2hunter2\"",
        "\"sasl.password\" = \"hunter2\\hunter2\"",
        "\"sasl.password\" = \"hunter2\u{1}\"",
        "\"sasl.password\" = \"\"\"hunter2hunter2",
        "\"sasl.password\" = \"a\" hunter2hunter2",
        "\"sasl.password\" = [\"hunter2hunter2\"",
        "\"sasl.password\" = { hunter2hunter2 }",
        "\"sasl.password\" \"hunter2hunter2\"",
        "hunter2hunter2",
        "= \"hunter2hunter2\"",
        "\"sasl.password\" = 42424242424242424242424242424242",
        "\"sasl.password\" = 0x4242hunter2",
        "\"sasl.password\" = 42_42_",
        "\"sasl.password\" = 2026-42-42",
        "\"sasl.password\" = \"hunter2hunter2\"\n\"sasl.password\" = \"hunter2hunter2\"",
        "[hunter2hunter2",
        "sasl.password = \"hunter2hunter2\"\nsasl = \"hunter2hunter2\"",
    ] {
        assert_hidden(&format!("{SOURCE}[kafka.properties]\n{line}\n"), &[]);
    }
}

#[test]
fn no_message_repeats_a_property() {
    for property in [
        "\"sasl.pasword\" = \"hunter2hunter2\"",
        "\"sasl.pasword\" = \"env:KAFKA_PASSWORD\"",
        "\"sasl.password\" = \"hunter2hunter2\"\n\"security.protocol\" = \"SASL_SSL\"",
        "\"sasl.password\" = [\"hunter2hunter2\"]",
        "\"sasl.password\" = 4242.4242",
        "\"sasl.password\" = { value = \"hunter2hunter2\" }",
        "\"security.protocol\" = \"hunter2hunter2\"",
        "\"compression.type\" = \"env:KAFKA_PASSWORD\"",
        "\"linger.ms\" = \"hunter2hunter2\"",
        "\"linger.ms\" = -4242",
        "\"ssl.ca.location\" = \"/nowhere/hunter2\"\n\"security.protocol\" = \"SSL\"",
        "\"ssl.key.pem\" = \"hunter2hunter2\"\n\"security.protocol\" = \"SSL\"",
        "\"ssl.keystore.location\" = \"/nowhere/hunter2\"\n\"security.protocol\" = \"SSL\"",
        "\"sasl.mechanism\" = \"hunter2hunter2\"\n\"security.protocol\" = \"SASL_SSL\"",
        "\"plugin.library.paths\" = \"hunter2hunter2\"",
        "\"client.id\" = \"hunter2\\u0000\"",
    ] {
        assert_hidden(&format!("{SOURCE}[kafka.properties]\n{property}\n"), &[("KAFKA_PASSWORD", HIDDEN)]);
    }
}

#[test]
fn no_message_repeats_what_stands_where_a_secret_should() {
    for (before, after) in [
        ("[\"env:VONAGE_SECRET\"]", "42424242"),
        ("[\"env:VONAGE_SECRET\"]", "[4242]"),
        ("[\"env:VONAGE_SECRET\"]", "\"hunter2hunter2\""),
        ("[\"env:VONAGE_SECRET\"]", "[\"hunter2hunter2\", \"hunter2hunter2\"]"),
        ("[\"env:VONAGE_SECRET\"]", "{ hunter = \"hunter2hunter2\" }"),
        ("[\"env:VONAGE_SECRET\"]", "[\"env:VONAGE_SECRET\"]\napi_secret = 4242"),
    ] {
        assert_hidden(&SOURCE.replace(before, after), &[]);
    }
    assert_hidden(&format!("{SOURCE}[privacy]\nhash_key = 42424242\n"), &[]);
    assert_hidden(&format!("{SOURCE}[server]\npublic_url = \"https://me:hunter2@example.com\"\n"), &[]);
}

#[test]
fn no_message_repeats_a_variable() {
    for key in [
        "SERVER__LISTEN",
        "SERVER__PUBLIC_URL",
        "SERVER__TRUSTED_PROXIES",
        "SERVER__TRUSTED_PROXIES__0",
        "SERVER__WORKERS",
        "SERVER__TLS",
        "SERVER__TLS__CERT",
        "SERVER__COLOUR",
        "ADMIN__LISTEN",
        "KAFKA__ACK_TIMEOUT_MS",
        "KAFKA__CREATE_TOPICS",
        "KAFKA__ENVELOPE",
        "KAFKA__PROPERTIES__SASL_PASWORD",
        "KAFKA__PROPERTIES__SECURITY_PROTOCOL",
        "PRIVACY__NUMBERS",
        "PRIVACY__HASH_KEY",
        "SOURCES__0__PROVIDER",
        "SOURCES__0__VERIFICATION",
        "SOURCES__0__DEFAULT_REGION",
        "SOURCES__0__ALLOWED_IPS",
        "SOURCES__0__API_KEY",
        "SOURCES__0__NAME__X",
        "SOURCES__4__NAME",
        "KAFAK__X",
    ] {
        assert_hidden(SOURCE, &[(&format!("TRUNKLINE_{key}"), HIDDEN)]);
    }
    let spaced = format!("{HIDDEN} {HIDDEN}");
    assert_hidden(SOURCE, &[("TRUNKLINE_KAFKA__BOOTSTRAP_SERVERS", &spaced)]);
    assert_hidden(SOURCE, &[("TRUNKLINE_KAFKA__TOPIC_PREFIX", &spaced)]);
    assert_hidden(SOURCE, &[("TRUNKLINE_SOURCES__0__NAME", &spaced)]);
    assert_hidden(SOURCE, &[("TRUNKLINE_SERVER__WORKERS", "424242")]);
}

#[test]
fn the_value_of_a_property_from_the_environment_is_not_shown() {
    let variables = [
        ("TRUNKLINE_KAFKA__PROPERTIES__SASL_USERNAME", HIDDEN),
        ("TRUNKLINE_KAFKA__PROPERTIES__SASL_PASSWORD", HIDDEN),
    ];
    let redacted = load_with(SOURCE, &variables).unwrap().redacted;
    assert!(!redacted.contains(HIDDEN), "{redacted}");
    assert!(
        redacted.contains("\"sasl.username\" = \"***\"  # from TRUNKLINE_KAFKA__PROPERTIES__SASL_USERNAME"),
        "{redacted}"
    );
}
