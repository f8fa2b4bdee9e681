//! The operator's bearer token, before every address under `/api/v1`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::refusal::Refusal;

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

    fn matches(&self, given: &[u8]) -> bool {
        self.0.ct_eq(&digest(given)).into()
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lets a request pass that carries the token; otherwise 401, whether the address exists or not.
pub(crate) async fn require(
    State(token): State<OperatorToken>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    match bearer(request.headers()) {
        Some(given) if token.matches(given) => Ok(next.run(request).await),
        Some(_) => Err(unauthorized("the bearer token is not the operator's")),
        None => Err(unauthorized("no bearer token")),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn unauthorized(message: &str) -> Refusal {
    metrics::counter!("fangshi_admin_unauthorized_total").increment(1);
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        message,
        "send `Authorization: Bearer TOKEN` with the token of the host's config, [operator] token",
    )
}
