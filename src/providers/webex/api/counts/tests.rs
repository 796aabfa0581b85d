use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::provider::api::{Api, Question};
use crate::providers::webex::api::tests::{EU, REGION, Told, answer, api_with, asked, converse, value, with_header};

/// An invented organisation.
fn organisation(number: usize) -> String {
    format!("{number:08x}-0000-4111-8222-5e6f70809010")
}

fn entry(number: usize, rows: u64) -> (String, u64) {
    (organisation(number), rows)
}

fn entries(numbers: std::ops::Range<usize>) -> Vec<(String, u64)> {
    numbers.map(|number| entry(number, 3)).collect()
}

fn page(entries: &[(String, u64)], headers: &[(&str, &str)]) -> Answer {
    let counts: Vec<_> = entries.iter().map(|(id, rows)| json!({"orgId": id, "count": rows})).collect();
    let page = answer(200, &json!({ "cdr_counts": counts }));
    headers.iter().fold(page, |page, (name, value)| with_header(page, name, *value))
}

fn ask(api: &dyn Api, reply: impl FnMut(&Request) -> Answer) -> Told {
    converse(api, &Question::Counts(asked("cdr")), reply)
}

fn number_of(request: &Request) -> usize {
    value(request, "page").map_or(1, |page| page.parse().unwrap())
}

/// The numbers of the pages that were asked for.
fn pages(told: &Told) -> Vec<usize> {
    told.requests.iter().map(number_of).collect()
}

/// Asks a host that has these pages and nothing behind them.
fn ask_for(served: &[Answer]) -> Told {
    ask(&*api_with(""), |request| served.get(number_of(request) - 1).cloned().unwrap_or_else(|| page(&[], &[])))
}

#[test]
fn an_hour_is_asked_up_to_its_last_millisecond() {
    let told = ask_for(&[page(&entries(0..2), &[])]);
    assert_eq!((told.ending, told.counts), (Ending::Whole, entries(0..2)));
    let request = &told.requests[0];
    assert_eq!((request.base, request.class), ("analytics", "partner_counts"));
    assert_eq!(request.path, "/v1/partners/cdrcountbyorg");
    assert_eq!(value(request, "startTime"), Some("2026-02-03T09:00:00.000Z"));
    assert_eq!(value(request, "endTime"), Some("2026-02-03T09:59:59.999Z"));
    assert_eq!(request.query.len(), 2);
}

#[test]
fn pages_are_asked_as_headers_or_full_pages_say() {
    let (full, rest) = (entries(0..200), entries(200..283));
    let told_of = |pages: &'static str| [("x-total-pages", pages), ("x-current-page", "1")];
    for (served, asked_for) in [
        // Nothing is told: on while pages are full.
        (vec![page(&full, &[]), page(&rest, &[])], vec![1, 2]),
        (vec![page(&full, &[])], vec![1, 2]),
        // The number is told: each is asked.
        (vec![page(&entries(0..5), &told_of("3")), page(&entries(5..9), &[]), page(&rest, &[])], vec![1, 2, 3]),
        (vec![page(&full, &told_of("2")), page(&rest, &told_of("2"))], vec![1, 2]),
        // A full page asks for the next one, whatever is told.
        (vec![page(&full, &told_of("1")), page(&rest, &told_of("1"))], vec![1, 2]),
        // A link tells that there is another one.
        (vec![page(&entries(0..5), &[("link", "<https://h.example.com>; rel=next")]), page(&rest, &[])], vec![1, 2]),
        // An empty page, or one that tells of nobody new, ends it without a fault.
        (vec![page(&entries(0..5), &told_of("9")), page(&[], &[])], vec![1, 2]),
        (vec![page(&full, &told_of("9")), page(&full, &told_of("9"))], vec![1, 2]),
        (vec![answer(404, &json!({"message": "No CDRs for requested time range and filters"}))], vec![1]),
    ] {
        let told = ask_for(&served);
        assert_eq!((&told.ending, pages(&told)), (&Ending::Whole, asked_for));
    }
}

#[test]
fn fewer_organisations_than_told_are_asked_for_twice_more() {
    let total = [("total-orgs", "3")];
    let short = || page(&entries(0..2), &total);
    let told = ask(&*api_with(""), |_| short());
    assert_eq!((pages(&told), told.ending), (vec![1, 1, 1], Ending::Partial("short_answer")));
    assert_eq!(told.counts, entries(0..2), "what was told is true");
    let mut answers = vec![page(&entries(0..3), &total), short()];
    let told = ask(&*api_with(""), |_| answers.pop().unwrap());
    assert_eq!((told.requests.len(), told.ending, told.counts), (2, Ending::Whole, entries(0..3)));
    // The second page is empty although more organisations are told.
    let first = page(&entries(0..2), &[("total-pages", "2"), ("total-orgs", "3")]);
    let told = ask_for(&[first]);
    assert_eq!((pages(&told), told.ending), (vec![1, 2, 1, 2, 1, 2], Ending::Partial("short_answer")));
}

#[test]
fn of_an_organisation_that_is_told_twice_the_greater_number_counts() {
    let served =
        [page(&[entry(1, 5), entry(2, 7), entry(1, 4)], &[("pages", "2")]), page(&[entry(2, 9), entry(3, 0)], &[])];
    assert_eq!(ask_for(&served).counts, [entry(1, 5), entry(2, 9), entry(3, 0)]);
}

#[test]
fn every_region_is_asked_and_none_twice() {
    let api = api_with(&format!("region_urls = [\"{REGION}\", \"{EU}\", \"https://analytics.webexapis.com\"]"));
    let told = ask(&*api, |request| match request.elsewhere.as_ref().map(Url::as_str) {
        None => page(&[entry(1, 5)], &[("total-orgs", "1")]),
        Some(region) if region.starts_with(REGION) => page(&[entry(1, 8), entry(2, 1)], &[]),
        Some(_) => page(&[], &[]),
    });
    assert_eq!((told.ending, told.requests.len()), (Ending::Whole, 3));
    assert_eq!(told.counts, [entry(1, 8), entry(2, 1)]);
    // Whoever was directed elsewhere before begins there.
    let question = Question::Counts(Asked { region: Some(EU.parse().unwrap()), ..asked("cdr") });
    let told = converse(&*api, &question, |_| page(&[], &[]));
    let regions: Vec<&str> =
        told.requests.iter().map(|request| request.elsewhere.as_ref().unwrap().host_str().unwrap()).collect();
    assert_eq!(regions, ["analytics-calling-eu.webexapis.com", "127.0.0.1"]);
}

#[test]
fn a_short_host_does_not_keep_the_others_from_being_asked() {
    let api = api_with(&format!("region_urls = [\"{REGION}\"]"));
    let told = ask(&*api, |request| match request.elsewhere {
        None => page(&[entry(1, 5)], &[("total-orgs", "2")]),
        Some(_) => page(&[entry(2, 1)], &[]),
    });
    assert_eq!((told.requests.len(), told.ending), (4, Ending::Partial("short_answer")));
    assert_eq!(told.counts, [entry(1, 5), entry(2, 1)]);
}

#[test]
fn each_host_is_asked_again_by_its_own_measure() {
    let api = api_with(&format!("region_urls = [\"{REGION}\"]"));
    let mut asked_there = 0;
    let told = ask(&*api, |request| match request.elsewhere {
        None => page(&[entry(1, 5)], &[("total-orgs", "2")]),
        Some(_) => {
            asked_there += 1;
            page(&entries(0..asked_there), &[("total-orgs", "3")])
        }
    });
    assert_eq!((told.requests.len(), told.counts.len()), (6, 3));
}

#[test]
fn a_region_to_which_we_are_sent_is_not_asked_once_more() {
    let api = api_with(&format!("region_urls = [\"{EU}\", \"{REGION}\"]"));
    let told = ask(&*api, |request| match request.elsewhere {
        None => answer(451, &json!({ "message": EU })),
        Some(_) => page(&[entry(1, 5)], &[]),
    });
    assert_eq!((told.ending, told.requests.len()), (Ending::Whole, 3));
}

#[test]
fn another_region_answers_for_the_rest_of_the_conversation() {
    let moved = answer(451, &json!({"message": format!("should go to URL: {EU}/v1/partners/cdrcountbyorg")}));
    let told = ask(&*api_with(""), |request| match (&request.elsewhere, number_of(request)) {
        (None, _) => moved.clone(),
        (Some(_), 1) => page(&entries(0..200), &[]),
        (Some(_), _) => page(&entries(200..201), &[]),
    });
    let elsewhere: Vec<bool> = told.requests.iter().map(|request| request.elsewhere.is_some()).collect();
    assert_eq!((told.ending, told.counts.len(), elsewhere), (Ending::Whole, 201, vec![false, true, true]));
}

#[test]
fn regions_that_send_us_round_and_round_are_given_up() {
    let india = "https://analytics-calling-in.webexapis.com";
    let told = ask(&*api_with(""), |request| {
        let is_there = request.elsewhere.as_ref().is_some_and(|url| url.as_str().starts_with(EU));
        answer(451, &json!({"message": if is_there { india } else { EU }}))
    });
    assert_eq!(told.requests.len(), 4);
    assert!(matches!(told.ending, Ending::Failed(Verdict::Elsewhere(_))), "{:?}", told.ending);
}

#[test]
fn a_refusal_ends_it_with_what_was_told_before() {
    for (status, message, ending) in [
        (500, "x", Ending::Failed(Verdict::Again { word: "server_error" })),
        (401, "x", Ending::Failed(Verdict::Renew)),
        (400, "Start time is more than 30 days ago", Ending::Expired),
        (200, "x", Ending::Failed(Verdict::NotUnderstood)),
    ] {
        let told = ask(&*api_with(""), |request| match number_of(request) {
            1 => page(&entries(0..200), &[]),
            _ => answer(status, &json!({ "message": message })),
        });
        assert_eq!((told.ending, told.counts.len()), (ending, 200));
    }
}

proptest! {
    #[test]
    fn order_and_size_of_pages_and_doubled_entries_change_nothing(
        numbers in prop::collection::btree_map(0..2000_usize, 0..9000_u64, 1..650),
        sizes in prop::collection::vec(1..260_usize, 1..9),
        doubled in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        backwards: bool,
    ) {
        let mut all: Vec<_> = numbers.iter().map(|(number, rows)| entry(*number, *rows)).collect();
        for index in doubled {
            let (id, rows) = index.get(&all).clone();
            all.push((id, rows / 2));
        }
        if backwards {
            all.reverse();
        }
        let (mut rest, mut served, mut sizes) = (&all[..], Vec::new(), sizes.iter().cycle());
        let mut known = BTreeSet::new();
        while !rest.is_empty() {
            // A page that tells of nobody new would end it.
            let mut size = (*sizes.next().unwrap()).min(rest.len());
            if rest[..size].iter().all(|(id, _)| known.contains(id)) {
                size = rest.len();
            }
            let (cut, behind) = rest.split_at(size);
            known.extend(cut.iter().map(|(id, _)| id.clone()));
            served.push(cut.to_vec());
            rest = behind;
        }
        let (pages, total) = (served.len().to_string(), numbers.len().to_string());
        let headers = [("Number-Of-Pages", pages.as_str()), ("Total-Number-Of-Organizations", total.as_str())];
        let answers: Vec<Answer> = served.iter().map(|entries| page(entries, &headers)).collect();
        let told = ask_for(&answers);
        prop_assert_eq!(told.ending, Ending::Whole);
        let expected: BTreeMap<String, u64> = numbers.iter().map(|(number, rows)| entry(*number, *rows)).collect();
        prop_assert_eq!(told.counts.into_iter().collect::<BTreeMap<_, _>>(), expected);
    }

    #[test]
    fn no_answers_make_it_go_on_for_ever(
        answers in prop::collection::vec((prop::sample::select(vec![200_u16, 204, 400, 404, 451, 500]), 0..4_usize, "[0-9]{0,3}"), 1..6)
    ) {
        let mut answers = answers.iter().cycle();
        let told = ask(&*api_with(""), |_| {
            let (status, number, header) = answers.next().unwrap();
            let entries: Vec<_> = (0..*number).map(|number| entry(number, 1)).collect();
            Answer { status: *status, ..page(&entries, &[("pages", header), ("total", header)]) }
        });
        prop_assert!(told.requests.len() < 40, "{}", told.requests.len());
    }
}
