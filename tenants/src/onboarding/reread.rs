//! After a restore: the refresh tokens of the backup may be older than those in force, which the platform's list shows.

use std::sync::Arc;

use super::{Authorizer, Onboarding};
use crate::TenantsError;
use crate::audit::Actor;
use crate::tenant::{TenantKind, TenantPatch, TenantState};

/// Accounts a page, the platform's most.
const PAGE: u32 = 500;

impl Onboarding {
    /// Walks the list once and puts the refresh token of every known shop that is not revoked into custody. Gives how many.
    ///
    /// # Errors
    /// [`TenantsError::Component`]: no component, or the platform did not answer; or the store refused. It may be done
    /// again from the beginning.
    pub async fn reread_tokens(&self, platform: &Arc<dyn Authorizer>) -> Result<u32, TenantsError> {
        let (mut offset, mut planted) = (0, 0);
        loop {
            let page = self.call(platform, |platform, token, component| async move {
                platform.authorizer_list(&token, &component, offset, PAGE).await
            });
            let page = page.await.map_err(|error| TenantsError::Component(error.to_string()))?;
            let count = u32::try_from(page.listed.len()).unwrap_or(PAGE);
            for listed in page.listed {
                let known = self.directory.by_appid(&listed.appid).filter(|tenant| {
                    // One that is revoked here comes back by its own answer alone.
                    tenant.kind == TenantKind::Authorized && !matches!(tenant.state, TenantState::Revoked { .. })
                });
                let (Some(tenant), Some(refresh)) = (known, listed.refresh) else { continue };
                let patch = TenantPatch { refresh_token: Some(refresh), ..TenantPatch::default() };
                let (_, version) = self.directory.update(Actor::System, tenant.id, patch).await?;
                self.custody.planted(tenant.id, version);
                planted += 1;
            }
            offset = offset.saturating_add(count);
            if count == 0 || i64::from(offset) >= page.total {
                return Ok(planted);
            }
        }
    }
}
