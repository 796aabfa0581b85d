use serde_json::{Value, json};

use super::super::tests::{ORGANISATION, merged, take};

const ID: &str = "b2ebf2b1-0000-3000-8000-000000000001";

/// An answered call from outside, with changes; `null` removes a field.
fn answered(changes: Value) -> Value {
    let record = json!({
        "Report ID": ID, "Report time": "2025-08-14T17:05:00Z", "Org UUID": ORGANISATION.to_uppercase(),
        "Correlation ID": "c0000000-0000-4000-8000-000000000001", "Local call ID": "9850472912:0",
        "Direction": "TERMINATING", "Call type": "SIP_INBOUND", "Start time": "2025-08-14T17:00:00.000Z",
        "Answer time": "2025-08-14T17:00:08.000Z", "Release time": "2025-08-14 17:01:10.5", "Duration": 62,
        "Ring duration": "8", "Hold duration": 0, "Answered": "true", "Call outcome": "Success",
        "Call outcome reason": "Normal", "Releasing party": "Remote", "Calling number": "+12025550143",
        "Calling line ID": "Invented Caller", "Called number": "6117",
    });
    merged(record, &changes)
}

fn event(changes: Value) -> Value {
    let mut taken = take(&json!([answered(changes)]));
    assert!(taken.faults.is_empty() && taken.unmapped.is_empty(), "{taken:?}");
    taken.events.remove(0)
}

fn unmapped(changes: Value) -> (Value, Vec<&'static str>) {
    let mut taken = take(&json!([answered(changes)]));
    (taken.events.remove(0), taken.unmapped)
}

#[test]
fn an_answered_call_is_mapped_whole() {
    let event = event(json!({}));
    let expected = json!({
        "kind": "call_record", "provider": "webex", "product": "cdr_webhook", "account_id": ORGANISATION,
        "occurred_at": "2025-08-14T17:01:10.5Z", "occurred_at_source": "provider",
        "record_id": ID, "record_scope": "leg", "state": "final", "record_version": "2025-08-14T17:05:00.000Z",
        "session_id": "c0000000-0000-4000-8000-000000000001", "leg_id": "9850472912:0", "direction": "inbound",
        "from": {"kind": "phone", "e164": "+12025550143", "value": "+12025550143", "name": "Invented Caller"},
        "to": {"kind": "unknown", "value": "6117"},
        "started_at": "2025-08-14T17:00:00Z", "answered_at": "2025-08-14T17:00:08Z", "ended_at": "2025-08-14T17:01:10.5Z",
        "talk_ms": 62_000, "ring_ms": 8000, "hold_ms": 0, "total_ms": 70_500, "answered": true, "outcome": "answered",
        "outcome_raw": "Success/Normal", "hangup_by": "caller", "cause": {"text": "Normal"}, "call_type": "SIP_INBOUND",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&event[name], value, "{name}");
    }
    for absent in
        ["provider_data", "user", "site", "queue", "transfer", "network", "redirected_by", "parent_account_id"]
    {
        assert_eq!(event[absent], Value::Null, "{absent}");
    }
}

#[test]
fn the_id_agrees_with_the_published_example() {
    assert_eq!(event(json!({"Org UUID": "ORG-1"}))["event_id"], "3bc7f5ed9cac49eea2c83ce7cad152fc");
}

#[test]
fn a_report_time_has_one_spelling_and_text_that_is_none_stays() {
    let version = |time: Value| event(json!({"Report time": time}))["record_version"].clone();
    for time in ["2025-08-14T17:05:00Z", "2025-08-14 17:05:00", "2025-08-14T17:05:00.000Z", "2025-08-14T19:05:00+02:00"]
    {
        assert_eq!(version(time.into()), "2025-08-14T17:05:00.000Z", "{time}");
    }
    assert_eq!(version("2025-08-14T17:05:00.5Z".into()), "2025-08-14T17:05:00.500Z");
    assert_eq!(version("1969-12-31T23:59:59.25Z".into()), "1969-12-31T23:59:59.250Z");
    assert_eq!(version("v7".into()), "v7");
    assert!(version("NA".into()).as_str().unwrap().starts_with("h:"));
}

#[test]
fn the_time_of_the_fact_is_the_latest_that_is_told() {
    let occurred = |changes| event(changes)["occurred_at"].clone();
    assert_eq!(occurred(json!({"Release time": ""})), "2025-08-14T17:05:00Z");
    assert_eq!(occurred(json!({"Release time": "", "Report time": "NA"})), "2025-08-14T17:00:00Z");
    let none = event(json!({"Release time": "", "Report time": "NA", "Start time": null}));
    assert_eq!((&none["occurred_at"], &none["occurred_at_source"]), (&Value::Null, &json!("received")));
    assert_eq!(none["started_at"], Value::Null);
}

#[test]
fn nobody_talks_on_a_leg_that_nobody_took() {
    let missed = event(json!({"Answered": false, "Duration": "0"}));
    assert_eq!((&missed["talk_ms"], &missed["provider_data"]), (&Value::Null, &Value::Null));
    assert_eq!((&missed["outcome"], &missed["answered"]), (&json!("canceled"), &json!(false)));
    let odd = event(json!({"Answered": "false", "Duration": 5}));
    assert_eq!((&odd["talk_ms"], &odd["provider_data"]), (&Value::Null, &json!({"Duration": 5})));
    let backwards = event(json!({"Release time": "2025-08-14T16:00:00Z"}));
    assert_eq!(backwards["total_ms"], Value::Null);
}

#[test]
fn who_hung_up_follows_from_side_and_direction() {
    let by = |party: &str, direction: &str| {
        event(json!({"Releasing party": party, "Direction": direction}))["hangup_by"].clone()
    };
    assert_eq!(by("Local", "ORIGINATING"), "caller");
    assert_eq!(by("local", "terminating"), "callee");
    assert_eq!(by("Remote", "ORIGINATING"), "callee");
    assert_eq!(by("Remote", "TERMINATING"), "caller");
    assert_eq!(by("Unknown", "TERMINATING"), "unknown");
    assert_eq!(by("Local", "NA"), "unknown");
    assert_eq!(by("NA", "TERMINATING"), Value::Null);
}

#[test]
fn unknown_words_are_counted_and_kept() {
    let (event, unmapped) = unmapped(json!({"Direction": "SIDEWAYS", "Releasing party": "Third"}));
    assert_eq!(unmapped, ["Direction", "Releasing party"]);
    assert_eq!((&event["direction"], &event["hangup_by"]), (&json!("unknown"), &json!("unknown")));
    assert_eq!(event["provider_data"], json!({"Direction": "SIDEWAYS", "Releasing party": "Third"}));
}

#[test]
fn links_user_site_queue_and_transfer_are_mapped() {
    let event = event(json!({
        "Remote call ID": "9850472912:1", "Network call ID": "n", "Related call ID": "r",
        "Transfer related call ID": "t", "Interaction ID": "i", "Call ID": "BW1@203.0.113.10",
        "User": "Ann", "User UUID": "u", "User number": "6117", "User type": "User",
        "Location": "Office", "Site UUID": "s", "Site timezone": "-240", "Inbound trunk": "in", "Route group": "g",
        "Queue Type": "Customer Assist", "Related reason": "CallQueue", "Redirect reason": "NoAnswer",
        "Call transfer Time": "2025-08-14T17:00:30.000Z", "Transfer type": "x", "Redirecting number": "+12025550177",
        "International country": "gb", "Dialed digits": "*98",
    }));
    let related: Vec<_> =
        event["related_ids"].as_array().unwrap().iter().map(|link| link["rel"].as_str().unwrap()).collect();
    assert_eq!(related, ["remote", "network", "related", "transfer", "interaction", "sip_call"]);
    assert_eq!(
        event["user"],
        json!({"id": "u", "name": "Ann", "number": {"kind": "unknown", "value": "6117"}, "type": "User"})
    );
    assert_eq!(
        event["site"],
        json!({"name": "Office", "id": "s", "timezone_offset_min": -240, "inbound_trunk": "in", "route_group": "g"})
    );
    assert_eq!(event["queue"], json!({"type": "Customer Assist", "reason": "CallQueue"}));
    let transfer = json!({"at": "2025-08-14T17:00:30Z", "type": "x", "redirect_reason": "NoAnswer", "related_reason": "CallQueue"});
    assert_eq!(event["transfer"], transfer);
    assert_eq!(event["redirected_by"]["e164"], "+12025550177");
    assert_eq!((&event["network"], &event["dialed"]), (&json!({"country": "GB"}), &json!("*98")));
    assert_eq!(event["provider_data"], Value::Null);
}

#[test]
fn addresses_are_numbers_only_with_their_plus() {
    let from = |number: &str| event(json!({"Calling number": number, "Calling line ID": "NA"}))["from"].clone();
    for number in ["12025550143", "6117", "*98", "100*204", "bob@example.com", "+1"] {
        assert_eq!(from(number), json!({"kind": "unknown", "value": number}));
    }
    assert_eq!(from("Anonymous")["kind"], "anonymous");
    assert_eq!(from("NA"), json!({"kind": "unknown"}));
    let named = event(json!({"Calling number": ""}));
    assert_eq!(named["from"], json!({"kind": "unknown", "name": "Invented Caller"}));
}

#[test]
fn what_has_no_place_or_can_not_be_read_is_published_as_it_is() {
    let event = event(json!({
        "Client type": "SIP", "Caller Reputation Score": 4.50, "Brand new": {"x": [1]}, "Ring duration": "-3",
        "Site timezone": "west", "Start time": "yesterday", "Model": "NA", "OS type": "", "Correlation ID": "a\u{7}b",
    }));
    let expected = json!({
        "Client type": "SIP", "Caller Reputation Score": 4.50, "Brand new": {"x": [1]}, "Ring duration": "-3",
        "Site timezone": "west", "Start time": "yesterday", "Correlation ID": "a\u{7}b",
    });
    assert_eq!(event["provider_data"], expected);
    assert_eq!((&event["started_at"], &event["session_id"]), (&Value::Null, &Value::Null));
}

#[test]
fn numbers_are_read_however_they_are_written() {
    let event = event(json!({
        "Ring duration": "1.2E+1", "Hold duration": "7.0", "Duration": 62.0, "Site timezone": "60.0",
    }));
    assert_eq!(
        (&event["ring_ms"], &event["hold_ms"], &event["talk_ms"], &event["site"]["timezone_offset_min"]),
        (&json!(12_000), &json!(7000), &json!(62_000), &json!(60))
    );
    assert_eq!(event["provider_data"], Value::Null);
}

#[test]
fn a_time_zone_is_whole_minutes_or_left_over() {
    let zone = |zone: Value| event(json!({"Site timezone": zone}));
    assert_eq!(zone(json!(60.0))["site"]["timezone_offset_min"], 60);
    assert_eq!(zone(json!("-2.4e2"))["site"]["timezone_offset_min"], -240);
    let odd = zone(json!("60.5"));
    assert_eq!((&odd["site"], &odd["provider_data"]), (&Value::Null, &json!({"Site timezone": "60.5"})));
}

#[test]
fn words_for_nothing_are_absent() {
    for nothing in ["", "NA", "na", "N/A", "null", "\"null\""] {
        let event = event(json!({
            "User": nothing, "Location": nothing, "Correlation ID": nothing, "Calling line ID": nothing,
            "Model": nothing, "Transfer type": nothing,
        }));
        for member in ["user", "site", "session_id", "transfer", "provider_data"] {
            assert_eq!(event[member], Value::Null, "{member} {nothing}");
        }
        assert_eq!(event["from"].get("name"), None, "{nothing}");
    }
    let values = event(json!({"User": "None", "Location": "-"}));
    assert_eq!((&values["user"]["name"], &values["site"]["name"]), (&json!("None"), &json!("-")));
}

#[test]
fn a_voicemail_that_answered_is_told() {
    let by =
        |sort: &str, answered: bool| event(json!({"User type": sort, "Answered": answered}))["answered_by"].clone();
    assert_eq!(by("VoiceMailGroup", true), "voicemail");
    assert_eq!(by("voicemailretrieval", true), "voicemail");
    assert_eq!(by("VoiceMailGroup", false), Value::Null);
    assert_eq!(by("User", true), Value::Null);
}

#[test]
fn ids_are_decoded_wherever_they_stand() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    const ID: &str = "3f2b9c84-1d07-4e6a-9a55-7c0e81d4b2f6";
    let uri = |kind: &str| format!("ciscospark://us/{kind}/{ID}");
    for encode in [|text: &str| STANDARD.encode(text), |text: &str| STANDARD_NO_PAD.encode(text)] {
        let event = event(json!({
            "Org UUID": encode(&uri("ORGANIZATION")), "Site UUID": encode(&uri("PLACE")), "User UUID": encode(&uri("PEOPLE")),
            "Department ID": encode(&uri("DEPARTMENT")), "Device owner UUID": encode(&uri("PEOPLE")), "deviceOwnerId": "x",
            "Correlation ID": encode(ID), "Local call ID": encode("ciscospark://us/CALL/callhalf-9850472912:0"),
            "Report ID": encode(&uri("REPORT")), "Redirecting party UUID": "afgh", "Remote call ID": "9850472912:1",
        }));
        assert_eq!((&event["account_id"], &event["record_id"]), (&json!(ID), &json!(ID)));
        assert_eq!(
            (&event["site"]["id"], &event["user"]["id"], &event["session_id"]),
            (&json!(ID), &json!(ID), &json!(ID))
        );
        assert_eq!(event["leg_id"], "9850472912:0");
        assert_eq!(event["related_ids"], json!([{"rel": "remote", "id": "9850472912:1"}]));
        let left = json!({
            "Department ID": ID, "Device owner UUID": ID, "deviceOwnerId": "x", "Redirecting party UUID": "afgh",
        });
        assert_eq!(event["provider_data"], left);
    }
    let given = "Y2lzY29zcGFyazovL3VzL09SR0FOSVpBVElPTi8zZjJiOWM4NC0xZDA3LTRlNmEtOWE1NS03YzBlODFkNGIyZjY";
    for text in [given.to_owned(), format!("{given}=")] {
        assert_eq!(event(json!({"Org UUID": text}))["account_id"], ID);
    }
}
