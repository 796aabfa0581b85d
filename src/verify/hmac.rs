//! HMAC (RFC 2104) over the bytes as received.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;

/// The secrets of a source, ready to check HMAC-SHA1 signatures with. Each key is prepared once, so
/// that a request costs one pass over its bytes for each secret that is tried.
pub struct Sha1Keys(Vec<Hmac<Sha1>>);

impl Sha1Keys {
    /// Takes the secrets as text bytes, as they are.
    pub fn new(secrets: &[SecretString]) -> Self {
        let key = |secret: &SecretString| Hmac::new_from_slice(secret.expose_secret().as_bytes());
        // HMAC takes keys of any length, so that no secret is left out here.
        Self(secrets.iter().filter_map(|secret| key(secret).ok()).collect())
    }

    /// The place of the secret that makes this signature, if one does. The comparison takes the same
    /// time wherever the two differ.
    pub fn find(&self, message: &[u8], signature: &[u8; 20]) -> Option<usize> {
        let matches = |key: &Hmac<Sha1>| {
            let mut mac = key.clone();
            mac.update(message);
            mac.verify_slice(signature).is_ok()
        };
        self.0.iter().position(matches)
    }
}

impl fmt::Debug for Sha1Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sha1Keys({} redacted)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202, section 3, test case 2.
    const PUBLISHED: (&str, &[u8], &str) =
        ("Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");

    fn digest(hexadecimal: &str) -> [u8; 20] {
        hex::decode(hexadecimal).unwrap().try_into().unwrap()
    }

    #[test]
    fn a_published_vector_matches_the_secret_that_made_it() {
        let (secret, message, signature) = PUBLISHED;
        let keys = Sha1Keys::new(&["another".into(), secret.into()]);
        assert_eq!(keys.find(message, &digest(signature)), Some(1));
        assert_eq!(keys.find(b"what do ya want for nothing!", &digest(signature)), None);
        assert_eq!(keys.find(message, &[0; 20]), None);
        assert_eq!(Sha1Keys::new(&[]).find(message, &digest(signature)), None);
    }

    #[test]
    fn secrets_are_never_printed() {
        assert_eq!(format!("{:?}", Sha1Keys::new(&["hunter2hunter2".into()])), "Sha1Keys(1 redacted)");
    }
}
