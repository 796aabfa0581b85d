//! Sealing of tokens that have to be kept where others may read them.
//!
//! A provider that rotates its refresh tokens voids the old one with each new one, so the newest must outlive the
//! process, and whoever takes over must find it. It is kept in Kafka, sealed under a key from the configuration.
//!
//! # Format
//! JSON: `{"version":1,"key":"<8 hex>","nonce":"<base64>","sealed":"<base64>"}`. The text is encrypted with
//! AES-256-GCM (NIST SP 800-38D) under a key that HKDF-SHA256 (RFC 5869, no salt, `info` `trunkline token v1`) makes of
//! the configured one; `sealed` ends with the tag of 16 bytes. The key of the Kafka record is authenticated with it, so
//! that a sealed text moved to another record does not open. `key` tells which configured key it was: the first 4 bytes
//! of its SHA-256, of which nothing can be computed back, as keys are random.
//!
//! # Limits
//! Who can write to the topic can put an older record back, and the token in it opens. It is no longer valid then, and
//! the provider says so.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

const VERSION: u32 = 1;
const INFO: &[u8] = b"trunkline token v1";

/// Why something could not be sealed or opened. Says nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VaultError {
    /// There is no key.
    #[error("no key is configured (reconcile.state_keys)")]
    NoKey,
    /// It is no sealed text.
    #[error("it is no sealed text of this program")]
    Unreadable,
    /// It is from a newer version of the program.
    #[error("its version is {0}, and this program knows {VERSION}")]
    Version(u32),
    /// None of the configured keys has sealed it.
    #[error("it was sealed with the key {0}, which is not among reconcile.state_keys")]
    UnknownKey(String),
    /// The key is right, and it does not open: it was changed, or belongs to another record.
    #[error("it was changed, or belongs to another record")]
    Changed,
    /// The library refuses, which it has no reason to.
    #[error("the cipher refuses to work")]
    Cipher,
}

/// What makes each sealing another one. It can be used once.
#[derive(Debug)]
pub struct SealingNonce([u8; NONCE_LEN]);

impl SealingNonce {
    /// A random one. Of 96 bits, two are equal with a chance of less than 1 in 2^32 after 2^32 sealings under one key
    /// (NIST SP 800-38D, 8.3): tokens are sealed a few times a day.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// The configured keys: the first one seals, and all open.
pub struct Vault {
    keys: Vec<Key>,
}

struct Key {
    name: String,
    cipher: LessSafeKey,
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Vault").field("keys", &self.keys.len()).finish()
    }
}

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Sealed {
    version: u32,
    key: String,
    nonce: String,
    sealed: String,
}

impl Vault {
    /// Makes the ciphers of the configured keys.
    ///
    /// # Errors
    /// [`VaultError::NoKey`] without one.
    pub fn new(state_keys: &[SecretString]) -> Result<Self, VaultError> {
        if state_keys.is_empty() {
            return Err(VaultError::NoKey);
        }
        let keys = state_keys.iter().map(|key| Key::new(key.expose_secret().as_bytes()));
        let keys: Result<_, Unspecified> = keys.collect();
        Ok(Self { keys: keys.map_err(|_| VaultError::Cipher)? })
    }

    /// Seals a text for the record of this key, as the record's value.
    ///
    /// # Errors
    /// [`VaultError::Cipher`], which no text is known to cause.
    pub fn seal(&self, record_key: &str, text: &SecretString, nonce: SealingNonce) -> Result<Vec<u8>, VaultError> {
        let key = self.keys.first().ok_or(VaultError::NoKey)?;
        let mut sealed = text.expose_secret().as_bytes().to_vec();
        let (aad, used) = (Aad::from(record_key.as_bytes()), Nonce::assume_unique_for_key(nonce.0));
        key.cipher.seal_in_place_append_tag(used, aad, &mut sealed).map_err(|_| VaultError::Cipher)?;
        let kept = Sealed {
            version: VERSION,
            key: key.name.clone(),
            nonce: STANDARD.encode(nonce.0),
            sealed: STANDARD.encode(&sealed),
        };
        serde_json::to_vec(&kept).map_err(|_| VaultError::Cipher)
    }

    /// Opens what was sealed for the record of this key.
    ///
    /// # Errors
    /// [`VaultError`]: all but [`VaultError::NoKey`].
    pub fn open(&self, record_key: &str, value: &[u8]) -> Result<SecretString, VaultError> {
        let kept = Sealed::read(value)?;
        let key = self.keys.iter().find(|key| key.name == kept.key);
        let key = key.ok_or_else(|| VaultError::UnknownKey(kept.shown_key()))?;
        let nonce = STANDARD.decode(&kept.nonce).map_err(|_| VaultError::Unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| VaultError::Unreadable)?;
        let mut sealed = STANDARD.decode(&kept.sealed).map_err(|_| VaultError::Unreadable)?;
        let aad = Aad::from(record_key.as_bytes());
        let opened = key.cipher.open_in_place(nonce, aad, &mut sealed).map_err(|_| VaultError::Changed)?;
        let text = std::str::from_utf8(opened).map_err(|_| VaultError::Changed)?;
        Ok(SecretString::from(text))
    }
}

impl Key {
    fn new(secret: &[u8]) -> Result<Self, Unspecified> {
        let derived = Salt::new(HKDF_SHA256, &[]).extract(secret);
        let cipher = LessSafeKey::new(UnboundKey::from(derived.expand(&[INFO], &AES_256_GCM)?));
        let name = hex::encode(Sha256::digest(secret).get(..4).unwrap_or_default());
        Ok(Self { name, cipher })
    }
}

impl Sealed {
    /// The version is looked at first: another one may have other members.
    fn read(value: &[u8]) -> Result<Self, VaultError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let versioned: Versioned = serde_json::from_slice(value).map_err(|_| VaultError::Unreadable)?;
        if versioned.version != VERSION {
            return Err(VaultError::Version(versioned.version));
        }
        serde_json::from_slice(value).map_err(|_| VaultError::Unreadable)
    }

    /// The name of the key, if it looks like one: whatever else stands there is not repeated.
    fn shown_key(&self) -> String {
        let is_name = self.key.len() == 8 && self.key.bytes().all(|digit| digit.is_ascii_hexdigit());
        if is_name { self.key.clone() } else { "?".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const RECORD: &str = "token/webex-partner";

    fn vault(keys: &[&str]) -> Vault {
        Vault::new(&keys.iter().map(|key| SecretString::from(*key)).collect::<Vec<_>>()).unwrap()
    }

    fn seal(vault: &Vault, text: &str) -> Vec<u8> {
        vault.seal(RECORD, &SecretString::from(text), SealingNonce::random()).unwrap()
    }

    fn opened(vault: &Vault, record_key: &str, value: &[u8]) -> Result<String, VaultError> {
        vault.open(record_key, value).map(|text| text.expose_secret().to_owned())
    }

    /// Made with another implementation (Python's `cryptography`) from the format's description.
    #[test]
    fn the_format_is_the_one_that_is_described() {
        let known = json!({
            "version": 1, "key": "a168d362", "nonce": "AAECAwQFBgcICQoL",
            "sealed": "2rHgm442AGz4PSE8WX4iMmxmF2AQ3uxqHr+AwoumsDKMULR4BWsSMm3WLw=="
        });
        let (vault, text) = (vault(&["an-invented-state-key"]), "{\"access_token\":\"invented\"}");
        assert_eq!(opened(&vault, RECORD, known.to_string().as_bytes()).unwrap(), text);
        let nonce = SealingNonce(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        let sealed = vault.seal(RECORD, &SecretString::from(text), nonce).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&sealed).unwrap(), known);
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, both, fresh) = (vault(&["old key"]), vault(&["new key", "old key"]), vault(&["new key"]));
        assert_eq!(opened(&both, RECORD, &seal(&old, "a")).unwrap(), "a");
        assert_eq!(opened(&fresh, RECORD, &seal(&both, "b")).unwrap(), "b");
        let error = opened(&fresh, RECORD, &seal(&old, "a")).unwrap_err();
        assert!(matches!(&error, VaultError::UnknownKey(name) if name.len() == 8), "{error}");
        assert_eq!(Vault::new(&[]).unwrap_err(), VaultError::NoKey);
    }

    #[test]
    fn equal_texts_are_sealed_unlike_and_nothing_of_keys_or_texts_is_told() {
        let vault = vault(&["an-invented-state-key"]);
        let (first, second) = (seal(&vault, "an-invented-token"), seal(&vault, "an-invented-token"));
        assert_ne!(first, second);
        let told = format!("{vault:?} {}", String::from_utf8(first).unwrap());
        assert!(!told.contains("invented"), "{told}");
    }

    #[test]
    fn what_is_not_sealed_by_this_version_is_refused() {
        let vault = vault(&["key"]);
        let whole: Value = serde_json::from_slice(&seal(&vault, "a")).unwrap();
        let changed = |name: &str, value: Value| {
            let mut changed = whole.clone();
            changed[name] = value;
            opened(&vault, RECORD, changed.to_string().as_bytes()).unwrap_err()
        };
        assert_eq!(changed("version", json!(2)), VaultError::Version(2));
        assert_eq!(changed("nonce", json!("AAEC")), VaultError::Unreadable);
        assert_eq!(changed("nonce", json!("?")), VaultError::Unreadable);
        assert_eq!(changed("sealed", json!("?")), VaultError::Unreadable);
        assert_eq!(changed("sealed", json!("")), VaultError::Changed);
        assert_eq!(changed("sealed", json!(7)), VaultError::Unreadable);
        assert_eq!(changed("key", json!("a long text from somewhere")), VaultError::UnknownKey("?".to_owned()));
        assert_eq!(opened(&vault, RECORD, b"").unwrap_err(), VaultError::Unreadable);
    }

    proptest! {
        #[test]
        fn every_text_comes_back_and_only_for_its_record(text in ".{0,200}", other in "token/[a-z]{1,20}") {
            let vault = vault(&["key"]);
            let sealed = seal(&vault, &text);
            prop_assert_eq!(opened(&vault, RECORD, &sealed).unwrap(), text);
            prop_assume!(other != RECORD);
            prop_assert_eq!(opened(&vault, &other, &sealed).unwrap_err(), VaultError::Changed);
        }

        #[test]
        fn with_any_bit_of_it_changed_it_does_not_open(place in any::<prop::sample::Index>(), bit in 0_u32..8) {
            let vault = vault(&["key"]);
            let mut kept: Sealed = serde_json::from_slice(&seal(&vault, "an-invented-token")).unwrap();
            let mut sealed = STANDARD.decode(&kept.sealed).unwrap();
            let place = place.index(sealed.len());
            sealed[place] ^= 1_u8 << bit;
            kept.sealed = STANDARD.encode(sealed);
            let changed = serde_json::to_vec(&kept).unwrap();
            prop_assert_eq!(opened(&vault, RECORD, &changed).unwrap_err(), VaultError::Changed);
        }
    }
}
