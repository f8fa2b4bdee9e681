//! Who calls, as the middleware found out: handlers take it to name the actor of a change.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use fangshi_tenants::{Actor, Role, TenantId, TokenId, TokenRecord};

use crate::refusal::Refusal;

/// Whoever was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The operator, with the token of the host's config.
    Root,
    /// The operator, with a token made for it.
    Operator(TokenId),
    /// A merchant, who reaches this tenant alone.
    Merchant(TokenId, TenantId),
}

impl Caller {
    /// Whom the audit names.
    pub fn actor(self) -> Actor {
        match self {
            Caller::Root => Actor::Operator(None),
            Caller::Operator(token) => Actor::Operator(Some(token)),
            Caller::Merchant(token, _) => Actor::Merchant(token),
        }
    }

    /// The one tenant that the caller may know of; `None`: all.
    pub fn bound_to(self) -> Option<TenantId> {
        match self {
            Caller::Root | Caller::Operator(_) => None,
            Caller::Merchant(_, tenant) => Some(tenant),
        }
    }

    /// Refuses a merchant what is the operator's to decide.
    pub fn operator_only(self, what: &str) -> Result<(), Refusal> {
        match self.bound_to() {
            None => Ok(()),
            Some(_) => Err(operators_alone(what)),
        }
    }
}

impl From<&TokenRecord> for Caller {
    fn from(token: &TokenRecord) -> Self {
        match token.role {
            Role::Operator => Caller::Operator(token.id),
            Role::Merchant(tenant) => Caller::Merchant(token.id, tenant),
        }
    }
}

/// 403 for a merchant.
pub(crate) fn operators_alone(what: &str) -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        "operators-alone",
        format!("{what} for operators alone, and this token is a merchant's"),
        "ask the operator of this host",
    )
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let caller = parts.extensions.get::<Caller>().copied();
        // A route outside the middleware is a mistake of ours: nobody gets in by it.
        caller.ok_or_else(|| Refusal::fault("knowing the caller", &"no one was let in at this address"))
    }
}
