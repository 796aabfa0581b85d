use secrecy::SecretString;
use serde_json::json;

use super::super::{simulate, sms};
use super::*;
use crate::provider::simulate::{Credentials, Encoding, Signing};
use crate::verify::freshness::Freshness;
use crate::verify::jwt::Hs256Keys;

const SECRET: &str = "ZYtdTtGV3BCFN7tWmOWr1md66XsquMggr4W2cTtXtcPgfnI0Xw";
const OTHER_SECRET: &str = "ZYtdTtGV3BCFN7tWmOWr1md66XsquMggr4W2cTtXtcPgf55555";
const BODY: &[u8] = br#"{"message_uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab"}"#;
const NOW_S: i64 = 1_587_494_962;

/// Published by Vonage's own SDK tests: signature made with [`SECRET`]; the hashed body is not known.
const PUBLISHED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE1ODc0OTQ5NjIsImp0aSI6ImM1YmE4ZjI0LTFhMTQtNGMxMC1iZmRmLTNmYmU4Y2U1MTFiNSIsImlzcyI6IlZvbmFnZSIsInBheWxvYWRfaGFzaCI6ImQ2YzBlNzRiNTg1N2RmMjBlM2I3ZTUxYjMwYzBjMmE0MGVjNzNhNzc4NzliNmYwNzRkZGM3YTIzMTdkZDAzMWIiLCJhcGlfa2V5IjoiYTFiMmMzZCIsImFwcGxpY2F0aW9uX2lkIjoiYWFhYWFhYWEtYmJiYi1jY2NjLWRkZGQtMDEyMzQ1Njc4OWFiIn0.JQRKi1d0SQitmjPINfTWMpt3XZkGsLbD7EjCdXoNSbk";

fn vonage(secrets: &[&str]) -> Vonage {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
    Vonage {
        keys: Hs256Keys::new(&secrets),
        account_id: Some("a1b2c3d".to_owned()),
        application_ids: Vec::new(),
        window: Freshness { max_age_s: 90_000, max_ahead_s: 300 },
        sms_keys: sms::signature::Keys::new(sms::signature::Method::Md5Hash, &[]),
        sms_window: Freshness { max_age_s: 90_000, max_ahead_s: 300 },
        region: None,
    }
}

fn request<'r>(method: Method, authorization: &'r [&'r str], query: &'r str, body: &'r [u8]) -> RawRequest<'r> {
    RawRequest::new(method, "/webhooks/vonage-eu", Time::from_unix_seconds(NOW_S).unwrap())
        .with_query(query)
        .with_headers(authorization.iter().map(|value| ("authorization", value.as_bytes())))
        .with_body(body, false)
}

/// Checks a request as the receiver does: its head, then all of it.
fn check(vonage: &Vonage, request: &RawRequest<'_>) -> Result<Option<Proof>, AuthError> {
    let signature = super::check(vonage, request.head())?;
    signature.map_or(Ok(None), |signature| signature.confirm(request))
}

fn check_token(vonage: &Vonage, token: &str, body: &[u8]) -> Result<Option<Proof>, AuthError> {
    check(vonage, &request(Method::Post, &[&format!("Bearer {token}")], "", body))
}

/// Signs any claims with the simulator's own signer.
fn token(secret: &str, claims: &serde_json::Value) -> String {
    simulate::sign_claims(secret, claims)
}

fn claims_with(changes: serde_json::Value) -> serde_json::Value {
    let mut claims = json!({
        "iat": NOW_S, "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5", "iss": "Vonage",
        "payload_hash": hex::encode(Sha256::digest(BODY)), "api_key": "a1b2c3d",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value.as_str() {
            Some("(absent)") => claims.as_object_mut().unwrap().remove(name),
            _ => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn verdict(changes: serde_json::Value) -> Result<Verification, AuthError> {
    let proof = check_token(&vonage(&[SECRET]), &token(SECRET, &claims_with(changes)), BODY)?;
    Ok(proof.expect("a token is there").verification)
}

#[test]
fn the_published_token_matches_its_secret_and_no_other() {
    // The signature holds, so the check goes on to the body, whose bytes were never published.
    assert_eq!(check_token(&vonage(&[SECRET]), PUBLISHED, BODY), Err(AuthError::BodyMismatch));
    assert_eq!(check_token(&vonage(&[OTHER_SECRET]), PUBLISHED, BODY), Err(AuthError::WrongSignature));
    assert_eq!(check_token(&vonage(&[]), PUBLISHED, BODY), Err(AuthError::WrongSignature));
    let get = request(Method::Get, &[], "a=1", b"");
    assert_eq!(check(&vonage(&[SECRET]), &get), Ok(None));
    let bearer = format!("bearer {PUBLISHED}");
    let authorization = [bearer.as_str()];
    let get = request(Method::Get, &authorization, "a=1", b"");
    assert_eq!(check(&vonage(&[SECRET]), &get), Err(AuthError::BodyMismatch), "it was made for a body");
}

#[test]
fn published_tokens_of_other_issuers_verify_and_are_refused() {
    let python = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJPbmxpbmUgSldUIEJ1aWxkZXIiLCJpYXQiOjE2OTc2MzQ2ODAsImV4cCI6MzMyNTQ1NDA4MjgsImF1ZCI6IiIsInN1YiI6IiJ9.88vJc3I2HhuqEDixHXVhc9R30tA6U_HQHZTC29y6CGM";
    let right = vonage(&["qwertyuiopasdfghjklzxcvbnm123456"]);
    assert_eq!(check_token(&right, python, BODY), Err(AuthError::WrongIssuer));
    assert_eq!(check_token(&vonage(&["asdf"]), python, BODY), Err(AuthError::WrongSignature));
    assert_eq!(check_token(&right, "asdf", BODY), Err(AuthError::MalformedSignature));

    let head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZG1pbiIsIm5hbWUiOiJTaW5hIiwiaWF0IjoxNjk4MjU4NjY3fQ";
    for (secret, signature) in [
        (
            "0c15c425fe48dd59dab5fb3eea57d528f405a71d78ae4998deacab4deeb02ca5",
            "ZVSrJeaES6iaBOwd6vMk93my2gq1uCwDi3c7aCIMqa0",
        ),
        (
            "decafea1deadbeef0123456789abcdef0123456789abcdef0123456789abcdef",
            "pZ2YiYpipVpf59vZgUHLYICJwhVISwBhy_q9WokKm2A",
        ),
        (
            "1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c",
            "YNz-ojcIge37-LwXjOY835p64iXKPR_iHzLnn1msR50",
        ),
    ] {
        let token = format!("{head}.{signature}");
        assert_eq!(check_token(&vonage(&[secret]), &token, BODY), Err(AuthError::WrongIssuer));
        assert_eq!(check_token(&vonage(&[SECRET]), &token, BODY), Err(AuthError::WrongSignature));
    }
}

#[test]
fn every_claim_that_must_hold_is_checked() {
    assert_eq!(verdict(json!({})), Ok(Verification::Signed));
    for (changes, error) in [
        (json!({"iss": "(absent)"}), AuthError::WrongIssuer),
        (json!({"iss": "vonage"}), AuthError::WrongIssuer),
        (json!({"iat": "(absent)"}), AuthError::Stale),
        (json!({"iat": NOW_S - 90_001}), AuthError::Stale),
        (json!({"iat": NOW_S + 301}), AuthError::FromTheFuture),
        (json!({"iat": NOW_S.to_string()}), AuthError::MalformedSignature),
        (json!({"exp": NOW_S}), AuthError::Stale),
        (json!({"exp": "never"}), AuthError::MalformedSignature),
        (json!({"nbf": NOW_S + 301}), AuthError::FromTheFuture),
        (json!({"api_key": "(absent)"}), AuthError::WrongAccount),
        (json!({"api_key": ""}), AuthError::WrongAccount),
        (json!({"api_key": "a1b2c3e"}), AuthError::WrongAccount),
        (json!({"payload_hash": "(absent)"}), AuthError::BodyMismatch),
        (json!({"payload_hash": ""}), AuthError::BodyMismatch),
        (json!({"payload_hash": hex::encode(Sha256::digest(b"other"))}), AuthError::BodyMismatch),
    ] {
        assert_eq!(verdict(changes.clone()), Err(error), "{changes}");
    }
}

#[test]
fn what_vonage_may_send_is_accepted() {
    for changes in [
        json!({"iat": NOW_S - 90_000}),
        json!({"iat": NOW_S + 300}),
        json!({"iat": 1_587_494_962.5}),
        json!({"exp": NOW_S + 1}),
        json!({"nbf": NOW_S}),
        json!({"aud": "anybody", "sub": "", "extra": {"x": 1}}),
        json!({"jti": "(absent)"}),
        json!({"application_id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"}),
        json!({"payload_hash": hex::encode_upper(Sha256::digest(BODY))}),
    ] {
        assert_eq!(verdict(changes.clone()), Ok(Verification::Signed), "{changes}");
    }
}

#[test]
fn applications_are_checked_only_when_both_sides_name_one() {
    let mut vonage = vonage(&[SECRET]);
    vonage.application_ids = vec!["AAAAAAAA-bbbb-cccc-dddd-0123456789ab".to_owned()];
    let outcome = |changes| check_token(&vonage, &token(SECRET, &claims_with(changes)), BODY).map(|_| ());
    assert_eq!(outcome(json!({})), Ok(()));
    assert_eq!(outcome(json!({"application_id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"})), Ok(()));
    assert_eq!(outcome(json!({"application_id": "another"})), Err(AuthError::WrongApplication));
}

#[test]
fn without_a_configured_account_the_claim_names_it() {
    let mut vonage = vonage(&[SECRET]);
    vonage.account_id = None;
    let named = check_token(&vonage, &token(SECRET, &claims_with(json!({}))), BODY).unwrap().unwrap();
    assert_eq!(named.account_id.as_deref(), Some("a1b2c3d"));
    let unnamed = token(SECRET, &claims_with(json!({"api_key": "(absent)"})));
    assert_eq!(check_token(&vonage, &unnamed, BODY), Err(AuthError::WrongAccount));
}

#[test]
fn every_secret_of_the_source_is_accepted_and_told_apart() {
    let signed = token(SECRET, &claims_with(json!({})));
    let proof = check_token(&vonage(&[OTHER_SECRET, SECRET]), &signed, BODY).unwrap().unwrap();
    assert_eq!(proof.secret_index, Some(1));
}

#[test]
fn only_hs256_is_ever_accepted() {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = encode(&claims_with(json!({})).to_string());
    let signed = token(SECRET, &claims_with(json!({})));
    let signature = signed.rsplit('.').next().unwrap();
    for (algorithm, error) in [
        ("none", AuthError::MalformedSignature),
        ("RS256", AuthError::WrongAlgorithm),
        ("HS384", AuthError::WrongAlgorithm),
        ("HS512", AuthError::WrongAlgorithm),
        ("hs256", AuthError::MalformedSignature),
    ] {
        let head = encode(&format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#));
        for signature in [signature, ""] {
            let token = format!("{head}.{claims}.{signature}");
            assert_eq!(check_token(&vonage(&[SECRET]), &token, BODY), Err(error), "{algorithm}");
        }
    }
}

#[test]
fn malformed_headers_are_refused_and_other_schemes_are_no_signature() {
    let vonage = vonage(&[SECRET]);
    let good = format!("Bearer {}", token(SECRET, &claims_with(json!({}))));
    let outcome =
        |values: &[&str]| check(&vonage, &request(Method::Post, values, "", BODY)).map(|proof| proof.is_some());
    assert_eq!(outcome(&[&good]), Ok(true));
    assert_eq!(outcome(&[]), Ok(false));
    assert_eq!(outcome(&["Basic YTpi"]), Ok(false));
    assert_eq!(outcome(&["Bearer"]), Err(AuthError::MalformedSignature));
    assert_eq!(outcome(&["Bearer  "]), Err(AuthError::MalformedSignature));
    assert_eq!(outcome(&[&good, &good]), Err(AuthError::MalformedSignature));
    let long = format!("Bearer {}", "x".repeat(10_000));
    assert_eq!(outcome(&[&long]), Err(AuthError::MalformedSignature));
}

#[test]
fn the_query_of_a_get_is_hashed_as_the_documentation_says() {
    let query = "to=447700900000&from=Acme%20Inc&empty=";
    let expected = br#"{"to":"447700900000","from":"Acme Inc","empty":""}"#;
    let claims = claims_with(json!({"payload_hash": hex::encode(Sha256::digest(expected))}));
    let authorization = format!("Bearer {}", token(SECRET, &claims));
    let values = [authorization.as_str()];
    let proof = check(&vonage(&[SECRET]), &request(Method::Get, &values, query, b"")).unwrap().unwrap();
    assert_eq!(proof.verification, Verification::Signed);
    // A body that comes with a GET has to be covered like any other.
    assert_eq!(check(&vonage(&[SECRET]), &request(Method::Get, &values, query, BODY)), Err(AuthError::BodyMismatch));
}

#[test]
fn a_token_that_covers_no_query_vouches_for_none() {
    let outcome = |hash: &str, query: &str| {
        let claims = claims_with(json!({ "payload_hash": hash }));
        let authorization = format!("Bearer {}", token(SECRET, &claims));
        let proof = check(&vonage(&[SECRET]), &request(Method::Get, &[&authorization], query, b""))?;
        Ok(proof.expect("a token is there").verification)
    };
    let of_a_body = hex::encode(Sha256::digest(BODY));
    let of_text = hex::encode(Sha256::digest("a=1"));
    assert_eq!(outcome(&of_text, "a=1"), Ok(Verification::Signed));
    assert_eq!(outcome("(absent)", ""), Ok(Verification::SignedPartial), "there is nothing to cover");
    let of_an_object = hex::encode(Sha256::digest(r#"{"a":"1"}"#));
    assert_eq!(outcome(&of_an_object, "a=1"), Ok(Verification::Signed));
    // An object holds one value of each name.
    for query in ["a=2&a=1", "a=1&a=1", "a=1&b=2"] {
        assert_eq!(outcome(&of_an_object, query), Err(AuthError::BodyMismatch), "{query}");
    }
    for (hash, query) in [(&*of_a_body, ""), (&of_a_body, "a=1"), (&of_text, "a=2"), ("(absent)", "a=1"), ("", "a=1")] {
        assert_eq!(outcome(hash, query), Err(AuthError::BodyMismatch), "{hash} {query}");
    }
}

#[test]
fn a_body_that_could_not_be_decoded_is_covered_as_it_came() {
    let authorization = format!("Bearer {}", token(SECRET, &claims_with(json!({}))));
    let values = [authorization.as_str()];
    let mut request = request(Method::Post, &values, "", BODY);
    request.undecodable = true;
    assert!(check(&vonage(&[SECRET]), &request).unwrap().is_some());
    request.body = b"another";
    assert_eq!(check(&vonage(&[SECRET]), &request), Err(AuthError::BodyMismatch));
}

#[test]
fn the_simulator_signs_what_the_receiver_accepts() {
    let credentials = |tamper| Credentials { tamper, ..Credentials::new("a1b2c3d", SECRET) };
    let now = Time::from_unix_seconds(NOW_S).unwrap();
    for (tamper, accepted) in [(false, true), (true, false)] {
        let signing = Signing { credentials: &credentials(tamper), url: "", now, encoding: Encoding::Json };
        let signed = (simulate::SIMULATIONS[0].sign)(&signing, BODY.to_vec());
        let (_, authorization) = signed.headers.iter().find(|(name, _)| *name == "authorization").unwrap();
        let values = [authorization.as_str()];
        let outcome = check(&vonage(&[SECRET]), &request(Method::Post, &values, "", &signed.body));
        assert_eq!(outcome.is_ok_and(|proof| proof.is_some()), accepted);
    }
}
