//! How a call ended, by `result` and `hangup_disposition`.

use crate::event::call::{CallOutcome, Cause, HangupBy};
use crate::json::{Members, Text};
use crate::provider::Sink;
use crate::providers::telphin::outcome::{is_taken, outcome_of};

/// What a call tells of its end.
#[derive(Debug)]
pub(super) struct End<'r> {
    pub(super) answered: Option<bool>,
    pub(super) outcome: CallOutcome,
    pub(super) raw: Text<'r>,
    pub(super) hangup_by: Option<HangupBy>,
    pub(super) cause: Option<Cause<'r>>,
}

/// Reads the end of a call.
pub(super) fn read<'r>(members: &Members<'r>, out: &mut dyn Sink<'r>) -> End<'r> {
    let (result, disposition) = (members.text("result"), members.text("hangup_disposition"));
    let by = disposition.as_deref().map(hangup_by);
    if by == Some(None) {
        out.unmapped("hangup_disposition");
    }
    let outcome = result.as_deref().map(|result| outcome(result, disposition.as_deref()));
    if outcome == Some(None) {
        out.unmapped("result");
    }
    let outcome = outcome.flatten().unwrap_or(CallOutcome::Unknown);
    End {
        answered: is_taken(outcome),
        outcome,
        hangup_by: by.map(|by| by.unwrap_or(HangupBy::Unknown)),
        raw: joined([result, disposition]),
        cause: members.text("hangup_cause").map(|text| Cause { text: Some(text), ..Cause::default() }),
    }
}

/// Of a whole call, `answered` says that Telphin's system took it, and nobody after that.
fn outcome(result: &str, disposition: Option<&str>) -> Option<CallOutcome> {
    let is = |word: Option<&str>, known: &str| word.is_some_and(|word| word.trim().eq_ignore_ascii_case(known));
    if is(Some(result), "answered") {
        return Some(CallOutcome::NoAnswer);
    }
    let outcome = outcome_of(result)?;
    let gave_up = outcome == CallOutcome::NoAnswer && is(disposition, "caller_cancel");
    Some(if gave_up { CallOutcome::Canceled } else { outcome })
}

fn hangup_by(word: &str) -> Option<HangupBy> {
    match word.trim().to_ascii_lowercase().as_str() {
        "caller_bye" | "caller_cancel" => Some(HangupBy::Caller),
        "callee_bye" | "callee_refuse" => Some(HangupBy::Callee),
        "internal_cancel" => Some(HangupBy::Platform),
        _ => None,
    }
}

fn joined<'r>(words: [Option<Text<'r>>; 2]) -> Text<'r> {
    match words {
        [Some(one), Some(other)] => format!("{one}/{other}").into(),
        [one, other] => one.or(other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Normalized;
    use CallOutcome::{Answered, Busy, Canceled, Failed, NoAnswer, Rejected, Unknown};

    fn end(result: &str, disposition: &str) -> (CallOutcome, Option<bool>, String, Option<HangupBy>, usize) {
        let text = format!(r#"{{"result":"{result}","hangup_disposition":"{disposition}"}}"#);
        let mut normalized = Normalized::default();
        let end = read(&Members::parse(&text).unwrap(), &mut normalized);
        (end.outcome, end.answered, end.raw.into_owned(), end.hangup_by, normalized.unmapped.len())
    }

    #[test]
    fn the_outcome_is_that_of_the_whole_call() {
        let (caller, callee) = (Some(HangupBy::Caller), Some(HangupBy::Callee));
        for (result, disposition, outcome, answered, by) in [
            ("bridged", "caller_bye", Answered, Some(true), caller),
            ("BRIDGED", "callee_bye", Answered, Some(true), callee),
            ("answered", "caller_bye", NoAnswer, Some(false), caller),
            ("answered", "caller_cancel", NoAnswer, Some(false), caller),
            ("not answered", "internal_cancel", NoAnswer, Some(false), Some(HangupBy::Platform)),
            ("not answered", "caller_cancel", Canceled, Some(false), caller),
            ("busy", "callee_refuse", Busy, Some(false), callee),
            ("busy", "caller_cancel", Busy, Some(false), caller),
            ("rejected", "callee_refuse", Rejected, Some(false), callee),
            ("failed", "", Failed, Some(false), None),
        ] {
            let raw = if disposition.is_empty() { result.to_owned() } else { format!("{result}/{disposition}") };
            assert_eq!(end(result, disposition), (outcome, answered, raw, by, 0), "{result} {disposition}");
        }
    }

    #[test]
    fn words_that_are_in_no_map_are_counted_and_kept() {
        assert_eq!(end("new", "newer"), (Unknown, None, "new/newer".to_owned(), Some(HangupBy::Unknown), 2));
        assert_eq!(end("", ""), (Unknown, None, String::new(), None, 0));
    }
}
