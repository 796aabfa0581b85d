//! `X-Spark-Signature`: the HMAC-SHA1 of the body, as 40 hexadecimal digits.
//!
//! Source: Cisco, "Webhooks" guide of the Webex developer documentation. The header covers the bytes
//! of the body and nothing else; no time is signed.

use crate::request::{Head, RawRequest};
use crate::verify::hmac::HmacKeys;
use crate::verify::{AuthError, Covered, Proof, Signature, Verification};

const HEADER: &str = "x-spark-signature";

/// Lengths of hexadecimal digests by other algorithms: SHA-256, SHA-384 and SHA-512.
const OTHER_DIGESTS: [usize; 3] = [64, 96, 128];

/// Checks the signature of a head, if it carries one. Whether it fits shows with the body.
pub(super) fn check<'k>(keys: &'k HmacKeys, head: Head<'_, '_>) -> Result<Option<Signature<'k>>, AuthError> {
    let mut values = head.headers().all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthError::MalformedSignature);
    }
    let signature = digest(value)?;
    Ok(Some(Signature::in_head(move |request| covers(keys, &signature, request))))
}

/// A body whose encoding could not be undone is signed as it came.
fn covers(keys: &HmacKeys, signature: &[u8; 20], request: &RawRequest<'_>) -> Result<Proof, AuthError> {
    let secret_index = keys.find(&[request.body], signature).ok_or(AuthError::WrongSignature)?;
    let (verification, scheme) = (Verification::Signed, "webex-hmac-sha1".into());
    Ok(Proof { verification, scheme, secret_index: Some(secret_index), account_id: None, covered: Covered::Body })
}

fn digest(value: &[u8]) -> Result<[u8; 20], AuthError> {
    let value = value.trim_ascii();
    let mut digest = [0_u8; 20];
    match hex::decode_to_slice(value, &mut digest) {
        Ok(()) => Ok(digest),
        Err(_) if is_of_another_algorithm(value) => Err(AuthError::WrongAlgorithm),
        Err(_) => Err(AuthError::MalformedSignature),
    }
}

/// A longer digest, or one with the algorithm's name in front, such as `sha256=`.
fn is_of_another_algorithm(value: &[u8]) -> bool {
    let hexadecimal = value.iter().all(u8::is_ascii_hexdigit);
    (hexadecimal && OTHER_DIGESTS.contains(&value.len())) || value.starts_with(b"sha")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::time::Time;
    use crate::request::Method;
    use crate::verify::hmac::Algorithm;

    const SECRET: &str = "somesupersecretphrase";

    fn try_check(
        secrets: &[&str],
        headers: &[&str],
        body: &[u8],
        undecodable: bool,
    ) -> Result<Option<Proof>, AuthError> {
        let secrets: Vec<_> = secrets.iter().map(|secret| (*secret).into()).collect();
        let headers = headers.iter().map(|value| (HEADER, value.as_bytes()));
        let at = Time::from_unix_seconds(0).unwrap();
        let request =
            RawRequest::new(Method::Post, "/webhooks/w", at).with_headers(headers).with_body(body, undecodable);
        let keys = HmacKeys::new(Algorithm::Sha1, &secrets);
        let signature = check(&keys, request.head())?;
        signature.map_or(Ok(None), |signature| signature.confirm(&request))
    }

    fn error(header: &str) -> AuthError {
        try_check(&[SECRET], &[header], b"{}", false).unwrap_err()
    }

    #[test]
    fn computed_vectors_are_genuine_whatever_their_case() {
        for (secret, body, signature) in [
            (SECRET, "{}", "0c104fa6e4ee681f78dd96a5af97e9e01837115e"),
            (SECRET, "{\"items\":[]}", "73b8091d736378226da808d8ffe0bc1283681d7e"),
            (SECRET, "{\"id\":\"evt-1\"}", "0337f5fd1cc1c1303566b68e1869884a0d82e757"),
            (
                SECRET,
                "{\"items\": [{\"Report ID\": \"0a0c2eb7-f1f6-3326-86f9-565d2e11553d\"}]}",
                "49ab81b4e98a236c064f19c0f0e32ec2e38b2917",
            ),
            ("super-secret", "{\"id\":\"evt-1\"}", "2b5626e0c803858fec64bd82c656af5345f10b2e"),
        ] {
            for written in [signature.to_owned(), signature.to_uppercase(), format!(" {signature} ")] {
                let proof = try_check(&["old", secret], &[&written], body.as_bytes(), false).unwrap().unwrap();
                assert_eq!((proof.secret_index, &*proof.scheme), (Some(1), "webex-hmac-sha1"));
                assert_eq!(proof.verification, Verification::Signed);
            }
        }
    }

    #[test]
    fn other_bodies_secrets_and_encodings_are_refused() {
        let signature = "0c104fa6e4ee681f78dd96a5af97e9e01837115e";
        let refused = |secret, body| try_check(&[secret], &[signature], body, false).unwrap_err();
        assert_eq!(refused(SECRET, b"{} "), AuthError::WrongSignature);
        assert_eq!(refused("another", b"{}"), AuthError::WrongSignature);
        assert_eq!(try_check(&[SECRET], &[signature], b"{} ", true), Err(AuthError::WrongSignature));
        assert!(try_check(&[SECRET], &[signature], b"{}", true).unwrap().is_some(), "it is signed as it came");
        assert_eq!(try_check(&[SECRET], &[signature, signature], b"{}", false), Err(AuthError::MalformedSignature));
        assert_eq!(try_check(&[SECRET], &[], b"{}", false), Ok(None));
    }

    #[test]
    fn anything_but_forty_digits_is_refused() {
        let longer = "82d4781562e3de691fee82f38cd7c8a300bcff8ccfb1d1249a3176ab85a36e08";
        assert_eq!(error(longer), AuthError::WrongAlgorithm);
        assert_eq!(error(&format!("sha256={longer}")), AuthError::WrongAlgorithm);
        assert_eq!(error("sha1=0c104fa6e4ee681f78dd96a5af97e9e01837115e"), AuthError::WrongAlgorithm);
        for malformed in ["", "0c104fa6", "0c104fa6e4ee681f78dd96a5af97e9e0183711zz", "\u{e9}"] {
            assert_eq!(error(malformed), AuthError::MalformedSignature, "{malformed}");
        }
    }
}
