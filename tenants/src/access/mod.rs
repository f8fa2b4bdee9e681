//! Access: tokens of the admin API, sessions of the merchant page, and the links that open one.
//!
//! Secrets are random, shown once and kept as their digest alone. The token of the host's config is not among them: it
//! is the operator's root token, for the console to compare.
//!
//! - `tokens`: tokens and sessions
//! - `links`: links to the merchant page

mod links;
mod tokens;

use std::sync::Arc;

use fangshi_database::TenantId;
use sqlx::SqliteConnection;

pub use self::links::LinkRecord;
pub use self::tokens::{NewToken, TokenRecord};

use crate::AccessError;
use crate::audit::Actor;
use crate::directory::Directory;

/// Who a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Operator,
    /// This tenant's plugins, installations, events, runs and audit.
    Merchant(TenantId),
}

/// Where a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The admin API, as a bearer token.
    Api,
    /// The merchant page, as a cookie. Such a session is no bearer token, and a bearer token no session.
    Page,
}

/// Tokens and links. Clones are the same.
#[derive(Clone)]
pub struct Access {
    directory: Arc<Directory>,
    actor: Actor,
}

impl Access {
    pub(crate) fn new(directory: Arc<Directory>, actor: Actor) -> Access {
        Access { directory, actor }
    }

    /// Ends every session of the merchant page and every link that was not used yet, in a transaction of the writer: the store
    /// came from a backup, and what was used or left since would open again. Gives how many of each. Tokens of the admin API
    /// stay: other systems live on them.
    ///
    /// # Errors
    /// The store refused.
    pub async fn end_page(&self, c: &mut SqliteConnection) -> Result<(u64, u64), sqlx::Error> {
        let now = self.directory.clock.now();
        Ok((tokens::end_sessions(c, now).await?, links::end_unused(c, now).await?))
    }

    /// The tenant must be there; the host itself has no merchants.
    fn known(&self, tenant: TenantId) -> Result<(), AccessError> {
        let known = self.directory.get(tenant).is_some() && tenant != TenantId::HOST;
        if known { Ok(()) } else { Err(AccessError::UnknownTenant(tenant)) }
    }
}

/// A text for people, 1 to 100 characters in one line.
fn check_text(member: &'static str, text: &str) -> Result<(), AccessError> {
    let length = text.chars().count();
    if (1..=100).contains(&length) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(AccessError::Invalid { member, problem: "must have 1 to 100 characters, in one line".to_owned() })
}

impl Role {
    /// The tenant of a merchant; the host for operators.
    fn tenant(self) -> TenantId {
        match self {
            Role::Operator => TenantId::HOST,
            Role::Merchant(tenant) => tenant,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Role::Operator => "operator",
            Role::Merchant(_) => "merchant",
        }
    }

    fn from_code(code: &str, tenant: TenantId) -> Option<Role> {
        match code {
            "operator" if tenant == TenantId::HOST => Some(Role::Operator),
            "merchant" if tenant != TenantId::HOST => Some(Role::Merchant(tenant)),
            _ => None,
        }
    }
}

impl Door {
    fn code(self) -> &'static str {
        match self {
            Door::Api => "api",
            Door::Page => "page",
        }
    }

    fn from_code(code: &str) -> Option<Door> {
        [Door::Api, Door::Page].into_iter().find(|door| door.code() == code)
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}
