use super::*;

fn found(body: &str) -> (Vec<String>, Seen) {
    let body: &RawValue = serde_json::from_str(body).unwrap();
    let mut pointers = Vec::new();
    let seen = records(body, &mut |found| pointers.push(found.pointer()));
    (pointers, seen)
}

fn pointers(body: &str) -> Vec<String> {
    found(body).0
}

#[test]
fn records_are_found_with_their_place() {
    assert_eq!(pointers(r#"{"items":[{"Report ID":1},{"Report ID":2}]}"#), ["/items/0", "/items/1"]);
    assert_eq!(pointers(r#"{"reportId":1}"#), [""]);
    assert_eq!(pointers(r#"[[{"x":1}],[{"x":1},{"report_id":null}]]"#), ["/1/0", "/1/1"]);
    assert_eq!(pointers(r#"{"a/b~c":{"REPORTID":1}}"#), ["/a~1b~0c"]);
    assert_eq!(pointers(r#"{"items":[1],"records":[{"Report\u0020ID":1}]}"#), ["/records/0"]);
}

#[test]
fn what_is_inside_a_record_is_not_searched() {
    assert_eq!(pointers(r#"{"Report ID":1,"items":[{"Report ID":2}]}"#), [""]);
    assert_eq!(pointers(r#"[{"Report ID":1},{"items":[{"Report ID":2}]}]"#), ["/0", "/1"]);
}

#[test]
fn elements_stand_on_the_level_of_their_array() {
    let nested = |levels: usize, inner: &str| format!("{}{inner}{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    for inner in [r#"{"reportId":1}"#, r#"[{"reportId":1}]"#, r#"[[{"reportId":1}]]"#] {
        assert_eq!(pointers(&nested(4, inner)).len(), 1, "{inner}");
        assert_eq!(pointers(&nested(5, inner)).len(), 0, "{inner}");
    }
    let arrays = |depth: usize| format!("{}{{\"reportId\":1}}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!((pointers(&arrays(8)).len(), pointers(&arrays(9)).len()), (1, 0));
}

#[test]
fn empty_and_filled_arrays_are_told_apart() {
    let seen = |records, arrays, filled_arrays| Seen { records, arrays, filled_arrays };
    assert_eq!(found(r#"{"a":[],"b":{"c":[]}}"#).1, seen(0, 2, 0));
    assert_eq!(found(r#"{"a":[[]]}"#).1, seen(0, 2, 0));
    assert_eq!(found(r#"[{"a":[]},{"b":{"c":[]}}]"#).1, seen(0, 3, 0));
    assert_eq!(found(r#"[{"a":[]},{}]"#).1, seen(0, 2, 1));
    assert_eq!(found(r#"[{"a":[]},[1]]"#).1, seen(0, 3, 1));
    assert_eq!(found(r#"{"a":[null]}"#).1, seen(0, 1, 1));
    assert_eq!(found("7").1, seen(0, 0, 0));
}

#[test]
fn the_outermost_organisation_counts_and_cisco_s_internal_one_does_not() {
    let organisation = |body: &str| {
        let body: &RawValue = serde_json::from_str(body).unwrap();
        let mut organisation = None;
        records(body, &mut |found| organisation = found.organisation.map(Text::into_owned));
        organisation
    };
    assert_eq!(organisation(r#"{"orgId":"A","x":{"orgId":"B","items":[{"reportId":1}]}}"#).as_deref(), Some("a"));
    assert_eq!(organisation(r#"{"body":{"orgId":"B","items":[{"reportId":1}]}}"#).as_deref(), Some("b"));
    assert_eq!(organisation(r#"{"data":{"orgId":"B","items":[{"reportId":1}]}}"#), None);
    assert_eq!(organisation(r#"{"orgId":7,"items":[{"reportId":1,"orgId":"C"}]}"#), None);
}
