//! Counts and records of the partner.

use super::*;

fn counts(subject: &mut Subject, more: &str) -> Response {
    subject.get(&format!("/v1/partners/cdrcountbyorg?{}{more}", hour(1)))
}

/// Counts by organisation.
fn by_organisation(response: &Response) -> BTreeMap<String, i64> {
    let counts = body(response)["cdr_counts"].as_array().unwrap().clone();
    counts.iter().map(|entry| (entry["orgId"].as_str().unwrap().to_owned(), entry["count"].as_i64().unwrap())).collect()
}

fn records_of(organisation: &str, more: &str) -> String {
    format!("/v1/partners/cdrsbyorg?orgId={organisation}&{}{more}", hour(1))
}

#[test]
fn windows_outside_of_what_is_documented_are_refused() {
    for path in ["/v1/partners/cdrcountbyorg?", "/v1/partners/cdrsbyorg?orgId=ORG&"] {
        for (times, status, told) in [
            (times(65.0, 5.0), 200, ""),
            (times(64.0, 4.99), 400, "End time is not older than 5 minutes"),
            (times(70.01, 10.0), 400, "Time duration is more than 60 minutes"),
            (times(48.0 * 60.0 + 0.01, 48.0 * 60.0 - 30.0), 400, "Start time is older than 48 hours"),
            (times(48.0 * 60.0, 48.0 * 60.0 - 30.0), 404, "No CDRs"),
            (times(10.0, 20.0), 400, "End time is before start time"),
            ("startTime=2026-02-03T10:00:00.000Z".to_owned(), 400, "The parameter endTime is missing"),
            ("startTime=2026-02-03T10:00:00Z&endTime=2026-02-03T11:00:00.000Z".to_owned(), 400, "not of the form"),
            ("startTime=2026-02-03T10:00:00.000%2B00:00&endTime=x".to_owned(), 400, "not of the form"),
        ] {
            let mut subject = Subject::with("");
            let target = format!("{}{times}", path.replace("ORG", &subject.organisation(0)));
            let response = subject.get(&target);
            assert_eq!(response.status, status, "{target} {response:?}");
            assert!(told.is_empty() || message(&response).contains(told), "{response:?}");
        }
    }
    let mut subject = Subject::with("limits = false");
    assert_eq!(subject.get(&format!("/v1/partners/cdrcountbyorg?{}", times(600.0, 0.0))).status, 200);
    subject.behave("partner_reach_h = 720\nempty = \"list\"");
    let old = subject.get(&format!("/v1/partners/cdrcountbyorg?{}", times(6000.0, 5990.0)));
    assert_eq!((old.status, body(&old)), (200, serde_json::json!({"cdr_counts": []})));
}

#[test]
fn both_ends_of_a_window_belong_to_it() {
    let mut subject = Subject::with("");
    let facts = subject.double.facts(world().since, subject.now);
    let (first, second) = (&facts[3]["report_time"], &facts[4]["report_time"]);
    let times = format!("startTime={}&endTime={}", first.as_str().unwrap(), second.as_str().unwrap());
    let response = subject.get(&format!("/v1/partners/cdrcountbyorg?{times}"));
    assert_eq!(by_organisation(&response).values().sum::<i64>(), 2);
}

#[test]
fn counts_and_records_agree_with_the_truth() {
    let mut subject = Subject::with("");
    let counted = by_organisation(&counts(&mut subject, ""));
    assert_eq!(counted.values().sum::<i64>(), 60);
    for (organisation, count) in counted {
        let pages = subject.pages(&records_of(&organisation, ""));
        assert_eq!((pages.len(), i64::try_from(pages[0].len()).unwrap()), (1, count));
        assert!(pages[0].iter().all(|record| record["Org UUID"] == organisation.as_str()));
    }
}

#[test]
fn two_hundred_organisations_are_on_a_page_and_headers_tell_how_many_there_are() {
    let mut subject = Subject::new(World { accounts: 283, ..world() });
    for (spelling, names) in [
        ("words", Some(["Number-Of-Pages", "Total-Number-Of-Organizations", "Current-Page"])),
        ("camel", Some(["totalPages", "totalOrgs", "currentPage"])),
        ("prefixed", Some(["X-Total-Pages", "X-Total-Count", "X-Page"])),
        ("none", None),
    ] {
        subject.behave(&format!("idle_orgs = \"zero\"\npage_headers = \"{spelling}\""));
        let mut known = BTreeMap::new();
        for (page, size) in [("", 200), ("&page=1", 200), ("&page=2", 83), ("&page=3", 0)] {
            let response = counts(&mut subject, page);
            let entries = by_organisation(&response);
            assert_eq!(entries.len(), size, "{page}");
            known.extend(entries);
            let told = names.map(|names| names.map(|name| response.header(name).unwrap().to_owned()));
            let current = page.strip_prefix("&page=").unwrap_or("1").to_owned();
            assert_eq!(told, names.map(|_| ["2".to_owned(), "283".to_owned(), current]), "{spelling}");
            assert_eq!(response.headers.len(), if names.is_some() { 5 } else { 2 });
        }
        assert_eq!((known.len(), known.values().sum::<i64>()), (283, 60));
    }
    for page in ["0", "x", "-1"] {
        assert_eq!(counts(&mut subject, &format!("&page={page}")).status, 400, "{page}");
    }
}

#[test]
fn counts_can_be_wrong_and_organisations_without_calls_are_absent() {
    let mut subject = Subject::new(World { accounts: 283, ..world() });
    let right = by_organisation(&counts(&mut subject, ""));
    assert!(right.len() < 60 && right.values().all(|count| *count > 0));
    subject.behave("count_off = 2");
    let wrong = by_organisation(&counts(&mut subject, ""));
    assert!(right.iter().all(|(organisation, count)| wrong[organisation] == count + 2));
    subject.behave("count_off = -9");
    assert!(by_organisation(&counts(&mut subject, "")).values().all(|count| *count == 0));
}

#[test]
fn two_counts_at_once_are_one_too_many() {
    let mut subject = Subject::with("");
    let request = subject.request("GET", &format!("/v1/partners/cdrcountbyorg?{}", hour(1)));
    let second = Request { in_flight: 1, ..request };
    let response = subject.answer(&second);
    assert_eq!((response.status, response.header("Retry-After")), (429, Some("2")));
    assert_eq!(message(&response), "Request rate exceeds threshold");
    subject.behave("rates = false");
    assert_eq!(subject.answer(&second).status, 200);
}

#[test]
fn who_is_asked_about_must_be_known() {
    let mut subject = Subject::with("");
    let unknown = subject.get(&records_of("1a2b3c4d-0000-4111-8222-5e6f70809010", ""));
    assert_eq!((unknown.status, body(&unknown).get("errorCode")), (404, None));
    assert_eq!(subject.get(&format!("/v1/partners/cdrsbyorg?{}", hour(1))).status, 400);
}

#[test]
fn the_records_of_another_region_are_told_at_its_door_alone() {
    let mut subject = Subject::with("regions = \"two\"");
    let all = counts(&mut Subject::with(""), "");
    let first = by_organisation(&counts(&mut subject, ""));
    let target = format!("/v1/partners/cdrcountbyorg?{}", hour(1));
    let second = by_organisation(&subject.get_at(Door::Second, &target));
    assert_eq!((first.len(), second.len()), (2, 1));
    assert_eq!(first.into_iter().chain(second.clone()).collect::<BTreeMap<_, _>>(), by_organisation(&all));
    let odd = records_of(second.keys().next().unwrap(), "");
    let elsewhere = subject.get(&odd);
    assert!(elsewhere.status == 451 && message(&elsewhere).ends_with(&format!("should go to URL: {SECOND}")));
    assert_eq!(subject.get_at(Door::Second, &odd).status, 200);
    subject.behave("regions = \"foreign\"");
    for door in [Door::First, Door::Second] {
        let elsewhere = subject.get_at(door, &odd);
        assert!(elsewhere.status == 451 && message(&elsewhere).contains("https://analytics-calling-eu.example.net"));
    }
}

#[test]
fn a_filter_by_start_time_puts_records_into_other_hours() {
    let hours = |filter: &str| -> Vec<Vec<String>> {
        let mut subject = Subject::with(&format!("filter = \"{filter}\"\nempty = \"list\""));
        let organisation = subject.organisation(0);
        let target = |number| format!("/v1/partners/cdrsbyorg?orgId={organisation}&{}", hour(number));
        let ids = |pages: Vec<Vec<Value>>| -> Vec<String> {
            pages.concat().iter().map(|record| record["Report ID"].as_str().unwrap().to_owned()).collect()
        };
        (0..5).map(|number| ids(subject.pages(&target(number)))).collect()
    };
    let (by_report, by_start) = (hours("report"), hours("start"));
    assert_ne!(by_report, by_start);
    // Each hour but the first has all that was reported in it or after it, since nothing else can have begun in it.
    let known = by_report.concat();
    assert!(by_start.concat().iter().filter(|id| known.contains(id)).count() > known.len() / 2);
}

#[test]
fn a_late_record_is_told_when_it_is_known() {
    let fates = Fates { late_records_percent: 100, ..Fates::default() };
    let mut subject = Subject::new(World { fates, ..world() });
    let target = format!("/v1/partners/cdrcountbyorg?{}", hour(4));
    let mut seen = Vec::new();
    for at in ["2026-02-03T11:05:01Z", "2026-02-03T11:35:00Z", "2026-02-03T12:40:00Z"] {
        subject.now = time(at);
        seen.push(by_organisation(&subject.get(&target)).values().sum::<i64>());
    }
    assert!(seen[0] > 0 && seen[0] < seen[1] && seen[1] < seen[2], "{seen:?}");
    assert_eq!(seen[2], 60);
}
