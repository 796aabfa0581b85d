//! Call detail records as Webex writes them, every known field in the order of live records.

use serde_json::{Map, Value};

use super::super::fields::NAMES;
use super::{Seed, before, customer, derived_id};

/// What one record tells; everything else is `NA` or empty, as in live records.
struct Call {
    direction: &'static str,
    call_type: &'static str,
    calling: &'static str,
    called: &'static str,
    answered: bool,
    reason: &'static str,
    releasing: &'static str,
    ring_s: i64,
    talk_s: i64,
}

const CALLS: [Call; 4] = [
    Call {
        direction: "TERMINATING",
        call_type: "SIP_INBOUND",
        calling: "+12025550143",
        called: "+13125550199",
        answered: true,
        reason: "Normal",
        releasing: "Remote",
        ring_s: 8,
        talk_s: 62,
    },
    Call {
        direction: "ORIGINATING",
        call_type: "SIP_INTERNATIONAL",
        calling: "+13125550199",
        called: "+447700900000",
        answered: true,
        reason: "Normal",
        releasing: "Local",
        ring_s: 5,
        talk_s: 240,
    },
    Call {
        direction: "TERMINATING",
        call_type: "SIP_ENTERPRISE",
        calling: "6104",
        called: "6117",
        answered: false,
        reason: "NoAnswer",
        releasing: "Unknown",
        ring_s: 20,
        talk_s: 0,
    },
    Call {
        direction: "ORIGINATING",
        call_type: "SIP_NATIONAL",
        calling: "+13125550199",
        called: "+12025550177",
        answered: false,
        reason: "UserBusy",
        releasing: "Remote",
        ring_s: 0,
        talk_s: 0,
    },
];

/// One record, different by its number.
pub(in super::super) fn record(seed: &Seed, number: usize) -> Map<String, Value> {
    let call = &CALLS[number % CALLS.len()];
    NAMES.iter().map(|(name, _)| ((*name).to_owned(), value(name, seed, number, call))).collect()
}

fn value(name: &str, seed: &Seed, number: usize, call: &Call) -> Value {
    let outbound = call.direction == "ORIGINATING";
    let text = match name {
        "Duration" => return call.talk_s.into(),
        "Hold duration" => return 0.into(),
        "Report ID" | "Correlation ID" | "User UUID" | "Site UUID" => derived_id(seed, number, name),
        "Call ID" => format!("BW{:012}@203.0.113.10", number + 1),
        "Local call ID" => format!("{}:0", digits(seed, number)),
        "Remote call ID" => format!("{}:1", digits(seed, number)),
        "Local SessionID" | "Remote SessionID" => derived_id(seed, number, name).replace('-', ""),
        "Org UUID" => customer(seed),
        "Report time" => before(seed, 60),
        "Release time" => before(seed, 120),
        "Answer time" if call.answered => before(seed, 120 + call.talk_s),
        "Start time" => before(seed, 120 + call.talk_s + call.ring_s),
        "Direction" => call.direction.to_owned(),
        "Call type" => call.call_type.to_owned(),
        "Ring duration" => call.ring_s.to_string(),
        "Answered" => call.answered.to_string(),
        "Call outcome reason" => call.reason.to_owned(),
        "Releasing party" => call.releasing.to_owned(),
        "Calling number" | "Caller ID number" => call.calling.to_owned(),
        "Called number" => call.called.to_owned(),
        "User number" => if outbound { call.calling } else { call.called }.to_owned(),
        "Dialed digits" if outbound => call.called.trim_start_matches('+').to_owned(),
        "Answer indicator" => if call.answered { "Yes" } else { "No" }.to_owned(),
        "International country" if call.call_type == "SIP_INTERNATIONAL" => "GB".to_owned(),
        other => constant(other).to_owned(),
    };
    text.into()
}

fn constant(name: &str) -> &'static str {
    match name {
        "Call outcome" => "Success",
        "Answered elsewhere" => "No",
        "User" => "Invented User",
        "User type" => "User",
        "Location" => "Head office",
        "Site main number" => "+13125550100",
        "Site timezone" => "-300",
        "Client type" => "WXC_CLIENT",
        "Sub client type" => "DESKTOP_APP",
        "Client version" => "45.6.0.32551",
        "OS type" => "win",
        "PSTN vendor name" => "Invented Carrier",
        "Model" | "Device MAC" => "na",
        "Remote call ID" | "Department ID" | "Authorization code" | "Route group" | "Dialed digits" => "",
        "Related call ID" | "Transfer related call ID" | "Interaction ID" | "Redirecting number" => "",
        _ => "NA",
    }
}

/// Ten digits that only this record of this run has, as the switch numbers halves of calls.
fn digits(seed: &Seed, number: usize) -> String {
    let id = derived_id(seed, number, "half");
    let digits: String = id.bytes().map(|byte| char::from(b'0' + byte % 10)).take(10).collect();
    digits
}
