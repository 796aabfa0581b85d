//! Everything that can go wrong between a comparison and Webex's API, a row each: what is published, where the window
//! stands afterwards, under which word the answers are counted, and what the operator is told.

#[macro_use]
mod cases;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trunkline::provider::double::world::World;
use trunkline::reconcile::schedule::End;

use cases::{All, Case, MISCONFIGURED, Nothing, OPEN, PASSING, Part};

use crate::harness::comparing::{Ground, Side, end_of, hours};
use crate::harness::double::{TestDouble, world};
use crate::harness::{CALL_RECORD, DEAD_LETTER, is, schema, value_of};

fn keys(ground: &Ground) -> BTreeSet<String> {
    ground.records(CALL_RECORD).into_iter().map(|record| record.key).collect()
}

async fn facts(double: &TestDouble, is_of_feed: bool) -> BTreeSet<String> {
    let account = format!("webex:{}:", double.credential("org_id"));
    let facts = double.facts("to=2026-02-03T12:00:00Z").await;
    let keys = facts.iter().map(|fact| fact["key"].as_str().unwrap().to_owned());
    keys.filter(|key| !is_of_feed || key.starts_with(&account)).collect()
}

impl Case {
    /// Plays the case, and tells everything that is not as it should be.
    async fn problems(&self, ground: &Ground, seed: u64) -> String {
        let double = TestDouble::start("webex", World { seed, facts_per_hour: 20, ..world() }, self.script);
        double.turn_clock(3600);
        let side = ground.side(&double, "");
        let compared = side.compare(self.stream, &hours(0..2)).await;
        let mut problems = String::new();
        match (&compared, self.ends) {
            (Ok(compared), Ok(ends)) => {
                let found: Vec<String> = compared.windows.iter().map(|(_, end)| end_of(end)).collect();
                note(&mut problems, "ends", &found, &ends.map(ToOwned::to_owned).to_vec());
            }
            (Err(error), Err(told)) => {
                let text = error.to_string();
                told.iter().filter(|word| !text.contains(**word)).for_each(|word| {
                    writeln!(problems, "{word:?} is not in {text:?}").unwrap();
                });
            }
            (Ok(compared), Err(_)) => writeln!(problems, "it goes on: {:?}", compared.windows).unwrap(),
            (Err(error), Ok(_)) => writeln!(problems, "it stops: {error}").unwrap(),
        }
        let facts = facts(&double, self.stream != "cdr").await;
        let published = keys(ground).intersection(&facts).count();
        let found = match published {
            0 => Nothing,
            all if all == facts.len() => All,
            _ => Part,
        };
        note(&mut problems, "published", &found, &self.published);
        self.note_answers(&side, &mut problems);
        problems
    }

    fn note_answers(&self, side: &Side<'_>, problems: &mut String) {
        for (word, times) in self.outcomes {
            note(problems, word, &side.outcomes(word), times);
        }
        if !self.waits_s.is_empty() {
            note(problems, "waits", &side.waits_s(), &self.waits_s.to_vec());
        }
    }
}

fn note<T: PartialEq + std::fmt::Debug>(problems: &mut String, what: &str, found: &T, expected: &T) {
    if found != expected {
        writeln!(problems, "{what}: {found:?} instead of {expected:?}").unwrap();
    }
}

async fn play(cases: &[Case]) {
    let ground = Ground::start().await;
    let mut problems = String::new();
    for (seed, case) in (1..).zip(cases) {
        let found = case.problems(&ground, seed).await;
        if !found.is_empty() {
            writeln!(problems, "{}:\n{found}", case.what).unwrap();
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_but_the_operator_can_mend_stops_the_stream_and_tells_the_mend() {
    play(MISCONFIGURED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_costs_nothing_but_time() {
    play(PASSING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_leaves_the_window_open_and_what_was_read_is_published() {
    play(OPEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_topics_hold_beyond_the_counts_is_told_and_harms_nothing() {
    let ground = Ground::start().await;
    let double = TestDouble::start("webex", World { facts_per_hour: 20, ..world() }, "");
    double.turn_clock(3600);
    let side = ground.side(&double, "");
    side.compare("cdr", &hours(0..1)).await.unwrap();
    let before = ground.records(CALL_RECORD).len();
    double.play("[manners]\ncount_off = -1\n").await;
    let compared = side.compare("cdr", &hours(0..1)).await.unwrap();
    let sum = compared.cells.sum(hours(0..1)[0]);
    assert!(sum.surplus > 0 && sum.unexplained == 0, "{sum:?}");
    assert_eq!((end_of(&compared.windows[0].1).as_str(), ground.records(CALL_RECORD).len()), ("complete", before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_leaves_the_window_open() {
    let ground = Ground::start().await;
    let double = TestDouble::start("webex", world(), "");
    // Nothing listens on port 1 of this machine.
    let side = ground.side_at(&double, "http://127.0.0.1:1", "");
    let compared = side.compare("cdr", &hours(0..1)).await.unwrap();
    assert_eq!(end_of(&compared.windows[0].1), "open: unreachable");
    assert!(is(side.outcomes("unreachable"), 6.0), "it is tried six times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_no_more_rows_ends_the_comparison_and_publishes_nothing() {
    let ground = Ground::start().await;
    let double = TestDouble::start("webex", world(), "");
    double.turn_clock(3600);
    let mut side = ground.side(&double, "");
    side.options.max_work_bytes = 2000;
    let error = side.compare("cdr", &hours(0..1)).await.unwrap_err();
    assert!(error.to_string().contains("reconcile.max_work_bytes"), "{error}");
    assert!(ground.records(CALL_RECORD).is_empty());
}

/// The numbers tell of nothing, so that they agree with empty topics.
const NUMBERS_WITHOUT_MEANING: &str = "[manners]\ncount_off = -1000\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_finds_something_has_all_rows_of_that_hour_asked_for() {
    let ground = Ground::start().await;
    let few = World { facts_per_hour: 20, accounts: 3, ..world() };
    let double = TestDouble::start("webex", few, NUMBERS_WITHOUT_MEANING);
    double.turn_clock(3600);
    let mut side = ground.side(&double, "");
    side.compare("cdr", &hours(0..2)).await.unwrap();
    assert!(ground.records(CALL_RECORD).is_empty(), "nothing shows without an audit");
    side.options.audit_cells = 1;
    let compared = side.compare("cdr", &hours(0..2)).await.unwrap();
    let hour = hours(0..2).into_iter().find(|hour| compared.cells.sum(*hour).published > 0).unwrap();
    let facts = double.facts(&format!("from={}&to={}", hour.from(), hour.to())).await;
    let facts: BTreeSet<String> = facts.iter().map(|fact| fact["key"].as_str().unwrap().to_owned()).collect();
    assert!(facts.len() > 5 && keys(&ground) == facts, "{facts:?}");
    assert_eq!(compared.audit_mismatches, 1);
    assert!(compared.windows.iter().all(|(_, end)| end_of(end) == "complete"), "{:?}", compared.windows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_asked_at_once_the_next_time() {
    let ground = Ground::start().await;
    let regions = "[manners]\nregions = \"two\"\n";
    let double = TestDouble::start("webex", World { facts_per_hour: 20, ..world() }, regions);
    double.turn_clock(3600);
    let mut side = ground.side(&double, &format!("region_urls = [\"{}\"]\n", double.bases.second));
    // The counts are asked of both hosts. Records begin at the first one, which sends us to the second for one customer.
    let compared = side.compare("cdr", &hours(0..2)).await.unwrap();
    assert!(compared.windows.iter().all(|(_, end)| end_of(end) == "complete"), "{:?}", compared.windows);
    assert!(is(side.outcomes("elsewhere"), 1.0), "the second hour is asked at the right host");
    assert_eq!((compared.regions.len(), keys(&ground)), (1, facts(&double, false).await));
    let (_, host) = compared.regions.first_key_value().unwrap();
    assert_eq!(host.trim_end_matches('/'), double.bases.second);
    side.regions = compared.regions;
    side.options.audit_cells = 9;
    side.compare("cdr", &hours(0..2)).await.unwrap();
    assert!(is(side.outcomes("elsewhere"), 1.0), "a later comparison knows it too");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_is_kept_once_an_hour() {
    let ground = Ground::start().await;
    let html = counts!("", "headers = { Content-Type = \"text/html\" }, body = \"<html>not here</html>\"");
    let double = TestDouble::start("webex", world(), html);
    let side = ground.side(&double, "");
    side.compare("cdr", &hours(0..2)).await.unwrap();
    side.compare("cdr", &hours(0..2)).await.unwrap();
    let letters: Vec<_> = ground.records(DEAD_LETTER).iter().map(value_of).collect();
    // The clock may go on to the next hour in between.
    assert!((1..=2).contains(&letters.len()), "{letters:?}");
    schema::assert_valid(&letters[0]);
    let reason = &letters[0]["reason"];
    assert_eq!((&reason["code"], &letters[0]["body"]), (&"not_understood".into(), &"<html>not here</html>".into()));
    assert!(reason["message"].as_str().unwrap().starts_with("status 200, text/html, 21 bytes"), "{reason}");
    let request = &letters[0]["request"];
    assert_eq!(request["path"], "/v1/partners/cdrcountbyorg");
    assert!(request["query"].as_str().unwrap().starts_with("stream=cdr&endTime="), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_in_a_row_is_published_and_counted() {
    let ground = Ground::start().await;
    let double = TestDouble::start("webex", World { accounts: 1, ..world() }, "");
    double.turn_clock(3600);
    let side = ground.side(&double, "");
    let org = double.credential("org_id");
    let (begin, end) =
        (r#"{"items":[{"Report ID":"r-1","Direction":"SIDEWAYS","User":""#, format!(r#"","Org UUID":"{org}"}}]}}"#));
    // A byte that is no UTF-8 stands in the middle.
    let body = STANDARD.encode([begin.as_bytes(), b"\xff", end.as_bytes()].concat());
    let path = "when = { path = \"/v1/partners/cdrsbyorg\" }";
    double.play(&format!("[[fault]]\n{path}\nthen = {{ body_base64 = \"{body}\" }}\n")).await;
    let compared = side.compare("cdr", &hours(0..1)).await.unwrap();
    assert_eq!(keys(&ground), BTreeSet::from([format!("webex:{org}:r-1")]));
    assert!(is(side.outcomes("lossy"), 1.0) && is(ground.unmapped("Direction"), 1.0));
    assert_eq!(end_of(&compared.windows[0].1), "open: unexplained", "the counts tell of more");
    let event = value_of(&ground.records(CALL_RECORD)[0]);
    assert_eq!((&event["direction"], &event["user"]["name"]), (&"unknown".into(), &"\u{fffd}".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_whole_before_a_stop_is_done_and_the_rest_is_not_told_of() {
    let ground = Ground::start().await;
    for (script, done, word) in [
        (counts!(", nth = 3", "status = 429, headers = { Retry-After = \"1000\" }"), 2, "1000 s"),
        (rows!(", nth = 3", "status = 429, headers = { Retry-After = \"1000\" }"), 1, "1000 s"),
        (counts!(", nth = 3", "status = 403"), 0, "forbidden"),
    ] {
        let double =
            TestDouble::start("webex", World { seed: 77 + done as u64, facts_per_hour: 20, ..world() }, script);
        double.turn_clock(3600);
        let side = ground.side(&double, "");
        let compared = side.compare_some("cdr", &hours(0..3)).await.unwrap();
        let told = compared.stopped.as_ref().unwrap().to_string();
        assert!(told.contains(word), "{told}");
        let ends: Vec<String> = compared.windows.iter().map(|(_, end)| end_of(end)).collect();
        assert_eq!(ends, vec!["complete"; done], "{told}");
        let again = side.compare_some("cdr", &hours(0..3)).await.unwrap();
        assert!(again.stopped.is_none() && again.windows.len() == 3, "{:?}", again.stopped);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_of_which_the_provider_tells_the_same_again_are_not_looked_for_again() {
    let ground = Ground::start().await;
    let double = TestDouble::start("webex", World { seed: 91, facts_per_hour: 20, ..world() }, "");
    double.turn_clock(3600);
    let mut side = ground.side(&double, "");
    let first = side.compare("cdr", &hours(0..2)).await.unwrap();
    assert!(first.unchanged.is_empty(), "nothing is known yet");
    let digests = first.windows.iter().filter_map(|(window, end)| match end {
        End::Complete { digest } => Some((window.from(), *digest)),
        _ => None,
    });
    side.known = digests.collect();
    let again = side.compare("cdr", &hours(0..2)).await.unwrap();
    assert_eq!((again.unchanged.len(), again.scanned_records, again.cells.len()), (2, 0, 0));
    assert!(again.windows.iter().all(|(_, end)| matches!(end, End::Complete { .. })));
    double.play("[manners]\ncount_off = 1\n").await;
    let changed = side.compare("cdr", &hours(0..2)).await.unwrap();
    assert!(changed.unchanged.is_empty() && changed.scanned_records > 0, "{:?}", changed.windows);
}
