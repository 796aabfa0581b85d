//! How a call ended, told by several fields of its record.
//!
//! `Call outcome` alone tells little: a busy line and a caller who gave up are a `Success`.

use super::fields::{Field, Fields, truth};
use crate::event::call::{CallOutcome, Cause};
use crate::json::{Text, number};
use crate::provider::Sink;

/// What a record tells of its end.
#[derive(Debug)]
pub(super) struct End<'r> {
    pub(super) answered: Option<bool>,
    pub(super) outcome: CallOutcome,
    pub(super) raw: Text<'r>,
    pub(super) cause: Option<Cause<'r>>,
}

/// Reads the end of a call.
pub(super) fn read<'r>(fields: &Fields<'r>, out: &mut dyn Sink<'r>) -> End<'r> {
    let given = fields.read(Field::Answered, |text| truth(&text));
    if given.is_none() && fields.has(Field::Answered) {
        out.unmapped("Answered");
    }
    let answered = given.or(fields.read(Field::AnswerIndicator, |text| indicator(&text)));
    let elsewhere = fields.read(Field::AnsweredElsewhere, |text| truth(&text)) == Some(true);
    let word = fields.text(Field::Outcome);
    let reason = fields.text(Field::OutcomeReason);
    let rang = fields.read(Field::RingDuration, |text| number::thousandths(&text)) > Some(0);
    let words = Words { given, answered, elsewhere, rang, word: word.as_deref(), reason: reason.as_deref() };
    words.report(out);
    let outcome = words.outcome();
    End { answered, outcome, cause: reason.clone().map(cause), raw: joined([word, reason]) }
}

/// `Yes`, `Yes-PostRedirection` or `No`.
fn indicator(text: &str) -> Option<bool> {
    let text = text.trim();
    let yes = text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("yes"));
    if yes { Some(true) } else { truth(text).filter(|answered| !answered) }
}

struct Words<'w> {
    given: Option<bool>,
    answered: Option<bool>,
    elsewhere: bool,
    rang: bool,
    word: Option<&'w str>,
    reason: Option<&'w str>,
}

/// A reason that Webex may give.
enum Reason {
    /// The caller ended it, before or after an answer.
    Normal,
    /// It tells the outcome by itself.
    Tells(CallOutcome),
    /// It is known, and the outcome's word tells more.
    Vague,
}

impl Words<'_> {
    fn outcome(&self) -> CallOutcome {
        if self.answered == Some(true) {
            return CallOutcome::Answered;
        }
        if self.elsewhere {
            return CallOutcome::AnsweredElsewhere;
        }
        match self.reason() {
            Some(Reason::Tells(outcome)) => outcome,
            // Without the word of `Answered` itself, a normal end may have followed an answer.
            Some(Reason::Normal) if self.given == Some(false) => CallOutcome::Canceled,
            _ if self.is("Failure") => CallOutcome::Failed,
            _ => CallOutcome::Unknown,
        }
    }

    /// The reason by its word, else by its number. A success with a number is a contradiction, and tells nothing.
    fn reason(&self) -> Option<Reason> {
        let word = self.reason?;
        let by_number = || reason_of_numbers(&numbers(word), self.rang).filter(|_| !self.is("Success"));
        reason(word).or_else(by_number)
    }

    fn is(&self, word: &str) -> bool {
        self.word.is_some_and(|known| known.trim().eq_ignore_ascii_case(word))
    }

    fn report<'r>(&self, out: &mut dyn Sink<'r>) {
        if self.word.is_some() && !["Success", "Failure", "Refusal"].into_iter().any(|word| self.is(word)) {
            out.unmapped("Call outcome");
        }
        if self.reason.is_some() && self.reason().is_none() {
            out.unmapped("Call outcome reason");
        }
    }
}

/// Source: the table of outcome reasons in the Detailed Call History API's reference.
fn reason(word: &str) -> Option<Reason> {
    let known = match word.trim().to_ascii_lowercase().as_str() {
        "normal" => return Some(Reason::Normal),
        "noanswer"
        | "nouserresponse"
        | "noanswerfromuser"
        | "sip408"
        | "q850102servertimeout"
        | "internalrequesttimeout" => CallOutcome::NoAnswer,
        "userbusy" => CallOutcome::Busy,
        "sip487" => CallOutcome::Canceled,
        "callrejected" | "admincallblock" | "usercallblock" | "sip606" => CallOutcome::Rejected,
        "unreachable" | "userabsent" | "temporarilyunavailable" | "sip480" | "destinationoutoforder" => {
            CallOutcome::Unreachable
        }
        "unassignednumber" => CallOutcome::InvalidNumber,
        "noroutetodestination" | "internal" | "sip501" | "sip503" | "protocolerror" | "localgatewayloop" => {
            CallOutcome::Failed
        }
        "maxconcurrentterminatingalertingrequestsexceeded" | "routelistcalls" => return Some(Reason::Vague),
        _ => return None,
    };
    Some(Reason::Tells(known))
}

/// What the numbers of a reason tell, by the table of RFC 3398 between SIP and Q.850.
fn reason_of_numbers(numbers: &Numbers, rang: bool) -> Option<Reason> {
    let q850 = numbers.q850.or_else(|| q850_of_sip(numbers.sip?))?;
    let outcome = match q850 {
        16 => return Some(Reason::Normal),
        1 | 22 | 28 => CallOutcome::InvalidNumber,
        17 => CallOutcome::Busy,
        18 | 19 => CallOutcome::NoAnswer,
        20 | 27 => CallOutcome::Unreachable,
        21 | 55 | 57 => CallOutcome::Rejected,
        102 if rang => CallOutcome::NoAnswer,
        2 | 3 | 31 | 34 | 38 | 41 | 42 | 44 | 47 | 50 | 52 | 54 | 58 | 63 | 65 | 79 | 88 | 102 | 111 | 127 => {
            CallOutcome::Failed
        }
        _ => return None,
    };
    Some(Reason::Tells(outcome))
}

/// Codes of SIP that Webex writes by their number alone; those that stand in the table of reasons are read there.
fn q850_of_sip(sip: u16) -> Option<u16> {
    let cause = match sip {
        404 | 485 | 604 => 1,
        486 | 600 => 17,
        480 => 18,
        401 | 402 | 403 | 407 | 603 => 21,
        410 => 22,
        484 => 28,
        488 => 31,
        501 | 502 => 38,
        500 | 503 => 41,
        405 => 63,
        406 => 79,
        408 | 504 => 102,
        505..=599 => 127,
        _ => return None,
    };
    Some(cause)
}

/// The numbers that some reasons carry.
struct Numbers {
    sip: Option<u16>,
    q850: Option<u16>,
}

fn numbers(reason: &str) -> Numbers {
    Numbers {
        sip: number_after(reason, "SIP").filter(|code| (100..700).contains(code)),
        q850: number_after(reason, "Q850").filter(|code| (1..=127).contains(code)),
    }
}

/// The reason in Webex's words, with its numbers.
fn cause(reason: Text<'_>) -> Cause<'_> {
    let Numbers { sip, q850 } = numbers(&reason);
    Cause { q850, sip, text: Some(reason) }
}

/// The digits right after a word at the start.
fn number_after(reason: &str, word: &str) -> Option<u16> {
    let (start, rest) = reason.trim().split_at_checked(word.len())?;
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    start.eq_ignore_ascii_case(word).then(|| rest.get(..length)?.parse().ok())?
}

/// The provider's words, joined by `/`.
pub(super) fn joined<'r, const N: usize>(words: [Option<Text<'r>>; N]) -> Text<'r> {
    let mut words = words.into_iter().flatten();
    let first = words.next().unwrap_or_default();
    words.fold(first, |joined, word| Text::Owned(format!("{joined}/{word}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::Normalized;

    fn end_of(record: &serde_json::Value) -> (CallOutcome, Option<bool>, Vec<&'static str>) {
        let text = record.to_string();
        let mut normalized = Normalized::default();
        let fields = Fields::parse(&text).unwrap();
        let end = read(&fields, &mut normalized);
        (end.outcome, end.answered, normalized.unmapped.clone())
    }

    fn outcome(answered: &str, word: &str, reason: &str) -> CallOutcome {
        end_of(&json!({"Answered": answered, "Call outcome": word, "Call outcome reason": reason})).0
    }

    #[test]
    fn every_listed_reason_has_its_outcome() {
        for (reasons, expected) in [
            (
                "NoAnswer NoUserResponse NoAnswerFromUser SIP408 Q850102ServerTimeout InternalRequestTimeout",
                CallOutcome::NoAnswer,
            ),
            ("UserBusy userbusy", CallOutcome::Busy),
            ("SIP487 Normal", CallOutcome::Canceled),
            ("CallRejected AdminCallBlock UserCallBlock SIP606", CallOutcome::Rejected),
            ("Unreachable UserAbsent TemporarilyUnavailable SIP480 DestinationOutOfOrder", CallOutcome::Unreachable),
            ("UnassignedNumber", CallOutcome::InvalidNumber),
            ("NoRouteToDestination Internal SIP501 SIP503 ProtocolError LocalGatewayLoop", CallOutcome::Failed),
            ("BrandNew SIP999 RouteListCalls", CallOutcome::Unknown),
        ] {
            for reason in reasons.split(' ') {
                assert_eq!(outcome("false", "Success", reason), expected, "{reason}");
            }
        }
        assert_eq!(outcome("false", "Failure", "RouteListCalls"), CallOutcome::Failed);
        assert_eq!(outcome("false", "failure", ""), CallOutcome::Failed);
        assert_eq!(outcome("false", "Refusal", "NA"), CallOutcome::Unknown);
    }

    #[test]
    fn a_number_tells_the_outcome_where_the_reason_is_not_listed() {
        for (reasons, expected) in [
            ("SIP404 SIP410 SIP484 SIP485 SIP604 Q8501Unallocated Q85022 Q85028", CallOutcome::InvalidNumber),
            ("SIP486 SIP600 Q85017", CallOutcome::Busy),
            ("SIP401 SIP402 SIP403 SIP407 SIP603 sip603 Q85021CallRejected Q85055 Q85057", CallOutcome::Rejected),
            ("Q85018 Q85019NoAnswer", CallOutcome::NoAnswer),
            ("Q85020 Q85027", CallOutcome::Unreachable),
            (
                "SIP500 SIP502 SIP405 SIP406 SIP488 SIP504 Q8502 Q85031 Q85034 Q85041 Q850111 Q850127",
                CallOutcome::Failed,
            ),
        ] {
            for reason in reasons.split(' ') {
                for word in ["Refusal", "Failure", ""] {
                    assert_eq!(outcome("false", word, reason), expected, "{word} {reason}");
                }
                assert_eq!(outcome("false", "Success", reason), CallOutcome::Unknown, "{reason}");
                assert_eq!(outcome("true", "Refusal", reason), CallOutcome::Answered, "{reason}");
            }
        }
        for (reason, refusal) in [("SIP499", CallOutcome::Unknown), ("Q85016", CallOutcome::Canceled)] {
            assert_eq!(outcome("false", "Refusal", reason), refusal, "{reason}");
        }
        assert_eq!(outcome("false", "Failure", "SIP499"), CallOutcome::Failed);
    }

    #[test]
    fn a_timer_that_ran_out_while_it_rang_is_no_answer() {
        let rang = |reason: &str, ring: &str| {
            end_of(&json!({"Answered": false, "Call outcome": "Refusal", "Call outcome reason": reason, "Ring duration": ring})).0
        };
        for reason in ["SIP504", "Q850102"] {
            assert_eq!(rang(reason, "12"), CallOutcome::NoAnswer, "{reason}");
            assert_eq!(rang(reason, "0"), CallOutcome::Failed, "{reason}");
        }
    }

    #[test]
    fn a_reason_whose_number_was_understood_is_not_counted_as_unknown() {
        let unmapped = |word: &str, reason: &str| {
            end_of(&json!({"Answered": false, "Call outcome": word, "Call outcome reason": reason})).2
        };
        assert!(unmapped("Refusal", "SIP486").is_empty());
        assert_eq!(unmapped("Success", "SIP486"), ["Call outcome reason"]);
        assert_eq!(unmapped("Refusal", "SIP499"), ["Call outcome reason"]);
    }

    #[test]
    fn an_answer_goes_before_everything_and_success_is_none() {
        assert_eq!(outcome("true", "Failure", "UserBusy"), CallOutcome::Answered);
        let elsewhere = json!({"Answered": "false", "Answered Elsewhere": "Yes", "Call outcome reason": "Normal"});
        assert_eq!(end_of(&elsewhere).0, CallOutcome::AnsweredElsewhere);
        assert_eq!(end_of(&json!({"Call outcome": "Success"})), (CallOutcome::Unknown, None, vec![]));
        assert_eq!(end_of(&json!({"Answered": true})).0, CallOutcome::Answered);
        assert_eq!(end_of(&json!({"Answered": 0, "Call outcome reason": "Normal"})).0, CallOutcome::Canceled);
    }

    #[test]
    fn the_indicator_counts_where_answered_is_absent() {
        let with = |indicator: &str| end_of(&json!({"Answer indicator": indicator, "Call outcome reason": "Normal"}));
        assert_eq!(with("Yes-PostRedirection"), (CallOutcome::Answered, Some(true), vec![]));
        assert_eq!(with("No"), (CallOutcome::Unknown, Some(false), vec![]));
        assert_eq!(with("NA"), (CallOutcome::Unknown, None, vec![]));
        let both = json!({"Answered": "false", "Answer indicator": "Yes", "Call outcome reason": "UserBusy"});
        assert_eq!(end_of(&both), (CallOutcome::Busy, Some(false), vec![]));
    }

    #[test]
    fn unknown_words_are_counted() {
        let words = json!({"Answered": "maybe", "Call outcome": "Brand", "Call outcome reason": "New"});
        assert_eq!(
            end_of(&words),
            (CallOutcome::Unknown, None, vec!["Answered", "Call outcome", "Call outcome reason"])
        );
    }

    #[test]
    fn only_numbered_reasons_have_numbers() {
        for (reason, q850, sip) in [
            ("Q850102ServerTimeout", Some(102), None),
            ("SIP480", None, Some(480)),
            ("sip603", None, Some(603)),
            ("SIP99999999", None, None),
            ("SIP", None, None),
            ("UserBusy", None, None),
            ("Q850", None, None),
            ("é", None, None),
        ] {
            let cause = cause(reason.into());
            assert_eq!((cause.q850, cause.sip, cause.text.as_deref()), (q850, sip, Some(reason)), "{reason}");
        }
    }

    #[test]
    fn words_are_joined_and_missing_ones_left_out() {
        let text = |text: &'static str| Some(Text::Borrowed(text));
        assert_eq!(joined([text("Refusal"), text("UserBusy")]), "Refusal/UserBusy");
        assert_eq!(joined([None, text("UserBusy")]), "UserBusy");
        assert_eq!(joined([None, None]), "");
    }
}
