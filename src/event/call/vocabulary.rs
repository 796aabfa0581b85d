//! The words that the schema has for calls.

use crate::event::words::words;

words! {
    /// How a call ended.
    pub enum CallOutcome {
        /// Somebody or something took it.
        Answered = "answered",
        /// Somebody else's telephone took it.
        AnsweredElsewhere = "answered_elsewhere",
        /// A voicemail took it.
        Voicemail = "voicemail",
        /// Nobody took it in time.
        NoAnswer = "no_answer",
        /// The called party was busy.
        Busy = "busy",
        /// The calling party gave up first.
        Canceled = "canceled",
        /// Refused by the called party or a policy.
        Rejected = "rejected",
        /// The called party's device could not be reached.
        Unreachable = "unreachable",
        /// There is no such number.
        InvalidNumber = "invalid_number",
        /// The network, the system or the billing failed.
        Failed = "failed",
        /// Not told, or told in a word that is in no map.
        Unknown = "unknown",
    }
}

words! {
    /// What happened in a call.
    pub enum CallEventKind {
        /// A set-up began.
        Initiated = "initiated",
        /// The called device rings.
        Ringing = "ringing",
        /// It was taken.
        Answered = "answered",
        /// A machine took it.
        MachineDetected = "machine_detected",
        /// A person took it.
        HumanDetected = "human_detected",
        /// Keys were pressed or words spoken.
        Input = "input",
        /// A recording began.
        RecordingStarted = "recording_started",
        /// A recording can be fetched.
        RecordingReady = "recording_ready",
        /// A party was put on hold.
        Hold = "hold",
        /// A party was taken off hold.
        Resumed = "resumed",
        /// The call went to another party.
        Transferred = "transferred",
        /// A media stream ended before the call.
        MediaDisconnected = "media_disconnected",
        /// Anything else.
        Other = "other",
        /// It is over.
        Ended = "ended",
    }
}

impl CallEventKind {
    /// Order of the stages of a call; the events between them have none.
    pub fn rank(self) -> Option<u8> {
        match self {
            Self::Initiated => Some(10),
            Self::Ringing => Some(20),
            Self::Answered => Some(30),
            Self::Ended => Some(90),
            _ => None,
        }
    }
}

words! {
    /// What one record counts.
    pub enum RecordScope {
        /// One leg of a call.
        Leg = "leg",
        /// A whole call.
        Call = "call",
    }
}

words! {
    /// Whether a record may still be replaced.
    pub enum RecordState {
        /// A later, more complete one will replace it.
        Provisional = "provisional",
        /// The provider's last word, corrections apart.
        Final = "final",
    }
}

words! {
    /// Who or what took a call.
    pub enum AnsweredBy {
        /// A person.
        Human = "human",
        /// A machine that is no voicemail, or of which that is not known.
        Machine = "machine",
        /// A voicemail.
        Voicemail = "voicemail",
        /// The provider says that it can not tell.
        Unknown = "unknown",
    }
}

words! {
    /// Who ended a call.
    pub enum HangupBy {
        /// The calling party.
        Caller = "caller",
        /// The called party.
        Callee = "callee",
        /// The provider.
        Platform = "platform",
        /// The provider tells it, and not in terms of the call.
        Unknown = "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_their_rank_and_the_rest_has_none() {
        let ranks = [CallEventKind::Initiated, CallEventKind::Ringing, CallEventKind::Answered, CallEventKind::Ended];
        assert_eq!(ranks.map(CallEventKind::rank), [Some(10), Some(20), Some(30), Some(90)]);
        assert_eq!(CallEventKind::Hold.rank(), None);
    }
}
