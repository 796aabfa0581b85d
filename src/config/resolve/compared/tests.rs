use crate::config::tests::{load_with, problems};

const KEYS: &str = "[reconcile]\nstate_keys = [\"env:URL_TOKEN\"]\n";

fn named(name: &str, client: &str, keys: &str) -> String {
    format!(
        "[[sources]]\nname = \"{name}\"\nprovider = \"webex\"\nsignature_secrets = [\"env:VONAGE_SECRET\"]\n\
         client_id = \"{client}\"\nclient_secret = \"env:OLD_SECRET\"\nrefresh_token = \"env:URL_TOKEN\"\n{keys}"
    )
}

fn source(keys: &str) -> String {
    named("partner", "C0123", &format!("[sources.reconcile]\n{keys}"))
}

fn told(text: &str) -> Vec<String> {
    problems(&format!("{KEYS}{text}"))
}

#[test]
fn what_a_provider_allows_is_accepted() {
    for keys in [
        "",
        "products = [\"cdr\"]",
        "products = [\"CDR_FEED\", \"cdr_stream\"]",
        "products = []",
        "delay_s = 330\nagain_s = [3600, 165600]",
        "concurrency = 1\npublish_missing = \"known_users\"",
        "products = [\"cdr_feed\"]\nconcurrency = 4",
    ] {
        assert!(load_with(&format!("{KEYS}{}", source(keys)), &[]).is_ok(), "{keys}");
    }
}

#[test]
fn what_a_provider_does_not_allow_is_refused_with_its_key() {
    for (keys, words) in [
        (
            "products = [\"sms\"]",
            "products: \"sms\" is nothing that Webex Calling is asked for; that are: cdr, cdr_feed, cdr_stream",
        ),
        (
            "products = [\"cdr\", \"cdr_feed\"]",
            "products: cdr is for a partner and cdr_feed for a customer; make a source for each",
        ),
        (
            "delay_s = 329",
            "delay_s: is too early; the provider tells of a time 330 s after it at the earliest (of cdr)",
        ),
        (
            "again_s = [165601]",
            "again_s: is too late; the provider keeps rows so long that the greatest age can be 165600 s",
        ),
        ("again_s = [1700]", "again_s: has to ascend, each age being greater than delay_s, which is 1800 (of cdr)"),
        ("concurrency = 2", "concurrency: has to be 1 for cdr"),
    ] {
        let told = told(&source(keys));
        assert!(told.len() == 1 && told[0].contains(&format!("sources.0.reconcile.{words}")), "{keys}: {told:#?}");
    }
    let disordered = told(&source("delay_s = 3600\nagain_s = [3600]"));
    assert_eq!(disordered.len(), 1, "it is told once: {disordered:#?}");
}

#[test]
fn a_comparison_needs_credentials() {
    let without = "[[sources]]\nname = \"a\"\nprovider = \"webex\"\nsignature_secrets = [\"env:VONAGE_SECRET\"]\n\
                   [sources.reconcile]\n";
    let told = problems(without);
    assert!(told.len() == 1 && told[0].contains("sources.0.reconcile: asks the provider's API"), "{told:#?}");
    assert!(told[0].contains("docs/providers/webex.md names the keys"), "{told:#?}");
    assert!(load_with(&format!("{without}enabled = false\n"), &[]).is_ok(), "what is switched off needs nothing");
}

#[test]
fn a_token_that_is_renewed_needs_a_key_to_be_kept_with() {
    let told = problems(&named("partner", "C0123", ""));
    assert!(told.len() == 1 && told[0].contains("sources.0.refresh_token: is renewed"), "{told:#?}");
    assert!(told[0].contains("openssl rand -hex 32"), "{told:#?}");
    let personal = named("partner", "C0123", "").replace("refresh_token", "access_token");
    let personal = personal.replace("client_id = \"C0123\"\nclient_secret = \"env:OLD_SECRET\"\n", "");
    assert!(load_with(&personal, &[]).is_ok(), "a token that is not renewed needs none");
}

#[test]
fn nothing_is_asked_for_by_two_sources() {
    let pair = |first: &str, second: &str, client: &str| {
        let table = |products: &str| format!("[sources.reconcile]\nproducts = [{products}]\n");
        format!("{}{}", named("one", "C0123", &table(first)), named("two", client, &table(second)))
    };
    let twice = told(&pair("\"cdr\"", "\"cdr\"", "C0123"));
    assert_eq!(twice.len(), 1, "{twice:#?}");
    assert!(twice[0].contains("sources.1.reconcile.products: cdr is asked for by the source one too"), "{twice:#?}");
    assert!(load_with(&format!("{KEYS}{}", pair("\"cdr\"", "\"cdr\"", "C9999")), &[]).is_ok(), "another client");
    assert!(load_with(&format!("{KEYS}{}", pair("\"cdr\"", "\"cdr_feed\"", "C0123")), &[]).is_ok(), "another stream");
}
