//! Authenticity: the only place where a [`Verified`] request can be made.
//!
//! A source decides what it accepts; the request never does. A signature that a request carries must
//! be valid, and so must a token that ends its URL; one of them must be there. Only a source whose
//! configuration says `verification = "none"` accepts a request with neither.
//!
//! A request that was kept is not verified a second time: its credentials are not kept with it, and
//! signatures grow old. `accept_again` takes it with the [`Proof`] that was made of it then.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

pub mod freshness;
pub mod hmac;
pub mod jwt;

use crate::request::{Head, RawRequest};

/// A provider's signatures, as one source checks them.
pub trait Verifier: Send + Sync {
    /// Checks the signature that a request carries, as far as its head alone allows. `Ok(None)` means that
    /// it carries none, which is for the source's other doors to judge; a signature that is there must be
    /// valid. Reads no clock (the request says when it came) and logs nothing.
    ///
    /// # Errors
    /// [`AuthError`] when a signature is there that can not hold for any body.
    fn signature(&self, head: Head<'_, '_>) -> Result<Option<Signature<'_>>, AuthError>;

    /// Whether every event needs an account from the signature or the configuration, because the
    /// messages themselves name none.
    fn needs_account(&self) -> bool {
        true
    }
}

/// What a source accepts besides signatures.
#[derive(Debug, Default)]
pub struct Doors {
    /// Tokens that may end the URL.
    pub url_tokens: UrlTokens,
    /// Whether unsigned requests without a token are accepted: `verification = "none"`.
    pub open: bool,
    /// Addresses that may send; everybody, if empty.
    pub allowed_ips: Vec<IpNet>,
    /// The account that the configuration names.
    pub account_id: Option<String>,
}

/// A request that is certainly the provider's, as far as its source demands.
#[derive(Debug)]
pub struct Verified<'r> {
    request: &'r RawRequest<'r>,
    proof: Proof,
}

impl<'r> Verified<'r> {
    /// The request.
    pub fn request(&self) -> &'r RawRequest<'r> {
        self.request
    }

    /// What was verified.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}

/// What was verified of a request. It is kept with requests that are published, as the member `proof`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// How far.
    pub verification: Verification,
    /// By which scheme, for the member `ingest.scheme`.
    pub scheme: Cow<'static, str>,
    /// Which of the source's secrets or tokens matched.
    #[serde(skip)]
    pub secret_index: Option<usize>,
    /// The account that the signature, else the configuration, names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// What the signature covers, which is not kept.
    #[serde(skip)]
    pub covered: Covered,
}

impl Proof {
    /// The proof of nothing.
    pub fn nothing() -> Self {
        Self::unsigned(Verification::None, "none", None)
    }

    /// What the provider's own API has told.
    pub fn of_api(scheme: &'static str, account_id: Option<String>) -> Self {
        Self { account_id, ..Self::unsigned(Verification::Api, scheme, None) }
    }

    fn unsigned(verification: Verification, scheme: &'static str, secret_index: Option<usize>) -> Self {
        Self { verification, scheme: scheme.into(), secret_index, account_id: None, covered: Covered::Nothing }
    }

    /// Adds the configured account where no signature names one.
    fn with_account(mut self, verifier: &dyn Verifier, doors: &Doors) -> Result<Self, AuthError> {
        self.check_account(verifier, doors)?;
        self.account_id = self.account_id.or_else(|| doors.account_id.clone());
        Ok(self)
    }

    fn check_account(&self, verifier: &dyn Verifier, doors: &Doors) -> Result<(), AuthError> {
        let known = self.account_id.is_some() || doors.account_id.is_some();
        if known || !verifier.needs_account() { Ok(()) } else { Err(AuthError::WrongAccount) }
    }
}

/// What a signature covers of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Covered {
    /// Nothing of what is said.
    #[default]
    Nothing,
    /// The body, or the whole query of a request without one.
    Body,
    /// These parameters of the query or the form.
    Parameters(Vec<String>),
}

/// How far a request was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// A signature that covers the whole request.
    Signed,
    /// A signature that covers less.
    SignedPartial,
    /// A secret token in the URL.
    Token,
    /// Nothing, as the configuration says.
    None,
    /// We have asked the provider's own API for it, with our credentials.
    Api,
}

impl Verification {
    /// The word that is published.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::SignedPartial => "signed_partial",
            Self::Token => "token",
            Self::None => "none",
            Self::Api => "api",
        }
    }
}

/// Why a request is not authentic. The sender never learns which; operators see the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthError {
    /// Neither a signature nor a token, and the source demands one.
    #[error("no signature and no token")]
    Missing,
    /// The URL's token is not one of the source's.
    #[error("the token of the URL is wrong")]
    WrongToken,
    /// The address is not among `allowed_ips`.
    #[error("the address is not allowed")]
    AddressNotAllowed,
    /// The signature is not in the form that the provider uses.
    #[error("the signature is malformed")]
    MalformedSignature,
    /// The signature names an algorithm that the provider does not use.
    #[error("the signature's algorithm is not the provider's")]
    WrongAlgorithm,
    /// No secret of the source makes this signature.
    #[error("the signature does not match any secret")]
    WrongSignature,
    /// Signed by somebody else than the provider.
    #[error("the issuer is not the provider")]
    WrongIssuer,
    /// Signed too long ago.
    #[error("the signature is too old")]
    Stale,
    /// Signed in the future.
    #[error("the signature is from the future")]
    FromTheFuture,
    /// The signature covers another body than the one received.
    #[error("the signature does not cover this body")]
    BodyMismatch,
    /// Signed for an account other than the configured one, or for none.
    #[error("the account is not the configured one")]
    WrongAccount,
    /// Signed for an application that is not configured.
    #[error("the application is not a configured one")]
    WrongApplication,
}

impl AuthError {
    /// A short word for metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::WrongToken => "wrong_token",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::MalformedSignature => "malformed_signature",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::WrongSignature => "wrong_signature",
            Self::WrongIssuer => "wrong_issuer",
            Self::Stale => "stale",
            Self::FromTheFuture => "from_the_future",
            Self::BodyMismatch => "body_mismatch",
            Self::WrongAccount => "wrong_account",
            Self::WrongApplication => "wrong_application",
        }
    }
}

/// A signature that may still hold. Whether it does shows with the body, and for providers that sign in the body
/// itself, also whether there is one.
pub struct Signature<'p> {
    confirm: Box<Confirm<'p>>,
    within_bytes: Option<usize>,
}

type Confirm<'p> = dyn FnOnce(&RawRequest<'_>) -> Result<Option<Proof>, AuthError> + Send + 'p;

impl<'p> Signature<'p> {
    /// A signature in the head, and what is to be done with it and the whole request.
    pub fn in_head(confirm: impl FnOnce(&RawRequest<'_>) -> Result<Proof, AuthError> + Send + 'p) -> Self {
        Self { confirm: Box::new(move |request| confirm(request).map(Some)), within_bytes: None }
    }

    /// Perhaps a signature in the body, which is found in the whole request or not. A body of which nothing is
    /// proven yet is read up to `within_bytes`; larger ones hold none.
    pub fn in_body(
        within_bytes: usize,
        confirm: impl FnOnce(&RawRequest<'_>) -> Result<Option<Proof>, AuthError> + Send + 'p,
    ) -> Self {
        Self { confirm: Box::new(confirm), within_bytes: Some(within_bytes) }
    }

    /// Compares it with the whole request.
    ///
    /// # Errors
    /// [`AuthError`] when the signature does not cover the request.
    pub fn confirm(self, request: &RawRequest<'_>) -> Result<Option<Proof>, AuthError> {
        (self.confirm)(request)
    }
}

impl fmt::Debug for Signature<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Signature(redacted)")
    }
}

/// What the head of a request has shown: what is proven by it, and a signature over a body that is still to be read.
#[derive(Debug)]
pub struct Admission<'p> {
    signature: Option<Signature<'p>>,
    proof: Option<Proof>,
}

impl Admission<'_> {
    /// The greatest body that can still become authentic, if that is less than the source takes.
    pub fn within_bytes(&self) -> Option<usize> {
        if self.proof.is_some() { None } else { self.signature.as_ref()?.within_bytes }
    }

    /// Verifies the whole request, of which the head was admitted.
    ///
    /// # Errors
    /// [`AuthError`], for the log and the metrics only.
    pub fn confirm<'r>(
        self,
        request: &'r RawRequest<'r>,
        verifier: &dyn Verifier,
        doors: &Doors,
    ) -> Result<Verified<'r>, AuthError> {
        let signed = match self.signature {
            Some(signature) => signature.confirm(request)?,
            None => None,
        };
        let proof = signed.or(self.proof).ok_or(AuthError::Missing)?.with_account(verifier, doors)?;
        Ok(Verified { request, proof })
    }
}

/// Judges the head of a request by its source's rules, before its body is read: what can not become authentic
/// by any body is refused here.
///
/// # Errors
/// [`AuthError`], for the log and the metrics only.
pub fn admit<'p>(head: Head<'_, '_>, verifier: &'p dyn Verifier, doors: &Doors) -> Result<Admission<'p>, AuthError> {
    if !doors.admits(head.remote_addr()) {
        return Err(AuthError::AddressNotAllowed);
    }
    let admission = doors.check(head, verifier)?;
    match (&admission.signature, &admission.proof) {
        (Some(_), _) => Ok(admission),
        (None, Some(proof)) => proof.check_account(verifier, doors).map(|()| admission),
        (None, None) => Err(AuthError::Missing),
    }
}

/// Verifies a request by its source's rules, head and body at once.
///
/// # Errors
/// [`AuthError`], for the log and the metrics only.
pub fn authenticate<'r>(
    request: &'r RawRequest<'r>,
    verifier: &dyn Verifier,
    doors: &Doors,
) -> Result<Verified<'r>, AuthError> {
    admit(request.head(), verifier, doors)?.confirm(request, verifier, doors)
}

/// Takes a request that was authentic when it came and was kept since, with what was verified then.
/// Only the replay of Trunkline's own topics calls this: whoever may write to those topics is believed.
///
/// # Errors
/// [`AuthError::WrongAccount`] when neither the proof nor the configuration names the account that the
/// provider's events need.
pub(crate) fn accept_again<'r>(
    request: &'r RawRequest<'r>,
    proof: Proof,
    verifier: &dyn Verifier,
    doors: &Doors,
) -> Result<Verified<'r>, AuthError> {
    let proof = proof.with_account(verifier, doors)?;
    Ok(Verified { request, proof })
}

impl Doors {
    fn admits(&self, address: Option<IpAddr>) -> bool {
        let contains = |address: IpAddr| self.allowed_ips.iter().any(|net| net.contains(&address.to_canonical()));
        self.allowed_ips.is_empty() || address.is_some_and(contains)
    }

    /// What is there must hold: a token in the URL also beside a signature, a signature also beside a
    /// token. One of them must be there, unless the source checks nothing.
    fn check<'p>(&self, head: Head<'_, '_>, verifier: &'p dyn Verifier) -> Result<Admission<'p>, AuthError> {
        if self.open {
            return Ok(Admission { signature: None, proof: Some(Proof::nothing()) });
        }
        let signature = verifier.signature(head)?;
        let proof = match head.url_token() {
            Some(token) => {
                let index = self.url_tokens.find(token).ok_or(AuthError::WrongToken)?;
                Some(Proof::unsigned(Verification::Token, "url-token", Some(index)))
            }
            None => None,
        };
        Ok(Admission { signature, proof })
    }
}

/// The URL tokens of a source. Only digests are kept, so that comparing takes the same time for any
/// text of any length.
#[derive(Default)]
pub struct UrlTokens {
    digests: Vec<[u8; 32]>,
    first_index: usize,
}

impl UrlTokens {
    /// Takes the tokens. They are numbered after the source's signature secrets, from `first_index` on.
    pub fn new(tokens: &[SecretString], first_index: usize) -> Self {
        let digests = tokens.iter().map(|token| Sha256::digest(token.expose_secret()).into()).collect();
        Self { digests, first_index }
    }

    /// The number of a token. Every token is compared, whichever matches.
    pub fn find(&self, token: &str) -> Option<usize> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let compare = |found: Option<usize>, (index, known): (usize, &[u8; 32])| match bool::from(known.ct_eq(&digest))
        {
            true => found.or(Some(self.first_index + index)),
            false => found,
        };
        self.digests.iter().enumerate().fold(None, compare)
    }
}

impl fmt::Debug for UrlTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UrlTokens({} redacted)", self.digests.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_place_and_never_printed() {
        let tokens = UrlTokens::new(&["first-token".into(), "second-token".into()], 2);
        assert_eq!(tokens.find("second-token"), Some(3));
        assert_eq!(tokens.find("second-toke"), None);
        assert_eq!(tokens.find(""), None);
        assert_eq!(format!("{tokens:?}"), "UrlTokens(2 redacted)");
    }

    #[test]
    fn addresses_are_compared_as_networks_also_when_mapped_to_ipv6() {
        let doors = Doors { allowed_ips: vec!["203.0.113.0/24".parse().unwrap()], ..Doors::default() };
        assert!(doors.admits(Some("203.0.113.7".parse().unwrap())));
        assert!(doors.admits(Some("::ffff:203.0.113.7".parse().unwrap())));
        assert!(!doors.admits(Some("198.51.100.1".parse().unwrap())));
        assert!(!doors.admits(None));
        assert!(Doors::default().admits(None));
    }

    /// Signs in the body: `right` is a signature, `wrong` is none of ours, and any other body has none.
    struct InBody;

    impl Verifier for InBody {
        fn signature(&self, _: Head<'_, '_>) -> Result<Option<Signature<'_>>, AuthError> {
            Ok(Some(Signature::in_body(5, |request| match request.body {
                b"right" => {
                    Ok(Some(Proof { covered: Covered::Body, ..Proof::unsigned(Verification::Signed, "test", None) }))
                }
                b"wrong" => Err(AuthError::WrongSignature),
                _ => Ok(None),
            })))
        }
    }

    fn verified(body: &[u8], token: Option<&str>, doors: &Doors) -> Result<Verification, AuthError> {
        let at = crate::event::time::Time::from_unix_seconds(0).unwrap();
        let request = RawRequest::new(crate::request::Method::Post, "/", at).with_token(token).with_body(body, false);
        authenticate(&request, &InBody, doors).map(|verified| verified.proof().verification)
    }

    #[test]
    fn a_signature_in_the_body_counts_and_a_token_where_there_is_none() {
        let doors = Doors {
            url_tokens: UrlTokens::new(&["a-token".into()], 0),
            account_id: Some("a".to_owned()),
            ..Doors::default()
        };
        assert_eq!(verified(b"right", None, &doors), Ok(Verification::Signed));
        assert_eq!(verified(b"right", Some("a-token"), &doors), Ok(Verification::Signed));
        assert_eq!(verified(b"", Some("a-token"), &doors), Ok(Verification::Token));
        assert_eq!(verified(b"", None, &doors), Err(AuthError::Missing));
        assert_eq!(verified(b"wrong", Some("a-token"), &doors), Err(AuthError::WrongSignature));
        assert_eq!(verified(b"right", Some("another"), &doors), Err(AuthError::WrongToken));
        let admitted = |token| {
            let at = crate::event::time::Time::from_unix_seconds(0).unwrap();
            let request = RawRequest::new(crate::request::Method::Post, "/", at).with_token(token);
            admit(request.head(), &InBody, &doors).unwrap().within_bytes()
        };
        assert_eq!(
            (admitted(None), admitted(Some("a-token"))),
            (Some(5), None),
            "a token has proven enough to read on"
        );
        assert_eq!(verified(b"right", None, &Doors { account_id: None, ..doors }), Err(AuthError::WrongAccount));
    }
}
