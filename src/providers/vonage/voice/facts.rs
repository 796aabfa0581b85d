//! What a webhook says of its call.
//!
//! Source: Vonage, "Voice API webhooks reference", and its OpenAPI document.

use super::super::Fault;
use super::super::webhook::time;
use super::ending::{self, Ending};
use crate::event::address::{Address, AddressRules};
use crate::event::call::{CallEventKind, CallOccurrence};
use crate::event::country;
use crate::event::direction::Direction;
use crate::event::id::is_id;
use crate::event::leftovers::{Class, Classes, Names};
use crate::event::time::Time;
use crate::json::{Members, Text};
use crate::request::RawRequest;

/// The marks of what is left over, of an event and of a record alike.
pub(super) static CLASSES: Classes = Classes {
    marked: &[
        ("from", Class::Number),
        ("to", Class::Number),
        ("from_user", Class::Name),
        ("to_user", Class::Name),
        ("dtmf", Class::Content),
        ("speech", Class::Content),
        ("payload", Class::Content),
        ("timestamp", Class::Plain),
        ("start_time", Class::Plain),
        ("end_time", Class::Plain),
        ("duration", Class::Plain),
        ("size", Class::Plain),
        ("rate", Class::Plain),
        ("price", Class::Plain),
        ("conversation_uuid", Class::Plain),
        ("conversation_uuid_from", Class::Plain),
        ("conversation_uuid_to", Class::Plain),
    ],
    otherwise: Class::Plain,
    names: Names::Exact,
    hosts: &["nexmo.com", "vonage.com"],
    international_digits: true,
};

/// What the event and the record of one webhook have in common.
#[derive(Debug)]
pub(super) struct Facts<'r> {
    /// Vonage's word for what happened, or ours for an event that shows in its members alone.
    pub(super) word: Text<'r>,
    pub(super) kind: CallEventKind,
    /// The conversation, which binds the legs of a call.
    pub(super) conversation_id: Option<Text<'r>>,
    pub(super) leg_id: Text<'r>,
    pub(super) at: Option<Time>,
    /// `timestamp` as sent, if it was.
    time_text: Option<Text<'r>>,
    pub(super) direction: Direction,
    pub(super) from: Address<'r>,
    pub(super) to: Address<'r>,
    pub(super) recording_id: Option<Text<'r>>,
    /// How the leg ended, if this is its end.
    pub(super) ending: Option<Ending<'r>>,
    /// Members whose word is in no map.
    pub(super) unmapped: Vec<&'static str>,
}

impl<'r> Facts<'r> {
    /// Reads a webhook. Only its identity is demanded; whatever else can not be read is left over.
    pub(super) fn read(members: &Members<'r>, region: Option<country::Id>) -> Result<Self, Fault<'r>> {
        let mut unmapped = Vec::new();
        let (word, kind) = happening(members, &mut unmapped);
        let mut time_text = None;
        let at = members.read("timestamp", |text| {
            time_text = Some(text.clone());
            time(text)
        });
        let ids = Ids::read(members)?;
        let mut facts = Self {
            kind,
            conversation_id: ids.conversation,
            leg_id: ids.leg,
            recording_id: ids.recording,
            at,
            time_text,
            direction: direction(members, &mut unmapped),
            from: party(members, "from", "from_user", region),
            to: party(members, "to", "to_user", region),
            ending: None,
            unmapped,
            word,
        };
        if kind == CallEventKind::Ended {
            facts.ending = Some(ending::read(members, &facts.word, &mut facts.unmapped));
        }
        Ok(facts)
    }

    /// Whether the leg is over and has been charged.
    pub(super) fn is_completed(&self) -> bool {
        self.word.trim().eq_ignore_ascii_case("completed")
    }

    /// The widest id: that of the conversation, else of the leg.
    pub(super) fn call_id(&self) -> Text<'r> {
        self.conversation_id.clone().unwrap_or_else(|| self.leg_id.clone())
    }

    /// What tells this event from others of its leg: its time, else the request that told it.
    pub(super) fn occurrence(&self, request: &RawRequest<'_>) -> CallOccurrence<'r> {
        if let Some(text) = &self.time_text {
            return CallOccurrence::Time(text.clone());
        }
        let bytes = if request.body.is_empty() { request.query.as_bytes() } else { request.body };
        CallOccurrence::of_bytes(bytes)
    }
}

/// What happened: by the word in `status`, else by the members that only one sort of event has.
fn happening<'r>(members: &Members<'r>, unmapped: &mut Vec<&'static str>) -> (Text<'r>, CallEventKind) {
    if let Some(word) = members.text("status") {
        let kind = kind_of(&word).unwrap_or_else(|| {
            unmapped.push("status");
            CallEventKind::Other
        });
        return (word, kind);
    }
    let has = |name| members.has(name);
    if has("recording_url") || has("recording_uuid") {
        ("record".into(), CallEventKind::RecordingReady)
    } else if has("dtmf") || has("speech") {
        ("input".into(), CallEventKind::Input)
    } else if has("conversation_uuid_to") {
        ("transfer".into(), CallEventKind::Transferred)
    } else if has("payload") {
        ("notify".into(), CallEventKind::Other)
    } else if has("reason") {
        ("error".into(), CallEventKind::Other)
    } else {
        unmapped.push("status");
        (members.text("type").unwrap_or("unknown".into()), CallEventKind::Other)
    }
}

fn kind_of(word: &str) -> Option<CallEventKind> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "started" => CallEventKind::Initiated,
        "ringing" => CallEventKind::Ringing,
        "answered" => CallEventKind::Answered,
        "human" => CallEventKind::HumanDetected,
        "machine" => CallEventKind::MachineDetected,
        "disconnected" => CallEventKind::MediaDisconnected,
        "record" => CallEventKind::RecordingReady,
        "input" => CallEventKind::Input,
        "transfer" => CallEventKind::Transferred,
        "transcribed" | "notify" | "error" => CallEventKind::Other,
        word if ending::is_end(word) => CallEventKind::Ended,
        _ => return None,
    })
}

/// The ids of a webhook. Vonage writes those of legs now with dashes and now without, and its reports otherwise than
/// its webhooks: they meet in lower case without dashes.
struct Ids<'r> {
    conversation: Option<Text<'r>>,
    leg: Text<'r>,
    recording: Option<Text<'r>>,
}

impl<'r> Ids<'r> {
    fn read(members: &Members<'r>) -> Result<Self, Fault<'r>> {
        let conversation = id(members, "conversation_uuid")?;
        let recording = id(members, "recording_uuid")?;
        let leg = match id(members, "uuid")? {
            Some(leg) => Some(leg),
            None => id(members, "call_uuid")?,
        };
        let leg = leg.map(bare).or_else(|| recording.clone()).or_else(|| conversation.clone());
        let leg = leg.ok_or_else(|| Fault::of_request("missing_id", "no uuid, call_uuid or conversation_uuid"))?;
        Ok(Self { conversation, leg, recording })
    }
}

fn id<'r>(members: &Members<'r>, name: &'static str) -> Result<Option<Text<'r>>, Fault<'r>> {
    let Some(id) = members.text_or_number(name) else { return Ok(None) };
    match is_id(&id) {
        true => Ok(Some(id)),
        false => Err(Fault::of_request("invalid_id", format!("{name} can not be an id")).at(format!("/{name}"))),
    }
}

/// The id of a leg as webhooks and reports share it.
pub(in super::super) fn bare(id: Text<'_>) -> Text<'_> {
    match id.bytes().any(|byte| byte == b'-' || byte.is_ascii_uppercase()) {
        true => id.replace('-', "").to_ascii_lowercase().into(),
        false => id,
    }
}

/// The direction; a word that is none is told.
pub(in super::super) fn direction(members: &Members<'_>, unmapped: &mut Vec<&'static str>) -> Direction {
    let mut is_told = false;
    let direction = members.read("direction", |word| {
        is_told = true;
        match word.trim().to_ascii_lowercase().as_str() {
            "inbound" => Some(Direction::Inbound),
            "outbound" => Some(Direction::Outbound),
            _ => None,
        }
    });
    if is_told && direction.is_none() {
        unmapped.push("direction");
    }
    direction.unwrap_or(Direction::Unknown)
}

/// A party by its number or SIP address, else by the name of the user who calls from an app.
fn party<'r>(members: &Members<'r>, name: &str, user: &str, region: Option<country::Id>) -> Address<'r> {
    let rules = AddressRules { international_digits: true, call: true, region, ..AddressRules::default() };
    match members.text_or_number(name) {
        Some(text) => Address::read(text, &rules),
        None => members.text_or_number(user).map_or_else(Address::unknown, Address::user_id),
    }
}
