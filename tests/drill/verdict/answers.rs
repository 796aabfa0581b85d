//! What the providers saw: every answer, and how long it took.

use std::collections::HashMap;

use super::{DiskFault, Evidence, Verdict, attempts, seconds};
use crate::ledger::{Answer, Attempt, Webhook};
use crate::scene::{History, Trouble};

/// What an answer should take at most, even in the worst moment.
const AIM_MS: u64 = 2000;

pub(super) fn judge(verdict: &mut Verdict, evidence: &Evidence) {
    judge_refusals(verdict, evidence);
    judge_unavailable(verdict, evidence);
    judge_connections(verdict, evidence);
    judge_durations(verdict, evidence);
}

/// Attempts of the genuine or of the tampered webhooks, with their webhook.
fn requests(evidence: &Evidence, tampered: bool) -> impl Iterator<Item = (&Webhook, &Attempt)> {
    let webhooks = evidence.webhooks.iter().filter(move |webhook| webhook.tampered == tampered);
    webhooks.flat_map(|webhook| webhook.attempts.iter().map(move |attempt| (webhook, attempt)))
}

fn during(history: &History, trouble: Trouble, attempt: &Attempt) -> bool {
    history.troubled(trouble, attempt.sent_us, attempt.ended_us)
}

fn told((webhook, attempt): (&Webhook, &Attempt), history: &History) -> String {
    let phase = history.phase_at(attempt.sent_us);
    let fact = webhook.facts.first().map_or("", String::as_str);
    format!("{:?} to {fact} of {} in \"{phase}\": {}", attempt.answer, webhook.source.name, attempts(webhook))
}

fn judge_refusals(verdict: &mut Verdict, evidence: &Evidence) {
    let history = &evidence.history;
    let collect = |tampered: bool, offends: &dyn Fn(u16, &Attempt) -> bool| -> Vec<String> {
        let status = |answer: &Answer| if let Answer::Status(status) = answer { Some(*status) } else { None };
        let offences = requests(evidence, tampered)
            .filter(|(_, attempt)| status(&attempt.answer).is_some_and(|status| offends(status, attempt)));
        offences.map(|request| told(request, history)).collect()
    };
    verdict.none("4xx given to genuine requests", collect(false, &|status, _| (400..500).contains(&status)));
    let odd = |status: u16, _: &Attempt| !(400..500).contains(&status) && ![200, 503].contains(&status);
    verdict.none("genuine requests answered other than 200, 4xx and 503", collect(false, &odd));
    // A program that is about to stop may answer 503 before it looks at a request.
    let accepted = |status: u16, attempt: &Attempt| {
        status != 401 && !(status == 503 && during(history, Trouble::Restart, attempt))
    };
    verdict.none("tampered requests answered other than 401", collect(true, &accepted));
    let never = evidence.webhooks.iter().filter(|webhook| !webhook.tampered && webhook.taken().is_none());
    verdict.none(
        "webhooks never taken",
        never.map(|webhook| format!("{:?}: {}", webhook.facts, attempts(webhook))).collect(),
    );
}

fn judge_unavailable(verdict: &mut Verdict, evidence: &Evidence) {
    let history = &evidence.history;
    let unavailable = || requests(evidence, false).filter(|(_, attempt)| attempt.answer == Answer::Status(503));
    let spooling = || unavailable().filter(|(webhook, _)| !webhook.source.strict);
    let excused =
        |attempt: &Attempt| during(history, Trouble::Restart, attempt) || during(history, Trouble::Disk, attempt);
    let inexcusable = spooling().filter(|(_, attempt)| !excused(attempt));
    verdict.none(
        "503 given while the spool had room and the program was not stopping",
        inexcusable.map(|request| told(request, history)).collect(),
    );
    judge_disk(verdict, evidence, spooling().filter(|(_, attempt)| during(history, Trouble::Disk, attempt)).count());
    let strict = || unavailable().filter(|(webhook, _)| webhook.source.strict);
    let with_kafka = |attempt: &Attempt| !during(history, Trouble::Kafka, attempt) && !excused(attempt);
    verdict.some("503 given by the strict source", strict().count());
    verdict
        .tell("  of these while all brokers were there", strict().filter(|(_, attempt)| with_kafka(attempt)).count());
}

/// A full disk that nobody felt would be no fault.
fn judge_disk(verdict: &mut Verdict, evidence: &Evidence, felt: usize) {
    let told = |fault: &str| vec![format!("{fault}: it takes root, or `unshare --user --map-root-user --mount`")];
    match evidence.disk {
        DiskFault::Done => verdict.some("503 given while the disk was full", felt),
        DiskFault::Impossible => verdict.none("faults left out", told("the disk of the spool could not be filled")),
        DiskFault::Waived => verdict.tell("NOT SHOWN: a full disk, as this machine allows none", "waived"),
    }
}

fn judge_connections(verdict: &mut Verdict, evidence: &Evidence) {
    let broken = [false, true].into_iter().flat_map(|tampered| requests(evidence, tampered));
    let broken = broken.filter(|(_, attempt)| matches!(attempt.answer, Answer::Broken(_)));
    let (excused, inexcusable): (Vec<_>, Vec<_>) =
        broken.partition(|(_, attempt)| during(&evidence.history, Trouble::Restart, attempt));
    verdict.tell("connections refused or broken by kills and stops", excused.len());
    verdict.none(
        "connections refused or broken otherwise",
        inexcusable.into_iter().map(|request| told(request, &evidence.history)).collect(),
    );
}

fn judge_durations(verdict: &mut Verdict, evidence: &Evidence) {
    let answered = [false, true].into_iter().flat_map(|tampered| requests(evidence, tampered));
    let answered: Vec<_> = answered.filter(|(_, attempt)| !matches!(attempt.answer, Answer::Broken(_))).collect();
    let duration_us = |attempt: &Attempt| attempt.ended_us - attempt.sent_us;
    let slow = answered.iter().filter(|(_, attempt)| duration_us(attempt) > evidence.longest_answer_ms * 1000);
    let slow = slow.map(|request| told(*request, &evidence.history)).collect();
    verdict.none(format!("answers that took longer than {} ms", evidence.longest_answer_ms), slow);
    let over_aim = answered.iter().filter(|(_, attempt)| duration_us(attempt) > AIM_MS * 1000).count();
    verdict.tell(format!("answers that took longer than the {AIM_MS} ms aimed at"), over_aim);
    let mut phases: HashMap<&str, Vec<u64>> = HashMap::new();
    for (_, attempt) in &answered {
        phases.entry(evidence.history.phase_at(attempt.sent_us)).or_default().push(duration_us(attempt));
    }
    let all = answered.iter().map(|(_, attempt)| duration_us(attempt)).collect();
    verdict.tell("answer times in ms (p50, p99, longest)", quantiles(all));
    for (from_us, phase) in &evidence.history.phases {
        let durations = phases.remove(phase).unwrap_or_default();
        verdict.tell(format!("  {:>10}  {phase}", seconds(*from_us)), quantiles(durations));
    }
}

/// Median, 99th percentile and maximum, in milliseconds.
fn quantiles(mut durations_us: Vec<u64>) -> String {
    durations_us.sort_unstable();
    let Some(last) = durations_us.len().checked_sub(1) else { return "-".to_owned() };
    let at = |percent: usize| durations_us[last * percent / 100] / 1000;
    format!("{} {} {}", at(50), at(99), at(100))
}
