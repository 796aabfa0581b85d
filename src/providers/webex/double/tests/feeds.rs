//! `cdr_feed` and `cdr_stream`, and the paging that all lists share.

use proptest::prelude::*;

use super::super::calls::{LATEST_MS, stamp};
use super::*;

fn ids(pages: &[Vec<Value>]) -> Vec<String> {
    pages.concat().iter().map(|record| record["Report ID"].as_str().unwrap().to_owned()).collect()
}

/// What really happened to a customer in the first hours of the world.
fn truth(subject: &Subject, organisation: &str, hours: i64) -> Vec<String> {
    let to = Time::from_unix_ms(world().since.unix_ms() + hours * HOUR_MS).unwrap();
    let facts = subject.double.facts(world().since, to);
    let of_it = facts.iter().filter(|fact| fact["account_id"] == organisation);
    of_it.map(|fact| fact["record_id"].as_str().unwrap().to_owned()).collect()
}

fn whole(hours: i64) -> String {
    let [from, to] = [0, hours * HOUR_MS - 1].map(|after_ms| stamp(world().since.unix_ms() + after_ms));
    format!("startTime={from}&endTime={to}")
}

#[test]
fn windows_outside_of_what_is_documented_are_refused() {
    let h = 60.0;
    for (path, times, status, told) in [
        ("cdr_feed", times(12.0 * h + 5.0, 5.0), 200, ""),
        ("cdr_feed", times(60.0, 4.99), 400, "End time is not older than 5 minutes"),
        ("cdr_feed", times(12.0 * h + 5.01, 5.0), 400, "Time duration is more than 12 hours"),
        (
            "cdr_feed",
            times(30.0 * 24.0 * h, 30.0 * 24.0 * h - 5.0),
            404,
            "No CDRs for requested time range and filters",
        ),
        ("cdr_feed", times(30.0 * 24.0 * h + 0.01, 30.0 * 24.0 * h - 5.0), 400, "Start time is older than 30 days"),
        ("cdr_stream", times(2.0 * h + 1.0, 1.0), 200, ""),
        ("cdr_stream", times(60.0, 0.99), 400, "End time is not older than 1 minute"),
        ("cdr_stream", times(2.0 * h + 1.01, 1.0), 400, "Time duration is more than 2 hours"),
        ("cdr_stream", times(12.0 * h + 0.01, 11.0 * h), 400, "Start time is older than 12 hours"),
    ] {
        let response = Subject::with("").get(&format!("/v1/{path}?{times}"));
        assert_eq!(response.status, status, "{path} {times} {response:?}");
        assert!(told.is_empty() || message(&response).contains(told), "{response:?}");
        assert_eq!(body(&response)["errorCode"] == 404, status == 404);
    }
    let mut lenient = Subject::with("empty = \"list\"");
    let nothing = lenient.get(&format!("/v1/cdr_feed?{}", times(3000.0, 2990.0)));
    assert_eq!((nothing.status, body(&nothing)), (200, serde_json::json!({"items": []})));
}

#[test]
fn a_partner_names_the_customer_in_either_form() {
    let mut subject = Subject::with("rates = false");
    let own = subject.organisation(0);
    let other = subject.organisation(1);
    let encoded = super::super::super::simulate::organisation_id(&other);
    let organisations = |subject: &mut Subject, more: &str| {
        let pages = subject.pages(&format!("/v1/cdr_feed?{}{more}", whole(3)));
        pages.concat().iter().map(|record| record["Org UUID"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (more, expected) in [
        (String::new(), &own),
        (format!("&orgId={other}"), &other),
        (format!("&orgId={}", other.to_uppercase()), &other),
        (format!("&orgId={}", encoded.replace('=', "%3D")), &other),
    ] {
        let found = organisations(&mut subject, &more);
        assert!(found.len() > 5 && found.iter().all(|id| id == expected), "{more} {found:?}");
    }
    assert_eq!(subject.get(&format!("/v1/cdr_feed?{}&orgId=unknown", whole(3))).status, 403);
}

#[test]
fn locations_are_names_and_ten_at_most() {
    let mut subject = Subject::with("rates = false");
    let mut count = |locations: &str| {
        let response = subject.get(&format!("/v1/cdr_feed?{}&locations={locations}", whole(3)));
        (response.status, body(&response)["items"].as_array().map_or(0, Vec::len))
    };
    let (_, all) = count("");
    assert_eq!(count("Cellar,Head%20office"), (200, all));
    assert_eq!(count("Cellar"), (404, 0));
    assert_eq!(count("a,b,c,d,e,f,g,h,i,j,k").0, 400);
}

#[test]
fn max_is_clamped_and_must_be_a_number() {
    let mut subject = Subject::new(World { facts_per_hour: 1000, accounts: 1, ..world() });
    subject.behave("rates = false");
    for (max, size) in [("", 3000), ("&max=1", 500), ("&max=600", 600), ("&max=9999", 3000)] {
        let response = subject.get(&format!("/v1/cdr_feed?{}{max}", whole(3)));
        assert_eq!(body(&response)["items"].as_array().unwrap().len(), size, "{max}");
        assert_eq!(response.header("Link").is_some(), size < 3000, "{max}");
    }
    assert_eq!(subject.get(&format!("/v1/cdr_feed?{}&max=all", whole(3))).status, 400);
}

#[test]
fn the_next_page_is_told_in_every_form() {
    let request = format!("/v1/cdr_feed?{}&max=500", whole(3));
    let this = format!("{FIRST}{request}");
    let of_form = |form: &str| {
        let mut subject = Subject::with(&format!("page_records = 4\nlink = \"{form}\""));
        subject.get(&request).header("Link").unwrap().to_owned()
    };
    let ordinary = of_form("ordinary");
    let next = url(&ordinary).to_owned();
    assert!(next.starts_with(&format!("{FIRST}/v1/cdr_feed?startTime=")), "{next}");
    for parameter in ["endTime", "max=500", "startTimeForNextFetch=2026-02-03T0", "totalCount="] {
        assert!(next.contains(parameter), "{next}");
    }
    assert_eq!(of_form("bracketed"), format!("<<{next}>;rel=\"next\">"));
    assert_eq!(of_form("several"), format!("<{this}>; rel=\"first\", <{next}>; rel=\"next\""));
    assert_eq!(of_form("malformed"), format!("<{next}; rel=\"next\""));
    assert_eq!(of_form("foreign"), format!("<{}>; rel=\"next\"", next.replace(FIRST, SECOND)));
    assert_eq!(of_form("repeated"), format!("<{this}>; rel=\"next\""));
}

#[test]
fn one_first_request_a_minute_and_ten_pages_are_taken() {
    let mut subject = Subject::with("page_records = 1");
    let first = format!("/v1/cdr_feed?{}", whole(3));
    let link = subject.get(&first).header("Link").unwrap().to_owned();
    let page = url(&link).strip_prefix(FIRST).unwrap().to_owned();
    let again = subject.get(&first);
    assert_eq!((again.status, again.header("Retry-After")), (429, Some("60")));
    let statuses: Vec<u16> = (0..11).map(|_| subject.get(&page).status).collect();
    assert_eq!(statuses, [[200; 10].as_slice(), &[429]].concat());
    assert_eq!(subject.get(&format!("/v1/cdr_stream?{}", times(60.0, 2.0))).status, 200, "each has its own rate");
    subject.now = time("2026-02-03T12:15:00Z");
    assert_eq!(subject.get(&first).header("Retry-After"), Some("27"));
    subject.now = time("2026-02-03T12:15:26.103Z");
    assert_eq!([subject.get(&first).status, subject.get(&page).status], [200, 200]);
    subject.now = time("2026-02-03T12:00:00Z");
    assert_eq!(subject.get(&format!("/v1/cdr_feed?{}", whole(2))).status, 200, "a clock that is turned back");
}

#[test]
fn late_records_stand_in_the_stream_where_they_became_known() {
    let fates = Fates { late_records_percent: 30, ..Fates::default() };
    let mut subject = Subject::new(World { fates, ..world() });
    subject.behave("rates = false\nlimits = false\nempty = \"list\"");
    subject.now = Time::from_unix_ms(world().since.unix_ms() + 6 * HOUR_MS + LATEST_MS).unwrap();
    let from_ms = world().since.unix_ms();
    let mut told = Vec::new();
    for step in 0..20 {
        let [from, to] = [from_ms + step * HOUR_MS / 2, from_ms + (step + 1) * HOUR_MS / 2 - 1].map(stamp);
        told.extend(ids(&subject.pages(&format!("/v1/cdr_stream?startTime={from}&endTime={to}"))));
    }
    let organisation = subject.organisation(0);
    let known = truth(&subject, &organisation, 6);
    assert!(known.iter().all(|id| told.iter().filter(|other| *other == id).count() == 1), "each record exactly once");
    assert_ne!(told[..known.len()], known, "in the order in which they became known");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever the pages look like, their ends have no gap, and come.
    #[test]
    fn pages_hold_every_record(
        seed: u64, page_records in 1..20_usize, overlapping: bool, doubled in 0..=100_u8, stream: bool,
    ) {
        let mut subject = Subject::new(World { seed, accounts: 2, facts_per_hour: 20, ..world() });
        let cursor = if overlapping { "overlapping" } else { "exact" };
        subject.behave(&format!(
            "rates = false\nlimits = false\nempty = \"list\"\n\
             page_records = {page_records}\ncursor = \"{cursor}\"\ndoubled_percent = {doubled}"
        ));
        let path = if stream { "cdr_stream" } else { "cdr_feed" };
        let times = if stream { format!("startTime={}&endTime={NOW}", stamp(world().since.unix_ms())) } else { whole(4) };
        let pages = subject.pages(&format!("/v1/{path}?{times}"));
        prop_assert!(pages.len() < 1000);
        let mut told = ids(&pages);
        let organisation = subject.credentials["org_id"].clone();
        let known = truth(&subject, &organisation, 4);
        if !overlapping && doubled == 0 && !stream {
            prop_assert_eq!(&told, &known);
        }
        told.sort();
        told.dedup();
        prop_assert!(known.iter().all(|id| told.binary_search(id).is_ok()));
    }
}
