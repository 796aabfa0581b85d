//! `/v1/webhooks`

use serde_json::json;

use super::*;

fn send(subject: &mut Subject, method: &str, path: &str, value: &Value) -> Response {
    let request = subject.request(method, &format!("/v1/webhooks{path}")).with_body(value.to_string());
    subject.answer(&request)
}

fn make(subject: &mut Subject, changes: &Value) -> Response {
    let mut webhook = json!({"name": "Calls", "targetUrl": "https://hooks.example.com/webhooks/w",
        "resource": "telephony_calls", "event": "all", "secret": "hush"});
    for (name, value) in changes.as_object().unwrap() {
        webhook[name] = value.clone();
    }
    send(subject, "POST", "", &webhook)
}

fn id(response: &Response) -> String {
    body(response)["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_webhook_is_made_read_changed_and_deleted() {
    let mut subject = Subject::with("");
    let made = make(&mut subject, &json!({"ownedBy": "org", "filter": "a=b", "unknown": 1}));
    let webhook = body(&made);
    assert_eq!((made.status, &webhook["status"], &webhook["created"]), (200, &json!("active"), &json!(NOW)));
    for (name, there) in [("ownedBy", true), ("filter", true), ("orgId", true), ("secret", false), ("unknown", false)] {
        assert_eq!(webhook.get(name).is_some(), there, "{name}");
    }
    let path = format!("/{}", id(&made));
    assert_eq!(body(&send(&mut subject, "GET", &path, &json!(null))), webhook);
    let change = json!({"name": "New", "status": "active", "secret": "s", "resource": "messages"});
    let changed = body(&send(&mut subject, "PUT", &path.replace('=', "%3D"), &change));
    assert_eq!((&changed["name"], &changed["resource"]), (&json!("New"), &json!("telephony_calls")));
    assert_eq!(send(&mut subject, "PUT", &path, &json!({"status": "inactive"})).status, 400);
    assert_eq!(send(&mut subject, "DELETE", &path, &json!(null)).status, 204);
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(send(&mut subject, method, &path, &json!({})).status, 404, "{method}");
    }
}

#[test]
fn what_is_no_webhook_is_refused() {
    let mut subject = Subject::with("");
    for missing in ["name", "targetUrl", "resource", "event"] {
        let refused = make(&mut subject, &json!({missing: null}));
        assert!(refused.status == 400 && message(&refused).contains(missing), "{refused:?}");
    }
    assert_eq!(send(&mut subject, "POST", "", &json!([])).status, 400);
    let patched = send(&mut subject, "PATCH", "", &json!({}));
    assert_eq!((patched.status, patched.header("Allow")), (405, Some("GET, POST")));
    assert_eq!(send(&mut subject, "POST", "/x", &json!({})).header("Allow"), Some("GET, PUT, DELETE"));
    assert_eq!(subject.answer(&Request::new("GET", "/v1/webhooks")).status, 401);
}

#[test]
fn lists_have_pages_and_can_be_of_the_organisation_alone() {
    let mut subject = Subject::with("");
    for number in 0..205 {
        let owner = if number % 2 == 0 { "org" } else { "creator" };
        make(&mut subject, &json!({"ownedBy": owner}));
    }
    let sizes = |pages: Vec<Vec<Value>>| pages.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(subject.pages("/v1/webhooks")), [100, 100, 5]);
    assert_eq!(sizes(subject.pages("/v1/webhooks?max=80&ownedBy=org")), [80, 23]);
    let all = subject.pages("/v1/webhooks").concat();
    assert_eq!(all.iter().map(|webhook| webhook["id"].as_str().unwrap()).collect::<BTreeSet<_>>().len(), 205);
    assert_eq!(subject.get("/v1/webhooks?max=x").status, 400);
}

#[test]
fn a_script_can_have_all_webhooks_given_up_until_they_are_activated() {
    let mut subject = Subject::with("");
    let path = format!("/{}", id(&make(&mut subject, &json!({}))));
    subject.behave("webhooks = \"inactive\"");
    assert_eq!(body(&send(&mut subject, "GET", &path, &json!(null)))["status"], "inactive");
    assert_eq!(body(&send(&mut subject, "PUT", &path, &json!({"status": "active"})))["status"], "active");
    assert_eq!(body(&send(&mut subject, "GET", &path, &json!(null)))["status"], "active");
}

#[test]
fn there_are_a_thousand_webhooks_at_most() {
    let mut subject = Subject::with("");
    assert!((0..1000).all(|_| make(&mut subject, &json!({})).status == 200));
    assert_eq!(make(&mut subject, &json!({})).status, 400);
}
