use super::*;
use crate::providers::webex::api::tests::{ORGANISATION, api_with, read};

const ID: &str = "client_id = \"C0123\"\n";
const SECRET: &str = "client_secret = \"env:A_SECRET\"\n";
const TOKEN: &str = "refresh_token = \"env:A_TOKEN\"\n";
const PERSONAL: &str = "access_token = \"env:A_TOKEN\"\n";

/// The keys of the problems that a source has.
fn problems(text: &str) -> Vec<String> {
    let mut keys: Vec<String> =
        read(text).problems.iter().map(|problem| problem.split(':').next().unwrap().to_owned()).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn there_is_an_api_where_there_are_credentials() {
    let none = read("");
    assert!(none.api.is_none() && none.problems.is_empty() && none.warnings.is_empty());
    let api = api_with("");
    let Access::OAuth(access) = api.access() else { panic!("{:?}", api.access()) };
    assert_eq!((access.base, access.path, access.client_id.as_str()), ("api", "/v1/access_token", "C0123"));
    assert!(access.refresh_token.is_some());
    let bases: Vec<_> = api.bases().iter().map(|(name, url)| (*name, url.as_str())).collect();
    let expected = [
        ("api", "https://webexapis.com/"),
        ("analytics", "https://analytics.webexapis.com/"),
        ("feed", "https://analytics-calling.webexapis.com/"),
    ];
    assert_eq!(bases, expected);
}

#[test]
fn a_personal_token_is_taken_with_a_warning() {
    let read = read(PERSONAL);
    assert!(matches!(read.api.unwrap().access(), Access::Bearer(_)));
    assert_eq!(read.warnings.len(), 1);
    assert!(read.warnings[0].starts_with("access_token: ") && read.warnings[0].contains("12 hours"));
    assert_eq!(problems(&format!("{PERSONAL}{ID}{SECRET}{TOKEN}")), ["access_token"]);
}

#[test]
fn credentials_in_part_are_told_by_what_is_missing() {
    for (given, missing) in [
        (vec![ID], vec!["client_secret", "refresh_token"]),
        (vec![SECRET], vec!["client_id", "refresh_token"]),
        (vec![TOKEN], vec!["client_id", "client_secret"]),
        (vec![ID, SECRET], vec!["refresh_token"]),
        (vec![ID, TOKEN], vec!["client_secret"]),
        (vec![SECRET, TOKEN], vec!["client_id"]),
        (vec![ID, SECRET, TOKEN], vec![]),
        // What is there and wrong is not told to be missing.
        (vec![ID, SECRET, "refresh_token = \"env:NOT_SET\"\n"], vec!["refresh_token"]),
        (vec!["refresh_token = 7\n"], vec!["client_id", "client_secret", "refresh_token"]),
    ] {
        assert_eq!(problems(&given.concat()), missing, "{given:?}");
    }
}

#[test]
fn urls_name_a_host_and_nothing_else() {
    for url in [
        "https://analytics.example.com",
        "https://analytics.example.com/",
        "https://analytics.example.com:8443",
        "http://127.0.0.1:9200",
        "http://localhost:9200",
        "http://[::1]:9200",
    ] {
        for key in ["api_url", "analytics_url", "feed_url"] {
            assert_eq!(problems(&format!("{key} = \"{url}\"")), Vec::<String>::new(), "{url}");
        }
        assert_eq!(problems(&format!("region_urls = [\"{url}\"]")), Vec::<String>::new(), "{url}");
    }
    for url in [
        "",
        "analytics.example.com",
        "ftp://analytics.example.com",
        "https://",
        "https://analytics.example.com/v1",
        "https://analytics.example.com?x",
        "https://analytics.example.com#x",
        "https://someone@analytics.example.com",
        "https://someone:hunter2@analytics.example.com",
        "http://analytics.example.com",
        "http://192.0.2.1",
        "http://localhost.example.com",
    ] {
        for key in ["api_url", "analytics_url", "feed_url"] {
            assert_eq!(problems(&format!("{key} = \"{url}\"")), [key], "{url}");
        }
        let read = read(&format!("region_urls = [\"https://a.example.com\", \"{url}\"]"));
        assert_eq!(read.problems.len(), 1, "{url}");
        assert!(read.problems[0].starts_with("region_urls: number 2 of the list: "), "{:?}", read.problems);
        assert!(!read.problems[0].contains("hunter2"), "{:?}", read.problems);
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = "client_id = \"C0123\"\napi_url = \"http://192.0.2.1\"\nfeed_url = \"x\"\nregion_urls = [\"x\"]\n\
                feed = \"both\"\norg_id = \"\"\nanalytics_url = \"https://h.example.com/v1\"";
    assert_eq!(
        problems(text),
        ["analytics_url", "api_url", "client_secret", "feed", "feed_url", "org_id", "refresh_token", "region_urls"]
    );
}

#[test]
fn plain_http_is_warned_of() {
    let read = read("feed_url = \"http://127.0.0.1:9200\"\nregion_urls = [\"http://localhost:1\"]");
    assert_eq!(read.warnings.len(), 2, "{:?}", read.warnings);
}

#[test]
fn the_feed_tells_whether_there_may_be_rows_that_no_webhook_ever_brings() {
    for (keys, more) in [("", false), ("feed = \"analytics\"", false), ("feed = \"billing\"", true)] {
        assert_eq!(api_with(keys).tells_of_more_users(), more, "{keys}");
    }
}

#[test]
fn defaults_are_printed_and_secrets_are_not() {
    let read = read(&format!("{ID}{SECRET}{TOKEN}org_id = \"{ORGANISATION}\""));
    for line in ["api_url = ", "analytics_url = ", "feed_url = ", "feed = \"analytics\"", "client_secret = \"***\""] {
        assert!(read.printed.contains(line), "{line} {}", read.printed);
    }
    let all = format!("{}{:?}{:?}", read.printed, read.api, read.warnings);
    assert!(!all.contains("invented-value"), "{all}");
}
