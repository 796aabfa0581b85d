use crate::provider::api::Access;
use crate::providers::telphin::api::tests::{ACCOUNT, api_with, read};

const WHOLE: &str = "client_id = \"app\"\nclient_secret = \"env:A_SECRET\"\n";

#[test]
fn credentials_make_an_api_with_defaults() {
    let api = api_with("");
    let Access::OAuth(oauth) = api.access() else { panic!("tokens are asked for") };
    assert_eq!((oauth.path, oauth.client_id.as_str()), ("/oauth/token", "app"));
    assert!(oauth.refresh_token.is_none(), "the client's own credentials are enough");
    let (name, url) = &api.bases()[0];
    assert_eq!((*name, url.as_str()), ("api", "https://apiproxy.telphin.ru/"));
    assert_eq!(api.quota_reserve_percent(), 20);
}

#[test]
fn without_credentials_there_is_no_api_and_no_problem() {
    for account_id in [ACCOUNT, "demo-client"] {
        let read = read("", account_id);
        assert!(read.api.is_none() && read.problems.is_empty());
    }
}

#[test]
fn what_is_wrong_is_told() {
    for (keys, account_id, problem) in [
        ("client_id = \"app\"", ACCOUNT, "client_secret: is missing"),
        ("client_secret = \"env:A_SECRET\"", ACCOUNT, "client_id: is missing"),
        (WHOLE, "9/9", "account_id: is no id of a client"),
        ("api_url = \"http://example.com\"", ACCOUNT, "api_url: is http"),
        ("api_url = \"https://example.com/api\"", ACCOUNT, "api_url: has something behind the host"),
        ("api_utc_offset_min = 841", ACCOUNT, "api_utc_offset_min: expected a whole number from -840 to 840"),
        ("quota_reserve_percent = 91", ACCOUNT, "quota_reserve_percent: expected a whole number from 0 to 90"),
    ] {
        let read = read(keys, account_id);
        assert!(read.problems.iter().any(|told| told.starts_with(problem)), "{keys}: {:?}", read.problems);
    }
}

#[test]
fn nothing_secret_is_printed() {
    let read = read(WHOLE, ACCOUNT);
    assert!(!read.printed.contains("invented-value") && !format!("{:?}", read.api).contains("invented-value"));
}
