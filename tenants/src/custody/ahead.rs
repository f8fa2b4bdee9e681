//! The step that refreshes ahead: a shop without an event for hours still has a token when one comes.

use std::sync::Arc;

use fangshi_database::TenantId;
use sqlx::SqlitePool;
use tokio::task::{JoinError, JoinSet};

use super::{Custody, Issuer, Key};
use crate::TokenError;
use crate::error::StoreError;

/// Rows looked at together.
const PAGE: u32 = 64;
/// Shops asked about at once: a slow answer holds the others up no more than that.
const AT_ONCE: usize = 4;

impl Custody {
    /// Refreshes the tokens that are due (80 % of their life, with jitter) of active tenants with an active installation, a
    /// few at a time; gives how many were refreshed. One that cannot be had is left for the next time, and for an hour if
    /// the platform refused it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn refresh_ahead(&self, issuer: &Arc<dyn Issuer>) -> Result<usize, TokenError> {
        let directory = &self.inner.directory;
        let (mut fresh, mut after) = (0, TenantId::HOST);
        loop {
            let found = due(directory.db.reader(), directory.clock.now(), after, PAGE).await?;
            let Some((last, _)) = found.last() else { return Ok(fresh) };
            after = *last;
            let mut asking = JoinSet::new();
            for (tenant, version) in found {
                if !self.inner.slot(Key::access(tenant)).may_ask_ahead(directory.clock.now()) {
                    continue;
                }
                if asking.len() == AT_ONCE {
                    fresh += count(asking.join_next().await);
                }
                let (custody, issuer) = (self.clone(), Arc::clone(issuer));
                asking.spawn(async move { custody.is_refreshed(tenant, version, &issuer).await });
            }
            while let Some(done) = asking.join_next().await {
                fresh += count(Some(done));
            }
        }
    }

    /// Whether the tenant has a newer token than `version` now. After a failure the old one is used to its end.
    async fn is_refreshed(&self, tenant: TenantId, version: i64, issuer: &Arc<dyn Issuer>) -> bool {
        match self.access_token(tenant, issuer).await {
            Ok(token) => token.version > version,
            Err(error) => {
                tracing::warn!(%tenant, %error, "a token could not be refreshed ahead");
                false
            }
        }
    }
}

fn count(done: Option<Result<bool, JoinError>>) -> usize {
    usize::from(matches!(done, Some(Ok(true))))
}

/// Tenants, with the version of their token, whose token is due at `now` (unix ms) and who will want it, by number, after one: they are active and have an
/// active installation, nobody refreshes it already, and there is something to refresh it with.
async fn due(db: &SqlitePool, now: i64, after: TenantId, limit: u32) -> Result<Vec<(TenantId, i64)>, StoreError> {
    let due: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT k.tenant_id, k.version FROM tokens k JOIN tenants t ON t.id = k.tenant_id WHERE k.kind = 'access' \
         AND k.tenant_id > $2 AND k.refresh_at <= $1 AND k.refused_code IS NULL \
         AND (k.lease_owner IS NULL OR k.lease_until <= $1) AND t.state = 'active' \
         AND (k.refresh IS NOT NULL OR t.kind = 'self-built') \
         AND EXISTS (SELECT 1 FROM installations i WHERE i.tenant_id = k.tenant_id AND i.state = 'active') \
         ORDER BY k.tenant_id LIMIT $3",
    )
    .bind(now)
    .bind(after.0)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(due.into_iter().map(|(tenant, version)| (TenantId(tenant), version)).collect())
}
