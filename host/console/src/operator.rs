//! The operator's root token, from the host's config.

use axum::http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::login::bearer;

/// The digest of the operator's token; the token itself is not kept.
///
/// Digests are compared, in constant time: neither the token's length nor a common beginning can be measured.
#[derive(Clone)]
pub struct OperatorToken([u8; 32]);

impl OperatorToken {
    /// Takes the digest of the token from the config.
    pub fn new(token: &SecretString) -> Self {
        OperatorToken(digest(token.expose_secret().as_bytes()))
    }

    /// Whether these headers carry the token.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|given| self.matches(given))
    }

    pub(crate) fn matches(&self, given: &[u8]) -> bool {
        self.0.ct_eq(&digest(given)).into()
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
