//! A refused refresh token (61023), made up for by the one that the platform shows (platform page 2.1). The answer of a
//! refresh may be lost again and again, by crashes and broken connections: as long as the platform shows a token that was not
//! tried, the merchant need not authorize again.

use std::sync::Arc;

use secrecy::ExposeSecret;

use super::ask::{Failure, Uncalled};
use super::refresh::Flying;
use super::rows::{Secrets, TokenRow};
use super::{IssueError, Issued, REVOKED};
use crate::{Tenant, TokenError};

impl Flying {
    /// Asks the platform for the account's refresh token. A new one is written down first, then tried: it is there for the
    /// next attempt, whatever becomes of this one.
    pub(super) async fn recover(&self, tenant: &Tenant, row: &TokenRow, refused: Failure) -> Result<Issued, Failure> {
        let issuer = &self.refresher.issuer;
        let info = self.as_component(row, |token, component| {
            let (issuer, appid) = (Arc::clone(issuer), tenant.appid.clone());
            async move { issuer.authorizer_info(&token, &component, &appid).await }
        });
        let shown = match info.await {
            Ok(info) => info.refresh,
            Err(Uncalled::NotSent(failure)) => return Err(failure),
            Err(Uncalled::Issue(IssueError::Unavailable(text))) => {
                return Err(Failure::Other(TokenError::Unavailable(text)));
            }
            // Taken back altogether, or the platform does not tell: the first refusal stands.
            Err(Uncalled::Issue(IssueError::Invalid { code: REVOKED, .. })) => {
                return Err(Failure::Invalid { code: REVOKED });
            }
            Err(Uncalled::Issue(_)) => return Err(refused),
        };
        let tried = [&row.secrets.refresh, &row.secrets.previous_refresh];
        let tried = |new: &str| tried.into_iter().flatten().any(|old| old.expose_secret() == new);
        let Some(shown) = shown.filter(|shown| !tried(shown.expose_secret())) else { return Err(refused) };
        let secrets =
            Secrets { refresh: Some(shown.clone()), previous_refresh: row.secrets.refresh.clone(), access: None };
        if !self.keep_recovered(row.version, secrets).await.map_err(Failure::store)? {
            return Err(Failure::LeaseLost);
        }
        tracing::warn!(tenant = %tenant.id, "the refresh token was refused; the platform showed another, which is tried");
        let issued = self.ask_with(tenant, row, &shown).await?;
        Ok(Issued { refresh: issued.refresh.or(Some(shown)), ..issued })
    }
}
