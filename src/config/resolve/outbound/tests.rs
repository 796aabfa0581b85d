use crate::config::tests::{SOURCE, load_with, problems};

/// Of a certificate that nobody uses.
const CERTIFICATE: &str = include_str!("../../../outbound/tests/ca.pem");

fn with_file(text: &str) -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ca.pem");
    std::fs::write(&path, text).unwrap();
    let configuration = format!("[outbound]\nca_file = {path:?}\n{SOURCE}");
    (place, configuration)
}

#[test]
fn nothing_is_there_unless_it_is_given() {
    let settings = load_with(SOURCE, &[]).unwrap().settings;
    assert_eq!((settings.outbound.proxy, settings.outbound.ca_pem), (None, None));
}

#[test]
fn a_proxy_is_a_host_and_nothing_else() {
    let with = |proxy: &str| format!("[outbound]\nproxy = \"{proxy}\"\n{SOURCE}");
    for proxy in ["http://proxy.example.com:3128", "https://proxy.example.com", "http://[2001:db8::1]:3128/"] {
        let settings = load_with(&with(proxy), &[]).unwrap().settings;
        assert!(settings.outbound.proxy.unwrap().as_str().starts_with(proxy), "{proxy}");
    }
    for proxy in [
        "proxy.example.com:3128",
        "socks5://proxy.example.com:1080",
        "http://",
        "http://proxy.example.com:3128/way",
        "http://proxy.example.com:3128?a=b",
        "http://user@proxy.example.com:3128",
        "http://user:hunter2@proxy.example.com:3128",
    ] {
        let told = problems(&with(proxy)).join("\n");
        assert!(told.contains("outbound.proxy: expected a URL such as"), "{proxy}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn certificates_are_read_and_tried_at_start() {
    let (_place, configuration) = with_file(CERTIFICATE);
    let settings = load_with(&configuration, &[]).unwrap().settings;
    assert_eq!(settings.outbound.ca_pem.as_deref(), Some(CERTIFICATE.as_bytes()));

    let missing = problems(&format!("[outbound]\nca_file = \"/nonexistent/ca.pem\"\n{SOURCE}"));
    assert!(missing[0].contains("outbound.ca_file: the file can not be read"), "{missing:?}");
    for text in ["", "hunter2", "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n"] {
        let (_place, configuration) = with_file(text);
        let told = problems(&configuration).join("\n");
        assert!(told.contains("outbound.ca_file: the file holds no certificate"), "{text}: {told}");
        assert!(!told.contains("hunter2") && !told.contains("aHVudGVyMg"), "{told}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let told = problems(&format!("[outbound]\nproxy = 1\nca_file = 2\ncolour = \"red\"\n{SOURCE}"));
    for expected in
        ["outbound.proxy", "outbound.ca_file", "outbound.colour: unknown key; the keys here are: proxy, ca_file"]
    {
        assert!(told.iter().any(|problem| problem.contains(expected)), "{expected}\n{told:#?}");
    }
}
