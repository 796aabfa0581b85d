use crate::config::tests::{SOURCE, load_with, problems};

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
fn a_region_in_small_letters_is_accepted() {
    assert!(load_with(&format!("{SOURCE}default_region = \"gb\"\n"), &[]).is_ok());
}

#[test]
fn a_source_must_verify_or_say_that_it_does_not() {
    let source = |keys: &str| format!("[[sources]]\nname = \"a\"\nprovider = \"vonage\"\naccount_id = \"x\"\n{keys}");
    assert!(problems(&source(""))[0].contains("the source verifies nothing"));
    assert!(problems(&source("signature_secrets = []"))[0].contains("the source verifies nothing"));
    assert!(problems(&source("verification = \"some\""))[0].contains("expected \"none\""));
    let both = source("verification = \"none\"\nurl_tokens = [\"env:VONAGE_SECRET\"]");
    assert!(problems(&both)[0].contains("contradicts"));
    let open = load_with(&source("verification = \"none\""), &[]).unwrap();
    assert!(open.warnings.iter().any(|warning| warning.message.contains("everybody")));
    let twice = format!("{SOURCE}{SOURCE}");
    assert!(problems(&twice)[0].contains("is the name of another source"));
    assert!(problems("")[0].contains("add a [[sources]] block"));
}

#[test]
fn the_documented_keys_of_every_provider_are_accepted() {
    let text = r#"
        [[sources]]
        name = "v"
        provider = "vonage"
        account_id = "abcd1234"
        signature_secrets = ["env:VONAGE_SECRET", "env:OLD_SECRET"]
        url_tokens = ["env:URL_TOKEN"]
        application_ids = ["aaaaaaaa-bbbb-cccc-dddd-0123456789ab"]
        iat_max_age_s = 90000
        iat_max_ahead_s = 300
        sms_signature_method = "sha512"
        sms_timestamp_max_age_s = 90000
        api_key = "abcd1234"
        api_secret = "env:VONAGE_SECRET"
        allowed_ips = ["203.0.113.0/24"]
        default_region = "GB"
        [[sources]]
        name = "w"
        provider = "webex"
        account_id = "11111111-2222-4333-8444-555555555555"
        signature_secrets = ["env:VONAGE_SECRET"]
        [[sources]]
        name = "t"
        provider = "telphin"
        account_id = "999"
        url_tokens = ["env:VONAGE_SECRET"]
        client_id = "x"
        client_secret = "env:VONAGE_SECRET"
        api_url = "https://apiproxy.telphin.ru"
    "#;
    let loaded = load_with(text, &[]).unwrap();
    assert!(!loaded.redacted.contains("hunter2"));
    assert_eq!(loaded.settings.sources[1].max_body_bytes, 64 << 20);
    let unknown_method = text.replace("sha512", "rot13");
    assert!(problems(&unknown_method)[0].contains("sources.0.sms_signature_method"));
    let unnamed = text.replace("account_id = \"999\"", "");
    assert!(problems(&unnamed)[0].contains("sources.2.account_id"));
}

#[test]
fn a_whole_source_may_come_from_the_environment() {
    let variables = [
        ("TRUNKLINE_SOURCES__0__NAME", "v"),
        ("TRUNKLINE_SOURCES__0__PROVIDER", "vonage"),
        ("TRUNKLINE_SOURCES__0__SIGNATURE_SECRETS", "env:VONAGE_SECRET"),
    ];
    let settings = load_with("", &variables).unwrap().settings;
    assert_eq!(settings.sources[0].name, "v");
}
