//! The fields of a call record, found by name however the name is spelled.
//!
//! Cisco's published schema, its live records and its help pages spell some names differently, so a
//! name is matched by its letters and digits alone. No two of the known names are equal in these.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::ids;
use crate::event::id::is_id;
use crate::event::time::Time;
use crate::json::{Member, Members, Text, Value, string_of};

/// The fields that have a place in an event. [`Field::KeptId`] and [`Field::Kept`] stand for all
/// the others, which are published by their own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    ReportId,
    ReportTime,
    OrgUuid,
    CorrelationId,
    InteractionId,
    CallId,
    LocalCallId,
    RemoteCallId,
    NetworkCallId,
    RelatedCallId,
    TransferRelatedCallId,
    Direction,
    CallType,
    StartTime,
    AnswerTime,
    ReleaseTime,
    TransferTime,
    Duration,
    RingDuration,
    HoldDuration,
    Answered,
    AnswerIndicator,
    AnsweredElsewhere,
    Outcome,
    OutcomeReason,
    ReleasingParty,
    CallingNumber,
    CalledNumber,
    CallingLineId,
    CalledLineId,
    DialedDigits,
    RedirectingNumber,
    RedirectReason,
    RelatedReason,
    TransferType,
    User,
    UserUuid,
    UserNumber,
    UserType,
    Location,
    SiteUuid,
    SiteTimezone,
    InboundTrunk,
    OutboundTrunk,
    RouteGroup,
    InternationalCountry,
    QueueType,
    /// An id that has no place in an event.
    KeptId,
    Kept,
}

/// Number of fields that have a place in an event.
const MAPPED: usize = Field::KeptId as usize;

/// Every known name, in the spelling of live records where those differ from the published schema.
pub(super) static NAMES: [(&str, Field); 87] = [
    ("Report ID", Field::ReportId),
    ("Report time", Field::ReportTime),
    ("Org UUID", Field::OrgUuid),
    ("Correlation ID", Field::CorrelationId),
    ("Interaction ID", Field::InteractionId),
    ("Call ID", Field::CallId),
    ("Local call ID", Field::LocalCallId),
    ("Remote call ID", Field::RemoteCallId),
    ("Network call ID", Field::NetworkCallId),
    ("Related call ID", Field::RelatedCallId),
    ("Transfer related call ID", Field::TransferRelatedCallId),
    ("Local SessionID", Field::Kept),
    ("Remote SessionID", Field::Kept),
    ("Final local SessionID", Field::Kept),
    ("Final remote SessionID", Field::Kept),
    ("Direction", Field::Direction),
    ("Call type", Field::CallType),
    ("Start time", Field::StartTime),
    ("Answer time", Field::AnswerTime),
    ("Release time", Field::ReleaseTime),
    ("Call transfer time", Field::TransferTime),
    ("Duration", Field::Duration),
    ("Ring duration", Field::RingDuration),
    ("Hold duration", Field::HoldDuration),
    ("Answered", Field::Answered),
    ("Answer indicator", Field::AnswerIndicator),
    ("Answer reason", Field::Kept),
    ("Answered elsewhere", Field::AnsweredElsewhere),
    ("Call outcome", Field::Outcome),
    ("Call outcome reason", Field::OutcomeReason),
    ("Releasing party", Field::ReleasingParty),
    ("Calling number", Field::CallingNumber),
    ("Called number", Field::CalledNumber),
    ("Calling line ID", Field::CallingLineId),
    ("Called line ID", Field::CalledLineId),
    ("Dialed digits", Field::DialedDigits),
    ("Caller ID number", Field::Kept),
    ("External caller ID number", Field::Kept),
    ("Redirecting number", Field::RedirectingNumber),
    ("Redirecting party UUID", Field::KeptId),
    ("Original called party UUID", Field::KeptId),
    ("Original reason", Field::Kept),
    ("Redirect reason", Field::RedirectReason),
    ("Related reason", Field::RelatedReason),
    ("Recall type", Field::Kept),
    ("Transfer type", Field::TransferType),
    ("Transfer type context", Field::Kept),
    ("WxCC consult merge status", Field::Kept),
    ("User", Field::User),
    ("User UUID", Field::UserUuid),
    ("User number", Field::UserNumber),
    ("User type", Field::UserType),
    ("Department ID", Field::KeptId),
    ("Authorization code", Field::Kept),
    ("Location", Field::Location),
    ("Site UUID", Field::SiteUuid),
    ("Site main number", Field::Kept),
    ("Site timezone", Field::SiteTimezone),
    ("Client type", Field::Kept),
    ("Sub client type", Field::Kept),
    ("Client version", Field::Kept),
    ("OS type", Field::Kept),
    ("Model", Field::Kept),
    ("Device MAC", Field::Kept),
    ("Device owner UUID", Field::KeptId),
    ("Inbound trunk", Field::InboundTrunk),
    ("Outbound trunk", Field::OutboundTrunk),
    ("Route group", Field::RouteGroup),
    ("Route list calls overage", Field::Kept),
    ("International country", Field::InternationalCountry),
    ("PSTN vendor name", Field::Kept),
    ("PSTN legal entity", Field::Kept),
    ("PSTN vendor org ID", Field::KeptId),
    ("PSTN provider ID", Field::KeptId),
    ("External customer ID", Field::KeptId),
    ("Public Calling IP Address", Field::Kept),
    ("Public Called IP Address", Field::Kept),
    ("Call Recording Platform Name", Field::Kept),
    ("Call Recording Result", Field::Kept),
    ("Call Recording Trigger", Field::Kept),
    ("Auto Attendant Key Pressed", Field::Kept),
    ("Queue type", Field::QueueType),
    ("Caller Reputation Score", Field::Kept),
    ("Caller Reputation Service Result", Field::Kept),
    ("Caller Reputation Score Reason", Field::Kept),
    ("ELIN", Field::Kept),
    ("Emergency number source", Field::Kept),
];

/// Names as they are written and names folded, so that the usual spellings are found without folding.
static FIELDS: LazyLock<FxHashMap<String, Field>> = LazyLock::new(|| {
    let spellings = |(name, field): &(&str, Field)| [((*name).to_owned(), *field), (folded(name), *field)];
    NAMES.iter().flat_map(spellings).collect()
});

/// No known name is longer; a longer one is not worth folding.
const MAX_NAME_BYTES: usize = 64;

/// One record, each of its mapped fields with its place.
#[derive(Debug)]
pub(super) struct Fields<'r> {
    members: Members<'r>,
    places: [Option<usize>; MAPPED],
}

impl<'r> Fields<'r> {
    /// Parses a record. A value that tells nothing counts as settled, whatever its field.
    pub(super) fn parse(record: &'r str) -> Result<Self, serde_json::Error> {
        let mut members = Members::parse(record)?;
        let mut places = [None; MAPPED];
        let mut has_kept_id = false;
        for (index, member) in members.iter().enumerate().filter(|(_, member)| !member.settles_as_nothing()) {
            match field_of(&member.name) {
                Field::KeptId => has_kept_id = true,
                field => places.get_mut(field as usize).into_iter().for_each(|place| *place = Some(index)),
            }
        }
        if has_kept_id {
            members.replace_texts(kept_id);
        }
        Ok(Self { members, places })
    }

    /// The field's value as text, whichever scalar it is.
    pub(super) fn text(&self, field: Field) -> Option<Text<'r>> {
        self.member(field)?.scalar()
    }

    /// Reads the field's value; one that `read` does not accept counts as absent and is published as it
    /// is.
    pub(super) fn read<T>(&self, field: Field, read: impl FnOnce(Text<'r>) -> Option<T>) -> Option<T> {
        self.member(field)?.read(read)
    }

    /// The field's value as a bare id, if it can be one.
    pub(super) fn id(&self, field: Field) -> Option<Text<'r>> {
        self.read(field, |id| is_id(&id).then(|| ids::bare(id)))
    }

    /// The field's instant.
    pub(super) fn time(&self, field: Field) -> Option<Time> {
        self.read(field, time)
    }

    /// Whether the field is there with a value, readable or not.
    pub(super) fn has(&self, field: Field) -> bool {
        self.member(field).is_some()
    }

    /// All members, for what is left over.
    pub(super) fn into_members(self) -> Members<'r> {
        self.members
    }

    fn member(&self, field: Field) -> Option<&Member<'r>> {
        let index = self.places.get(field as usize).copied().flatten()?;
        self.members.iter().nth(index)
    }
}

/// Reads `2025-08-14T17:05:00.000Z` and the form without zone, which Webex means as UTC.
pub(super) fn time(text: Text<'_>) -> Option<Time> {
    Time::parse_iso(&text).or_else(|| Time::parse_utc_without_zone(&text))
}

/// Reads a truth value however it is written.
pub(super) fn truth(text: &str) -> Option<bool> {
    let text = text.trim();
    let is = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match (is(["true", "yes", "1"]), is(["false", "no", "0"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// Whether a name means the given folded name.
pub(super) fn folds_to(name: &str, folded: &str) -> bool {
    significant(name).eq(folded.bytes())
}

/// The bare id of a member that is published by its own name and is written in base64.
fn kept_id<'r>(member: &Member<'r>) -> Option<Text<'r>> {
    let Value::Json(raw) = &member.value else { return None };
    let encoded = string_of(raw)?;
    ids::decode(&encoded).filter(|_| field_of(&member.name) == Field::KeptId).map(Text::Owned)
}

fn field_of(name: &str) -> Field {
    let known = FIELDS.get(name).copied();
    known.or_else(|| FIELDS.get(&folded_if_short(name)?).copied()).unwrap_or(Field::Kept)
}

fn folded_if_short(name: &str) -> Option<String> {
    (name.len() <= MAX_NAME_BYTES).then(|| folded(name))
}

fn folded(name: &str) -> String {
    significant(name).map(char::from).collect()
}

fn significant(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_names_have_no_collision_and_every_mapped_field_has_one() {
        let folds: HashSet<String> = NAMES.iter().map(|(name, _)| folded(name)).collect();
        assert_eq!(folds.len(), NAMES.len());
        let mapped: HashSet<usize> = NAMES.iter().map(|(_, field)| *field as usize).collect();
        assert_eq!(mapped.len(), MAPPED + 2);
        assert!(NAMES.iter().all(|(name, _)| name.len() <= MAX_NAME_BYTES));
    }

    #[test]
    fn names_are_found_in_every_spelling() {
        for name in ["Report ID", "reportId", "report_id", "REPORT-ID", "reportid"] {
            assert_eq!(field_of(name), Field::ReportId, "{name}");
            assert!(folds_to(name, "reportid"));
        }
        assert_eq!(field_of("Call transfer Time"), Field::TransferTime);
        assert_eq!(field_of("Brand new"), Field::Kept);
        assert_eq!(field_of(&"Report ID".repeat(100)), Field::Kept);
        assert!(!folds_to("Report IDs", "reportid"));
    }

    #[test]
    fn what_tells_nothing_is_absent_and_settled() {
        let text = r#"{"User":"NA","Location":"","Model":"na","OS type":" null ","Duration":null,"Call type":" "}"#;
        let fields = Fields::parse(text).unwrap();
        assert!(![Field::User, Field::Location, Field::Duration, Field::CallType].into_iter().any(|f| fields.has(f)));
        let unused = fields.into_members().iter().filter(|member| !member.is_used()).count();
        assert_eq!(unused, 0);
    }

    #[test]
    fn a_later_spelling_with_a_value_wins_over_one_without() {
        let fields = Fields::parse(r#"{"Report ID":"a","reportId":"NA"}"#).unwrap();
        assert_eq!(fields.text(Field::ReportId).unwrap(), "a");
    }

    #[test]
    fn times_are_read_with_and_without_zone() {
        for text in [
            "2023-10-12 21:22:32.621",
            "2023-10-12T21:22:32.621Z",
            "2023-10-12T21:22:32.621",
            "2023-10-12 21:22:32.621Z",
        ] {
            assert_eq!(time(text.into()).unwrap().to_string(), "2023-10-12T21:22:32.621Z", "{text}");
        }
        assert_eq!(time("17:05".into()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,40}", digits in "[0-9.:TZ+ -]{0,30}") {
            for text in [text, digits] {
                truth(&text);
                time(text.clone().into());
                field_of(&text);
            }
        }
    }
}
