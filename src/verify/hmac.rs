//! HMAC (RFC 2104) over the bytes as received.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// The hash functions that providers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5 (RFC 1321). Broken as a hash, and not as the hash of an HMAC (RFC 6151).
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits of either case.
    Hex,
    /// Base64 with padding (RFC 4648 section 4).
    Base64,
}

impl Encoding {
    /// The bytes of a signature.
    pub fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => STANDARD.decode(text).ok(),
        }
    }
}

/// The secrets of a source, ready to check signatures with. Each key is prepared once, so that a request
/// costs one pass over its bytes for each secret that is tried.
pub struct HmacKeys(Keys);

enum Keys {
    Md5(Vec<Hmac<Md5>>),
    Sha1(Vec<Hmac<Sha1>>),
    Sha256(Vec<Hmac<Sha256>>),
    Sha512(Vec<Hmac<Sha512>>),
}

impl HmacKeys {
    /// Takes the secrets as text bytes, as they are.
    pub fn new(algorithm: Algorithm, secrets: &[SecretString]) -> Self {
        Self(match algorithm {
            Algorithm::Md5 => Keys::Md5(prepared(secrets)),
            Algorithm::Sha1 => Keys::Sha1(prepared(secrets)),
            Algorithm::Sha256 => Keys::Sha256(prepared(secrets)),
            Algorithm::Sha512 => Keys::Sha512(prepared(secrets)),
        })
    }

    /// The place of the secret that makes this signature over all parts, one after the other, if one does. The
    /// comparison takes the same time wherever the two differ.
    pub fn find(&self, parts: &[&[u8]], signature: &[u8]) -> Option<usize> {
        match &self.0 {
            Keys::Md5(keys) => position(keys, parts, signature),
            Keys::Sha1(keys) => position(keys, parts, signature),
            Keys::Sha256(keys) => position(keys, parts, signature),
            Keys::Sha512(keys) => position(keys, parts, signature),
        }
    }

    fn len(&self) -> usize {
        match &self.0 {
            Keys::Md5(keys) => keys.len(),
            Keys::Sha1(keys) => keys.len(),
            Keys::Sha256(keys) => keys.len(),
            Keys::Sha512(keys) => keys.len(),
        }
    }
}

/// HMAC takes keys of any length, so that no secret is left out here.
fn prepared<M: KeyInit>(secrets: &[SecretString]) -> Vec<M> {
    secrets.iter().filter_map(|secret| M::new_from_slice(secret.expose_secret().as_bytes()).ok()).collect()
}

fn position<M: Mac + Clone>(keys: &[M], parts: &[&[u8]], signature: &[u8]) -> Option<usize> {
    let matches = |key: &M| {
        let mut mac = key.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.verify_slice(signature).is_ok()
    };
    keys.iter().position(matches)
}

impl fmt::Debug for HmacKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HmacKeys({} redacted)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Jefe";
    const MESSAGE: &[u8] = b"what do ya want for nothing?";

    /// RFC 2202 sections 2 and 3, RFC 4231 section 4: each the second test case.
    const PUBLISHED: [(Algorithm, &str); 4] = [
        (Algorithm::Md5, "750c783e6ab0b503eaa86e310a5db738"),
        (Algorithm::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (Algorithm::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            Algorithm::Sha512,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ];

    #[test]
    fn a_published_vector_matches_the_secret_that_made_it() {
        for (algorithm, published) in PUBLISHED {
            let keys = HmacKeys::new(algorithm, &["another".into(), SECRET.into()]);
            let signature = Encoding::Hex.decode(published.as_bytes()).unwrap();
            assert_eq!(keys.find(&[MESSAGE], &signature), Some(1), "{algorithm:?}");
            assert_eq!(keys.find(&[b"what do ya ", b"", b"want for nothing?"], &signature), Some(1));
            assert_eq!(keys.find(&[b"what do ya want for nothing!"], &signature), None);
            assert_eq!(keys.find(&[MESSAGE], &signature[1..]), None);
            assert_eq!(keys.find(&[MESSAGE], &[]), None);
            assert_eq!(HmacKeys::new(algorithm, &[]).find(&[MESSAGE], &signature), None);
        }
    }

    #[test]
    fn signatures_are_read_as_they_are_written() {
        let signature = Some(vec![0xef, 0xfc, 0xdf]);
        assert_eq!(Encoding::Hex.decode(b"effcDF"), signature);
        assert_eq!(Encoding::Base64.decode(b"7/zf"), signature);
        assert_eq!((Encoding::Hex.decode(b"effcd"), Encoding::Base64.decode(b"7/z*")), (None, None));
    }

    #[test]
    fn secrets_are_never_printed() {
        let keys = HmacKeys::new(Algorithm::Sha512, &["hunter2hunter2".into()]);
        assert_eq!(format!("{keys:?}"), "HmacKeys(1 redacted)");
    }
}
