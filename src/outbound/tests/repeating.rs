//! What is asked again, when, and what is not.

use super::*;

#[tokio::test]
async fn a_server_in_trouble_is_asked_six_times() {
    let outcome = ask(vec![answer(503, "", b""); 6]).await;
    assert_eq!(outcome.failed(), &Verdict::Again { word: "server_error" });
    assert_eq!((outcome.asked.len(), outcome.waits_s.len()), (6, 5));
    let outcome = ask(vec![answer(500, "", b""), ok()]).await;
    assert_eq!(outcome.ended, whole());
}

#[tokio::test]
async fn what_changes_something_is_not_repeated_once_it_has_arrived() {
    let post = |answers| ask_with(basic(), Arc::new(NoVault), check_question(), answers);
    let outcome = post(vec![answer(500, "", b"")]).await;
    assert_eq!((outcome.failed(), outcome.asked.len()), (&Verdict::Again { word: "server_error" }, 1));
    let outcome = post(vec![answer(503, "retry-after: 2\r\n", b""), answer(429, "", b""), ok()]).await;
    assert_eq!((outcome.ended, outcome.waits_s), (whole(), vec![2.0, 5.0]));
    let outcome = post(vec![answer(423, "", b"")]).await;
    assert_eq!((outcome.failed(), outcome.asked.len()), (&Verdict::Again { word: "throttled" }, 1));
    let outcome = post(vec![answer(200, "", b"<html>")]).await;
    assert_eq!((outcome.failed(), outcome.asked.len()), (&Verdict::NotUnderstood, 1));
    let outcome = post(vec![Vec::new()]).await;
    assert_eq!(outcome.asked.len(), 1, "a connection that breaks may have carried it");
}

#[tokio::test]
async fn it_is_waited_as_long_as_the_provider_says_up_to_a_quarter_of_an_hour() {
    let outcome = ask(vec![answer(429, "retry-after: 900\r\n", b""), answer(429, "", b""), ok()]).await;
    assert_eq!((&outcome.ended, &outcome.waits_s), (&whole(), &vec![900.0, 5.0]));
    assert!(
        outcome.metrics.contains(r#"trunkline_api_throttled_seconds_total{source="s"} 905"#),
        "{}",
        outcome.metrics
    );
    let outcome = ask(vec![answer(429, "retry-after: 901\r\n", b"")]).await;
    assert_eq!(outcome.ended, Ended::Throttled(Duration::from_secs(901)));
    let outcome = ask(vec![answer(429, "retry-after: 0\r\n", b""); 21]).await;
    assert_eq!(outcome.failed(), &Verdict::Again { word: "throttled" });
}

#[tokio::test]
async fn nothing_is_repeated_that_the_operator_has_to_mend() {
    let outcome = ask(vec![answer(403, "", b"")]).await;
    assert_eq!(outcome.failed().word(), "forbidden");
    let outcome = ask(vec![answer(401, "", b"")]).await;
    assert_eq!(outcome.failed().word(), "unauthorized");
}

#[tokio::test]
async fn what_is_no_answer_is_asked_for_once_more_after_a_minute() {
    let outcome = ask(vec![answer(200, "", b"<html>"), ok()]).await;
    assert_eq!((outcome.ended, outcome.waits_s), (whole(), vec![60.0]));
    let outcome = ask(vec![answer(200, "", b"<html>"); 2]).await;
    assert_eq!(outcome.failed(), &Verdict::NotUnderstood);
}

#[tokio::test]
async fn what_comes_too_early_is_asked_again_as_often_as_is_said() {
    let outcome = ask(vec![answer(400, "", b""), answer(400, "retry-after: 9\r\n", b""), ok()]).await;
    assert_eq!((outcome.ended, outcome.waits_s), (whole(), vec![60.0, 9.0]));
    let outcome = ask(vec![answer(400, "", b""); 3]).await;
    assert_eq!((outcome.failed(), outcome.asked.len()), (&Verdict::Again { word: "clock" }, 3));
    let post = ask_with(basic(), Arc::new(NoVault), check_question(), vec![answer(400, "", b"")]).await;
    assert_eq!((post.failed(), post.asked.len()), (&Verdict::Again { word: "clock" }, 1));
}
