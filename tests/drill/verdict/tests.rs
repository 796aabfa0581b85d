use super::*;
use crate::ledger::Attempt;
use crate::scene::{Trouble, Window};
use crate::topics::Letter;
use crate::traffic::SOURCES;

const STARTED_MS: u64 = 1_700_000_000_000;
const KEY: &str = "vonage:abcd1234:m-1";

/// Answered at once; times in milliseconds.
fn attempt(sent_ms: u64, ended_ms: u64, life: u64, answer: Answer) -> Attempt {
    Attempt { sent_us: sent_ms * 1000, ended_us: ended_ms * 1000, sent_life: life, ended_life: life, answer }
}

fn webhook(fact: &str, attempts: Vec<Attempt>) -> Webhook {
    Webhook { source: &SOURCES[0], facts: vec![fact.to_owned()], oversized: Vec::new(), tampered: false, attempts }
}

fn taken(fact: &str, sent_ms: u64, ended_ms: u64) -> Webhook {
    webhook(fact, vec![attempt(sent_ms, ended_ms, 1, Answer::Status(200))])
}

fn forged(fact: &str) -> Webhook {
    Webhook { tampered: true, ..webhook(fact, vec![attempt(1, 2, 1, Answer::Status(401))]) }
}

fn record(fact: &str, offset: i64) -> Published {
    Published {
        topic: "telecom.message-status.v1".to_owned(),
        generation: 0,
        partition: 3,
        offset,
        key: KEY.to_owned(),
        event_id: format!("id of {fact}"),
        fact: Some(fact.to_owned()),
        letter: None,
    }
}

/// A dead letter of the event of a fact, written at some time.
fn letter(fact: &str, code: &str, offset: i64, written_ms: u64) -> Published {
    Published {
        topic: "telecom.dead-letter.v1".to_owned(),
        event_id: format!("letter {written_ms}"),
        fact: None,
        letter: Some(Letter {
            code: code.to_owned(),
            fact: Some(fact.to_owned()),
            written_ms: STARTED_MS + written_ms,
        }),
        ..record(fact, offset)
    }
}

fn too_large(offset: i64, written_ms: u64) -> Published {
    letter("large", "record_too_large", offset, written_ms)
}

/// A drill in which everything was as it should be, and that proves something: a disk full from 200 ms
/// to 300 ms, a restart from 400 ms to 500 ms.
fn flawless() -> Evidence {
    let window = |trouble, from_ms: u64, to_ms: u64| Window { trouble, from_us: from_ms * 1000, to_us: to_ms * 1000 };
    let unavailable = attempt(210, 220, 1, Answer::Status(503));
    let on_strict = Webhook { source: &SOURCES[3], ..webhook("strict", vec![unavailable.clone()]) };
    let mut strict = on_strict;
    strict.attempts.push(attempt(310, 320, 1, Answer::Status(200)));
    Evidence {
        webhooks: vec![
            taken("a", 10, 20),
            taken("b", 30, 40),
            webhook("c", vec![unavailable, attempt(310, 330, 1, Answer::Status(200))]),
            strict,
            forged("forged"),
            Webhook { oversized: vec!["large".to_owned()], ..taken("large", 50, 60) },
        ],
        published: vec![
            record("a", 0),
            record("b", 1),
            record("a", 2),
            record("c", 3),
            record("strict", 4),
            too_large(0, 55),
        ],
        history: History {
            phases: vec![(0, "calm"), (200_000, "disk full"), (400_000, "killed")],
            windows: vec![window(Trouble::Disk, 200, 300), window(Trouble::Restart, 400, 500)],
        },
        ways: Ways { live: 1, spooled: 1, late: 1, drained: 1, drained_under_load: 1, replacements: 1 },
        exit_codes: vec![Some(3), Some(0)],
        left_in_spool: Ok(Some(0)),
        disk: DiskFault::Done,
        came_back: Vec::new(),
        longest_answer_ms: 15_000,
        peak_rss_kib: 2048,
        started_unix_ms: STARTED_MS,
        seed: 1,
        busy: false,
    }
}

fn failures(evidence: &Evidence) -> Vec<String> {
    let verdict = Verdict::of(evidence);
    verdict.checks.into_iter().filter(|check| check.failed).map(|check| check.name).collect()
}

/// Spoils a flawless drill, and expects exactly one check to notice.
#[track_caller]
fn fails(expected: &str, spoil: impl FnOnce(&mut Evidence)) {
    let mut evidence = flawless();
    spoil(&mut evidence);
    assert_eq!(failures(&evidence), [expected]);
}

#[test]
fn a_flawless_drill_passes_and_says_so() {
    let verdict = Verdict::of(&flawless());
    assert!(verdict.passed(), "{verdict}");
    let text = verdict.to_string();
    assert!(text.ends_with("\nPASSED\n") && text.contains("facts in Kafka 2 times"), "{text}");
}

#[test]
fn a_missing_fact_is_found_and_told_with_its_attempts() {
    let lose_b = |evidence: &mut Evidence| evidence.published[1] = record("a", 1);
    fails("facts missing from Kafka", lose_b);
    let mut evidence = flawless();
    lose_b(&mut evidence);
    let text = Verdict::of(&evidence).to_string();
    assert!(text.contains("b of vonage-eu: answered at 0.040 s in \"calm\" by life 1; 0.030 s-0.040 s 200"), "{text}");
}

#[test]
fn a_fact_under_two_ids_is_found() {
    fails("facts under two ids", |evidence| evidence.published[2].event_id = "another".to_owned());
}

#[test]
fn an_order_violation_is_found() {
    let name = "order violations within one process";
    fails(name, |evidence| {
        evidence.published =
            vec![record("b", 0), record("a", 1), record("c", 2), record("strict", 3), too_large(0, 55)];
    });
    fails(name, |evidence| {
        let elsewhere = Published { partition: 7, ..record("a", 0) };
        evidence.published = vec![elsewhere, record("b", 0), record("c", 1), record("strict", 2), too_large(0, 55)];
    });
}

#[test]
fn a_record_that_was_not_read_is_told_from_one_that_is_not_there() {
    fails("partitions with a gap in what was read", |evidence| drop(evidence.published.remove(2)));
}

#[test]
fn a_topic_that_was_deleted_and_made_again_goes_on_behind_what_it_had() {
    let mut evidence = flawless();
    evidence.webhooks.push(taken("d", 610, 620));
    let again = |fact, offset| Published { generation: 1, ..record(fact, offset) };
    evidence.published.extend([again("d", 0), again("a", 1)]);
    assert_eq!(failures(&evidence), Vec::<String>::new());
    fails("partitions with a gap in what was read", |evidence| evidence.published.push(again("a", 1)));
    fails("deleted topics that came back by themselves", |evidence| evidence.came_back.push("telecom".to_owned()));
}

#[test]
fn only_first_copies_make_the_order() {
    let mut evidence = flawless();
    evidence.published.extend([record("a", 5), record("b", 6), record("a", 7)]);
    assert_eq!(failures(&evidence), Vec::<String>::new());
}

#[test]
fn what_was_on_its_way_together_has_no_order() {
    let mut evidence = flawless();
    evidence.webhooks.extend([taken("x", 100, 120), taken("y", 110, 115)]);
    let of_another_key = |fact, offset| Published { key: "vonage:abcd1234:m-2".to_owned(), ..record(fact, offset) };
    evidence.published.extend([of_another_key("y", 5), of_another_key("x", 6)]);
    assert_eq!(failures(&evidence), Vec::<String>::new());
}

#[test]
fn the_order_across_a_restart_is_told_and_not_judged() {
    let mut evidence = flawless();
    evidence.webhooks.push(webhook("d", vec![attempt(510, 520, 3, Answer::Status(200))]));
    let events = evidence.published.iter_mut().filter(|record| record.fact.is_some());
    events.for_each(|record| record.offset += 1);
    evidence.published.push(record("d", 0));
    let verdict = Verdict::of(&evidence);
    assert!(verdict.passed(), "{verdict}");
    let across = verdict.checks.iter().find(|check| check.name == "order violations across a restart");
    assert_eq!(across.unwrap().value, "4");
}

#[test]
fn a_published_forgery_is_found_and_so_is_one_that_was_not_refused() {
    fails("tampered requests published", |evidence| evidence.published.push(record("forged", 5)));
    fails("tampered requests answered other than 401", |evidence| {
        evidence.webhooks[4].attempts[0].answer = Answer::Status(200);
    });
    fails("facts published that nobody sent", |evidence| evidence.published.push(record("unheard of", 5)));
}

#[test]
fn a_refusal_of_something_genuine_is_found() {
    let refused = |status| {
        webhook("b", vec![attempt(25, 26, 1, Answer::Status(status)), attempt(30, 40, 1, Answer::Status(200))])
    };
    fails("4xx given to genuine requests", |evidence| evidence.webhooks[1] = refused(404));
    fails("genuine requests answered other than 200, 4xx and 503", |evidence| evidence.webhooks[1] = refused(500));
    fails("webhooks never taken", |evidence| {
        evidence.webhooks.push(webhook("e", vec![attempt(210, 220, 1, Answer::Status(503))]));
    });
}

#[test]
fn an_event_that_does_not_fit_is_one_dead_letter_and_no_event() {
    fails("  of these without a dead letter", |evidence| drop(evidence.published.pop()));
    fails("  of these published all the same", |evidence| {
        evidence.published.push(Published { key: "webex:partner:large".to_owned(), ..record("large", 5) });
    });
    fails("facts answered 2xx whose event is larger than its topic takes", |evidence| {
        drop(evidence.webhooks.pop());
        drop(evidence.published.pop());
    });
}

#[test]
fn a_process_writes_one_dead_letter_of_an_event_and_another_process_may_write_its_own() {
    let name = "  of these with two dead letters by one process";
    fails(name, |evidence| evidence.published.push(too_large(1, 56)));
    let mut evidence = flawless();
    let copy_of_the_first = Published { offset: 1, ..too_large(0, 55) };
    evidence.published.extend([copy_of_the_first, too_large(2, 510)]);
    assert_eq!(failures(&evidence), Vec::<String>::new());
    evidence.published.push(too_large(3, 520));
    assert_eq!(failures(&evidence), [name]);
}

#[test]
fn a_dead_letter_of_anything_else_is_found() {
    let name = "dead letters made of what is well-formed";
    fails(name, |evidence| evidence.published.push(letter("a", "record_too_large", 1, 70)));
    fails(name, |evidence| evidence.published.push(Published { letter: None, fact: None, ..record("letter", 5) }));
    fails(name, |evidence| {
        // As many as there were, so that only its reason is odd.
        evidence.published.push(letter("large", "unknown_shape", 1, 70));
    });
    // A good event that is refused together with a large one is in a dead letter, and missing.
    let mut evidence = flawless();
    evidence.published[1] = record("a", 1);
    evidence.published.push(letter("b", "record_too_large", 1, 70));
    assert_eq!(failures(&evidence), ["facts missing from Kafka", name]);
    let verdict = Verdict::of(&evidence);
    let kept = verdict.checks.iter().find(|check| check.name == "  of these in a dead letter");
    assert_eq!(kept.unwrap().value, "1");
}

#[test]
fn a_503_needs_a_full_disk_or_a_restart_unless_the_source_is_strict() {
    let name = "503 given while the spool had room and the program was not stopping";
    let unavailable = |at_ms| attempt(at_ms, at_ms + 1, 1, Answer::Status(503));
    fails(name, |evidence| evidence.webhooks[2].attempts.insert(0, unavailable(100)));
    let mut evidence = flawless();
    evidence.webhooks[2].attempts.insert(0, unavailable(450));
    evidence.webhooks[3].attempts.insert(0, unavailable(100));
    assert_eq!(failures(&evidence), Vec::<String>::new());
}

#[test]
fn a_broken_connection_needs_a_restart() {
    let broken = |at_ms| attempt(at_ms, at_ms + 1, 1, Answer::Broken("reset".to_owned()));
    fails("connections refused or broken otherwise", |evidence| {
        evidence.webhooks[2].attempts.insert(0, broken(100));
    });
    let mut evidence = flawless();
    evidence.webhooks[2].attempts.insert(0, broken(450));
    assert_eq!(failures(&evidence), Vec::<String>::new());
}

#[test]
fn a_slow_answer_is_found_and_so_is_none_at_all() {
    for answer in [Answer::Status(200), Answer::TimedOut] {
        fails("answers that took longer than 15000 ms", |evidence| {
            evidence.webhooks[0].attempts.push(attempt(1000, 16_001, 1, answer));
        });
    }
}

#[test]
fn a_drill_in_which_a_fault_or_a_way_was_missing_proves_nothing() {
    fails("events spooled", |evidence| evidence.ways.spooled = 0);
    fails("events drained under load", |evidence| evidence.ways.drained_under_load = 0);
    fails("faults left out", |evidence| evidence.disk = DiskFault::Impossible);
    fails("503 given while the disk was full", |evidence| drop(evidence.webhooks[2].attempts.remove(0)));
    fails("spools that were not empty at the end", |evidence| evidence.left_in_spool = Ok(Some(1)));
    fails("tampered requests sent", |evidence| drop(evidence.webhooks.remove(4)));
    let mut evidence = flawless();
    evidence.disk = DiskFault::Waived;
    let verdict = Verdict::of(&evidence);
    assert!(verdict.passed() && verdict.to_string().contains("NOT SHOWN: a full disk"), "{verdict}");
}

#[test]
fn exit_codes_tell_whether_the_spool_is_empty() {
    let name = "exit codes after SIGTERM other than 0 and 3, or 0 at the end";
    fails(name, |evidence| evidence.exit_codes = vec![Some(1), Some(0)]);
    fails(name, |evidence| evidence.exit_codes = vec![Some(0), Some(3)]);
    fails(name, |evidence| evidence.exit_codes = vec![None, Some(0)]);
}
