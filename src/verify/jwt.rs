//! JSON Web Tokens signed with HMAC-SHA-256 (RFC 7519, RFC 7518 section 3.2).
//!
//! Only the signature and the shape are checked here. The library's own checks of times are switched
//! off, since they read the clock and demand `exp`; callers check the claims they know.

use std::fmt;
use std::sync::LazyLock;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::AuthError;

/// No provider's token is longer; longer text is refused before any work is spent on it.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The algorithm is pinned here. What a token's header names is compared with it, never obeyed.
static HS256_ONLY: LazyLock<Validation> = LazyLock::new(|| {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
});

/// The secrets of a source, ready to check tokens with.
pub struct Hs256Keys(Vec<DecodingKey>);

impl Hs256Keys {
    /// Takes the secrets as text bytes, as they are.
    pub fn new(secrets: &[SecretString]) -> Self {
        Self(secrets.iter().map(|secret| DecodingKey::from_secret(secret.expose_secret().as_bytes())).collect())
    }

    /// Verifies a token against every secret in turn and reads its claims.
    ///
    /// # Errors
    /// [`AuthError::MalformedSignature`], [`AuthError::WrongAlgorithm`] or
    /// [`AuthError::WrongSignature`].
    pub fn verify<Claims: DeserializeOwned>(&self, token: &str) -> Result<(usize, Claims), AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::MalformedSignature);
        }
        for (index, key) in self.0.iter().enumerate() {
            match jsonwebtoken::decode::<Claims>(token, key, &HS256_ONLY) {
                Ok(data) => return Ok((index, data.claims)),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidSignature => {}
                    ErrorKind::InvalidAlgorithm => return Err(AuthError::WrongAlgorithm),
                    _ => return Err(AuthError::MalformedSignature),
                },
            }
        }
        Err(AuthError::WrongSignature)
    }
}

impl fmt::Debug for Hs256Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hs256Keys({} redacted)", self.0.len())
    }
}
