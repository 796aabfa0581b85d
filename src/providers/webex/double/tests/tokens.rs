//! Tokens, and what becomes of used ones.

use super::*;

fn grant(subject: &mut Subject, changes: &[(&str, &str)]) -> Response {
    let mut form: BTreeMap<&str, String> = BTreeMap::from([("grant_type", "refresh_token".to_owned())]);
    for name in ["client_id", "client_secret", "refresh_token"] {
        form.insert(name, subject.credentials[name].clone());
    }
    form.extend(changes.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    subject.answer(&Request::new("POST", "/v1/access_token").with_body(form))
}

fn text(response: &Response, name: &str) -> String {
    body(response)[name].as_str().unwrap().to_owned()
}

#[test]
fn a_grant_tells_what_is_documented() {
    let mut subject = Subject::with("");
    let answer = body(&grant(&mut subject, &[]));
    assert_eq!((&answer["expires_in"], &answer["refresh_token_expires_in"]), (&1_209_600.into(), &7_776_000.into()));
    assert_eq!((&answer["token_type"], answer["scope"].is_string()), (&"Bearer".into(), true));
    subject.credentials.insert("access_token", answer["access_token"].as_str().unwrap().to_owned());
    assert_eq!(subject.get("/v1/webhooks").status, 200);
}

#[test]
fn a_wrong_grant_is_refused_with_the_code_of_oauth() {
    let mut subject = Subject::with("");
    for (change, status, code) in [
        (("grant_type", "password"), 400, "unsupported_grant_type"),
        (("client_id", "C0"), 401, "invalid_client"),
        (("client_secret", ""), 401, "invalid_client"),
        (("refresh_token", "guessed"), 400, "invalid_grant"),
    ] {
        let response = grant(&mut subject, &[change]);
        assert_eq!((response.status, body(&response)["error"].as_str()), (status, Some(code)), "{change:?}");
        assert!(body(&response)["message"].is_string() && body(&response)["trackingId"].is_string());
    }
}

#[test]
fn a_used_refresh_token_is_void_or_kept_or_the_same() {
    for (manner, is_new, old_is_good) in [("void", true, false), ("kept", true, true), ("same", false, true)] {
        let mut subject = Subject::with(&format!("refresh_token = \"{manner}\""));
        let old = subject.credentials["refresh_token"].clone();
        let next = text(&grant(&mut subject, &[]), "refresh_token");
        assert_eq!(next != old, is_new, "{manner}");
        assert_eq!(grant(&mut subject, &[("refresh_token", &next)]).status, 200, "{manner}");
        assert_eq!(grant(&mut subject, &[("refresh_token", &old)]).status == 200, old_is_good, "{manner}");
    }
}

#[test]
fn an_access_token_has_an_end_and_an_unused_refresh_token_too() {
    let mut subject = Subject::with("access_token_s = 60");
    let answer = grant(&mut subject, &[]);
    assert_eq!(body(&answer)["expires_in"], 60);
    subject.credentials.insert("access_token", text(&answer, "access_token"));
    subject.now = time("2026-02-03T12:15:26.102Z");
    assert_eq!(subject.get("/v1/webhooks").status, 200);
    subject.now = time("2026-02-03T12:15:26.103Z");
    assert_eq!(subject.get("/v1/webhooks").status, 401);
    let refresh = text(&answer, "refresh_token");
    subject.now = time("2026-05-04T12:14:26.102Z");
    let renewed = text(&grant(&mut subject, &[("refresh_token", &refresh)]), "refresh_token");
    subject.now = time("2026-08-03T12:14:26.102Z");
    assert_eq!(body(&grant(&mut subject, &[("refresh_token", &renewed)]))["error"], "invalid_grant");
}

#[test]
fn a_hundred_tokens_of_a_kind_are_remembered() {
    let mut subject = Subject::with("refresh_token = \"kept\"");
    let first = text(&grant(&mut subject, &[]), "access_token");
    subject.credentials.insert("access_token", first);
    for _ in 0..99 {
        let refresh = text(&grant(&mut subject, &[]), "refresh_token");
        subject.credentials.insert("refresh_token", refresh);
    }
    assert_eq!(subject.get("/v1/webhooks").status, 200);
    grant(&mut subject, &[]);
    assert_eq!(subject.get("/v1/webhooks").status, 401);
}
