//! The seam to custody: who gives tokens out. One implementation outside tests, that of `tenants`.

use std::sync::Arc;

use async_trait::async_trait;
use fangshi_tenants::{Issuer, TenantId, Tenants, TokenError};
use secrecy::SecretString;

use crate::fault::{Class, Fault, Sent};

/// A token and the version of its row.
pub(crate) struct Held {
    pub version: i64,
    pub secret: SecretString,
}

#[async_trait]
pub(crate) trait Keeper: Send + Sync {
    /// Whether the shop grants this permission set (platform page 2.5), as far as anybody knows.
    fn grants(&self, tenant: TenantId, permission_set: u16) -> bool;

    /// A token that should be good.
    async fn token(&self, tenant: TenantId, issuer: &Arc<dyn Issuer>) -> Result<Held, Fault>;

    /// The platform refused the token of this version; a newer one stays.
    async fn invalidate(&self, tenant: TenantId, version: i64);

    /// The platform says, about the token of this version, that the merchant took the authorization back.
    async fn revoked(&self, tenant: TenantId, version: i64);
}

#[async_trait]
impl Keeper for Tenants {
    fn grants(&self, tenant: TenantId, permission_set: u16) -> bool {
        self.get(tenant).is_none_or(|tenant| tenant.grants(permission_set))
    }

    async fn token(&self, tenant: TenantId, issuer: &Arc<dyn Issuer>) -> Result<Held, Fault> {
        let token = self.custody().access_token(tenant, issuer).await.map_err(|error| no_token(&error))?;
        #[allow(clippy::disallowed_methods, reason = "the one place that reads a token, to send it")]
        let secret = SecretString::from(token.expose());
        Ok(Held { version: token.version, secret })
    }

    async fn invalidate(&self, tenant: TenantId, version: i64) {
        self.custody().invalidate(tenant, version).await;
    }

    async fn revoked(&self, tenant: TenantId, version: i64) {
        match self.onboarding().doubt(tenant).await {
            Ok(true) => {}
            // Nobody is there to ask: what was said counts.
            Ok(false) => self.custody().revoked(tenant, version).await,
            Err(error) => {
                tracing::warn!(%tenant, %error, "a shop that may be revoked could not be marked to be asked about");
            }
        }
    }
}

/// Why there is no token, as the plugin may hear it; the cause goes to the log. Nothing was sent.
fn no_token(error: &TokenError) -> Fault {
    let (class, code, message) = match error {
        TokenError::Reauthorize { code, .. } => {
            (Class::Reauthorize, *code, "the shop's authorization has ended: the merchant must authorize again")
        }
        TokenError::Suspended { .. } => (Class::Suspended, 0, "the shop is suspended"),
        TokenError::Revoked { .. } => (Class::Revoked, 0, "the merchant took the authorization back"),
        TokenError::Component(_) => (Class::Ticket, 0, "the host waits for the platform's ticket"),
        TokenError::Refused { code, .. } => (Class::Config, *code, "the platform refuses the host a token"),
        TokenError::Unavailable(_) => (Class::Unreachable, 0, "no access token can be had now"),
        TokenError::Unknown(_) | TokenError::NoTokens(_) => (Class::Bug, 0, "the shop has no access token"),
        TokenError::Custody(_) | TokenError::Write(_) | TokenError::Sql(_) => {
            (Class::Host, 0, "the host can't read its tokens now")
        }
    };
    tracing::warn!(class = class.name(), error = %error, "no access token");
    Fault { code, ..Fault::new(class, Sent::NotSent, message) }
}
