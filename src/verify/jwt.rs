//! JSON Web Tokens signed with HMAC-SHA-256 (RFC 7519, RFC 7518 section 3.2).
//!
//! The library computes and compares the signature, and reads headers that are not the usual one. Its
//! `decode` would do more than is wanted: it checks times by the clock and demands `exp`, and it reads the
//! header and the claims twice. Callers check the claims they know.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, crypto, decode_header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::AuthError;

/// No provider's token is longer; longer text is refused before any work is spent on it.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// `{"alg":"HS256","typ":"JWT"}`, which nearly every token begins with, needs no reading.
const USUAL_HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The secrets of a source, ready to check tokens with.
pub struct Hs256Keys(Vec<DecodingKey>);

/// A token that one of the secrets has signed.
#[derive(Debug)]
pub struct Hs256Token {
    /// Which one.
    pub secret_index: usize,
    /// The claims' JSON text.
    claims: Vec<u8>,
}

impl Hs256Keys {
    /// Takes the secrets as text bytes, as they are.
    pub fn new(secrets: &[SecretString]) -> Self {
        Self(secrets.iter().map(|secret| DecodingKey::from_secret(secret.expose_secret().as_bytes())).collect())
    }

    /// Verifies a token against every secret in turn.
    ///
    /// # Errors
    /// [`AuthError::MalformedSignature`], [`AuthError::WrongAlgorithm`] or
    /// [`AuthError::WrongSignature`].
    pub fn verify(&self, token: &str) -> Result<Hs256Token, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::MalformedSignature);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(AuthError::MalformedSignature)?;
        let (header, claims) = signed.split_once('.').ok_or(AuthError::MalformedSignature)?;
        check_algorithm(header, token)?;
        for (secret_index, key) in self.0.iter().enumerate() {
            // The algorithm is pinned here. What a token's header names is compared with it, never obeyed.
            if crypto::verify(signature, signed.as_bytes(), key, Algorithm::HS256).map_err(refusal)? {
                let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| AuthError::MalformedSignature)?;
                return Ok(Hs256Token { secret_index, claims });
            }
        }
        Err(AuthError::WrongSignature)
    }
}

impl Hs256Token {
    /// Reads the claims.
    ///
    /// # Errors
    /// [`AuthError::MalformedSignature`] when they are not what the caller expects.
    pub fn claims<'t, Claims: Deserialize<'t>>(&'t self) -> Result<Claims, AuthError> {
        serde_json::from_slice(&self.claims).map_err(|_| AuthError::MalformedSignature)
    }
}

fn check_algorithm(header: &str, token: &str) -> Result<(), AuthError> {
    if header == USUAL_HEADER {
        return Ok(());
    }
    match decode_header(token).map_err(refusal)?.alg {
        Algorithm::HS256 => Ok(()),
        _ => Err(AuthError::WrongAlgorithm),
    }
}

fn refusal(error: Error) -> AuthError {
    match error.kind() {
        ErrorKind::InvalidAlgorithm => AuthError::WrongAlgorithm,
        _ => AuthError::MalformedSignature,
    }
}

impl fmt::Debug for Hs256Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hs256Keys({} redacted)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    fn token(header: &Header) -> String {
        encode(header, &json!({"iss": "x"}), &EncodingKey::from_secret(b"an-invented-secret")).unwrap()
    }

    fn verify(token: &str) -> Result<usize, AuthError> {
        let token = Hs256Keys::new(&["another".into(), "an-invented-secret".into()]).verify(token)?;
        assert_eq!(token.claims::<Value>()?, json!({"iss": "x"}));
        Ok(token.secret_index)
    }

    #[test]
    fn the_usual_header_and_any_other_of_the_algorithm_are_accepted() {
        let usual = token(&Header::new(Algorithm::HS256));
        let unusual = token(&Header { typ: None, ..Header::new(Algorithm::HS256) });
        assert!(!unusual.starts_with(USUAL_HEADER));
        assert_eq!((verify(&usual), verify(&unusual)), (Ok(1), Ok(1)));
        assert_eq!(URL_SAFE_NO_PAD.decode(USUAL_HEADER).unwrap(), br#"{"alg":"HS256","typ":"JWT"}"#);
    }

    #[test]
    fn no_token_chooses_its_algorithm_and_every_part_is_signed() {
        let genuine = token(&Header { typ: None, ..Header::new(Algorithm::HS256) });
        assert_eq!(verify(&token(&Header::new(Algorithm::HS512))), Err(AuthError::WrongAlgorithm));
        let (_, rest) = genuine.split_once('.').unwrap();
        assert_eq!(verify(&format!("{USUAL_HEADER}.{rest}")), Err(AuthError::WrongSignature));
        let (signed, _) = genuine.rsplit_once('.').unwrap();
        for cut in [signed, "", "a", "a.b", &format!("{signed}.")] {
            assert!(verify(cut).is_err(), "{cut}");
        }
    }
}
