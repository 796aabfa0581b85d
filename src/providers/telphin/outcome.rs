//! How a leg ended, and whether its end is a record.

use crate::event::call::CallOutcome;
use crate::event::direction::Direction;

/// What one `hangup` says of its leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) outcome: CallOutcome,
    /// Whether it was taken, where that can be told.
    pub(super) answered: Option<bool>,
    /// Whether the leg's time is that of a conversation.
    pub(super) is_talk: bool,
    /// Whether the end counts as a call, and not as a part of one that other legs account for.
    pub(super) gives_record: bool,
}

/// Reads a `hangup` by itself: its status, whether anybody took the call (told of legs of an IVR or a
/// queue alone), and which way the parameter `CallFlow` says that the leg went.
pub(super) fn ending(status: Option<&str>, bridged: Option<bool>, flow: Direction) -> Ending {
    let outcome = status.and_then(outcome_of).unwrap_or(CallOutcome::Unknown);
    match bridged {
        Some(true) => {
            Ending { outcome: CallOutcome::Answered, answered: Some(true), is_talk: false, gives_record: false }
        }
        Some(false) => {
            Ending { outcome: of_missed(outcome), answered: Some(false), is_talk: false, gives_record: true }
        }
        None => of_telephone(outcome, flow),
    }
}

/// Of the telephones that ring together, those that did not get the call have missed nothing: an
/// inbound leg counts only where it was answered. An outbound one is a call of its own.
fn of_telephone(outcome: CallOutcome, flow: Direction) -> Ending {
    let is_answered = outcome == CallOutcome::Answered;
    Ending {
        outcome,
        answered: is_taken(outcome),
        is_talk: is_answered,
        gives_record: is_answered || flow == Direction::Outbound,
    }
}

/// An IVR or queue takes the call itself, so that its own ANSWER is nobody's answer.
fn of_missed(outcome: CallOutcome) -> CallOutcome {
    match outcome {
        CallOutcome::Busy | CallOutcome::Canceled | CallOutcome::Unreachable | CallOutcome::Failed => outcome,
        _ => CallOutcome::NoAnswer,
    }
}

pub(super) fn is_taken(outcome: CallOutcome) -> Option<bool> {
    match outcome {
        CallOutcome::Unknown => None,
        CallOutcome::Answered | CallOutcome::Voicemail => Some(true),
        _ => Some(false),
    }
}

/// The words of `CallStatus`, and those of `result` and `hangup_disposition` of Telphin's API, which
/// tell the same. Telphin says that there may be others.
pub(super) fn outcome_of(word: &str) -> Option<CallOutcome> {
    let outcome = match word.trim().to_ascii_lowercase().as_str() {
        "answer" | "bridged" => CallOutcome::Answered,
        "answered elsewhere" => CallOutcome::AnsweredElsewhere,
        "voicemail" => CallOutcome::Voicemail,
        "noanswer" | "not answered" => CallOutcome::NoAnswer,
        "busy" => CallOutcome::Busy,
        "cancel" | "caller_cancel" => CallOutcome::Canceled,
        "rejected" | "callee_refuse" => CallOutcome::Rejected,
        "chanunavail" => CallOutcome::Unreachable,
        "congestion" | "failed" => CallOutcome::Failed,
        _ => return None,
    };
    Some(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use CallOutcome::{Answered, Busy, Canceled, Failed, NoAnswer, Unknown, Unreachable};
    use Direction::{Inbound, Outbound};

    #[test]
    fn words_have_their_outcome_whatever_their_case() {
        for (word, outcome) in [
            ("ANSWER", Some(Answered)),
            (" Answer ", Some(Answered)),
            ("bridged", Some(Answered)),
            ("NOANSWER", Some(NoAnswer)),
            ("not answered", Some(NoAnswer)),
            ("busy", Some(Busy)),
            ("CANCEL", Some(Canceled)),
            ("caller_cancel", Some(Canceled)),
            ("rejected", Some(CallOutcome::Rejected)),
            ("callee_refuse", Some(CallOutcome::Rejected)),
            ("CHANUNAVAIL", Some(Unreachable)),
            ("CONGESTION", Some(Failed)),
            ("failed", Some(Failed)),
            ("answered elsewhere", Some(CallOutcome::AnsweredElsewhere)),
            ("voicemail", Some(CallOutcome::Voicemail)),
            ("CALLING", None),
            ("brand new", None),
        ] {
            assert_eq!(outcome_of(word), outcome, "{word}");
        }
    }

    #[test]
    fn legs_of_telephones_end_by_their_status() {
        for (status, flow, outcome, answered, gives_record) in [
            (Some("ANSWER"), Inbound, Answered, Some(true), true),
            (Some("ANSWER"), Outbound, Answered, Some(true), true),
            (Some("ANSWER"), Direction::Unknown, Answered, Some(true), true),
            (Some("NOANSWER"), Inbound, NoAnswer, Some(false), false),
            (Some("CANCEL"), Inbound, Canceled, Some(false), false),
            (Some("BUSY"), Outbound, Busy, Some(false), true),
            (Some("CHANUNAVAIL"), Direction::Unknown, Unreachable, Some(false), false),
            (Some("brand-new"), Inbound, Unknown, None, false),
            (Some("brand-new"), Outbound, Unknown, None, true),
            (None, Outbound, Unknown, None, true),
            (None, Direction::Unknown, Unknown, None, false),
        ] {
            let expected = Ending { outcome, answered, is_talk: outcome == Answered, gives_record };
            assert_eq!(ending(status, None, flow), expected, "{status:?} {flow:?}");
        }
    }

    #[test]
    fn legs_of_an_ivr_or_a_queue_end_by_whether_anybody_took_the_call() {
        for (status, outcome) in [
            (Some("ANSWER"), NoAnswer),
            (Some("NOANSWER"), NoAnswer),
            (Some("rejected"), NoAnswer),
            (Some("brand-new"), NoAnswer),
            (None, NoAnswer),
            (Some("BUSY"), Busy),
            (Some("cancel"), Canceled),
            (Some("CHANUNAVAIL"), Unreachable),
            (Some("CONGESTION"), Failed),
        ] {
            for flow in [Inbound, Outbound, Direction::Unknown] {
                let missed = Ending { outcome, answered: Some(false), is_talk: false, gives_record: true };
                assert_eq!(ending(status, Some(false), flow), missed, "{status:?} {flow:?}");
                let taken = Ending { outcome: Answered, answered: Some(true), is_talk: false, gives_record: false };
                assert_eq!(ending(status, Some(true), flow), taken, "{status:?} {flow:?}");
            }
        }
    }
}
